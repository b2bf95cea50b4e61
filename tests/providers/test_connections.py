"""Connections as the services know them, whatever dialect asks: found or made, changed, and what counts as a move."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from providers.models import Provider, ProviderKey
from providers.services import connections, drafts, keyrings, managing, providers
from providers.services.connections import Connection
from tests import factories

pytestmark = pytest.mark.django_db

HOME, ELSEWHERE = "https://llm.example.com/v1", "https://elsewhere.example.net/v1"
PROGRAM = "a-program"
KIND = "openai-compatible"


def said(**fields: Any) -> Connection:
    return Connection(**{"requester": KIND, "base_url": HOME, "secrets": ("sk-1", "sk-2"), **fields})


def found(**fields: Any) -> Provider:
    return connections.find_or_make(connection=said(**fields), program=PROGRAM)


def test_what_is_made_is_marked_and_named_after_its_host() -> None:
    made = found(base_url="http://gpu.example.com:8080/v1")
    assert (made.name, made.metadata) == ("gpu.example.com:8080", {PROGRAM: {"auto": True}})
    assert [str(key.secret) for key in made.keys.order_by("id")] == ["sk-1", "sk-2"]


def test_one_without_an_address_is_named_after_its_requester() -> None:
    assert found(requester="bedrock-converse", base_url="", config={"region": "eu-west-1"}).name == "bedrock-converse"


@pytest.mark.parametrize(
    "fields",
    [
        {"secrets": ("sk-2", "sk-1")},
        {"secrets": (" sk-1", "sk-2", "", "sk-1")},
        {"base_url": f"{HOME}/"},
        {"timeout": 120.0},
    ],
)
def test_the_same_is_found_again(fields: dict[str, Any]) -> None:
    assert found(**fields) == found()
    assert found() == found(**fields)


@pytest.mark.parametrize(
    "fields",
    [
        {"secrets": ("sk-1",)},
        {"secrets": ("sk-1", "sk-2", "sk-3")},
        {"secrets": ()},
        {"base_url": ELSEWHERE},
        {"base_url": "https://llm.example.com/v2"},
        {"base_url": "http://llm.example.com/v1"},
        {"requester": "openai-chat-completions"},
        {"timeout": 60.0},
        {"config": {"headers": {"X-Team": "blue"}}},
    ],
)
def test_another_is_not(fields: dict[str, Any]) -> None:
    first = found()
    assert found(**fields) != first
    assert Provider.objects.count() == 2


def test_settings_that_are_not_named_are_no_difference() -> None:
    first = found(timeout=60.0, config={"headers": {"X-Team": "blue"}})
    assert found() == first


def test_a_vendor_s_own_address_is_the_same_said_or_not() -> None:
    first = found(requester="openai-chat-completions", base_url="")
    assert found(requester="openai", base_url="https://api.openai.com/v1") == first


@pytest.mark.parametrize("off", ["provider", "key"])
def test_what_is_switched_off_is_not_found(off: str) -> None:
    first = found()
    rows: Any = Provider.objects.all() if off == "provider" else first.keys.filter(name="default")
    rows.update(is_enabled=False)
    assert found() != first


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"requester": None}, "requester"),
        ({"requester": "nobody-has-this"}, "requester"),
        ({"requester": "painter"}, "requester"),
        ({"base_url": "gopher://x"}, "base_url"),
        ({"base_url": ""}, "base_url"),
        ({"base_url": "http://169.254.169.254/"}, "base_url"),
        ({"config": {"headers": []}}, "config"),
        ({"timeout": 0.0}, "first_byte_timeout"),
    ],
)
def test_what_can_t_be_called_is_not_made(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        found(**fields)
    assert field in refusal.value.message_dict
    assert not Provider.objects.exists()


def test_a_mask_is_no_secret_of_a_new_one() -> None:
    with pytest.raises(ValidationError, match="Masked secret has no existing value"):
        found(secrets=("sk-1", "***"))


# Moves


@pytest.mark.parametrize(
    ("before", "after", "has_moved"),
    [
        ({}, {}, False),
        ({}, {"base_url": "https://llm.example.com/other"}, False),
        ({}, {"base_url": "https://llm.example.com:443/v1"}, False),
        ({}, {"base_url": "https://LLM.example.com/v1"}, False),
        ({}, {"base_url": "http://llm.example.com/v1"}, True),
        ({}, {"base_url": "https://llm.example.com:8443/v1"}, True),
        ({}, {"base_url": ELSEWHERE}, True),
        ({}, {"config": {"authority": "https://login.example.net/"}}, True),
        ({}, {"config": {"authority": " HTTPS://login.example.net"}}, True),
        ({}, {"config": {"deep": [{"place": "https://x.example.net"}]}}, True),
        ({}, {"config": {"place": "https://llm.example.com/tokens"}}, False),
        ({}, {"config": {"headers": {"Referer": "https://me.example.net"}}}, False),
        ({"config": {"place": "https://x.example.net/a"}}, {"config": {"place": "https://x.example.net/b"}}, False),
        ({"config": {"place": "https://x.example.net"}}, {"config": {}}, False),
        ({"config": {"place": ELSEWHERE}}, {"base_url": ELSEWHERE, "config": {}}, True),
        ({"requester": "openai-chat-completions", "base_url": ""}, {"base_url": "https://api.openai.com/v2"}, False),
    ],
)
def test_a_move_is_to_another_origin(before: dict[str, Any], after: dict[str, Any], has_moved: bool) -> None:
    row = {"requester": KIND, "base_url": HOME, "config": {}, **before}
    assert providers.has_moved(Provider(**row), Provider(**{**row, **after})) is has_moved


def test_a_move_switches_off_what_was_stored_before(db: None) -> None:
    row = factories.provider(base_url=HOME)
    row.config = {"allow_rerank_origin": "https://x.example.net"}
    assert providers.change(provider=row)
    assert not row.keys.get().is_enabled


# Keys


def test_a_model_s_stored_secrets_do_not_move_with_it_to_another_origin() -> None:
    model = factories.model(found())
    elsewhere = found(base_url=ELSEWHERE)
    with pytest.raises(ValidationError, match="must be entered again"):
        connections.move(model=model, to=elsewhere, keeps_secrets=True)
    assert model.provider.base_url == HOME
    connections.move(model=model, to=elsewhere, keeps_secrets=False)
    assert model.provider == elsewhere


def test_a_draft_that_may_not_be_called_is_refused(settings: Any) -> None:
    settings.EGRESS_ALLOW_PRIVATE = False
    with pytest.raises(ValidationError, match="may not be called: loopback"):
        drafts.target(
            requester=KIND,
            base_url="http://127.0.0.1:8080/v1",
            secrets=["sk-1"],
            config={},
            kind="llm",
            upstream_name="m",
            extra_args={},
        )


def test_keys_are_listed_as_they_were_written_last() -> None:
    row = found()
    first, second = keyrings.rows_of(row)
    keyrings.store(provider=row, entries=[second, "sk-3", first])
    assert [str(key.secret) for key in keyrings.rows_of(Provider.objects.get())] == ["sk-2", "sk-3", "sk-1"]
    keyrings.store(provider=row, entries=[first, second])
    assert Provider.objects.get().metadata == {PROGRAM: {"auto": True}}
    ProviderKey.objects.create(provider=row, name="by hand", secret="sk-4")
    assert [str(key.secret) for key in keyrings.rows_of(Provider.objects.get())] == ["sk-1", "sk-2", "sk-4"]


def test_names_of_new_keys_give_way_to_those_that_stay() -> None:
    row = found(secrets=("sk-1",), names={"sk-1": "team"})
    (kept,) = keyrings.rows_of(row)
    keyrings.store(provider=row, entries=[kept, "sk-2", "sk-3"], names={"sk-2": "team", "sk-3": " "})
    assert [key.name for key in keyrings.rows_of(row)] == ["team", "team 2", "default"]


def test_nothing_of_a_secret_is_shown_by_what_carries_it() -> None:
    wanted = said(names={"sk-1": "team"}, config={"headers": {"X-Pass": "s3cret"}})
    assert "sk-" not in repr(wanted) and "s3cret" not in repr(wanted)


def test_a_provider_in_use_is_not_removed() -> None:
    row = found()
    factories.model(row, kind="image")
    factories.model(row, kind="rerank")
    with pytest.raises(managing.StillInUse) as refusal:
        managing.remove_provider(provider=row, with_models=False)
    assert refusal.value.kind == "rerank"
    managing.remove_provider(provider=row, with_models=True)
    assert not Provider.objects.exists()
