"""A model in one layer: what each setting becomes, that the object comes back whole, and what is refused."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from common.models import ConfigVersion
from providers import catalog
from providers.catalog.flat import pair_names
from providers.catalog.settings import must_be_given
from providers.models import AIModel, Kind, Provider, ProviderKey
from providers.services import flat
from tests import factories

pytestmark = pytest.mark.django_db

JSON = dict[str, Any]

PROGRAM = "a-program"
HOME, ELSEWHERE = "https://llm.example.com/v1", "https://elsewhere.example.net/v1"
PAIR = {"accessKeyId": "AKIAONE", "secretAccessKey": "secret-one"}
OTHER_PAIR = {"accessKeyId": "AKIATWO", "secretAccessKey": "secret-two", "sessionToken": "session-two"}
MASKED = {"accessKeyId": "***", "secretAccessKey": "***"}
COMPATIBLE = {"baseURL": HOME, "apiKey": "sk-1", "model": "big-1"}
RULES = [{"name": "big", "description": "For hard questions.", "cost": 3}]

# Each id with all of its settings.
WHOLE: dict[str, JSON] = {
    "bedrock-converse": {
        "modelId": "some.model-v1:0",
        "baseModelId": "some.model",
        "regions": "us-east-1, us-west-2",
        "maxTokens": 2048,
        "thinking": True,
        "thinkBudget": 2000,
        "promptCache": {"fields": ["system"], "messagePositions": [-1]},
        "credentials": [PAIR, OTHER_PAIR],
        "maxRetries": 8,
        "bearerToken": "bearer-1",
    },
    "smart-router": {"rules": RULES, "localLlmModel": "small"},
    "sagemaker-lmi": {"endpointName": "an-endpoint", "regions": ["us-east-1"], "credentials": [PAIR]},
    "ollama": {"host": "http://gpu.example.com:11434/", "model": "tiny"},
    "titan-embeddings": {
        "modelId": "some.embedder",
        "regions": "us-east-1",
        "dimensions": 256,
        "normalize": False,
        "bearerToken": "bearer-1",
    },
    "openai-compatible": COMPATIBLE,
    "bedrock-deepseek": {"modelId": "a.thinker", "regions": ["us-east-1"], "maxTokens": 9, "credentials": [PAIR]},
    "sagemaker-deepseek": {"endpointName": "e", "regions": [], "platform": "deepseek", "thinking": True},
    "azure-openai": {"baseURL": f"{HOME}/openai/deployments/d", "apiKey": "k", "apiVersion": "2024-10-21"},
    "azure-openai-image": {"model": "dall-e-3", "baseURL": HOME, "apiKey": "k", "apiVersion": "2024-10-21"},
    "gemini-converse": {"apiKey": "k", "model": "gemini-2.5-flash"},
}


def stored(provider_id: str, config: JSON, name: str = "m", **fields: Any) -> AIModel:
    model = AIModel(name=name, **fields)
    return again(flat.store(model=model, provider_id=provider_id, config=config, program=PROGRAM))


def changed(model: AIModel, config: JSON | None = None, provider_id: str | None = None, **fields: Any) -> AIModel:
    for name, value in fields.items():
        setattr(model, name, value)
    return again(flat.store(model=model, provider_id=provider_id, config=config, program=PROGRAM))


def again(model: AIModel) -> AIModel:
    return AIModel.objects.select_related("provider").get(pk=model.pk)


def shown(model: AIModel) -> JSON:
    return flat.config_of(model, PROGRAM)[1]


def secrets(model: AIModel) -> list[str]:
    return [str(key.secret) for key in model.provider.keys.order_by("id")]


def everything() -> list[Any]:
    """All rows but for when they were written."""
    tables = (AIModel, Provider, ProviderKey)
    return [[{**row, "updated_at": None} for row in table.objects.order_by("id").values()] for table in tables]


def without_secrets(config: JSON) -> JSON:
    masks: JSON = {"apiKey": "***", "bearerToken": "***"}
    masks["credentials"] = [dict.fromkeys(pair, "***") for pair in config.get("credentials", [])]
    return {name: masks.get(name, value) for name, value in config.items()}


class TestEveryId:
    def test_all_are_known_in_the_original_s_order(self) -> None:
        assert catalog.flat_ids()[: len(WHOLE)] == list(WHOLE)
        assert {catalog.canonical(id) for id in catalog.flat_ids()} == {
            name for name, vendor in catalog.VENDORS.items() if not vendor.refusal
        }

    @pytest.mark.parametrize("id", WHOLE)
    def test_the_object_comes_back_as_it_was_written(self, id: str) -> None:
        model = stored(id, WHOLE[id])
        assert flat.config_of(model, PROGRAM) == (id, without_secrets(WHOLE[id]))

    @pytest.mark.parametrize("id", WHOLE)
    def test_what_comes_back_changes_nothing(self, id: str) -> None:
        model = stored(id, WHOLE[id])
        before = everything()
        changed(model, shown(model), id)
        changed(model, None, id)
        assert everything() == before

    @pytest.mark.parametrize("id", WHOLE)
    def test_the_same_object_again_is_the_same_connection(self, id: str) -> None:
        first, second = stored(id, WHOLE[id]), stored(id, WHOLE[id], "other")
        assert first.provider == second.provider

    @pytest.mark.parametrize("id", [id for id in WHOLE if catalog.flat(catalog.canonical(id)).required])
    def test_what_must_be_there_is_named_when_it_is_missing(self, id: str) -> None:
        for name in catalog.flat(catalog.canonical(id)).required:
            for config in ({**WHOLE[id], name: ""}, {each: WHOLE[id][each] for each in WHOLE[id] if each != name}):
                with pytest.raises(ValidationError, match=f"config.{name} is required"):
                    stored(id, config)
        assert not Provider.objects.exists()

    @pytest.mark.parametrize("id", sorted(catalog.REFUSED))
    def test_what_is_no_model_is_refused_with_the_reason(self, id: str) -> None:
        assert catalog.REFUSED[id] in flat.problem(id)
        with pytest.raises(ValidationError, match=id):
            stored(id, {})

    def test_an_unknown_one_is_named(self) -> None:
        assert flat.problem("nowhere") == "nowhere: There is no such provider."
        assert flat.problem("openai-compatible") == ""

    def test_every_other_of_ours_can_be_stored_by_the_usual_names(self) -> None:
        for id in catalog.flat_ids()[len(WHOLE) :]:
            vendor = catalog.VENDORS[id]
            place = {} if vendor.is_builtin else {"baseURL": HOME}
            key = {"apiKey": "a-key"} if vendor.needs_key else {}
            needed: JSON = {field.name: {"x": 1} for field in vendor.settings if must_be_given(field)}
            config = {**place, **key, **needed, "model": "upstream"}
            model = stored(id, config, name=id)
            assert (model.kind in vendor.kinds, model.upstream_name) == (True, "upstream")
            assert flat.config_of(model, PROGRAM) == (id, without_secrets(config))


class TestWhereItGoes:
    def test_the_parts_of_bedrock_s(self) -> None:
        model = stored("bedrock-converse", WHOLE["bedrock-converse"], price_in=Decimal(3))
        assert (model.upstream_name, model.kind, model.price_in) == ("some.model-v1:0", Kind.LLM, 3)
        assert model.provider.retries == 5  # at most
        assert model.provider.config == {
            "baseModelId": "some.model",
            "regions": ["us-east-1", "us-west-2"],
            "maxTokens": 2048,
            "thinking": True,
            "thinkBudget": 2000,
            "promptCache": {"fields": ["system"], "messagePositions": [-1]},
        }
        assert secrets(model) == ["bearer-1", "AKIAONE:secret-one", "AKIATWO:secret-two:session-two"]

    def test_no_secret_is_stored_in_clear(self) -> None:
        model = stored("bedrock-converse", WHOLE["bedrock-converse"])
        text = repr((model.metadata, model.extra_args, model.provider.config, model.provider.metadata))
        assert not [each for each in ("bearer-1", "secret-one", "AKIAONE", "session-two") if each in text]

    def test_the_kind_follows_from_the_id(self) -> None:
        kinds = {id: stored(id, config, id).kind for id, config in WHOLE.items()}
        expected = {"titan-embeddings": Kind.EMBEDDING, "azure-openai-image": Kind.IMAGE}
        assert kinds == {id: expected.get(id, Kind.LLM) for id in WHOLE}

    def test_an_address_and_a_host(self) -> None:
        assert stored("ollama", WHOLE["ollama"]).provider.base_url == "http://gpu.example.com:11434"
        assert stored("openai-compatible", COMPATIBLE, "other").provider.address == HOME

    def test_without_a_name_upstream_s_is_the_model_s_and_follows_it(self) -> None:
        model = stored("openai-compatible", {"baseURL": HOME, "apiKey": "k"})
        assert (model.upstream_name, shown(model)) == ("m", {"baseURL": HOME, "apiKey": "***"})
        assert changed(model, name="n").upstream_name == "n"

    def test_a_name_that_is_said_stays_when_the_model_gets_another(self) -> None:
        assert changed(stored("openai-compatible", COMPATIBLE), name="n").upstream_name == "big-1"

    def test_the_original_s_own_default_name(self) -> None:
        model = stored("gemini-converse", {"apiKey": "k"}, "gemini-pro")
        assert (model.upstream_name, shown(model)) == ("gemini-pro", {"apiKey": "***"})
        assert changed(model, name="n").upstream_name == "gemini-pro"

    def test_former_ids_are_what_they_have_become(self) -> None:
        for former in ("bedrock-claude3", "bedrock-mistral", "bedrock-llama3"):
            model = stored(former, {"modelId": "m"}, former)
            assert flat.config_of(model, PROGRAM) == ("bedrock-converse", {"modelId": "m"})

    def test_what_nobody_reads_is_kept_as_it_was(self) -> None:
        extras = {"note": "ours", "nested": {"a": [1, None, "x"]}, "": 5, "regions": "none of this one's"}
        model = stored("openai-compatible", {**COMPATIBLE, **extras})
        assert shown(model) == {**COMPATIBLE, "apiKey": "***", **extras}
        assert model.provider.config == {}

    def test_blank_settings_say_nothing_and_come_back(self) -> None:
        config = {"modelId": "m", "regions": "", "maxTokens": None, "bearerToken": "", "credentials": []}
        model = stored("bedrock-converse", config)
        assert (model.provider.config, secrets(model), shown(model)) == ({}, [], config)


class TestChanges:
    def test_a_new_object_takes_the_old_one_s_place(self) -> None:
        model = stored("bedrock-converse", WHOLE["bedrock-converse"])
        model = changed(model, {"modelId": "other", "bearerToken": "***", "note": 1})
        assert shown(model) == {"modelId": "other", "bearerToken": "***", "note": 1}
        assert (model.provider.config, model.provider.retries) == ({}, 2)
        assert secrets(model) == ["bearer-1"]

    def test_a_sibling_s_connection_stays_as_it_is(self) -> None:
        first, second = stored("openai-compatible", COMPATIBLE), stored("openai-compatible", COMPATIBLE, "other")
        first = changed(first, {**shown(first), "maxRetries": 0})
        assert (first.provider.retries, again(second).provider.retries) == (0, 2)
        assert (secrets(first), secrets(again(second))) == (["sk-1"], ["sk-1"])
        assert first.provider != again(second).provider

    def test_masks_keep_their_pairs_whatever_stands_around_them(self) -> None:
        model = stored("bedrock-converse", WHOLE["bedrock-converse"])
        third = {"accessKeyId": "AKIATHREE", "secretAccessKey": "secret-three"}
        masked_one = shown(model)["credentials"][1]
        model = changed(model, {"modelId": "m", "credentials": [third, masked_one]})
        assert secrets(model) == ["AKIATWO:secret-two:session-two", "AKIATHREE:secret-three"]

    def test_a_new_key_takes_the_old_one_s_place(self) -> None:
        model = stored("openai-compatible", COMPATIBLE)
        assert secrets(changed(model, {**COMPATIBLE, "apiKey": "sk-2"})) == ["sk-2"]

    def test_a_new_address_needs_its_key_again(self) -> None:
        model = stored("openai-compatible", COMPATIBLE)
        before = everything()
        with pytest.raises(ValidationError, match="The address leads elsewhere"):
            changed(model, {**shown(model), "baseURL": ELSEWHERE})
        assert everything() == before
        moved = changed(model, {**COMPATIBLE, "baseURL": ELSEWHERE, "apiKey": "sk-2"})
        assert (moved.provider.address, secrets(moved)) == (ELSEWHERE, ["sk-2"])

    def test_secrets_in_headers_are_masked_kept_and_left_behind_by_a_move(self) -> None:
        config = {**COMPATIBLE, "headers": {"X-Token": "hidden"}}
        model = stored("openai-compatible", config)
        assert shown(model) == {**COMPATIBLE, "apiKey": "***", "headers": {"X-Token": "***"}}
        model = changed(model, {**shown(model), "model": "big-2"})
        assert (model.provider.config, model.upstream_name) == ({"headers": {"X-Token": "hidden"}}, "big-2")
        with pytest.raises(ValidationError, match="secrets in its settings"):
            changed(model, {**shown(model), "baseURL": ELSEWHERE, "apiKey": "sk-2"})

    def test_secrets_in_the_arguments_do_not_go_along(self) -> None:
        model = stored("openai-compatible", COMPATIBLE)
        AIModel.objects.update(extra_args={"api_key": "hidden"})
        with pytest.raises(ValidationError, match="secrets in its settings"):
            changed(again(model), {**COMPATIBLE, "baseURL": ELSEWHERE, "apiKey": "sk-2"})

    def test_another_kind_of_provider_takes_over_what_it_knows(self) -> None:
        model = stored("bedrock-converse", {"modelId": "a.thinker", "regions": "us-west-2", "credentials": [PAIR]})
        model = changed(model, provider_id="bedrock-deepseek")
        assert flat.config_of(model, PROGRAM) == (
            "bedrock-deepseek",
            {"modelId": "a.thinker", "regions": "us-west-2", "credentials": [MASKED]},
        )
        assert secrets(model) == ["AKIAONE:secret-one"]

    def test_the_version_moves(self) -> None:
        before = ConfigVersion.current()
        stored("ollama", WHOLE["ollama"])
        assert ConfigVersion.current() > before


class TestRefusals:
    @pytest.mark.parametrize(
        ("id", "config", "reason"),
        [
            ("openai-compatible", {**COMPATIBLE, "webToken": "x"}, "config.webToken: A secret has no place here"),
            ("openai-compatible", {**COMPATIBLE, "deep": {"password": "x"}}, "config.deep: A secret"),
            ("openai-compatible", {**COMPATIBLE, "credentials": [PAIR]}, "config.credentials: A secret"),
            ("openai-compatible", {**COMPATIBLE, "apiKey": "***"}, "Masked secret has no existing value"),
            ("openai-compatible", {**COMPATIBLE, "apiKey": 5}, "config.apiKey: Give a text"),
            ("openai-compatible", {**COMPATIBLE, "model": ["m"]}, "config.model: Give a text"),
            ("openai-compatible", {**COMPATIBLE, "baseURL": "ftp://h"}, "Give an http:// or https:// URL"),
            ("openai-compatible", {**COMPATIBLE, "headers": "x"}, '"headers" map names to texts'),
            ("openai-compatible", {**COMPATIBLE, "headers": {"X-Token": "***"}}, "Masked secret"),
            ("openai-compatible", {**COMPATIBLE, "maxRetries": True}, "config.maxRetries: Give a whole number"),
            ("openai-compatible", {**COMPATIBLE, "maxRetries": -1}, "config.maxRetries: Give a whole number"),
            ("openai-compatible", {**COMPATIBLE, "maxRetries": "3"}, "config.maxRetries: Give a whole number"),
            ("openai-compatible", {**COMPATIBLE, "model": "m" * 300}, "255 characters"),
            ("bedrock-converse", {"modelId": "m", "regions": {"a": 1}}, "must be a JSON list"),
            ("bedrock-converse", {"modelId": "m", "maxTokens": "many"}, "must be a whole number"),
            ("bedrock-converse", {"modelId": "m", "credentials": "AKIA"}, "config.credentials: Give a list"),
            ("bedrock-converse", {"modelId": "m", "credentials": [5]}, "config.credentials: Give a list"),
            ("bedrock-converse", {"modelId": "m", "credentials": [{}]}, "config.credentials: Give objects"),
            ("bedrock-converse", {"modelId": "m", "credentials": [MASKED]}, "Masked secret has no existing value"),
            ("bedrock-converse", {"modelId": "m", "credentials": [{**PAIR, "accessKeyId": 7}]}, "Give objects"),
            ("bedrock-converse", {"modelId": "m", "credentials": [{**PAIR, "accessKeyId": "a:b"}]}, "Give objects"),
            ("bedrock-converse", {"modelId": "m", "credentials": [{**PAIR, "accessKeyId": "***"}]}, "both parts"),
            ("smart-router", {"rules": "x", "localLlmModel": "m"}, "must be a JSON list"),
        ],
    )
    def test_what_does_not_fit_is_refused_and_stores_nothing(self, id: str, config: JSON, reason: str) -> None:
        with pytest.raises(ValidationError) as refused:
            stored(id, config)
        assert reason in " ".join(refused.value.messages)
        assert not Provider.objects.exists() and not AIModel.objects.exists()

    def test_a_name_is_there_once(self) -> None:
        model = stored("openai-compatible", COMPATIBLE)
        with pytest.raises(ValidationError, match="m already exists"):
            stored("ollama", WHOLE["ollama"])
        other = stored("ollama", WHOLE["ollama"], "other")
        with pytest.raises(ValidationError, match="m already exists"):
            changed(other, name="m")
        assert [again(each).name for each in (model, other)] == ["m", "other"]

    def test_a_name_that_stands_twice_already_may_stay(self) -> None:
        first = factories.model(factories.provider(), "route")
        factories.model(factories.provider(), "route")
        assert changed(first, is_multimodal=True).is_multimodal


def test_what_a_key_s_text_has_of_a_pair() -> None:
    assert pair_names("bearer") == ()
    assert pair_names("A:b") == ("accessKeyId", "secretAccessKey")
    assert pair_names("A:b:c") == ("accessKeyId", "secretAccessKey", "sessionToken")
    assert pair_names(None) == ("accessKeyId", "secretAccessKey")
