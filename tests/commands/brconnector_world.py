"""A small BRConnector with every odd row that its tables allow, and the command run against it."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from accounts.models import ApiKey
from accounts.services.ledger.audit import audit
from chat.services.conversations import session_breaks
from tests import factories
from tests.commands.brconnector_database import BRConnectorDatabase
from tests.fakes.openai import FakeOpenAI

PRICE_IN, PRICE_OUT = Decimal("0.000003"), Decimal("0.000015")
SECRET = "br-{:029}".format
FEE = 10 * PRICE_IN + 20 * PRICE_OUT  # of a thread of 10 tokens in and 20 out


@dataclass
class Mover:
    """Runs the command, and keeps what it printed: no secret may be in it, and the books must agree afterwards."""

    source: BRConnectorDatabase
    capsys: pytest.CaptureFixture[str]
    printed: str = ""
    secrets: list[str] = field(default_factory=list)

    def __call__(self, *options: str) -> Any:
        call_command("import_brconnector", "--dsn", self.source.url, "--source", "old", "--json", *options)
        shown = self.capsys.readouterr()
        self.printed += shown.out + shown.err
        for secret in [*self.secrets, self.source.password]:
            assert secret not in self.printed
        assert not [*map(str, audit()), *session_breaks()], [*map(str, audit()), *session_breaks()]
        return json.loads(shown.out)

    def reasons(self, shown: Any) -> dict[str, list[int]]:
        """The rows' ids by table and the start of the reason."""
        return {
            f"{each['table']}: {each['reason']}": [row["id"] for row in each["rows"]] for each in shown["did_not_fit"]
        }


@dataclass
class World:
    """Ids of rows there by what they are."""

    source: BRConnectorDatabase
    now: datetime = field(default_factory=timezone.now)
    ids: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, table: str, /, **values: Any) -> int:
        self.ids[name] = self.source.add(table, **values)
        return self.ids[name]

    def key(self, name: str, /, **values: Any) -> int:
        number = len(self.ids) + 1
        times = {"created_at": self.before(days=400), "updated_at": self.before()}
        defaults = {"name": name, "api_key": SECRET(number), "month_quota": 10, **times}
        return self.add(name, "key", **{**defaults, **values})

    def thread(self, name: str, key: str, /, **values: Any) -> int:
        times = {"created_at": self.before(), "updated_at": self.before()}
        money = {"tokens_in": 10, "tokens_out": 20, "price_in": PRICE_IN, "price_out": PRICE_OUT, "fee": FEE}
        texts = {"prompt": '"hi"', "completion": "hello", "whole_prompt": '[{"role":"user","content":"hi"}]'}
        return self.add(
            name, "thread", **{"key_id": self.ids.get(key, 9999), "session_id": 0, **texts, **money, **times, **values}
        )

    def before(self, **ago: float) -> datetime:
        """A time as it stands there: without a zone."""
        return (self.now - timedelta(**ago)).astimezone(UTC).replace(tzinfo=None)


def made(source: BRConnectorDatabase, upstream: FakeOpenAI) -> World:
    world = World(source)
    _models(world, upstream)
    _groups(world)
    _keys(world)
    _money(world)
    _threads(world)
    return world


def _models(world: World, upstream: FakeOpenAI) -> None:
    good = {"baseURL": f"{upstream.origin}/v1", "apiKey": upstream.key}
    usual = {"provider": "openai-compatible", "price_in": PRICE_IN, "price_out": PRICE_OUT}
    world.add("echo", "model", name="echo", multiple=1, config=good, **usual)
    world.add(
        "text config",
        "model",
        name="as-text",
        config='{"modelId": "amazon.nova-pro-v1:0"}',
        provider="bedrock-converse",
    )
    former = {"modelId": "anthropic.claude-3-haiku-20240307-v1:0", "anthropic_version": "bedrock-2023-05-31"}
    world.add("former", "model", name="claude-3-haiku", config=former, provider="bedrock-claude3")
    world.add(
        "in config", "model", name="nova", config={"modelId": "amazon.nova-lite-v1:0", "provider": "bedrock-converse"}
    )
    world.add("modelId alone", "model", name="mistral-7b", config={"modelId": "mistral.mistral-7b-instruct-v0:2"})
    world.add("painter", "model", name="painter", config={"localLlmModel": "echo"}, provider="painter")
    world.add("nothing", "model", name="nothing", config={})
    world.add("list config", "model", name="list", config=[1], provider="openai-compatible")
    world.add("incomplete", "model", name="incomplete", config={"baseURL": "http://127.0.0.1:9/v1"}, **usual)
    world.add("dear", "model", name="dear", config=good, **{**usual, "price_in": Decimal("0.5")})
    world.add("taken", "model", name="taken", config=good, **usual)
    factories.model(factories.provider(), "taken")


def _groups(world: World) -> None:
    world.add("team", "group", name="team", key="T-1")
    world.add("team again", "group", name="team")
    world.add("known", "group", name="known here")
    factories.group(name="known here")
    for model in ("echo", "painter", "taken"):
        world.source.add("group_model", group_id=world.ids["team"], model_id=world.ids[model])
    world.source.add("group_model", group_id=world.ids["team again"], model_id=world.ids["former"])


def _keys(world: World) -> None:
    world.key("alice", group_id=world.ids["team"], email="alice@example.com")
    world.key("root", role="admin", name="Root")
    world.key("boss", role="boss")
    world.key("prepaid", month_quota=0, balance=7)
    world.key("twin", api_key=SECRET(1000))
    world.key("second twin", api_key=SECRET(1000))
    world.key("empty", api_key="")
    world.key("shared", name="__shared-api-key__")
    world.key("bad mail", email="nobody at all")
    world.key("lost group", group_id=4711)
    world.key("nameless", name=None)
    world.key("short", api_key="br-short")
    world.key("not a number", month_quota=Decimal("NaN"), balance=-3)
    world.key("elsewhere", api_key=factories.key(name="from elsewhere").secret)
    for model in ("echo", "incomplete", "echo"):
        world.source.add("key_model", key_id=world.ids["root"], model_id=world.ids[model])
    world.source.add("key_model", key_id=world.ids["prepaid"], model_id=world.ids["echo"])


def _money(world: World) -> None:
    set_key(world, "alice", total_fee="5", month_fee="1.5", balance="20.0000000001")
    set_key(world, "prepaid", total_fee=4 * FEE, month_fee=0)
    set_key(world, "lost group", total_fee=FEE / 3, month_fee=2)
    set_key(world, "bad mail", total_fee=9, month_fee=9, updated_at=world.before(days=62))
    for name, key, fee in (("paid", "alice", "20"), ("paid again", "alice", "2.35"), ("nothing paid", "alice", "0")):
        world.add(name, "payment", key_id=world.ids[key], fee=fee)
    world.add("orphan payment", "payment", key_id=9999, fee="1")


def set_key(world: World, name: str, /, **values: Any) -> None:
    changes = ", ".join(f"{column} = %s" for column in values)
    world.source.connection.execute(
        f"UPDATE eiai_key SET {changes} WHERE id = %s".encode(), [*values.values(), world.ids[name]]
    )


def _threads(world: World) -> None:
    mine = world.add("mine", "session", key="talk", title="A talk", key_id=world.ids["alice"])
    both = world.add("both", "session", key="shared talk", title="Whose?", key_id=world.ids["alice"])
    world.add("empty session", "session", key="silence", key_id=world.ids["alice"])
    world.thread("first", "alice", session_id=mine, session_key="talk", created_at=world.before(days=70))
    world.thread("second", "alice", session_id=mine, session_key="talk", thread_type=1, invocation_latency=900)
    world.thread("in both", "alice", session_id=both, session_key="shared talk")
    world.thread("prepaid's in both", "prepaid", session_id=both, session_key="shared talk")
    world.thread("prepaid's own", "prepaid")
    parts = json.dumps([{"type": "text", "text": "look\u0000"}, {"type": "image_url", "image_url": {"url": "x"}}])
    world.thread("thoughts", "alice", prompt=parts, completion="<think>hm\nhm</think>\n42", first_byte_latency=7)
    world.thread(
        "embedding", "alice", prompt='["a", "b"]', completion="", whole_prompt="", tokens_out=0, fee=10 * PRICE_IN
    )
    world.thread("half a character", "alice", prompt='"\\ud800!"')
    world.thread("rounded", "alice", fee=Decimal("0.5"))
    world.thread("orphan", "nobody")
    world.thread("of the empty", "empty")
    world.thread("below zero", "alice", fee=-1)
    world.thread("no number", "alice", fee=Decimal("NaN"))
    world.thread("negative tokens", "alice", tokens_in=-5)
    world.thread("yuan", "alice", currency="CNY")
    world.thread("no figures", "alice", tokens_in=None, tokens_out=None, fee=None, currency=None)
    world.thread("never", "alice", created_at="infinity", updated_at="-infinity")


def key_here(name: str) -> ApiKey:
    return ApiKey.objects.get(name=name)
