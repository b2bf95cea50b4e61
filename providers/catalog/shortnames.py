"""The vendors under the one word that other programs' users call them by, and what a key of each looks like.

A short name is no alias: it stands for a row, a label and an address together, where an alias stands for a row alone.
Addresses: each vendor's reference; dashscope's is the international one, its row's the Chinese one.
"""

import re
from dataclasses import dataclass

SHORTEST_KEY = 10
IN_HEADERS = re.compile(r"[ -~]+")  # an object in JSON is no header: some vendors' keys have parts
# platform.openai.com/docs/api-reference/authentication, platform.claude.com/docs/en/api/overview. Others don't promise.
KEY_STARTS = {"openai": "sk-", "anthropic": "sk-ant-"}


@dataclass(frozen=True, slots=True)
class Template:
    """What a short name stands for: the row's name, what people call it, and where it lives; empty: it depends."""

    requester: str
    label: str
    base_url: str


TEMPLATES: dict[str, Template] = {
    "openai": Template("openai-chat-completions", "OpenAI", "https://api.openai.com/v1"),
    "anthropic": Template("anthropic-messages", "Anthropic", "https://api.anthropic.com/v1"),
    "google": Template(
        "gemini-chat-completions", "Google (Gemini)", "https://generativelanguage.googleapis.com/v1beta/openai"
    ),
    "xai": Template("xai-chat-completions", "xAI (Grok)", "https://api.x.ai/v1"),
    "mistral": Template("mistral-chat-completions", "Mistral", "https://api.mistral.ai/v1"),
    "moonshot": Template("moonshot-chat-completions", "Kimi (Moonshot)", "https://api.moonshot.ai/v1"),
    "deepseek": Template("deepseek-chat-completions", "DeepSeek", "https://api.deepseek.com"),
    "dashscope": Template(
        "bailian-chat-completions", "Qwen (DashScope)", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    ),
    "openrouter": Template("openrouter-chat-completions", "OpenRouter", "https://openrouter.ai/api/v1"),
    # Its OpenAI layer lives under the project's and the region's own path.
    "vertex_ai": Template("openai-compatible", "Google (Vertex AI)", ""),
}


def template(name: str) -> Template | None:
    """What a short name stands for, however it is capitalised."""
    return TEMPLATES.get(name.strip().lower())


def key_problem(name: str, secret: str) -> str:
    """What is wrong with the form of a key for the provider of this short name; empty when nothing is. Says nothing
    of the key itself."""
    start = KEY_STARTS.get(name.strip().lower())
    if not secret.strip():
        return "The key is empty."
    if not (secret.strip().startswith("{") or IN_HEADERS.fullmatch(secret.strip())):
        return "A key has letters, digits and signs of ASCII alone, as it is sent in a header."
    if start:
        return "" if secret.strip().startswith(start) else f"A key of this provider starts with {start}"
    return "" if len(secret.strip()) >= SHORTEST_KEY else f"A key has at least {SHORTEST_KEY} characters."
