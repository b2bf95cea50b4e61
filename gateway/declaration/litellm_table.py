"""What the names in a LiteLLM proxy's config.yaml are here.

From docs.litellm.ai/docs/proxy/configs, .../proxy/config_settings, .../docs/routing and .../docs/providers, and the
types of BerriAI/litellm (litellm/types/router.py).
"""

from dataclasses import dataclass

from providers.models import Kind, Strategy

OPENAI, COMPATIBLE = "openai-chat-completions", "openai-compatible"


@dataclass(frozen=True, slots=True)
class Known:
    """A provider of LiteLLM's: our requester, an address where that one has none of its own, and the variable that
    LiteLLM reads a key from where the file names none."""

    requester: str
    variable: str = ""
    base_url: str = ""


def _compatible(variable: str, base_url: str) -> Known:
    return Known(COMPATIBLE, variable, base_url)


PROVIDERS: dict[str, Known] = {
    "openai": Known(OPENAI, "OPENAI_API_KEY"),
    "text-completion-openai": Known(OPENAI, "OPENAI_API_KEY"),
    "azure": Known("azure-openai", "AZURE_API_KEY"),
    "bedrock": Known("bedrock-converse"),
    "bedrock_converse": Known("bedrock-converse"),
    "anthropic": Known("anthropic-messages", "ANTHROPIC_API_KEY"),
    "gemini": Known("gemini-converse", "GEMINI_API_KEY"),
    "ollama": Known("ollama-chat", "", "http://localhost:11434"),
    "ollama_chat": Known("ollama-chat", "", "http://localhost:11434"),
    "mistral": Known("mistral-chat-completions", "MISTRAL_API_KEY"),
    "groq": Known("groq-chat-completions", "GROQ_API_KEY"),
    "deepseek": Known("deepseek-chat-completions", "DEEPSEEK_API_KEY"),
    "together_ai": Known("together-chat-completions", "TOGETHERAI_API_KEY"),
    "xai": Known("xai-chat-completions", "XAI_API_KEY"),
    "openrouter": Known("openrouter-chat-completions", "OPENROUTER_API_KEY"),
    "moonshot": Known("moonshot-chat-completions", "MOONSHOT_API_KEY"),
    "dashscope": Known("bailian-chat-completions", "DASHSCOPE_API_KEY"),
    "volcengine": Known("volcark-chat-completions", "VOLCENGINE_API_KEY"),
    "jina_ai": Known("jina-rerank", "JINA_AI_API_KEY"),
    "voyage": Known("voyageai-rerank", "VOYAGE_API_KEY"),
    "lm_studio": Known("lmstudio-chat-completions"),
    "litellm_proxy": Known("litellm-chat", "LITELLM_PROXY_API_KEY"),
    "hosted_vllm": Known(COMPATIBLE),
    "openai_like": Known(COMPATIBLE),
    "custom_openai": Known(COMPATIBLE),
    "llamafile": Known(COMPATIBLE),
    "xinference": Known(COMPATIBLE),
    "infinity": Known(COMPATIBLE),
    # Cohere's chat in OpenAI's form: docs.cohere.com/docs/compatibility-api. Its rerank is below.
    "cohere": _compatible("COHERE_API_KEY", "https://api.cohere.ai/compatibility/v1"),
    "cohere_chat": _compatible("COHERE_API_KEY", "https://api.cohere.ai/compatibility/v1"),
    "perplexity": _compatible("PERPLEXITYAI_API_KEY", "https://api.perplexity.ai"),
    "fireworks_ai": _compatible("FIREWORKS_AI_API_KEY", "https://api.fireworks.ai/inference/v1"),
    "cerebras": _compatible("CEREBRAS_API_KEY", "https://api.cerebras.ai/v1"),
    "deepinfra": _compatible("DEEPINFRA_API_KEY", "https://api.deepinfra.com/v1/openai"),
    "nvidia_nim": _compatible("NVIDIA_NIM_API_KEY", "https://integrate.api.nvidia.com/v1"),
    "sambanova": _compatible("SAMBANOVA_API_KEY", "https://api.sambanova.ai/v1"),
    "hyperbolic": _compatible("HYPERBOLIC_API_KEY", "https://api.hyperbolic.xyz/v1"),
}
# Where a provider's models of some kinds speak another protocol than its others.
OF_A_KIND: dict[tuple[str, str], Known] = {
    (Kind.RERANK, "cohere"): Known("cohere-rerank", "COHERE_API_KEY"),
    (Kind.EMBEDDING, "bedrock"): Known("titan-embeddings"),
}
# What LiteLLM takes a name without a provider for.
BARE: tuple[tuple[str, str], ...] = (
    (r"(gpt-|chatgpt-|o[134](-|$)|text-embedding-|dall-e|tts-|whisper-|omni-moderation|text-moderation)", "openai"),
    (r"claude-", "anthropic"),
    (r"gemini-", "gemini"),
    (r"command-", "cohere"),
)
# Parts of a Bedrock model's name that say how LiteLLM calls it.
BEDROCK_ROUTES = frozenset({"converse", "converse_like", "invoke"})

KINDS = {
    "chat": Kind.LLM,
    "completion": Kind.LLM,
    "responses": Kind.LLM,
    "embedding": Kind.EMBEDDING,
    "rerank": Kind.RERANK,
    "image_generation": Kind.IMAGE,
    "audio_speech": Kind.SPEECH,
    "audio_transcription": Kind.TRANSCRIPTION,
    "moderation": Kind.MODERATION,
}
STRATEGIES = {
    "simple-shuffle": Strategy.WEIGHTED,
    "least-busy": Strategy.LEAST_BUSY,
    "latency-based-routing": Strategy.LOWEST_LATENCY,
    "cost-based-routing": Strategy.LOWEST_COST,
    "usage-based-routing": Strategy.LEAST_BUSY,
    "usage-based-routing-v2": Strategy.LEAST_BUSY,
}
NEAREST = frozenset({"usage-based-routing", "usage-based-routing-v2"})

# Settings of our requesters, by their names, and the parameter that says them.
SETTINGS = {
    "api_version": "api_version",
    "apiVersion": "api_version",
    "region": "aws_region_name",
    "regions": "aws_region_name",
    "aws_region": "aws_region_name",
}

# Our columns of whole numbers, and theirs in litellm_params or model_info.
NUMBERS = {
    "max_rpm": ("rpm",),
    "max_tpm": ("tpm",),
    "max_parallel": ("max_parallel_requests",),
    "priority": ("order",),
}
LENGTHS = {"context_length": ("max_input_tokens", "max_tokens"), "max_output": ("max_output_tokens",)}
# USD per token there, per million tokens here.
PRICES = {
    "price_in": "input_cost_per_token",
    "price_out": "output_cost_per_token",
    "price_cached_read": "cache_read_input_token_cost",
    "price_cached_write": "cache_creation_input_token_cost",
}
ABILITIES = {
    "supports_vision": "vision",
    "supports_function_calling": "func_call",
    "supports_reasoning": "reasoning",
}
# Parameters of a call that a deployment fixes; everything else in litellm_params is about the deployment itself.
CALL_PARAMETERS = frozenset(
    {
        *("temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "frequency_penalty"),
        *("presence_penalty", "seed", "stop", "response_format", "reasoning_effort", "logit_bias", "user", "thinking"),
        *("tool_choice", "parallel_tool_calls", "dimensions", "encoding_format", "service_tier", "verbosity"),
    }
)
FALLBACKS = {
    "fallbacks": "fallbacks",
    "context_window_fallbacks": "context_fallbacks",
    "content_policy_fallbacks": "filter_fallbacks",
}
ROUTER_FIELDS = frozenset(
    {
        "routing_strategy",
        "model_group_alias",
        "num_retries",
        "timeout",
        "stream_timeout",
        "default_fallbacks",
        *FALLBACKS,
    }
)
MODULE_FIELDS = frozenset({"drop_params", "request_timeout", "num_retries", "default_fallbacks", *FALLBACKS})
# What an operator does instead, where there is more to say than that it has no counterpart.
INSTEAD = {
    "general_settings.master_key": "keys are made here with `manage.py create_key`",
    "general_settings.database_url": "the gateway's own database is DATABASE_URL; keys and spend stay where they are",
    "general_settings.max_parallel_requests": "give each key, user or group a limit of parallel calls",
    "router_settings.provider_budget_config": "give providers limits of cost: `manage.py set_limit --provider`",
    "litellm_settings.max_internal_user_budget": "give each e-mail a limit of cost: `manage.py set_limit --email each`",
    "litellm_settings.max_end_user_budget": "callers can be told apart by tags: `manage.py set_limit --tag each`",
    "litellm_settings.default_team_settings": "teams are groups here: `manage.py set_limit --group each`",
    "router_settings.redis_host": "replicas share their state over the database, with REDIS_URL beside it",
    "router_settings.cooldown_time": "how long a failing deployment rests follows from its failures",
    "router_settings.allowed_fails": "when a failing deployment rests follows from its failures",
    "litellm_settings.cache": "answers are not cached here",
    "litellm_settings.callbacks": "calls are in the ledger and its history; nothing is sent elsewhere",
    "litellm_settings.success_callback": "calls are in the ledger and its history; nothing is sent elsewhere",
    "litellm_settings.failure_callback": "calls are in the ledger and its history; nothing is sent elsewhere",
}
