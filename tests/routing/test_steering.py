"""What a row's extra arguments do to its calls, and that a caller's of the same names do nothing but go along."""

import time
from typing import Any, ClassVar

import pytest

from accounts.services import keys
from chat.services import completions
from chat.services.calls import ENDPOINTS, Call
from providers.services.board import board
from tests import factories
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.kinds import FakeKinds
from tests.routing.conftest import Routes, last_charge
from tests.routing.test_limits import refuse

JSON = dict[str, Any]
STEERING = {"request_policy": {"retries": 5}, "num_retries": 5, "timeout": 0.2, "reasoning_config": {"level": "low"}}


class TestPatience:
    def test_a_row_s_timeout_ends_a_call_that_its_provider_would_wait_for(self, routes: Routes) -> None:
        routes.deployment("a", upstream_name="hang", extra_args={"timeout": 0.3})
        started = time.monotonic()
        answer = routes.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
        assert "first byte timeout after 0.3 seconds" in answer.json()["error"]["message"]
        assert time.monotonic() - started < 5

    def test_the_deployment_rests_after_it_and_another_takes_over(self, routes: Routes) -> None:
        slow = routes.deployment("a", upstream_name="hang", extra_args={"timeout": 0.3}, priority=0)
        routes.deployment("b", priority=1)
        assert routes.served_by() == "b"
        assert (slow.pk, None) in board().rests

    def test_silence_in_a_stream_ends_by_the_row_s_idle_timeout(self, routes: Routes) -> None:
        policy = {"request_policy": {"stream_idle_timeout": 0.3}}
        routes.deployment("a", upstream_name="hang-midstream", extra_args=policy)
        text = b"".join(routes.chat(stream=True).streaming_content)
        assert b"idle timeout after 0.3 seconds" in text
        assert last_charge().outcome == "upstream_error"

    def test_a_row_s_total_is_the_call_s_deadline(self, routes: Routes) -> None:
        routes.deployment("a", upstream_name="hang", extra_args={"request_policy": {"total_timeout": 0.3}})
        assert routes.chat().json()["error"]["code"] == "upstream_timeout"

    def test_its_namesakes_on_the_same_provider_wait_on(self, routes: Routes) -> None:
        hasty = routes.deployment("a", "hasty", upstream_name="slow", extra_args={"timeout": 0.1})
        assert routes.chat("hasty").status_code == 504
        factories.model(hasty.provider, "calm", upstream_name="slow")
        assert routes.chat("calm").status_code == 200


class TestRetries:
    @pytest.mark.parametrize(("extra_args", "calls"), [({}, 1), ({"num_retries": 2}, 3)])
    def test_a_row_s_retries_go_before_its_provider_s(self, routes: Routes, extra_args: JSON, calls: int) -> None:
        quick = {"request_policy": {"backoff_base": 0.1}}
        routes.deployment("a", upstream_name="500", extra_args={**quick, **extra_args})
        assert routes.chat().status_code == 502
        assert routes.calls("a") == calls

    def test_none_at_all_where_the_provider_has_some(self, routes: Routes) -> None:
        routes.deployment("a", upstream_name="500", extra_args={"max_retries": 0}, provider={"retries": 3})
        routes.chat()
        assert routes.calls("a") == 1

    def test_pauses_grow_from_its_first_to_its_longest(self, routes: Routes) -> None:
        policy = {"retries": 3, "backoff_base": 0.2, "backoff_max": 0.2}
        routes.deployment("a", upstream_name="500", extra_args={"request_policy": policy})
        started = time.monotonic()
        routes.chat()
        assert routes.calls("a") == 4
        assert time.monotonic() - started >= 0.3  # each pause is at least half of what it says

    def test_an_upstream_that_asks_for_a_longer_pause_is_not_waited_for(self, routes: Routes) -> None:
        routes.deployment("a", extra_args={"request_policy": {"retries": 2, "backoff_max": 0.5}})
        routes.fakes["a"].mishap(503, Retry_After="2")
        started = time.monotonic()
        assert routes.chat().status_code == 503
        assert time.monotonic() - started < 1.5


class TestWhatIsSent:
    def test_what_steers_goes_no_further(self, routes: Routes) -> None:
        own = {**STEERING, "timeout": 20, "extra_body": {"top_k": 3}, "seed": 1}
        routes.deployment("a", extra_args=own)
        assert routes.chat().status_code == 200
        assert routes.sent("a").keys() == {"model", "messages", "seed", "top_k", "reasoning_effort"}
        assert (routes.sent("a")["top_k"], routes.sent("a")["reasoning_effort"]) == (3, "low")

    def test_a_caller_goes_before_an_extra_body(self, routes: Routes) -> None:
        routes.deployment("a", extra_args={"extra_body": {"top_k": 3}})
        routes.chat(top_k=7)
        assert routes.sent("a")["top_k"] == 7

    def test_a_limit_in_an_extra_body_counts_for_the_hold(self, routes: Routes) -> None:
        routes.deployment("a", extra_args={"extra_body": {"max_tokens": 7}})
        routes.chat()
        assert last_charge().output_bound == 7

    def test_a_caller_s_fields_of_these_names_steer_nothing(self, routes: Routes) -> None:
        """They are parameters like any other, which the upstream may know."""
        routes.deployment("a", upstream_name="slow")
        assert routes.chat(**STEERING, extra_body={"top_k": 1}).status_code == 200
        assert {name: routes.sent("a")[name] for name in STEERING} == STEERING
        assert routes.sent("a")["extra_body"] == {"top_k": 1}
        assert "reasoning_effort" not in routes.sent("a")

    def test_a_caller_s_retries_are_not_made(self, routes: Routes) -> None:
        routes.deployment("a", upstream_name="500")
        routes.chat(**STEERING)
        assert routes.calls("a") == 1


class TestWhereARerankerLives:
    BODY: ClassVar[JSON] = {"model": "r", "query": "a", "documents": ["a", "b"]}

    def ask(self, **fields: Any) -> Any:
        """Past the views, which let no caller say it."""
        body = {**self.BODY, **fields}
        caller = keys.caller_of(keys.console_key())
        return completions.run(Call(ENDPOINTS["rerank"], body, 100, caller, "req_1", model_id=None)).answer.json

    @pytest.mark.usefixtures("database")
    def test_no_caller_leads_the_key_elsewhere(self) -> None:
        with FakeKinds() as fake:
            factories.model(factories.provider(fake), "r", kind="rerank")
            assert self.ask(rerank_path="../admin", rerank_url="http://127.0.0.1:9/")["results"]
            assert (fake.seen[-1].path, fake.seen[-1].body.keys()) == ("/v1/rerank", self.BODY.keys())

    @pytest.mark.usefixtures("database")
    def test_not_even_away_from_the_row_s_own_place(self) -> None:
        with FakeKinds() as fake:
            own = {"rerank_url": f"{fake.origin}/v1/rerank"}
            factories.model(
                factories.provider(fake, base_url=f"{fake.origin}/else"), "r", kind="rerank", extra_args=own
            )
            assert self.ask(rerank_url=None, rerank_path="nowhere")["results"]
            assert fake.seen[-1].path == "/v1/rerank"


class TestReasoningEffort:
    def test_a_row_s_effort_is_sent_for_callers_who_say_nothing(self, routes: Routes) -> None:
        routes.deployment("a", reasoning_effort="high")
        routes.chat()
        assert routes.sent("a")["reasoning_effort"] == "high"

    def test_the_caller_s_goes_before_it(self, routes: Routes) -> None:
        routes.deployment("a", reasoning_effort="high", extra_args={"reasoning_effort": "low"})
        routes.chat()
        assert routes.sent("a")["reasoning_effort"] == "low"
        routes.chat(reasoning_effort="none")
        assert routes.sent("a")["reasoning_effort"] == "none"

    @pytest.mark.parametrize("said", [{"thinking": {"type": "disabled"}}, {"reasoning": {"effort": "low"}}])
    def test_a_caller_who_says_it_in_other_words_is_heard(self, routes: Routes, said: JSON) -> None:
        routes.deployment("a", reasoning_effort="high")
        routes.chat(**said)
        assert routes.sent("a").keys() & {"reasoning_effort", *said} == said.keys()

    def test_an_upstream_that_does_not_know_it_is_asked_without(self, routes: Routes) -> None:
        routes.deployment("a", reasoning_effort="high")
        refuse(routes, "a", "reasoning_effort")
        answer = routes.chat()
        assert (answer.status_code, answer.headers["x-weighbridge-dropped"]) == (200, "reasoning_effort")
        assert ["reasoning_effort" in each.body for each in routes.fakes["a"].seen] == [True, False]

    def test_a_caller_is_not_refused_for_what_the_row_alone_asks(self, routes: Routes) -> None:
        """Here the vendor can't be told to think, as a tool is forced."""
        with FakeAnthropic() as fake:
            provider = factories.provider(fake, requester="anthropic-messages")
            factories.model(
                provider, upstream_name="claude-sonnet-4-5", reasoning_effort="high", unknown_params="refuse"
            )
            tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
            forced = {"tools": [tool], "tool_choice": "required"}
            answer = routes.chat(**forced)
            assert (answer.status_code, answer.headers["x-weighbridge-dropped"]) == (200, "reasoning_effort")
            refused = routes.chat(**forced, reasoning_effort="high")
            assert (refused.status_code, refused.json()["error"]["param"]) == (400, "reasoning_effort")

    def test_text_completions_get_none(self, routes: Routes) -> None:
        routes.deployment("a", reasoning_effort="high")
        secret = routes.key.secret
        body = {"model": "echo", "prompt": "hi"}
        headers = {"authorization": f"Bearer {secret}"}
        assert routes.client.post("/v1/completions", body, "application/json", headers=headers).status_code == 200
        assert "reasoning_effort" not in routes.sent("a")
