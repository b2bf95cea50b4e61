"""Taking over a LiteLLM proxy's config.yaml: what becomes of it, and what is said to have no place."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from accounts.models import Group
from chat.services import probes
from common.models import ConfigVersion
from gateway.declaration import litellm_table
from providers import catalog
from providers.models import AIModel, Provider, ProviderKey
from tests import factories
from tests.commands.declaring import CANARY
from tests.fakes.openai import FakeOpenAI

pytestmark = pytest.mark.usefixtures("database")

# The documentation's own example, with what deployments usually say beside.
CONFIG = """
model_list:
- model_name: gpt-4o
  litellm_params:
    model: openai/gpt-4o
    api_key: os.environ/OPENAI_API_KEY
    rpm: 480
    tpm: 100000
    weight: 3
    order: 1
    max_parallel_requests: 8
    input_cost_per_token: 0.0000025
    output_cost_per_token: 1.0e-05
    cache_read_input_token_cost: "1.25e-06"
    timeout: 300
    stream_timeout: 60
    temperature: 0.2
  model_info: {mode: chat, max_input_tokens: 128000, max_output_tokens: 16384, supports_vision: true,
               supports_function_calling: true, access_groups: [beta]}
- model_name: gpt-4o
  litellm_params: {model: openai/gpt-4o-2024-08-06, api_base: "https://eu.example/v1", weight: 1,
                   api_key: sk-literal-canary-key-0123, extra_headers: {X-Team: a}}
- model_name: claude
  litellm_params: {model: anthropic/claude-sonnet-4-5, api_key: os.environ/ANTHROPIC_API_KEY}
- model_name: embed
  litellm_params: {model: text-embedding-3-small, api_key: os.environ/OPENAI_API_KEY}
- model_name: llama
  litellm_params: {model: hosted_vllm/meta/llama-3.3, api_base: os.environ/VLLM_URL, drop_params: false}
- model_name: "openai/*"
  litellm_params: {model: "openai/*", api_key: os.environ/OPENAI_API_KEY}
- model_name: odd
  litellm_params: {model: petals/bloom}
router_settings:
  routing_strategy: latency-based-routing
  num_retries: 9
  fallbacks: [{gpt-4o: [claude, gone]}]
  context_window_fallbacks: [{gpt-4o: [claude]}]
  content_policy_fallbacks: [{claude: [gpt-4o]}]
  model_group_alias: {gpt-4: gpt-4o, secretive: {model: claude, hidden: true}, lost: nothing}
  redis_host: redis.internal
litellm_settings:
  drop_params: true
  request_timeout: 120
  default_fallbacks: [claude]
  success_callback: [langfuse]
general_settings:
  master_key: sk-canary-master-key-012345
environment_variables:
  ANTHROPIC_API_KEY: sk-canary-from-the-file
"""


AWS = {"aws_region_name": "eu-west-1", "aws_access_key_id": "AKIA", "aws_secret_access_key": "secret"}
EU = {"regions": ["eu-west-1"]}


class Run:
    def __init__(self, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.file, self.capsys = file, capsys

    def __call__(self, config: Any, *options: str) -> str:
        self.file.write_text(config if isinstance(config, str) else yaml.safe_dump(config))
        call_command("import_litellm", str(self.file), *options)
        printed = self.capsys.readouterr().out
        assert "canary" not in printed
        return printed

    def dry(self, params: dict[str, Any]) -> str:
        return self({"model_list": [{"model_name": "m", "litellm_params": params}]}, "--dry-run")

    def one(self, params: dict[str, Any], info: dict[str, Any] | None = None, **sections: Any) -> str:
        entry = {"model_name": "m", "litellm_params": params, "model_info": info or {}}
        return self({"model_list": [entry], **sections})


@pytest.fixture
def run(file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("VLLM_URL", "http://127.0.0.1:8000/v1")
    return Run(file, capsys)


class TestWhole:
    def test_deployments_become_models_on_providers(self, run: Run) -> None:
        run(CONFIG)
        placed = {(m.provider.name, m.name, m.upstream_name, m.kind) for m in AIModel.objects.exclude(name="gpt-4")}
        assert placed == {
            ("OpenAI (LiteLLM)", "gpt-4o", "gpt-4o", "llm"),
            ("OpenAI (LiteLLM)", "embed", "text-embedding-3-small", "embedding"),
            ("OpenAI-compatible server at eu.example (LiteLLM)", "gpt-4o", "gpt-4o-2024-08-06", "llm"),
            ("Anthropic (LiteLLM)", "claude", "claude-sonnet-4-5", "llm"),
            ("Anthropic (LiteLLM)", "secretive", "claude-sonnet-4-5", "llm"),
            ("OpenAI-compatible server at 127.0.0.1:8000 (LiteLLM)", "llama", "meta/llama-3.3", "llm"),
        }
        requesters = dict(Provider.objects.values_list("name", "requester"))
        assert requesters["OpenAI (LiteLLM)"] == "openai-chat-completions"
        assert requesters["Anthropic (LiteLLM)"] == "anthropic-messages"

    def test_each_with_its_figures(self, run: Run) -> None:
        run(CONFIG)
        model = AIModel.objects.get(name="gpt-4o", upstream_name="gpt-4o")
        assert (model.price_in, model.price_out, model.price_cached_read) == (Decimal("2.5"), 10, Decimal("1.25"))
        assert (model.max_rpm, model.max_tpm, model.max_parallel) == (480, 100_000, 8)
        assert (model.weight, model.priority, model.strategy) == (3, 1, "lowest_latency")
        assert (model.context_length, model.max_output, model.is_multimodal) == (128_000, 16_384, True)
        assert (model.abilities, model.extra_args) == (["vision", "func_call"], {"temperature": 0.2})
        provider = model.provider
        assert (provider.total_timeout, provider.first_byte_timeout, provider.retries) == (300, 60, 5)
        assert AIModel.objects.get(name="llama").unknown_params == "refuse"
        assert AIModel.objects.get(name="llama").provider.total_timeout == 120

    def test_its_fallbacks_and_aliases(self, run: Run) -> None:
        run(CONFIG)
        for model in AIModel.objects.filter(name__in=["gpt-4o", "gpt-4"]):
            assert (model.fallbacks, model.context_fallbacks) == (["claude"], ["claude"])
        assert AIModel.objects.filter(name="gpt-4").count() == 2
        claude = AIModel.objects.get(name="claude")
        assert (claude.fallbacks, claude.filter_fallbacks) == ([], ["gpt-4o"])
        assert AIModel.objects.get(name="llama").fallbacks == ["claude"]
        assert AIModel.objects.get(name="embed").fallbacks == []

    def test_its_secrets_wherever_they_stand(self, run: Run) -> None:
        run(CONFIG)
        stored = {key.provider.name: key.secret for key in ProviderKey.objects.select_related("provider")}
        assert stored == {
            "OpenAI (LiteLLM)": CANARY,
            "OpenAI-compatible server at eu.example (LiteLLM)": "sk-literal-canary-key-0123",
            "Anthropic (LiteLLM)": "sk-canary-from-the-file",
        }

    def test_prices_that_it_leaves_to_litellm_s_list_are_looked_up(self, run: Run) -> None:
        printed = run(CONFIG)
        claude = AIModel.objects.get(name="claude")
        assert (claude.price_in, claude.price_out) == (3, 15)
        assert AIModel.objects.get(name="llama").price_in is None
        assert AIModel.objects.get(name="embed").is_priced
        assert "! model_list[2] (claude): its prices are from a public list." in printed
        assert "! model_list[4] (llama): its price is not known: its calls cost nothing." in printed

    def test_access_groups_become_groups(self, run: Run) -> None:
        run(CONFIG)
        assert {model.name for model in Group.objects.get(name="beta").granted_models.all()} == {"gpt-4o"}

    @pytest.mark.parametrize(
        "line",
        [
            "model_list[5] (openai/*): left out, as wildcards stand for",
            "model_list[6] (odd): left out, as its provider petals is not known here.",
            "model_list[1] (gpt-4o): its key stands in the file itself",
            "model_list[1] (gpt-4o): its headers are kept as plain text",
            "router_settings.fallbacks.gpt-4o: gone is left out, as there is no such model.",
            "router_settings.model_group_alias.secretive: is not hidden here",
            "router_settings.model_group_alias.lost: left out, as there is no such model.",
            "router_settings.redis_host: replicas share their state",
            "litellm_settings.success_callback: calls are in the ledger",
            "general_settings.master_key: keys are made here with `manage.py create_key`.",
        ],
    )
    def test_what_has_no_place_is_said(self, run: Run, line: str) -> None:
        assert f"! {line}" in run(CONFIG, "--dry-run")

    def test_a_second_time_nothing_changes(self, run: Run) -> None:
        run(CONFIG)
        version = ConfigVersion.current()
        assert run(CONFIG).endswith("No changes.\n")
        assert ConfigVersion.current() == version

    def test_a_dry_run_writes_nothing(self, run: Run) -> None:
        assert run(CONFIG, "--dry-run").endswith("to remove. Nothing was written.\n")
        assert not Provider.objects.exists()

    def test_what_is_here_already_is_left_alone(self, run: Run) -> None:
        mine = factories.provider(name="OpenAI", requester="openai-chat-completions")
        run(CONFIG)
        mine.refresh_from_db()
        assert mine.keys.get().secret == "sk-some-provider-key"

    def test_as_json(self, run: Run) -> None:
        told = json.loads(run(CONFIG, "--json"))
        assert told["written"]
        assert any("master_key" in note for note in told["notes"])


class TestEntries:
    def test_a_taken_over_model_is_called(self, run: Run, upstream: FakeOpenAI) -> None:
        run.one({"model": "openai/echo", "api_base": upstream.base_url, "api_key": upstream.key})
        result = probes.test_model(model=AIModel.objects.select_related("provider").get())
        assert (result.is_ok, result.text[:4]) == (True, "tok0")
        assert upstream.violations == []

    def test_same_places_share_a_provider_and_same_names_do_not(self, run: Run) -> None:
        entry = {"litellm_params": {"model": "openai/gpt-4o", "api_key": "os.environ/OPENAI_API_KEY"}}
        run({"model_list": [{"model_name": name, **entry} for name in ("a", "b", "a")]})
        placed = sorted(AIModel.objects.values_list("provider__name", "name"))
        assert placed == [("OpenAI (LiteLLM)", "a"), ("OpenAI (LiteLLM)", "b"), ("OpenAI 2 (LiteLLM)", "a")]

    @pytest.mark.parametrize(
        ("model", "requester", "upstream_name"),
        [
            ("gpt-4o", "openai-chat-completions", "gpt-4o"),
            ("o3-mini", "openai-chat-completions", "o3-mini"),
            ("claude-3-5-haiku-latest", "anthropic-messages", "claude-3-5-haiku-latest"),
            ("groq/llama-3.3-70b", "groq-chat-completions", "llama-3.3-70b"),
            ("openrouter/anthropic/claude-3.5-sonnet", "openrouter-chat-completions", "anthropic/claude-3.5-sonnet"),
            ("together_ai/meta-llama/Llama-3", "together-chat-completions", "meta-llama/Llama-3"),
            ("fireworks_ai/accounts/x/models/y", "openai-compatible", "accounts/x/models/y"),
            ("cohere/command-r", "openai-compatible", "command-r"),
        ],
    )
    def test_providers_go_by_litellm_s_names(self, run: Run, model: str, requester: str, upstream_name: str) -> None:
        run.one({"model": model, "api_key": "sk-x"})
        row = AIModel.objects.get()
        assert (row.provider.requester, row.upstream_name) == (requester, upstream_name)

    @pytest.mark.parametrize(
        ("params", "mode", "requester", "config", "key"),
        [
            (
                {"model": "azure/mine", "api_base": "https://x.openai.azure.com", "api_version": "v", "api_key": "k"},
                "chat",
                "azure-openai",
                {"apiVersion": "v"},
                "k",
            ),
            ({"model": "bedrock/anthropic.claude-x", **AWS}, "chat", "bedrock-converse", EU, "AKIA:secret"),
            ({"model": "bedrock/amazon.titan-embed-x", **AWS}, "embedding", "titan-embeddings", EU, "AKIA:secret"),
            ({"model": "cohere/rerank-v3.5", "api_key": "k"}, "rerank", "cohere-rerank", {}, "k"),
            ({"model": "jina_ai/jina-reranker-v2", "api_key": "k"}, "rerank", "jina-rerank", {}, "k"),
        ],
    )
    def test_clouds_and_rerankers_keep_their_settings(
        self, run: Run, params: Any, mode: str, requester: str, config: Any, key: str
    ) -> None:
        run.one(params, {"mode": mode})
        provider = Provider.objects.get()
        assert (provider.requester, provider.config) == (requester, config)
        assert provider.keys.get().secret == key

    def test_every_requester_of_the_table_is_in_the_catalog(self) -> None:
        known = [*litellm_table.PROVIDERS.values(), *litellm_table.OF_A_KIND.values()]
        assert [each.requester for each in known if catalog.find(each.requester) is None] == []

    def test_the_provider_may_be_said_beside(self, run: Run) -> None:
        run.one({"model": "meta/llama", "custom_llm_provider": "groq", "api_key": "sk-x"})
        assert (Provider.objects.get().requester, AIModel.objects.get().upstream_name) == (
            "groq-chat-completions",
            "meta/llama",
        )

    def test_a_key_is_looked_for_where_litellm_looks(self, run: Run) -> None:
        run.one({"model": "gpt-4o"})
        assert ProviderKey.objects.get().secret == CANARY

    @pytest.mark.parametrize(
        ("mode", "kind"),
        [("image_generation", "image"), ("audio_speech", "speech"), ("audio_transcription", "transcription")],
    )
    def test_modes_are_kinds(self, run: Run, mode: str, kind: str) -> None:
        run.one({"model": "openai/x", "api_key": "sk-x"}, {"mode": mode})
        assert AIModel.objects.get().kind == kind

    def test_fractions_are_shares(self, run: Run) -> None:
        entries = [({"weight": 0.9}, "a"), ({"weight": 0.1}, "b"), ({}, "c")]
        run(
            {
                "model_list": [
                    {
                        "model_name": "m",
                        "litellm_params": {"model": f"openai/{name}", "api_key": f"sk-{name}", **weight},
                    }
                    for weight, name in entries
                ]
            }
        )
        assert dict(AIModel.objects.values_list("upstream_name", "weight")) == {"a": 90, "b": 10, "c": 0}

    @pytest.mark.parametrize(
        ("params", "line"),
        [
            ({"model": "mystery"}, "its provider is not named and is not known here"),
            ({}, "it has no litellm_params.model"),
            ({"model": "hosted_vllm/x"}, "it has no api_base"),
            ({"model": "hosted_vllm/x", "api_base": "os.environ/NOT_SET_ANYWHERE"}, "of its api_base is not set"),
        ],
    )
    def test_one_that_can_t_be_is_left_out(self, run: Run, params: dict[str, Any], line: str) -> None:
        printed = run.one(params)
        assert line in printed
        assert not Provider.objects.exists()

    def test_a_parameter_without_a_counterpart_is_named_only(self, run: Run) -> None:
        printed = run.one({"model": "gpt-4o", "api_key": "sk-x", "azure_ad_token": CANARY}, {"team_id": "t"})
        assert "litellm_params.azure_ad_token has no counterpart." in printed
        assert "model_info.team_id has no counterpart." in printed

    def test_a_secret_that_is_not_set_is_named_and_nothing_written(self, run: Run) -> None:
        with pytest.raises(CommandError, match="env:GROQ_API_KEY is not set"):
            run.one({"model": "groq/x"})
        assert not Provider.objects.exists()

    def test_a_dry_run_needs_no_secret(self, run: Run) -> None:
        printed = run.dry({"model": "groq/x"})
        assert "env:GROQ_API_KEY is not set" in printed
        assert "+ model m (llm) of" in printed
        assert not Provider.objects.exists()

    @pytest.mark.parametrize("config", ["[]", "{}", "{model_list: 5}", "model_list: ["])
    def test_another_file_is_refused(self, run: Run, config: str) -> None:
        with pytest.raises(CommandError):
            run(config)
