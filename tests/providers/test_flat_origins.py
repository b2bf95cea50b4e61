"""Models of other origins in one layer: the console's, other programs', and those that were edited there since."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from common.models import noted
from providers.models import AIModel, Provider, ProviderKey
from providers.services import flat
from tests import factories
from tests.providers.test_flat import (
    COMPATIBLE,
    HOME,
    MASKED,
    PROGRAM,
    RULES,
    WHOLE,
    again,
    changed,
    everything,
    secrets,
    shown,
    stored,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def models() -> list[AIModel]:
    compatible = factories.provider(retries=0, config={"headers": {"X-A": "b"}, "odd": {"token": "hidden"}})
    ProviderKey.objects.create(provider=compatible, name="second", secret="sk-second")
    aws = factories.provider(
        requester="bedrock-converse", base_url="", config={"regions": ["us-west-2"]}, secret="AKIA:one"
    )
    ProviderKey.objects.create(provider=aws, name="bearer", secret="bearer")
    json_key = '{"access_key_id": "A", "secret_access_key": "B", "session_token": "C"}'
    ProviderKey.objects.create(provider=aws, name="json", secret=json_key)
    named = factories.provider(requester="sagemaker-lmi", base_url="", config={"endpointName": "for-all"}, secret="A:b")
    bare = {"base_url": "", "secret": ""}
    return [
        factories.model(compatible, "a", upstream_name="a-1", extra_args={"top_k": 5}),
        factories.model(compatible, "vectors", kind="embedding"),
        factories.model(aws, "b", upstream_name="some.model", price_in=None, price_out=None),
        factories.model(named, "c"),
        factories.model(factories.provider(requester="ollama-chat", **bare), "d"),
        factories.model(factories.provider(requester="chroma-embedding", **bare), "e", kind="embedding"),
        factories.model(factories.provider(requester="anthropic-messages", base_url=""), "f"),
        factories.model(factories.provider(secret=""), "g", metadata=noted({}, "another", {"x": 1})),
        factories.model(
            factories.provider(requester="smart-router", config={"rules": RULES, "localLlmModel": "a"}, **bare),
            "h",
            upstream_name="whatever",
        ),
    ]


def test_what_is_told_of_them(models: list[AIModel]) -> None:
    address = models[0].provider.address
    masked_settings = {"headers": {"X-A": "***"}, "odd": {"token": "***"}}
    compatible = {"baseURL": address, "apiKey": "***", "maxRetries": 0, **masked_settings}
    assert [flat.config_of(model, PROGRAM) for model in models] == [
        ("openai-compatible", {"model": "a-1", **compatible}),
        ("openai-compatible", {"model": "vectors", **compatible}),
        (
            "bedrock-converse",
            {
                "modelId": "some.model",
                "bearerToken": "***",
                "credentials": [MASKED, {**MASKED, "sessionToken": "***"}],
                "regions": ["us-west-2"],
            },
        ),
        ("sagemaker-lmi", {"endpointName": "for-all", "credentials": [MASKED]}),
        ("ollama", {"model": "d", "host": "http://127.0.0.1:11434"}),
        ("chroma-embedding", {"model": "e"}),
        ("anthropic-messages", {"model": "f", "apiKey": "***"}),
        ("openai-compatible", {"model": "g", "baseURL": address}),
        ("smart-router", {"rules": RULES, "localLlmModel": "a"}),
    ]


def test_what_is_told_comes_back_without_a_change(models: list[AIModel]) -> None:
    before = everything()
    for model in models:
        id, config = flat.config_of(again(model), PROGRAM)
        changed(again(model), config, id)
    assert everything() == before


def test_one_setting_changes_and_the_rest_stays(models: list[AIModel]) -> None:
    for model in (again(each) for each in models if each.provider.requester != "chroma-embedding"):
        kept = secrets(model)
        after = changed(model, {**shown(model), "note": "new"})
        assert shown(after) == {**shown(model), "note": "new"}
        assert (secrets(after), after.kind) == (kept, model.kind)


def test_an_edit_elsewhere_is_told() -> None:
    model = stored("bedrock-converse", {**WHOLE["bedrock-converse"], "note": "ours"})
    Provider.objects.update(config={"regions": ["eu-west-1"], "thinking": False}, retries=1, base_url=HOME)
    AIModel.objects.update(upstream_name="edited")
    ProviderKey.objects.filter(secret__isnull=False).exclude(pk=model.provider.keys.latest("id").pk).delete()
    assert shown(again(model)) == {
        "modelId": "edited",
        "regions": ["eu-west-1"],
        "thinking": False,
        "credentials": [{**MASKED, "sessionToken": "***"}],
        "maxRetries": 1,
        "note": "ours",
        "baseURL": HOME,
    }


def test_another_requester_makes_what_was_sent_void() -> None:
    model = stored("openai-compatible", {**COMPATIBLE, "note": "ours"})
    Provider.objects.update(requester="new-api-chat-completions")
    assert shown(again(model)) == {"model": "big-1", "baseURL": HOME, "apiKey": "***"}


def test_a_key_that_cannot_be_read_any_more_hides_nothing(settings: Any) -> None:
    model = stored("bedrock-converse", {"modelId": "m", "bearerToken": "b"})
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    assert shown(again(model)) == {"modelId": "m", "credentials": [MASKED]}
    assert shown(flat.readable(AIModel.objects.all()).get())["modelId"] == "m"
