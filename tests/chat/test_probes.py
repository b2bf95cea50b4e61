"""Tests of models: real, small calls of every kind through the pipeline, stored or not, and why they fail."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from accounts.models import ApiKey, Charge, State
from accounts.services.ledger.audit import audit
from chat.errors import BadCall, UnknownModel
from chat.services import probes
from chat.services.probe_answers import short_reason
from chat.services.probes import ProbeResult
from providers.models import AIModel, Kind, Provider, ProviderKey, Rest
from providers.requesters import errors
from tests import factories
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.kinds import FakeKinds

pytestmark = pytest.mark.usefixtures("database")

TOLD = {
    Kind.LLM: "tok0 tok1",
    Kind.EMBEDDING: "An embedding of 8 numbers.",
    Kind.RERANK: "2 documents, by relevance: 0.9, 0.45.",
    Kind.IMAGE: "An image of 102 bytes.",
    Kind.SPEECH: "1,000 bytes of audio/mpeg.",
    Kind.TRANSCRIPTION: "It heard: 4044 bytes of sound",
    Kind.MODERATION: "Not flagged.",
}


@pytest.fixture
def fake() -> Iterator[FakeKinds]:
    with FakeKinds() as fake:
        yield fake
        assert fake.violations == []


def unsaved(fake: Any, name: str = "echo", **fields: Any) -> ProbeResult:
    plain = {"requester": "openai-compatible", "base_url": f"{fake.origin}/v1", "secrets": [fake.key], "config": {}}
    return probes.test_unsaved(**{**plain, "kind": "llm", "upstream_name": name, "extra_args": {}, **fields})


@pytest.mark.parametrize("kind", Kind.values)
class TestKinds:
    def test_every_kind_of_model_is_called_and_charged(self, fake: FakeKinds, kind: str) -> None:
        model = factories.model(factories.provider(fake), "echo", kind=kind)
        result = probes.test_model(model=model)
        assert (result.is_ok, result.reason) == (True, "")
        assert result.text.startswith(TOLD[Kind(kind)])
        charge = Charge.objects.get()
        assert (charge.pk, charge.state, charge.model) == (result.charge_id, State.SETTLED, model)
        assert charge.key.is_internal
        assert not audit()

    def test_or_without_a_row(self, fake: FakeKinds, kind: str) -> None:
        result = unsaved(fake, kind=kind)
        assert (result.is_ok, result.subject) == (True, "echo")
        assert result.text.startswith(TOLD[Kind(kind)])
        charge = Charge.objects.get()
        assert (charge.pk, charge.state, charge.fee) == (result.charge_id, State.SETTLED, 0)
        assert (charge.model_id, charge.provider_id, charge.upstream_name) == (None, None, "echo")
        assert not Provider.objects.exists()
        assert not AIModel.objects.exists()
        assert not audit()


def test_a_router_is_tested_by_what_it_chooses(fake: FakeKinds) -> None:
    provider = factories.provider(fake)
    factories.model(provider, "chooser")
    factories.model(provider, "echo")
    picked = {"id": "c", "type": "function", "function": {"name": "chooseModel", "arguments": '{"modelId": "echo"}'}}
    choice = {"index": 0, "message": {"role": "assistant", "tool_calls": [picked]}, "finish_reason": "tool_calls"}
    fake.reply_json("chooser", {"choices": [choice]})
    rules = [{"name": "echo", "description": "all"}]
    config = {"rules": rules, "localLlmModel": "chooser"}
    router = factories.model(Provider.objects.create(name="r", requester="smart-router", config=config), "auto")
    result = probes.test_model(model=router)
    assert (result.is_ok, result.text[:4]) == (True, "tok0"), result.text


class TestUnsaved:
    def test_its_settings_are_used(self, fake: FakeKinds) -> None:
        config = {"headers": {"X-Team": "probe"}}
        assert unsaved(fake, config=config, extra_args={"temperature": 0.5}).is_ok
        seen = fake.seen[-1]
        assert (seen.headers["X-Team"], seen.body["temperature"]) == ("probe", 0.5)

    def test_a_foreign_protocol(self) -> None:
        with FakeAnthropic() as fake:
            result = unsaved(fake, requester="anthropic", base_url=fake.origin)
            assert (result.is_ok, result.text) == (True, "Hello from the fake")
            assert fake.violations == []

    def test_its_effort_and_its_patience(self, fake: FakeKinds) -> None:
        assert unsaved(fake, reasoning_effort="high").is_ok
        assert fake.seen[-1].body["reasoning_effort"] == "high"
        assert unsaved(fake, "hang", extra_args={"timeout": 0.2}).reason == "Request timed out"

    def test_a_voice_of_its_own_is_spoken_with(self, fake: FakeKinds) -> None:
        assert unsaved(fake, kind="speech", extra_args={"voice": "nova"}).is_ok
        assert fake.seen[-1].body["voice"] == "nova"

    def test_a_stored_namesake_is_not_asked(self, fake: FakeKinds) -> None:
        stored = factories.model(factories.provider(), "echo")
        assert unsaved(fake).is_ok
        assert Charge.objects.get().model_id is None
        assert probes.test_model(model=stored).reason == "Connection failed"

    def test_without_a_secret_none_is_sent(self, fake: FakeKinds) -> None:
        result = unsaved(fake, secrets=[])
        assert result.reason == "Invalid API key"
        assert "Authorization" not in fake.seen[-1].headers
        fake.violations.clear()

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"requester": "telepathy"}, "not a valid choice"),
            ({"base_url": "ftp://x"}, "http"),
            ({"base_url": ""}, "Give its address"),
            ({"config": {"headers": 1}}, "headers"),
            ({"kind": "poem"}, "not a valid choice"),
            ({"extra_args": {"n": 5}}, "gateway"),
            ({"extra_args": {"num_retries": 9}}, "num_retries must be"),
            ({"reasoning_effort": "max"}, "not a valid choice"),
            ({"requester": "anthropic", "kind": "embedding"}, "does not support embedding models"),
            ({"extra_args": {"rerank_url": "http://evil.test/"}, "kind": "rerank"}, "leads away"),
            ({"upstream_name": ""}, "blank"),
        ],
    )
    def test_what_can_t_be_is_refused(self, fake: FakeKinds, fields: dict[str, Any], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            unsaved(fake, **fields)
        assert not fake.seen
        assert not ApiKey.objects.exists()

    def test_a_failure_makes_nothing_rest(self, fake: FakeKinds) -> None:
        """Nothing is learned of stored deployments from one that is only tried."""
        stored = factories.model(factories.provider(fake), "echo")
        for name in ("429", "500", "503"):
            assert not unsaved(fake, name).is_ok
        assert not Rest.objects.exists()
        assert probes.test_model(model=stored).is_ok


class TestExtraArguments:
    """Of one test, laid over the row's own."""

    def test_they_are_sent_with_the_row_s_and_go_before_them(self, fake: FakeKinds) -> None:
        model = factories.model(factories.provider(fake), extra_args={"seed": 1, "top_p": 0.5})
        result = probes.test_model(model=model, extra_args={"top_p": 0.7})
        assert result.is_ok
        assert (fake.seen[-1].body["seed"], fake.seen[-1].body["top_p"]) == (1, 0.7)
        charge = Charge.objects.get()
        assert (charge.pk, charge.model) == (result.charge_id, model)
        assert charge.fee > 0

    def test_they_are_forgotten_afterwards(self, fake: FakeKinds) -> None:
        model = factories.model(factories.provider(fake), extra_args={"seed": 1})
        probes.test_model(model=model, extra_args={"seed": 2})
        assert model.extra_args == AIModel.objects.get().extra_args == {"seed": 1}
        probes.test_model(model=model)
        assert fake.seen[-1].body["seed"] == 1

    def test_they_steer_like_the_row_s(self, fake: FakeKinds) -> None:
        model = factories.model(factories.provider(fake, retries=0), "hang")
        result = probes.test_model(model=model, extra_args={"timeout": 0.2, "extra_body": {"top_k": 1}})
        assert result.reason == "Request timed out"
        assert fake.seen[-1].body["top_k"] == 1
        assert "timeout" not in fake.seen[-1].body

    @pytest.mark.parametrize("extra_args", [{"n": 2}, {"timeout": "long"}, {"extra_body": {"model": "other"}}])
    def test_what_no_row_may_have_is_refused(self, fake: FakeKinds, extra_args: dict[str, Any]) -> None:
        model = factories.model(factories.provider(fake))
        with pytest.raises(ValidationError) as refusal:
            probes.test_model(model=model, extra_args=extra_args)
        assert set(refusal.value.message_dict) == {"extra_args"}
        assert not fake.seen
        assert not Charge.objects.exists()

    def test_of_several_keys_one_that_can_t_be_read_stops_nothing(self, fake: FakeKinds) -> None:
        provider = factories.provider(fake)
        ProviderKey.objects.create(provider=provider, name="lost", secret="sk-lost")
        with connection.cursor() as cursor:
            cursor.execute("UPDATE providers_providerkey SET secret = 'garbage' WHERE name = 'lost'")
        assert probes.test_model(model=factories.model(provider), extra_args={"seed": 1}).is_ok

    def test_a_router_has_no_use_for_them(self, fake: FakeKinds) -> None:
        config = {"rules": [], "localLlmModel": "chooser"}
        provider = Provider.objects.create(name="r", requester="smart-router", config=config)
        factories.model(factories.provider(fake), "default", upstream_name="echo")
        result = probes.test_model(model=factories.model(provider, "auto"), extra_args={"seed": 1})
        assert result.is_ok, result.text

    @pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
    def test_a_limit_of_the_row_s_own_stands_alone(self, fake: FakeKinds, name: str) -> None:
        model = factories.model(factories.provider(fake), extra_args={name: 7})
        assert probes.test_model(model=model).is_ok
        limits = {"max_tokens", "max_completion_tokens"} & fake.seen[-1].body.keys()
        assert (limits, fake.seen[-1].body[name]) == ({name}, 7)

    def test_a_row_s_abilities_and_effort_hold_for_its_test(self, fake: FakeKinds) -> None:
        fields = {"keeps_to_abilities": True, "reasoning_effort": "low", "extra_args": {"tools": [{"type": "x"}]}}
        assert probes.test_model(model=factories.model(factories.provider(fake), **fields)).is_ok
        assert fake.seen[-1].body["reasoning_effort"] == "low"
        assert "tools" not in fake.seen[-1].body


class TestReasons:
    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            ("401", "Invalid API key"),
            ("404", "Invalid model or endpoint"),
            ("429", "Rate limit exceeded or insufficient balance"),
            ("500", "API error"),
            ("503", "API error"),
            ("garbage", "API error"),
        ],
    )
    def test_a_failure_has_a_short_reason_and_a_long_one(self, fake: FakeKinds, name: str, reason: str) -> None:
        result = unsaved(fake, name)
        assert (result.is_ok, result.reason) == (False, reason)
        assert result.text
        assert fake.key not in result.text
        assert Charge.objects.get().fee == 0

    def test_nobody_there(self, fake: FakeKinds) -> None:
        assert unsaved(fake, base_url="http://127.0.0.1:9/v1").reason == "Connection failed"

    def test_a_bad_request(self, fake: FakeKinds) -> None:
        assert unsaved(fake, "400", kind="rerank").reason == "Invalid request parameters"

    def test_a_long_prompt(self, fake: FakeKinds) -> None:
        error = {"message": "maximum context length is 10 tokens", "code": "context_length_exceeded"}
        fake.reply_json("echo", {"error": error}, status=400)
        assert unsaved(fake).reason == "Context length exceeded"

    def test_a_timeout(self, fake: FakeKinds) -> None:
        model = factories.model(factories.provider(fake, first_byte_timeout=0.2, retries=0), "hang")
        assert probes.test_model(model=model).reason == "Request timed out"

    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (errors.EgressRefused("no"), "Connection failed"),
            (errors.Cancelled("no"), "Request timed out"),
            (errors.Unavailable("refused"), "Connection failed"),
            (errors.Unavailable("broken", upstream_status=500), "API error"),
            (errors.ContentFiltered("no"), "Invalid request parameters"),
            (BadCall("no"), "Invalid request parameters"),
            (UnknownModel("no"), "Invalid model or endpoint"),
        ],
    )
    def test_each_error_has_its_place_in_the_table(self, error: Exception, reason: str) -> None:
        assert short_reason(error) == reason

    def test_a_model_that_is_off(self, fake: FakeKinds) -> None:
        model = factories.model(factories.provider(fake), is_enabled=False)
        result = probes.test_model(model=model)
        assert (result.is_ok, result.reason, result.charge_id) == (False, "The model is switched off", 0)
        assert not fake.seen
