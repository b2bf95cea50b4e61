"""GET /v1/models, completions, embeddings, and routes over several deployments."""

from cryptography.fernet import Fernet
from django.test import override_settings

from accounts.models import ApiKey
from providers.models import AIModel, ProviderKey
from providers.services import providers
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.openai.conftest import Api, last_charge


def test_models_are_those_that_the_key_may_call(api: Api) -> None:
    provider = factories.provider(api.upstream)
    own, shared = factories.model(provider, "own"), factories.model(provider, "shared")
    factories.model(provider, "off", is_enabled=False)
    bob = factories.key(all_models=False, group=factories.group(shared))
    factories.grant(bob, own)
    listed = api.get("models", bob.secret).json()
    assert [model["id"] for model in listed["data"]] == ["own", "shared"]
    assert listed["object"] == "list"
    assert api.get("models/own", bob.secret).json()["object"] == "model"
    assert api.get("models/echo", bob.secret).status_code == 404
    assert "off" not in [model["id"] for model in api.get("models").json()["data"]]


def test_a_model_name_may_have_slashes(api: Api) -> None:
    factories.model(factories.provider(api.upstream), "meta/llama-3", upstream_name="echo")
    assert api.get("models/meta/llama-3").json()["id"] == "meta/llama-3"
    assert api.chat("meta/llama-3").status_code == 200


def test_completions(api: Api) -> None:
    answer = api.post("completions", {"model": "echo", "prompt": "once", "max_tokens": 3})
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["text"].split() == ["tok0", "tok1", "tok2"]
    charge = last_charge()
    assert (charge.endpoint, charge.output_tokens, charge.thread.completion.split()[0]) == ("completion", 3, "tok0")


def test_streamed_completions(api: Api) -> None:
    answer = api.post("completions", {"model": "echo", "prompt": "once", "max_tokens": 3, "stream": True})
    assert answer.getvalue().endswith(b"data: [DONE]\n\n")
    assert last_charge().output_tokens == 3


def test_a_list_of_prompts_is_held_for_each(api: Api) -> None:
    api.post("completions", {"model": "echo", "prompt": ["a", "b", "c"], "max_tokens": 7, "n": 2})
    assert last_charge().output_bound == 42


def test_embeddings(api: Api) -> None:
    answer = api.post("embeddings", {"model": "vectors", "input": ["a", "b"]})
    assert [len(item["embedding"]) for item in answer.json()["data"]] == [8, 8]
    charge = last_charge()
    assert (charge.endpoint, charge.output_tokens, charge.output_bound) == ("embedding", 0, 0)
    assert charge.input_tokens > 0


def test_an_embedding_without_input(api: Api) -> None:
    assert api.post("embeddings", {"model": "vectors"}).json()["error"]["param"] == "input"
    assert api.post("embeddings", {"model": "vectors", "input": []}).json()["error"]["param"] == "input"


def test_the_next_deployment_answers_when_the_first_fails(api: Api) -> None:
    broken = factories.provider(base_url="http://127.0.0.1:1/v1")
    factories.model(broken, "route", upstream_name="echo", priority=0)
    good = factories.model(factories.provider(api.upstream), "route", upstream_name="echo", priority=1)
    answer = api.chat("route")
    assert answer.status_code == 200
    charge = last_charge()
    assert (charge.attempts, charge.model_id, charge.provider_name) == (2, good.pk, good.provider.name)


def test_the_callers_own_mistake_is_not_tried_elsewhere(api: Api) -> None:
    for priority in (0, 1):
        factories.model(factories.provider(api.upstream), "route", upstream_name="echo", priority=priority)
    assert api.chat("route", temperature=3).status_code == 400
    assert len(api.upstream.seen) == 1


def test_traffic_follows_the_weights(api: Api) -> None:
    with FakeOpenAI() as other:
        factories.model(factories.provider(api.upstream), "shared", upstream_name="echo", weight=3)
        factories.model(factories.provider(other), "shared", upstream_name="echo", weight=1)
        for _ in range(80):
            api.chat("shared", max_tokens=1)
        assert 40 <= len(api.upstream.seen) <= 75
        assert len(api.upstream.seen) + len(other.seen) == 80


def test_the_hold_covers_the_dearest_candidate(api: Api) -> None:
    factories.model(factories.provider(api.upstream), "mixed", upstream_name="echo", price_out=2)
    factories.model(factories.provider(api.upstream), "mixed", upstream_name="echo", price_out=50, priority=9)
    api.chat("mixed", max_tokens=10)
    charge = last_charge()
    assert charge.hold >= 10 * 50 / 1_000_000
    assert charge.price_out == 2


def test_each_caller_keeps_its_own_provider_key(api: Api) -> None:
    provider = factories.provider(api.upstream, name="pool")
    ProviderKey.objects.create(provider=provider, name="second", secret="sk-not-accepted-by-the-fake")
    factories.model(provider, "pooled", upstream_name="echo")
    for _ in range(12):
        caller = factories.key()
        first, second = api.chat("pooled", caller.secret), api.chat("pooled", caller.secret)
        assert first.status_code == second.status_code


def test_an_edit_holds_for_the_next_call(api: Api) -> None:
    assert api.chat().status_code == 200
    AIModel.objects.filter(name="echo").update(is_enabled=False)
    assert api.chat().status_code == 404
    AIModel.objects.filter(name="echo").update(is_enabled=True)
    assert api.chat().status_code == 200


def test_what_is_new_is_there_at_once_for_a_key_that_has_called_before(api: Api) -> None:
    bob = factories.key(all_models=False)
    provider = factories.provider(api.upstream)
    granted = factories.model(provider, "granted", upstream_name="echo")
    factories.grant(bob, granted)
    assert api.chat("granted", bob.secret).status_code == 200
    new = factories.model(provider, "new", upstream_name="echo")
    assert api.chat("new", bob.secret).status_code == 404
    factories.grant(bob, new)
    assert api.chat("new", bob.secret).status_code == 200
    ApiKey.objects.filter(pk=bob.key.pk).update(all_models=True)
    assert api.chat("echo", bob.secret).status_code == 200


def test_a_secret_that_can_not_be_decrypted_takes_no_other_provider_along(api: Api) -> None:
    with override_settings(FIELD_ENCRYPTION_KEYS=[Fernet.generate_key().decode()]):
        factories.model(factories.provider(api.upstream), "unreadable", upstream_name="echo")
    assert api.chat().status_code == 200
    assert "no enabled key" in api.chat("unreadable").json()["error"]["message"]


def test_a_provider_that_moves_takes_no_secret_along(api: Api) -> None:
    with FakeOpenAI(key=api.upstream.key) as elsewhere:
        provider = AIModel.objects.get(name="echo").provider
        provider.base_url = f"{elsewhere.origin}/v1"
        assert providers.change(provider=provider) is True
        assert "no enabled key" in api.chat().json()["error"]["message"]
        assert elsewhere.seen == []
    provider.base_url = provider.base_url.replace("/v1", "/v2")
    assert providers.change(provider=provider) is False
