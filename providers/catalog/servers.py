"""Servers that an operator runs, in OpenAI's protocol: any, and those that are known by name."""

from providers.catalog.vendor import CHAT_AND_EMBEDDING, EVERYTHING, SELF_HOSTED, UNIFIED, USUAL, ConfigField, Vendor
from providers.requesters.extras import LiteLLMRequester

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "openai-compatible",
        "OpenAI-compatible server",
        "",
        label_zh="OpenAI 兼容服务",
        category=SELF_HOSTED,
        kinds=EVERYTHING,
        search="vllm sglang llama.cpp xinference localai tgi 兼容",
        needs_key=False,
    ),
    Vendor(
        "lmstudio-chat-completions",
        "LM Studio",
        "http://127.0.0.1:1234/v1",
        label_zh="LM Studio",
        category=SELF_HOSTED,
        kinds=CHAT_AND_EMBEDDING,
        search="lm-studio gguf 本地",
        needs_key=False,
    ),
    Vendor(
        "litellm-chat",
        "LiteLLM (Unified)",
        "",
        requester=LiteLLMRequester,
        label_zh="LiteLLM（统一请求器）",
        category=UNIFIED,
        kinds=USUAL,
        # Sent with each call: docs.litellm.ai/docs/completion/drop_params, .../completion/input.
        fields=(
            ConfigField(
                "custom_llm_provider", "Provider at LiteLLM", "自定义 Provider", help_text="Such as azure or bedrock."
            ),
            ConfigField(
                "drop_params",
                "Drop parameters",
                "丢弃不支持参数",
                "boolean",
                default=False,
                help_text="LiteLLM leaves out what a model's provider does not take, instead of refusing the call.",
            ),
            ConfigField("num_retries", "Retries at LiteLLM", "重试次数", "integer", default=0),
            ConfigField("api_version", "API version", "API 版本", help_text="Such as 2024-10-21, for Azure."),
        ),
        search="universal proxy gateway 通用 代理 兼容",
        needs_key=False,
        protocol="",
        note="The address of a LiteLLM proxy.",
    ),
)
