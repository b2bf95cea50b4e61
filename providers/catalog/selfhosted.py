"""Servers that an operator runs and that have a protocol of their own."""

from providers.catalog.vendor import CHAT_AND_EMBEDDING, SELF_HOSTED, ConfigField, Vendor
from providers.requesters.ollama import OllamaRequester

ROWS: tuple[Vendor, ...] = (
    Vendor(
        "ollama-chat",
        "Ollama",
        "http://127.0.0.1:11434",
        requester=OllamaRequester,
        label_zh="Ollama",
        category=SELF_HOSTED,
        kinds=CHAT_AND_EMBEDDING,
        # docs/api.md and docs/context-length of ollama/ollama.
        fields=(
            ConfigField(
                "keep_alive",
                "Keep alive",
                "模型驻留时间",
                help_text="How long a model stays in memory after a call, such as 10m; -1 is for ever.",
            ),
            ConfigField(
                "num_ctx",
                "Context length",
                "上下文长度",
                "integer",
                help_text="Tokens. Ollama's own default is small, and it cuts off the beginning of longer prompts.",
            ),
        ),
        aliases=("ollama",),
        search="gguf llama qwen local 本地",
        needs_key=False,
        protocol="ollama_chat",
    ),
)
