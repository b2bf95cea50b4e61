"""Limits as callers of the OpenAI API see them: refusals, what is left, warnings, tags; and no way around them."""

import ast
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import Action, Charge, Limit, LimitCounter, LimitNotice, Metric, Subject, Window
from accounts.services import limits
from accounts.services.keys import IssuedKey
from accounts.services.ledger.audit import audit
from providers.models import AIModel
from tests import factories
from tests.fakes.kinds import FakeKinds
from tests.gateway.openai.conftest import Api, last_charge
from tests.gateway.openai.test_kinds import BODIES

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def _whole(database: None) -> Iterator[None]:
    yield
    assert audit() == []
    assert not LimitCounter.objects.exclude(held=0).exists()


def requests_a_day(most: int = 1, **fields: Any) -> Limit:
    return limits.add(**{"name": "rpd", "metric": Metric.REQUESTS, "window": Window.DAY, "most": most, **fields})


# Refusals


def test_a_request_too_many_is_told_which_limit_and_when_it_begins_anew(api: Api) -> None:
    limits.add(name="alice's rph", metric=Metric.REQUESTS, window=Window.HOUR, most=1, subject=Subject.KEY)
    assert api.chat().status_code == 200
    refused = api.chat()
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "rate_limit_exceeded", "rate_limit_error")
    told = "The limit `alice's rph` allows 1 request an hour; left: 0 requests. It begins anew in "
    assert error["message"].startswith(told)
    assert 1 <= int(refused.headers["retry-after"]) <= 3600
    assert refused.headers["x-ratelimit-limit-requests"] == "1"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert len(api.upstream.seen) == 1
    assert Charge.objects.count() == 1


def test_a_budget_that_is_used_up_is_not_worth_a_retry(api: Api) -> None:
    limits.add(name="team", most=Decimal("0.0001"), window=Window.MONTH)
    assert api.chat(max_tokens=40).status_code == 200  # 80 bytes at 1 and 40 tokens at 2 USD per million
    refused = api.chat("echo", max_tokens=40)
    while refused.status_code == 200:
        refused = api.chat("echo", max_tokens=40)
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["type"]) == (429, "insufficient_quota", "insufficient_quota")
    assert error["message"].startswith("The limit `team` allows 0.0001 USD a month; left: 0.0000")
    assert ", and this call may use 0.0000" in error["message"]
    assert "It begins anew on 20" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) > 0


def test_a_limit_that_never_begins_anew_says_so(api: Api) -> None:
    requests_a_day(1, window=Window.TOTAL)
    api.chat()
    refused = api.chat()
    assert "It does not begin anew: ask whoever runs this gateway to raise it." in refused.json()["error"]["message"]
    assert "retry-after" not in refused.headers
    assert "x-ratelimit-reset-requests" not in refused.headers


def test_a_call_that_never_fits_is_told_so(api: Api) -> None:
    limits.add(name="tpm", metric=Metric.INPUT_TOKENS, window=Window.MINUTE, most=20)
    refused = api.chat()
    assert "A call of this size never fits in it" in refused.json()["error"]["message"]
    assert (refused.headers["x-should-retry"], "retry-after" in refused.headers) == ("false", False)


def test_of_several_limits_the_one_that_lasts_longest_is_told(api: Api) -> None:
    for window in (Window.HOUR, Window.MONTH, Window.DAY):
        requests_a_day(1, name=f"a {window}", window=window)
    api.chat()
    assert "`a month`" in api.chat().json()["error"]["message"]
    requests_a_day(0, name="nothing", window=Window.SECOND)
    message = api.chat().json()["error"]["message"]
    assert message == (
        "The limit `nothing` allows 0 requests a second; left: 0 requests. "
        "It lets nothing in: ask whoever runs this gateway."
    )


def test_without_money_that_is_told_and_not_the_limit(api: Api) -> None:
    requests_a_day(0)
    drained = factories.key(month_quota=Decimal(0))
    refused = api.chat(secret=drained.secret)
    assert refused.json()["error"]["code"] == "insufficient_quota"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"


# Headers


def test_every_answer_says_what_is_left_of_the_tightest_limits(api: Api) -> None:
    requests_a_day(50)
    requests_a_day(9, name="rpm", window=Window.MINUTE)
    limits.add(name="tpm", metric=Metric.TOKENS, window=Window.MINUTE, most=10_000, is_sliding=True)
    answer = api.chat(max_tokens=10)
    assert answer.headers["x-ratelimit-limit-requests"] == "9"
    assert answer.headers["x-ratelimit-remaining-requests"] == "8"
    assert answer.headers["x-ratelimit-reset-requests"].endswith("s")
    assert answer.headers["x-ratelimit-limit-tokens"] == "10000"
    bound = last_charge().prompt_bound + 10
    assert answer.headers["x-ratelimit-remaining-tokens"] == str(10_000 - bound)
    assert answer.headers["x-ratelimit-reset-tokens"] == "1m1s"
    again = api.chat(max_tokens=10)
    used = last_charge().input_tokens + 10
    assert again.headers["x-ratelimit-remaining-tokens"] == str(10_000 - used - bound)


def test_streams_and_failures_say_it_too(api: Api) -> None:
    requests_a_day(5)
    stream = api.chat(stream=True)
    assert b"[DONE]" in stream.getvalue()
    assert stream.headers["x-ratelimit-remaining-requests"] == "4"
    failed = api.chat("500")
    assert (failed.status_code, failed.headers["x-ratelimit-remaining-requests"]) == (502, "3")


def test_without_limits_nothing_is_said(api: Api) -> None:
    requests_a_day(5, subject=Subject.EMAIL, value="somebody@else.example")
    requests_a_day(5, name="observed", action=Action.OBSERVE)
    assert not [name for name in api.chat().headers if name.startswith("x-ratelimit")]


def test_a_soft_limit_lets_in_and_warns(api: Api) -> None:
    limits.add(
        name="soft\nrpd", metric=Metric.REQUESTS, window=Window.DAY, most=4, action=Action.WARN, thresholds=[75, 100]
    )
    told = [api.chat().headers.get("x-weighbridge-warning") for _ in range(5)]
    assert told == [None, None, "soft%0Arpd at 75 %", "soft%0Arpd at 100 %", "soft%0Arpd at 125 %"]
    assert list(LimitNotice.objects.order_by("id").values_list("percent", "used")) == [(75, 3), (100, 4)]


# What is counted


def test_a_charge_remembers_its_limits_before_and_after(api: Api) -> None:
    limit = limits.add(name="tokens", metric=Metric.OUTPUT_TOKENS, window=Window.TOTAL, most=100)
    api.chat(max_tokens=7)
    api.chat(max_tokens=7)
    (entry,) = last_charge().limits
    assert entry == {
        "limit": limit.pk, "name": "tokens", "metric": "output_tokens", "window": "total", "sliding": False,
        "action": "block", "most": 100, "thresholds": [80, 100], "member": "", "of": None,
        "starts_at": "1970-01-01T00:00:00+00:00", "used_before": 7, "held_before": 0, "held": 7, "used": 7, "over": 0,
        "used_after": 14,
    }  # fmt: skip


def test_the_last_tokens_of_a_limit_buy_a_shorter_answer(api: Api) -> None:
    limits.add(name="tokens", metric=Metric.OUTPUT_TOKENS, window=Window.TOTAL, most=10)
    AIModel.objects.filter(name="echo").update(price_in=None, price_out=None)  # no money is needed
    first, second, third = (api.chat(max_tokens=7) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert second.headers["x-weighbridge-max-tokens"] == "3"
    assert second.json()["usage"]["completion_tokens"] == 3


def test_an_answer_without_max_tokens_is_kept_within_the_limit(api: Api) -> None:
    """By max_tokens, which is put in: the model's own default might be more than is held."""
    limits.add(name="tokens", metric=Metric.TOKENS, window=Window.TOTAL, most=200)
    assert api.chat().status_code == 200
    asked = api.upstream.seen[-1].body
    assert asked["max_tokens"] == last_charge().output_bound < 200


def test_a_failed_call_counts_as_a_request_and_uses_nothing_else(api: Api) -> None:
    requests_a_day(5)
    limits.add(name="tokens", metric=Metric.TOKENS, window=Window.DAY, most=5000)
    limits.add(name="cost", most=Decimal(5), window=Window.DAY)
    api.chat("500", max_tokens=5)
    assert dict(LimitCounter.objects.values_list("limit__name", "used")) == {"rpd": 1, "tokens": 0, "cost": 0}


def test_tags_are_counted_each_and_written_down(api: Api) -> None:
    requests_a_day(1, name="nightly", subject=Subject.TAG, value="nightly")
    requests_a_day(2, name="each tag", subject=Subject.TAG)
    asked = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    statuses = [
        api.post("chat/completions", asked, **{"X-Weighbridge-Tags": tags}).status_code
        for tags in ("nightly, team/a", "nightly", "team/a", "team/a", "b,b,b", "b", "", "B")
    ]
    assert statuses == [200, 429, 200, 429, 200, 200, 200, 200]
    assert list(Charge.objects.order_by("id").values_list("tags", flat=True)[:2]) == [["nightly", "team/a"], ["team/a"]]


@pytest.mark.parametrize(
    "tags", ["a" * 65, "ä", "a\tb", "a;b", "-a", ", ".join(f"t{number}" for number in range(11)), "a\0"]
)
def test_tags_that_are_none_are_refused(api: Api, tags: str) -> None:
    refused = api.post("chat/completions", {"model": "echo", "messages": []}, **{"X-Weighbridge-Tags": tags})
    assert refused.status_code == 400
    refused = api.post(
        "chat/completions",
        {"model": "echo", "messages": [{"role": "user", "content": "hi"}]},
        **{"X-Weighbridge-Tags": tags},
    )
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "X-Weighbridge-Tags")
    assert not Charge.objects.exists()


def test_a_key_s_new_address_counts_at_once(api: Api) -> None:
    """A process remembers its callers; the admission says when one of them has changed."""
    requests_a_day(0, subject=Subject.EMAIL, value="Alice@Example.com")
    assert api.chat().status_code == 200
    api.alice.key.email = "alice@example.com"
    api.alice.key.save()
    assert api.chat().status_code == 429


# Places


def second_place(api: Api, **fields: Any) -> AIModel:
    return factories.model(factories.provider(api.upstream, name="second"), **{"priority": 1, **fields})


def test_a_provider_whose_limit_is_used_up_is_passed_over(api: Api) -> None:
    second = second_place(api)
    first = AIModel.objects.get(name="echo", provider__name__startswith="provider").provider
    requests_a_day(1, subject=Subject.PROVIDER, provider=first)
    served = []
    for _ in range(3):
        assert api.chat().status_code == 200
        served.append(last_charge().provider_id)
    assert served == [first.pk, second.provider_id, second.provider_id]
    assert LimitCounter.objects.get().used == 1


def test_only_the_place_that_served_is_counted(api: Api) -> None:
    second = second_place(api)
    AIModel.objects.filter(name="echo").exclude(pk=second.pk).update(upstream_name="500")
    requests_a_day(5, subject=Subject.PROVIDER)
    assert api.chat().status_code == 200
    counted = dict(LimitCounter.objects.values_list("member", "used"))
    assert counted.pop(str(second.provider_id)) == 1
    assert list(counted.values()) == [0]
    assert sorted(entry["used"] for entry in last_charge().limits) == [0, 1]


def test_when_no_place_is_left_the_first_one_s_refusal_is_told(api: Api) -> None:
    second_place(api)
    requests_a_day(0, subject=Subject.PROVIDER)
    refused = api.chat()
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert not api.upstream.seen


def test_a_fallback_is_no_way_around_a_model_s_limit(api: Api) -> None:
    factories.model(AIModel.objects.get(name="echo").provider, "spare", upstream_name="echo")
    AIModel.objects.filter(name="500").update(fallbacks=["spare"])
    requests_a_day(1, subject=Subject.MODEL, value="spare")
    assert [api.chat("500").status_code for _ in range(2)] == [200, 502]
    assert api.chat("spare").status_code == 429


def test_a_dear_fallback_does_not_use_up_a_budget_that_the_model_itself_is_within(api: Api) -> None:
    factories.model(AIModel.objects.get(name="echo").provider, "dear", price_out=Decimal(100_000))
    AIModel.objects.filter(name="echo").update(fallbacks=["dear"])
    limits.add(name="budget", most=Decimal("0.01"), window=Window.DAY)
    assert api.chat(max_tokens=5).status_code == 200


# No way around


def test_no_endpoint_passes_a_limit(client: Client) -> None:
    """Every address of the dialect that reaches an upstream, whole and as a stream."""
    with FakeKinds() as fake:
        provider = factories.provider(fake)
        bodies: dict[str, Any] = {path: {"model": f"{kind}-model", **body} for kind, (path, body) in BODIES.items()}
        for kind in (*BODIES, "transcription", "embedding", "llm"):
            factories.model(provider, f"{kind}-model", kind=kind)
        bodies["chat/completions"] = {"model": "llm-model", "messages": [{"role": "user", "content": "hi"}]}
        bodies["completions"] = {"model": "llm-model", "prompt": "hi"}
        bodies["embeddings"] = {"model": "embedding-model", "input": "hi"}
        requests_a_day(0)
        key = factories.key(month_quota=None)
        for path, body in bodies.items():
            for is_stream in (False, True) if path.endswith("completions") else (False,):
                answer = post(client, key, path, {**body, "stream": True} if is_stream else body)
                assert (path, answer.status_code) == (path, 429), answer.content
        sound = SimpleUploadedFile("a.wav", b"RIFF" + b"\0" * 100, "audio/wav")
        form = {"model": "transcription-model", "file": sound}
        assert post(client, key, "audio/transcriptions", form, is_form=True).status_code == 429
        assert not fake.seen


def post(client: Client, key: IssuedKey, path: str, body: Any, is_form: bool = False) -> Any:
    kind = {} if is_form else {"content_type": "application/json"}
    return client.post(f"/v1/{path}", body, headers={"authorization": f"Bearer {key.secret}"}, **kind)


def test_a_router_is_no_way_around_a_limit(api: Api) -> None:
    """Neither of the name that was asked for, nor of the one that it chooses, nor of the chooser's."""
    rules = [{"name": "echo", "description": "anything"}]
    config = {"rules": rules, "localLlmModel": "echo"}
    factories.model(factories.provider(api.upstream, requester="smart-router", config=config), "auto")
    factories.model(AIModel.objects.get(name="echo").provider, "default", upstream_name="echo")
    requests_a_day(1, name="of the router", subject=Subject.MODEL, value="auto")
    assert [api.chat("auto").status_code for _ in range(2)] == [200, 429]
    Limit.objects.all().delete()
    requests_a_day(1, name="of the chooser", subject=Subject.MODEL, value="echo")
    assert [api.chat("auto").status_code for _ in range(2)] == [200, 429]


def test_upstreams_are_asked_for_answers_in_one_place_only() -> None:
    """`completions` admits each call before it asks; nobody else does either."""
    asking: set[tuple[str, str]] = set()
    for folder in ("chat", "gateway", "providers/services", "accounts"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner, name = ast.unparse(node.func.value), node.func.attr
                    is_requester = owner.endswith("requester") and name in ("ask", "open", "chat", "embed", "stream")
                    if is_requester or (owner.endswith("writer()") and name == "admit"):
                        asking.add((path.relative_to(ROOT).as_posix(), name))
    assert asking == {("chat/services/completions.py", name) for name in ("ask", "open", "admit")}
