"""manage.py import_brconnector: what comes over, what does not, and that it can be run again."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Charge, DayOfSpend, Group, GroupGrant, KeyGrant, Payment
from accounts.services import keys
from chat.models import Session, Thread, ThreadBody
from common.models import ConfigVersion
from providers.models import AIModel
from tests.commands import brconnector_world
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.commands.brconnector_world import FEE, Mover, World, key_here, set_key
from tests.fakes.openai import FakeOpenAI


@pytest.fixture
def world(database: None, brconnector: BRConnectorDatabase, upstream: FakeOpenAI) -> World:
    return brconnector_world.made(brconnector, upstream)


@pytest.fixture
def move_in(world: World, capsys: pytest.CaptureFixture[str]) -> Mover:
    rows = world.source.connection.execute("SELECT api_key FROM eiai_key WHERE api_key <> '' ORDER BY id").fetchall()
    return Mover(world.source, capsys, secrets=[row[0] for row in rows])


def everything() -> dict[str, list[Any]]:
    """All rows that the command could write."""
    books, said = (ApiKey, Payment, Charge, DayOfSpend), (Session, Thread, ThreadBody)
    models = (AIModel, Group, GroupGrant, KeyGrant, ConfigVersion, *books, *said)
    return {model.__name__: list(model.objects.order_by("pk").values()) for model in models}


def deep(levels: int) -> Any:
    """Lists within lists."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_a_dry_run_says_what_would_come_and_writes_nothing(world: World, move_in: Mover) -> None:
    before = everything()
    told = move_in("--dry-run")
    assert everything() == before
    assert not told["written"]
    done = move_in()
    assert done["written"]
    assert told["counts"] == done["counts"]
    assert move_in.reasons(told) == move_in.reasons(done)


def test_a_second_run_changes_nothing_and_says_so(world: World, move_in: Mover) -> None:
    first = move_in()
    before = everything()
    second = move_in()
    assert everything() == before
    assert not second["written"]
    assert all(not counts["added"] for counts in second["counts"].values())
    same = [table for table in first["counts"] if table not in ("eiai_session",)]
    assert {table: second["counts"][table]["left_out"] for table in same} == {
        table: first["counts"][table]["left_out"] for table in same
    }
    call_command("import_brconnector", "--dsn", world.source.url, "--source", "old")
    assert "Nothing changed" in move_in.capsys.readouterr().out


def test_every_row_that_does_not_fit_is_told_with_its_reason(world: World, move_in: Mover) -> None:
    reasons = move_in.reasons(move_in())
    for start, names in {
        "eiai_model: its config is no JSON object": ["list config"],
        "eiai_model: it has no provider": ["nothing"],
        "eiai_model: config.apiKey is required": ["incomplete"],
        "eiai_model: a model of its name is here already": ["taken"],
        "eiai_model: painter: ": ["painter"],
        "eiai_model: Ensure this value is less than": ["dear"],
        "eiai_model: its provider is bedrock-converse now": ["former", "modelId alone"],
        "eiai_group: an earlier group has the same name": ["team again"],
        "eiai_group: a group of its name is here already": ["known"],
        "eiai_group_model: its model was not brought over": ["team", "team"],
        "eiai_key_model: its model was not brought over": ["root"],
        "eiai_key: its role is neither": ["boss"],
        "eiai_key: an earlier row has the same secret": ["second twin"],
        "eiai_key: it has no secret": ["empty"],
        "eiai_key: anybody could fetch its secret": ["shared"],
        "eiai_key: its e-mail address is none": ["bad mail"],
        "eiai_key: its group does not exist": ["lost group"],
        "eiai_key: it has no name": ["nameless"],
        "eiai_key: its secret is short": ["short"],
        "eiai_key: its month_quota is below zero, or no number": ["not a number"],
        "eiai_key: its balance is below zero": ["not a number"],
        "eiai_key: its secret is a key's here": ["elsewhere"],
        "eiai_key: its threads and its month_fee come to more": ["lost group"],
        "eiai_payment: its amount is 0": ["nothing paid"],
        "eiai_payment: its key was not brought over": ["orphan payment"],
        "eiai_session: it has no threads": ["empty session"],
        "eiai_session: several keys shared it": ["both"],
        "eiai_thread: its key was not brought over": ["orphan", "of the empty"],
        "eiai_thread: its fee is below zero, or no number": ["below zero", "no number"],
        "eiai_thread: its tokens are below zero": ["negative tokens"],
        "eiai_thread: its fee is not its tokens times its prices": ["rounded"],
        "eiai_thread: its fee has another currency": ["yuan"],
        "eiai_thread: its time is missing or can't be": ["never"],
    }.items():
        found = [rows for reason, rows in reasons.items() if reason.startswith(start)]
        assert found == [[world.ids[name] for name in names]], (start, list(reasons))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"a": deep(101)}, "its config is no JSON object, or none that can be kept"),
        ({"a": deep(900)}, "its config is no JSON object, or none that can be kept"),
        ('{"a": ' + "[" * 3000 + "]" * 3000 + "}", "its config is no JSON object, or none that can be kept"),
        ('{"a": "\\ud800"}', "its config is no JSON object, or none that can be kept"),
        ('{"a": 1' + "0" * 400 + "}", "its config is no JSON object, or none that can be kept"),
        ('{"a": NaN}', "its config is no JSON object, or none that can be kept"),
        ('{"a": "\\u0000"}', "its config has null characters"),
    ],
)
def test_a_config_that_no_program_could_send_is_left_out(
    world: World, move_in: Mover, config: Any, reason: str
) -> None:
    odd = world.add("odd", "model", name="odd", config=config, provider="ollama")
    assert move_in.reasons(move_in())[f"eiai_model: {reason}"][-1] == odd


def test_reports_name_twenty_rows_of_a_kind_and_count_all(world: World, move_in: Mover) -> None:
    for number in range(30):
        world.thread(f"orphan {number}", "nobody")
    told = next(each for each in move_in()["did_not_fit"] if each["reason"] == "its key was not brought over")
    assert (told["table"], told["count"], len(told["rows"])) == ("eiai_payment", 1, 1)
    told = [each for each in move_in()["did_not_fit"] if each["table"] == "eiai_thread"]
    orphans = next(each for each in told if each["reason"] == "its key was not brought over")
    assert (orphans["count"], len(orphans["rows"])) == (32, 20)


def test_keys_keep_their_secrets_and_only_digests_are_stored(world: World, move_in: Mover) -> None:
    move_in()
    alice = key_here("alice")
    secret = move_in.secrets[0]
    assert keys.authenticate(secret).id == alice.pk
    assert (alice.email, alice.role, alice.all_models) == ("alice@example.com", "user", False)
    assert alice.group and (alice.group.name, alice.group.code) == ("team", "T-1")
    assert alice.created_at.replace(tzinfo=None) == world.before(days=400)
    assert (key_here("Root").role, key_here("boss").role) == ("admin", "user")
    assert not any(secret in str(everything()) for secret in move_in.secrets if len(secret) > 10)
    assert (key_here("short").prefix, key_here("short").suffix) == ("br-", "")


def test_the_key_that_anybody_could_fetch_is_switched_off(world: World, move_in: Mover) -> None:
    move_in()
    assert not key_here("__shared-api-key__").is_active


def test_a_key_from_elsewhere_with_the_same_secret_stays_as_it_is(world: World, move_in: Mover) -> None:
    before = ApiKey.objects.filter(name="from elsewhere").values().get()
    move_in()
    assert ApiKey.objects.filter(digest=before["digest"]).values().get() == before


def test_groups_and_keys_are_granted_the_models_that_came(world: World, move_in: Mover) -> None:
    move_in()
    granted = {group.name: set(group.granted_models.values_list("name", flat=True)) for group in Group.objects.all()}
    again = f"team ({world.ids['team again']})"
    assert granted == {"team": {"echo"}, again: {"claude-3-haiku"}, "known here": set()}
    assert list(key_here("Root").granted_models.values_list("name", flat=True)) == ["echo"]


def test_models_are_stored_as_a_program_would_store_them(world: World, move_in: Mover, upstream: FakeOpenAI) -> None:
    move_in()
    echo = AIModel.objects.get(name="echo")
    assert (echo.price_in, echo.price_out, echo.is_multimodal) == (3, 15, True)
    assert echo.provider.keys.get().secret == upstream.key
    found = {model.name: (model.provider.requester, model.upstream_name) for model in AIModel.objects.all()}
    assert found["claude-3-haiku"] == ("bedrock-converse", "anthropic.claude-3-haiku-20240307-v1:0")
    assert found["as-text"] == ("bedrock-converse", "amazon.nova-pro-v1:0")
    assert found["nova"] == ("bedrock-converse", "amazon.nova-lite-v1:0")
    assert found["mistral-7b"] == ("bedrock-converse", "mistral.mistral-7b-instruct-v0:2")
    assert not {"painter", "nothing", "list", "incomplete", "dear"} & found.keys()


def test_quota_fee_total_and_balance_are_those_that_it_had(world: World, move_in: Mover) -> None:
    move_in()
    alice = key_here("alice")
    assert (alice.month_quota, alice.spent) == (10, 5)
    assert (alice.month_fee, alice.balance) == (Decimal("1.5"), Decimal("20.0000000001"))
    assert alice.month == date(world.now.year, world.now.month, 1)
    payments = Payment.objects.filter(key=alice)
    assert sum(payment.amount for payment in payments) >= alice.balance
    assert {payment.amount for payment in payments} >= {Decimal("20"), Decimal("2.35")}
    prepaid = key_here("prepaid")
    assert (prepaid.month_quota, prepaid.month_fee, prepaid.balance, prepaid.spent) == (0, 0, 7, 4 * FEE)


def test_a_month_that_has_passed_leaves_the_whole_quota(world: World, move_in: Mover) -> None:
    move_in()
    key = key_here("bad mail")
    assert (key.month_fee, key.month) == (9, timezone.localdate(world.now - timezone.timedelta(days=62)).replace(day=1))
    assert key.quota_left(date(world.now.year, world.now.month, 1)) == 10


def test_what_no_thread_stands_for_is_one_charge_on_trust_for_each_time(world: World, move_in: Mover) -> None:
    move_in()
    carried = Charge.objects.filter(key=key_here("alice"), endpoint="carried").order_by("pk")
    threads = Charge.objects.filter(key=key_here("alice")).exclude(endpoint="carried")
    assert 1 <= len(carried) <= 2
    assert sum(each.fee for each in [*carried, *threads]) == 5
    assert {each.usage_source for each in carried} == {"carried"}


def test_threads_come_with_what_was_said(world: World, move_in: Mover) -> None:
    move_in()

    def thread(name: str) -> Thread:
        return Thread.objects.select_related("charge", "session").get(
            charge__request_id=f"old/thread/{world.ids[name]}"
        )

    second = thread("second")
    assert (second.prompt, second.completion, second.messages) == ("hi", "hello", '[{"role":"user","content":"hi"}]')
    assert (second.charge.endpoint, second.charge.is_stream, second.charge.total_ms) == ("chat", False, 900)
    assert (second.charge.price_in, second.charge.price_out, second.charge.fee) == (3, 15, FEE)
    assert (second.charge.usage_source, second.charge.input_tokens) == ("reported", 10)
    thoughts = thread("thoughts")
    assert (thoughts.prompt, thoughts.reasoning, thoughts.completion) == ("look\ufffd", "hm\nhm", "42")
    assert (thoughts.charge.first_byte_ms, thoughts.charge.total_ms, thoughts.session) == (7, None, None)
    embedding = thread("embedding")
    assert (embedding.charge.endpoint, embedding.prompt, embedding.messages) == ("embedding", "a\nb", '["a","b"]')
    assert thread("half a character").prompt == "?!"
    assert thread("rounded").charge.usage_source == "carried"
    assert thread("no figures").charge.fee == 0
    assert thread("first").created_at.replace(tzinfo=None) == world.before(days=70)


def test_each_key_gets_its_own_session(world: World, move_in: Mover) -> None:
    move_in()
    talk = Session.objects.get(key="talk")
    assert (talk.title, talk.calls, talk.fee, talk.api_key.name) == ("A talk", 2, 2 * FEE, "alice")
    assert talk.created_at.replace(tzinfo=None) == world.before(days=70)
    shared = Session.objects.filter(key="shared talk")
    assert {(each.api_key.name, each.title, each.calls) for each in shared} == {("alice", "", 1), ("prepaid", "", 1)}


def test_a_later_run_adds_what_is_new_there(world: World, move_in: Mover) -> None:
    move_in()
    world.thread("third", "alice", session_id=world.ids["mine"], session_key="talk")
    world.add("paid later", "payment", key_id=world.ids["alice"], fee="5")
    set_key(world, "alice", total_fee="5.01", month_fee="1.51", balance="25.0000000001")
    world.key("newcomer", group_id=world.ids["team"])
    world.source.add("key_model", key_id=world.ids["alice"], model_id=world.ids["former"])
    counts = move_in()["counts"]
    added = {table: count["added"] for table, count in counts.items() if count["added"]}
    assert added == {"eiai_key": 1, "eiai_key_model": 1, "eiai_payment": 1, "eiai_thread": 1, "books of keys": 1}
    alice = key_here("alice")
    assert (alice.spent, alice.month_fee, alice.balance) == (Decimal("5.01"), Decimal("1.51"), Decimal("25.0000000001"))
    assert Session.objects.get(key="talk").calls == 3


def test_without_history_only_sessions_keep_their_exchanges(world: World, move_in: Mover, settings: Any) -> None:
    settings.HISTORY = False
    move_in()
    assert not ThreadBody.objects.exists()
    assert Thread.objects.count() == sum(Session.objects.values_list("calls", flat=True)) == 4


def test_a_key_from_there_calls_here_and_its_quota_pays(world: World, move_in: Mover, client: Client) -> None:
    move_in()
    before = key_here("alice")
    answer = client.post(
        "/v1/chat/completions",
        {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3},
        content_type="application/json",
        headers={"authorization": f"Bearer {move_in.secrets[0]}"},
    )
    assert answer.status_code == 200, answer.content
    after, charge = key_here("alice"), Charge.objects.latest("id")
    assert charge.fee == charge.quota_fee > 0
    assert after.month_fee - before.month_fee == after.spent - before.spent == charge.fee
    move_in()
    again = key_here("alice")
    assert (again.month_fee, again.spent, again.balance) == (after.month_fee, after.spent, after.balance)


def test_times_there_are_in_the_zone_that_is_given(world: World, move_in: Mover) -> None:
    world.thread("dated", "alice", created_at="2026-01-01 00:30:00")
    move_in("--time-zone", "Asia/Shanghai")
    thread = Thread.objects.get(charge__request_id=f"old/thread/{world.ids['dated']}")
    assert thread.created_at.isoformat() == "2025-12-31T16:30:00+00:00"


def test_what_cannot_be_read_gets_one_line_without_the_password(
    database: None, brconnector: BRConnectorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    url, password = brconnector.url, brconnector.password
    brconnector.run("DROP TABLE eiai_thread; ALTER TABLE eiai_key DROP COLUMN api_key")
    for dsn, message in (
        (f"postgres//weighbridge:{password}@localhost/x", "can't be read"),
        (url.replace(password, f"{password}-wrong"), "password authentication failed"),
        (url.replace(brconnector.name, "no_such_database"), "does not exist"),
        (url.rsplit(":", 1)[0] + ":1/x", "refused"),
        (url, "it has no eiai_thread, eiai_key.api_key"),
    ):
        with pytest.raises(CommandError, match=message) as caught:
            call_command("import_brconnector", "--dsn", dsn)
        assert password not in str(caught.value)
        assert not caught.value.__cause__
    shown = capsys.readouterr()
    assert password not in shown.out + shown.err
    for options, message in (
        (("--source", "a/b"), "Give --source"),
        (("--batch", "0"), "number from 1"),
        (("--time-zone", "Mars/Base"), "not a time zone"),
    ):
        with pytest.raises(CommandError, match=message):
            call_command("import_brconnector", "--dsn", url, *options)
    assert not ApiKey.objects.exists()


def test_an_older_database_lacks_columns_and_comes_over_all_the_same(
    database: None, brconnector: BRConnectorDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    brconnector.run(
        """DROP TABLE eiai_group; DROP TABLE eiai_group_model; ALTER TABLE eiai_model DROP COLUMN provider,
        DROP COLUMN multiple, DROP COLUMN price_in, DROP COLUMN price_out;
        ALTER TABLE eiai_thread DROP COLUMN session_key, DROP COLUMN currency, DROP COLUMN first_byte_latency"""
    )
    world = World(brconnector)
    world.add("nova", "model", name="nova", config={"modelId": "amazon.nova-lite-v1:0"})
    world.key("alice", total_fee=FEE, month_fee=FEE)
    session = world.add("talk", "session", key="talk", key_id=world.ids["alice"])
    world.thread("one", "alice", session_id=session)
    shown = Mover(brconnector, capsys)()
    assert {table: count["added"] for table, count in shown["counts"].items()} == {
        **dict.fromkeys(("eiai_model", "eiai_key", "eiai_thread", "eiai_session", "books of keys"), 1)
    }
    assert key_here("alice").spent == FEE
    assert AIModel.objects.get().provider.requester == "bedrock-converse"


def test_two_imports_at_once_are_refused(world: World, move_in: Mover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.moving.source.LOCK_WAIT", "200ms")
    from gateway.moving.source import LOCK

    with world.source.connection.transaction():
        world.source.connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        with pytest.raises(CommandError, match="Another import"):
            move_in()
    move_in()


def test_a_secret_that_was_changed_there_is_not_taken_over(world: World, move_in: Mover) -> None:
    """It may have been changed here, because somebody else had it."""
    move_in()
    move_in.secrets.append("br-" + "n" * 29)
    set_key(world, "alice", api_key=move_in.secrets[-1])
    reasons = move_in.reasons(move_in())
    assert reasons["eiai_key: its secret there is another one by now; here it has the one it came with"] == [
        world.ids["alice"]
    ]
    assert keys.find(move_in.secrets[-1]) is None
    assert keys.find(move_in.secrets[0]) == key_here("alice")


def test_a_key_that_was_revoked_here_stays_so(world: World, move_in: Mover) -> None:
    move_in()
    keys.revoke(key=key_here("alice"))
    set_key(world, "alice", total_fee=6, name="Alice", role="admin", month_quota=99)
    move_in()
    alice = key_here("alice")
    assert (alice.is_active, alice.role, alice.month_quota, alice.spent) == (False, "user", 10, 6)
