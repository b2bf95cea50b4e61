"""manage.py's own commands: what they do, what they print, how they refuse."""

import json
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey, Group, Payment
from accounts.services import keys
from providers.models import AIModel, Provider
from tests import factories


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    call_command(*arguments, "--json")
    return json.loads(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def _database(database: None) -> None:
    """Commands commit."""


def test_create_key_prints_the_secret_once(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "create_key", "alice", "--quota", "5", "--role", "admin", "--email", "a@example.com")
    key = ApiKey.objects.get()
    assert (key.name, key.month_quota, key.role, key.email) == ("alice", 5, "admin", "a@example.com")
    assert keys.authenticate(shown["key"]).id == key.pk
    call_command("list_keys")
    assert shown["key"] not in capsys.readouterr().out


def test_a_balance_without_a_quota_means_prepaid(capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "create_key", "prepaid", "--balance", "2.5")
    key = ApiKey.objects.get()
    assert (key.month_quota, key.balance) == (0, Decimal("2.5"))
    assert Payment.objects.get().amount == Decimal("2.5")


def test_create_key_with_scopes(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "create_key", "robot", "--scopes", "resource.view", "audit.view")
    assert shown["scopes"] == ["audit.view", "resource.view"]
    assert ApiKey.objects.get(name="robot").rights == {"audit.view", "resource.view"}


def test_create_key_with_group_models_and_expiry(capsys: pytest.CaptureFixture[str]) -> None:
    model = factories.model(factories.provider(), "m")
    Group.objects.create(name="team")
    run(capsys, "create_key", "bob", "--group", "team", "--models", "m", "--expires", "30d")
    key = ApiKey.objects.get()
    assert key.group and key.group.name == "team"
    assert list(key.granted_models.all()) == [model]
    assert key.expires_at is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create_key", "x", "--quota", "many"), "not an amount"),
        (("create_key", "x", "--quota", "NaN"), "not an amount"),
        (("create_key", "x", "--quota=-1"), "month_quota"),
        (("create_key", "x", "--balance=-1"), "above zero"),
        (("create_key", "x", "--quota", "0.000000000001"), "decimals"),
        (("create_key", "x", "--group", "none"), "no group 'none'"),
        (("create_key", "x", "--models", "none"), "no model none"),
        (("create_key", "x", "--expires", "soon"), "no date"),
        (("create_key", "x", "--expires", "2026-13-45"), "no date"),
        (("create_key", ""), "name"),
        (("create_key", "x", "--email", "nobody"), "email"),
        (("revoke_key", "nobody"), "No key"),
        (("recharge_key", "nobody", "1"), "No key"),
        (("add_provider", "p", "--base-url", "ftp://x"), "base_url"),
        (("add_provider", "p", "--base-url", "http://user:pw@host"), "base_url"),
        (("add_provider", "p"), "--base-url"),
        (("add_provider", "p", "--requester", "none"), "no requester"),
        (("add_provider", "p", "--requester", "openai-codex"), "log-in"),
        (("add_provider", "p", "--requester", "aws-executor"), "shell commands"),
        (("add_provider", "p", "--requester", "smart-router"), "Rules .rules. is required"),
        (("add_model", "m", "--provider", "none"), "no provider 'none'"),
    ],
)
def test_a_wrong_argument_gets_one_line_and_changes_nothing(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command(*arguments)
    assert not ApiKey.objects.exists()
    assert not Provider.objects.exists()


def test_what_concerns_no_single_field_is_said_without_a_name_for_it() -> None:
    factories.model(factories.provider(name="acme"), "m")
    with pytest.raises(CommandError, match=r"^Model with this Provider"):
        call_command("add_model", "m", "--provider", "acme")


def test_revoke_key(capsys: pytest.CaptureFixture[str]) -> None:
    issued = factories.key(name="carol")
    assert run(capsys, "revoke_key", "carol")["active"] is False
    with pytest.raises(keys.KeyRevoked):
        keys.look_up(issued.key.digest)


def test_recharge_key(capsys: pytest.CaptureFixture[str]) -> None:
    key = factories.key(month_quota=Decimal(0)).key
    shown = run(capsys, "recharge_key", str(key.pk), "10", "--note", "invoice 7")
    assert Decimal(shown["balance"]) == 10
    assert Payment.objects.get().note == "invoice 7"


@pytest.mark.parametrize("amount", ["0", "-5"])
def test_recharge_needs_money(amount: str) -> None:
    key = factories.key(month_quota=Decimal(0)).key
    with pytest.raises(CommandError, match="above zero"):
        call_command("recharge_key", str(key.pk), "--", amount)
    assert not Payment.objects.exists()


def test_a_key_without_limit_takes_no_balance() -> None:
    key = factories.key(month_quota=None).key
    with pytest.raises(CommandError, match="no limit"):
        call_command("recharge_key", str(key.pk), "5")


def test_a_name_that_two_keys_have_is_not_guessed() -> None:
    factories.key(name="twin"), factories.key(name="twin")
    with pytest.raises(CommandError, match="Several"):
        call_command("revoke_key", "twin")


def test_add_provider_and_model(capsys: pytest.CaptureFixture[str]) -> None:
    shown = run(capsys, "add_provider", "main", "--requester", "openai", "--key", "sk-1", "--key", "sk-2")
    assert shown["keys"] == 2
    provider = Provider.objects.get()
    assert (provider.requester, provider.address) == ("openai-chat-completions", "https://api.openai.com/v1")
    assert {key.secret for key in provider.keys.all()} == {"sk-1", "sk-2"}
    shown = run(capsys, "add_model", "gpt", "--provider", "main", "--price-in", "2.5", "--price-out", "10")
    assert shown["priced"] is True
    assert AIModel.objects.get().upstream_name == "gpt"


def test_a_provider_that_exists_is_refused() -> None:
    factories.provider(name="main")
    with pytest.raises(CommandError, match="already exists"):
        call_command("add_provider", "main", "--base-url", "http://h/v1")


def test_audit_ledger_proves_or_exits_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    factories.key()
    call_command("audit_ledger")
    assert "whole" in capsys.readouterr().out
    ApiKey.objects.update(spent=Decimal(1))
    with pytest.raises(SystemExit) as ended:
        call_command("audit_ledger")
    assert ended.value.code == 1
    assert "spent" in capsys.readouterr().out


def test_rotate_field_keys_and_sweep_holds(capsys: pytest.CaptureFixture[str]) -> None:
    factories.provider()
    assert run(capsys, "rotate_field_keys") == {"re-encrypted": 1}
    assert run(capsys, "sweep_holds") == {"settled": 0, "released": 0}
