"""Vendors under one word: what a short name stands for, what its keys look like, and what a vendor can serve."""

import pytest

from providers import catalog
from providers.models import Provider, check_base_url

EXPECTED = {
    "openai": ("openai-chat-completions", "OpenAI", "https://api.openai.com/v1"),
    "anthropic": ("anthropic-messages", "Anthropic", "https://api.anthropic.com/v1"),
    "google": ("gemini-chat-completions", "Google (Gemini)", "https://generativelanguage.googleapis.com/v1beta/openai"),
    "xai": ("xai-chat-completions", "xAI (Grok)", "https://api.x.ai/v1"),
    "mistral": ("mistral-chat-completions", "Mistral", "https://api.mistral.ai/v1"),
    "moonshot": ("moonshot-chat-completions", "Kimi (Moonshot)", "https://api.moonshot.ai/v1"),
    "deepseek": ("deepseek-chat-completions", "DeepSeek", "https://api.deepseek.com"),
    "dashscope": (
        "bailian-chat-completions",
        "Qwen (DashScope)",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    ),
    "openrouter": ("openrouter-chat-completions", "OpenRouter", "https://openrouter.ai/api/v1"),
    "vertex_ai": ("openai-compatible", "Google (Vertex AI)", ""),
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_short_name_stands_for_a_row_a_label_and_an_address(name: str) -> None:
    found = catalog.template(name)
    assert found is not None
    assert (found.requester, found.label, found.base_url) == EXPECTED[name]


def test_there_are_no_others() -> None:
    assert catalog.TEMPLATES.keys() == EXPECTED.keys()
    assert catalog.template("acme") is None


def test_capitals_don_t_matter() -> None:
    assert catalog.template(" OpenAI ") == catalog.template("openai")


@pytest.mark.parametrize("name", sorted(set(EXPECTED) - {"vertex_ai"}))
def test_a_provider_can_be_made_of_each(name: str) -> None:
    found = catalog.template(name)
    assert found is not None
    assert found.requester in catalog.VENDORS
    check_base_url(found.base_url)
    Provider(name=name, requester=found.requester, base_url=found.base_url).clean()


@pytest.mark.parametrize(
    ("name", "secret", "is_fine"),
    [
        ("openai", "sk-proj-1", True),
        ("OpenAI", "sk-proj-1", True),
        ("openai", "pk-proj-123456", False),
        ("anthropic", "sk-ant-1", True),
        ("anthropic", "sk-proj-123456", False),
        ("acme", "0123456789", True),
        ("acme", "012345678", False),
        ("acme", "012345678  ", False),
        ("google", "short", False),
        ("openai", "   ", False),
        ("acme", "", False),
    ],
)
def test_a_key_s_form_is_checked(name: str, secret: str, is_fine: bool) -> None:
    problem = catalog.key_problem(name, secret)
    assert (problem == "") is is_fine
    assert not secret.strip() or secret.strip() not in problem


@pytest.mark.parametrize(
    ("requester", "kind", "is_served"),
    [
        ("anthropic-messages", "llm", True),
        ("anthropic-messages", "embedding", False),
        ("anthropic-messages", "image", False),
        ("anthropic", "rerank", False),
        ("deepseek-chat-completions", "embedding", False),
        ("openai-chat-completions", "rerank", False),
        ("openai-chat-completions", "embedding", True),
        ("openrouter-chat-completions", "image", True),
        ("cohere-rerank", "llm", False),
        ("cohere-rerank", "speech", False),
        ("smart-router", "image", False),
        ("chroma-embedding", "moderation", False),
        ("titan-embeddings", "image", False),
        ("openai-compatible", "transcription", True),
        ("gone-from-the-catalog", "rerank", True),
    ],
)
def test_what_a_vendor_can_t_serve_is_told(requester: str, kind: str, is_served: bool) -> None:
    expected = "" if is_served else f"Provider {requester} does not support {kind} models."
    assert catalog.kind_refusal(requester, kind) == expected


def test_each_vendor_serves_what_its_row_says() -> None:
    assert all(vendor.serves(kind) for vendor in catalog.VENDORS.values() for kind in vendor.kinds)
