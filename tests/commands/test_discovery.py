"""scan_models and import_models: what an upstream has, on the command line."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from providers.models import AIModel, Provider
from tests import factories
from tests.fakes.lister import FakeLister

PRICED = {"id": "seer", "context_length": 8192, "pricing": {"prompt": "0.0000025", "completion": "0.00001"}}


@pytest.fixture
def lister() -> Iterator[FakeLister]:
    with FakeLister(PRICED, "plain", "embed-1") as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def provider(database: None, lister: FakeLister) -> Provider:
    return factories.provider(lister, name="acme")


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    call_command(*arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_a_scan_is_a_table(provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    factories.model(provider, "plain")
    call_command("scan_models", "acme")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == ["model", "kind", "in", "out", "context"]
    assert lines[1] == ["plain", "llm", "-", "-", "-", "added"]
    assert lines[2] == ["seer", "llm", "2.50", "10.00", "8192"]
    assert lines[3] == ["embed-1", "embedding", "-", "-", "-"]


def test_or_json(provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "scan_models", "acme", "--kind", "llm")
    assert [each["id"] for each in found] == ["plain", "seer"]
    assert (found[1]["price_in"], found[1]["price_cached_read"], found[1]["already_added"]) == ("2.50", None, False)


def test_named_ones_are_imported(provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    done = told(capsys, "import_models", "acme", "seer", "embed-1", "--prefix", "a/")
    assert (done["added"], done["names"], done["unpriced"]) == (2, "a/seer, a/embed-1", "a/embed-1")
    assert AIModel.objects.get(kind="llm").price_in == 2.5
    assert told(capsys, "import_models", "acme", "--all", "--kind", "llm")["added"] == 1
    assert AIModel.objects.count() == 3


def test_what_the_provider_can_t_serve_is_passed_over(
    provider: Provider, lister: FakeLister, capsys: pytest.CaptureFixture[str]
) -> None:
    lister.entries = [{"id": "plain"}, {"id": "bge-reranker"}]
    Provider.objects.update(requester="openai-chat-completions")
    done = told(capsys, "import_models", "acme", "--all")
    assert (done["added"], done["already_there"], done["not_served"]) == (1, 0, 1)
    with pytest.raises(CommandError, match="does not support rerank models"):
        call_command("import_models", "acme", "bge-reranker")
    assert AIModel.objects.get().name == "plain"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("scan_models", "none"), "no provider 'none'"),
        (("import_models", "none", "--all"), "no provider 'none'"),
        (("import_models", "acme"), "Give the names"),
        (("import_models", "acme", "seer", "--all"), "Give the names"),
        (("import_models", "acme", "seer", "who"), "no model who"),
    ],
)
def test_a_wrong_argument_changes_nothing(provider: Provider, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command(*arguments)
    assert not AIModel.objects.exists()


def test_a_failure_says_why_without_the_secret(provider: Provider, lister: FakeLister) -> None:
    lister.status = 500
    with pytest.raises(CommandError) as caught:
        call_command("import_models", "acme", "--all")
    assert "500" in str(caught.value)
    assert lister.key not in str(caught.value)
