"""`manage.py set_limit`: limits made, changed and refused from the command line."""

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Limit, Subject
from tests import factories
from tests.fakes.webhook import SECRET


@pytest.fixture(autouse=True)
def _database(database: None) -> None:
    """Commands commit."""


def put(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    call_command("set_limit", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_it_makes_a_limit_and_changes_it_by_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    shown = put(capsys, "team", "--everyone", "--most", "5.5")
    assert (shown["metric"], shown["window"], shown["most"], shown["whose"]) == ("cost", "month", "5.50", None)
    again = put(capsys, "team", "--everyone", "--most", "7", "--action", "warn", "--thresholds", "90", "50")
    assert (again["id"], again["most"], again["action"], again["thresholds"]) == (shown["id"], "7.00", "warn", [50, 90])
    replaced = put(
        capsys, "team", "--everyone", "--metric", "requests", "--window", "minute", "--sliding", "--most", "9"
    )
    assert (replaced["id"] != shown["id"], replaced["most"], replaced["sliding"]) == (True, 9, True)
    assert Limit.objects.count() == 1


def test_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    key, provider = factories.key(name="alice").key, factories.provider(name="vendor")
    factories.group(name="team")
    whose = {
        "--key": (key.prefix, Subject.KEY, str(key)),
        "--group": ("team", Subject.GROUP, "team"),
        "--email": ("a@example.com", Subject.EMAIL, "a@example.com"),
        "--model": ("echo", Subject.MODEL, "echo"),
        "--provider": ("vendor", Subject.PROVIDER, "vendor"),
        "--tag": ("nightly", Subject.TAG, "nightly"),
    }
    for flag, (name, subject, shown) in whose.items():
        told = put(capsys, flag[2:], flag, name, "--most", "1")
        assert (told["subject"], told["whose"]) == (subject, shown)
        each = put(capsys, f"each {flag[2:]}", flag, "each", "--most", "1")
        assert (each["subject"], each["whose"]) == (subject, None)
    assert Limit.objects.get(name="provider").provider == provider


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--key", "nobody"], "No key is called 'nobody'"),
        (["--group", "nobody"], "There is no group 'nobody'."),
        (["--provider", "nobody"], "There is no provider 'nobody'."),
        (["--everyone", "--key", "each"], "not allowed with"),
        ([], "one of the arguments"),
        (["--everyone", "--metric", "requests", "--most", "1.5"], "--most is a whole number"),
        (["--everyone", "--metric", "tokens", "--most", "-1"], "most_count: "),
        (["--everyone", "--most", "nan"], "is not an amount"),
        (["--everyone", "--window", "total", "--sliding"], "is_sliding: Only what has a window can slide."),
        (["--everyone", "--thresholds", "0"], "thresholds: Give a list of whole numbers"),
        (["--everyone", "--thresholds", "half"], "no whole number of per cent"),
        (["--everyone", "--notify-url", "nonsense"], "notify_url: "),
        (["--everyone", "--notify-url", "http://169.254.169.254/"], "notify_url: This address may not be called"),
    ],
)
def test_what_can_not_be_is_refused(arguments: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem.replace("(", r"\(")):
        call_command("set_limit", "limit", "--most", "1", *arguments)
    assert not Limit.objects.exists()


def test_whom_to_tell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    told = ("a", "--tag", "x", "--most", "1", "--notify-url", "https://h.example/x", "--notify-email", "a@b.example")
    shown = put(capsys, *told, "--notify-secret", "env:HOOK_SECRET")
    limit = Limit.objects.get()
    assert (limit.notify_url, limit.notify_email) == ("https://h.example/x", "a@b.example")
    assert limit.notify_secret == SECRET and SECRET not in str(shown)
    for again in (told, (*told, "--metric", "requests")):  # which is another row
        put(capsys, *again)
        assert Limit.objects.get().notify_secret == SECRET


@pytest.mark.parametrize("reference", ["", "env:NOT_SET", SECRET])
def test_a_webhook_without_a_secret_is_refused(reference: str) -> None:
    with pytest.raises(CommandError, match="notify_secret: Give the webhook's secret"):
        call_command(
            "set_limit", "a", "--everyone", "--most=1", "--notify-url=https://h.example", f"--notify-secret={reference}"
        )
    assert not Limit.objects.exists()
