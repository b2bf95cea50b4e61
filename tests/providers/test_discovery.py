"""What upstreams say of their models, in their several forms, and taking them over as rows."""

import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from common.models import ConfigVersion
from providers.models import AIModel, Kind, Provider
from providers.requesters import listing
from providers.services import discovery
from providers.services.discovery import ScanFailed, Scanned
from tests import factories
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.gemini import FakeGemini
from tests.fakes.lister import FakeLister
from tests.fakes.openai import FakeOpenAI

pytestmark = pytest.mark.django_db

OPENROUTER = {
    "id": "acme/seer-large",
    "name": "Acme: Seer Large",
    "description": "Sees far.",
    "context_length": 131072,
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "pricing": {"prompt": "0.0000025", "completion": "0.00001", "input_cache_read": "0.00000125", "image": "0.003"},
    "top_provider": {"context_length": 131072, "max_completion_tokens": 16384, "is_moderated": True},
    "supported_parameters": ["max_tokens", "tools", "tool_choice", "reasoning"],
}


@pytest.fixture(autouse=True)
def _version(db: None) -> None:
    ConfigVersion.objects.get_or_create(pk=1)


@pytest.fixture
def lister() -> Iterator[FakeLister]:
    with FakeLister() as fake:
        yield fake
        assert fake.violations == []


def scanned(fake: FakeLister, *entries: Any, **fields: Any) -> dict[str, Scanned]:
    fake.entries = [{"id": each} if isinstance(each, str) else each for each in entries]
    return {each.id: each for each in discovery.scan(provider=factories.provider(fake, **fields))}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt-4o", "llm"),
        ("some-server/llama-3.3-70b", "llm"),
        ("text-embedding-3-small", "embedding"),
        ("BAAI/bge-m3", "embedding"),
        ("intfloat/multilingual-e5-large", "embedding"),
        ("moka-ai/m3e-base", "embedding"),
        ("gte-Qwen2", "embedding"),
        ("BAAI/bge-reranker-v2-m3", "rerank"),
        ("jina-re-rank-v1", "rerank"),
        ("qwen_re_rank", "rerank"),
        ("omni-moderation-latest", "moderation"),
        ("whisper-1", "transcription"),
        ("gpt-4o-mini-transcribe", "transcription"),
        ("tts-1-hd", "speech"),
        ("gpt-4o-mini-tts", "speech"),
        ("dall-e-3", "image"),
        ("black-forest-labs/flux.1-dev", "image"),
        ("battleship", "llm"),
        ("influx-coder", "llm"),
    ],
)
def test_a_kind_is_read_from_the_words_of_an_id(name: str, kind: str) -> None:
    assert listing.kind_of(name) == kind


class TestEntries:
    """Each upstream's own form of a list."""

    def test_names_alone(self, lister: FakeLister) -> None:
        found = scanned(lister, {"id": "mystery-1", "object": "model", "created": 1, "owned_by": "acme"})["mystery-1"]
        assert (found.kind, found.owned_by, found.prices, found.abilities) == ("llm", "acme", {}, ())
        assert (found.context_length, found.display_name, found.description) == (None, None, None)

    def test_with_prices_and_abilities(self, lister: FakeLister) -> None:
        found = scanned(lister, OPENROUTER)["acme/seer-large"]
        assert (found.display_name, found.context_length, found.max_output) == ("Acme: Seer Large", 131072, 16384)
        assert found.abilities == ("func_call", "reasoning", "vision")
        assert found.input_modalities == ("text", "image")
        assert found.prices == {
            "price_in": Decimal("2.5"),
            "price_out": Decimal(10),
            "price_cached_read": Decimal("1.25"),
        }

    @pytest.mark.parametrize("price", ["0", "-1", "free", "NaN", "1e9", None, 0.000001])
    def test_a_price_that_says_nothing_is_none(self, lister: FakeLister, price: Any) -> None:
        entry = {"id": "auto", "pricing": {"prompt": price, "completion": price}}
        assert scanned(lister, entry)["auto"].prices == {}

    def test_a_model_that_is_said_to_be_free_costs_nothing(self, lister: FakeLister) -> None:
        entry = {"id": "acme/seer:free", "pricing": {"prompt": "0", "completion": "0"}}
        assert scanned(lister, entry)["acme/seer:free"].prices == {"price_in": 0, "price_out": 0}

    def test_capabilities_as_flags(self, lister: FakeLister) -> None:
        flags = {"completion_chat": True, "function_calling": True, "vision": False}
        entry = {"id": "large", "capabilities": flags, "max_context_length": 32768}
        found = scanned(lister, entry)["large"]
        assert (found.abilities, found.context_length) == (("func_call",), 32768)

    def test_capabilities_as_objects(self, lister: FakeLister) -> None:
        said = {"image_input": {"supported": True}, "thinking": {"supported": True, "types": {}}}
        entry = {"id": "large", "capabilities": said, "max_input_tokens": 200000, "max_output_tokens": 64000}
        found = scanned(lister, entry)["large"]
        assert (found.abilities, found.context_length, found.max_output) == (("vision", "reasoning"), 200000, 64000)

    def test_limits_and_methods(self, lister: FakeLister) -> None:
        entries = [
            {"id": "chatty", "inputTokenLimit": 1048576, "outputTokenLimit": 65536, "thinking": True},
            {"id": "numbers-001", "inputTokenLimit": 2048, "supportedGenerationMethods": ["embedContent"]},
        ]
        found = scanned(lister, *entries)
        assert (found["chatty"].context_length, found["chatty"].max_output) == (1048576, 65536)
        assert (found["chatty"].abilities, found["numbers-001"].kind) == (("reasoning",), "embedding")

    def test_lengths_under_the_model_s_family(self, lister: FakeLister) -> None:
        entry = {"id": "llama3", "capabilities": ["completion", "tools"], "model_info": {"llama.context_length": 8192}}
        found = scanned(lister, entry)["llama3"]
        assert (found.context_length, found.abilities) == (8192, ("func_call",))

    def test_modalities_in_capitals(self, lister: FakeLister) -> None:
        entries = [
            {"id": "titan", "outputModalities": ["EMBEDDING"], "providerName": "Amazon"},
            {"id": "nova", "inputModalities": ["TEXT", "IMAGE"], "outputModalities": ["TEXT"]},
            {"id": "canvas", "outputModalities": ["IMAGE"]},
        ]
        found = scanned(lister, *entries)
        assert [found[name].kind for name in ("titan", "nova", "canvas")] == ["embedding", "llm", "image"]
        assert (found["titan"].owned_by, found["nova"].abilities) == ("Amazon", ("vision",))

    def test_a_list_of_another_protocol(self) -> None:
        with FakeAnthropic() as fake:
            found = discovery.scan(provider=factories.provider(fake, requester="anthropic-messages"))
        claude = next(each for each in found if each.id == "claude-sonnet-4-5")
        assert (claude.price_in, claude.price_out) == (Decimal(3), Decimal(15))
        assert "200,000" in claude.price_note
        assert claude.context_length == 200_000

    def test_a_list_with_resource_names(self) -> None:
        with FakeGemini() as fake:
            base_url = f"{fake.origin}/v1beta"
            provider = factories.provider(fake, requester="gemini-converse", base_url=base_url)
            gemini = {each.id: each for each in discovery.scan(provider=provider)}
        assert gemini["gemini-2.5-flash"].kind == "llm"
        assert gemini["gemini-2.5-flash"].price_in is not None

    def test_nonsense_is_not_taken_for_facts(self, lister: FakeLister) -> None:
        entry = {"id": "odd", "context_length": "many", "capabilities": 7, "architecture": [], "pricing": "cheap"}
        found = scanned(lister, {**entry, "max_output_tokens": True, "input_modalities": "text"})["odd"]
        assert (found.context_length, found.max_output, found.abilities, found.prices) == (None, None, (), {})


class TestList:
    def test_language_models_come_first_then_names(self, lister: FakeLister) -> None:
        found = scanned(lister, "b-embed", "Zeta", "alpha", "a-rerank", "alpha")
        assert list(found) == ["alpha", "Zeta", "a-rerank", "b-embed"]

    def test_one_kind_only(self, lister: FakeLister) -> None:
        lister.entries = [{"id": "chat"}, {"id": "embed-1"}]
        found = discovery.scan(provider=factories.provider(lister), kind=Kind.EMBEDDING)
        assert [each.id for each in found] == ["embed-1"]

    def test_those_that_have_rows_are_marked(self, lister: FakeLister) -> None:
        lister.entries = [{"id": name} for name in ("one", "two", "three")]
        provider = factories.provider(lister)
        factories.model(provider, "one")
        factories.model(provider, "renamed", upstream_name="two")
        factories.model(provider, "three", kind="embedding")
        found = {each.id: each.already_added for each in discovery.scan(provider=provider)}
        assert found == {"one": True, "two": True, "three": False}

    def test_a_base_url_without_v1_finds_the_list_all_the_same(self, lister: FakeLister) -> None:
        lister.entries = [{"id": "m"}]
        provider = factories.provider(lister, base_url=lister.origin)
        assert [each.id for each in discovery.scan(provider=provider)] == ["m"]
        assert [seen.path for seen in lister.seen] == ["/models", "/v1/models"]

    def test_one_with_v1_is_asked_once(self, lister: FakeLister) -> None:
        lister.path = "/elsewhere"
        with pytest.raises(ScanFailed, match="404"):
            discovery.scan(provider=factories.provider(lister))
        assert len(lister.seen) == 1

    def test_a_refused_key_leaves_it_to_the_next(self) -> None:
        with FakeOpenAI() as fake:
            provider = factories.provider(fake, secret="sk-a-wrong-secret")
            provider.keys.create(name="second", secret=fake.key)
            assert discovery.scan(provider=provider)

    def test_prices_are_the_vendor_s_own_place_s_only(self, lister: FakeLister) -> None:
        """A server that serves a model of a well-known name takes prices of its own."""
        found = scanned(lister, "gpt-4o", requester="openai-chat-completions")["gpt-4o"]
        assert (found.prices, found.context_length) == ({}, None)
        assert found.abilities == ("func_call", "vision")


class TestFailures:
    @pytest.mark.parametrize(("status", "reason"), [(401, "401"), (429, "429"), (500, "500")])
    def test_the_status_is_said_and_no_secret(self, lister: FakeLister, status: int, reason: str) -> None:
        lister.status = status
        with pytest.raises(ScanFailed) as caught:
            discovery.scan(provider=factories.provider(lister))
        assert caught.value.reason == f"Model scan failed: {reason}"
        assert lister.key not in str(caught.value)

    def test_patience_ends(self, lister: FakeLister) -> None:
        lister.hangs = True
        with pytest.raises(ScanFailed) as caught:
            discovery.scan(provider=factories.provider(lister, first_byte_timeout=0.2))
        assert caught.value.reason == "Model scan timeout"

    def test_nobody_there(self) -> None:
        with pytest.raises(ScanFailed, match="refuses connections"):
            discovery.scan(provider=factories.provider())

    def test_no_address(self, db: None) -> None:
        with pytest.raises(ScanFailed, match="Base URL required"):
            discovery.scan(provider=factories.provider(base_url=""))

    def test_no_list(self, db: None) -> None:
        provider = factories.provider(requester="smart-router", base_url="", config={"rules": [{}]})
        with pytest.raises(ScanFailed, match="does not support model scanning"):
            discovery.scan(provider=provider)

    def test_no_key(self, lister: FakeLister) -> None:
        provider = factories.provider(lister, secret="", requester="openai-chat-completions")
        with pytest.raises(ScanFailed, match="no enabled key"):
            discovery.scan(provider=provider)
        assert not lister.seen


class TestImport:
    def provider(self) -> Provider:
        return factories.provider()

    def test_rows_carry_all_that_is_known(self, lister: FakeLister) -> None:
        lister.entries = [OPENROUTER, {"id": "text-embed-1", "pricing": {"prompt": "0.00000002", "completion": "0"}}]
        provider = factories.provider(lister)
        rows = discovery.import_models(provider=provider, chosen=discovery.scan(provider=provider), prefix="acme-")
        assert len(rows) == 2
        seer = AIModel.objects.get(kind="llm")
        assert (seer.name, seer.upstream_name) == ("acme-acme/seer-large", "acme/seer-large")
        assert (seer.price_in, seer.price_out, seer.price_cached_read) == (Decimal("2.5"), 10, Decimal("1.25"))
        assert (seer.context_length, seer.max_output, seer.is_multimodal) == (131072, 16384, True)
        embedding = AIModel.objects.get(kind="embedding")
        assert (embedding.price_in, embedding.price_out, embedding.is_priced) == (Decimal("0.02"), 0, True)

    def test_an_unknown_price_stays_empty(self) -> None:
        provider = self.provider()
        row = discovery.import_models(provider=provider, chosen=[Scanned("m", "llm")])[0]
        assert (row.price_in, row.price_out, row.is_priced) == (None, None, False)

    def test_those_that_are_there_are_left_alone(self) -> None:
        provider = self.provider()
        factories.model(provider, "one", description="mine")
        chosen = [Scanned("one", "llm"), Scanned("two", "llm"), Scanned("two", "llm"), Scanned("one", "embedding")]
        rows = discovery.import_models(provider=provider, chosen=chosen)
        assert [(row.name, row.kind) for row in rows] == [("two", "llm"), ("one", "embedding")]
        assert AIModel.objects.get(name="one", kind="llm").description == "mine"

    def test_a_second_import_changes_nothing(self) -> None:
        provider, chosen = self.provider(), [Scanned("one", "llm")]
        discovery.import_models(provider=provider, chosen=chosen, prefix="x/")
        version = ConfigVersion.current()
        assert discovery.import_models(provider=provider, chosen=chosen, prefix="x/") == []
        assert ConfigVersion.current() == version

    def test_one_that_can_t_be_stops_all(self) -> None:
        provider = self.provider()
        chosen = [Scanned("good", "llm"), Scanned("x" * 300, "llm")]
        with pytest.raises(ValidationError, match="255"):
            discovery.import_models(provider=provider, chosen=chosen)
        assert not AIModel.objects.exists()

    def test_five_hundred_are_one_write(self, django_assert_max_num_queries: Any) -> None:
        provider = self.provider()
        version = ConfigVersion.current()
        with django_assert_max_num_queries(40):
            rows = discovery.import_models(
                provider=provider, chosen=[Scanned(f"m{number}", "llm") for number in range(500)]
            )
        assert (len(rows), ConfigVersion.current()) == (500, version + 1)


def test_the_price_list_is_not_loaded_before_it_is_asked() -> None:
    code = (
        "import django, sys; django.setup(); import gateway.urls, providers.services.discovery;"
        "print('genai_prices' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin:/bin"}
    done = run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
