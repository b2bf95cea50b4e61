"""What a call consumed, in buckets that can be priced one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. Input is the sum of three disjoint buckets: `input_tokens` (neither read from nor written to a cache),
    `cached_read_tokens` and `cached_write_tokens`. `output_tokens` is all output; `reasoning_tokens` is the one
    exception to disjointness: a part of output, already counted in it."""

    input_tokens: int = 0
    cached_read_tokens: int = 0
    cached_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    @classmethod
    def from_openai(cls, usage: object) -> Self | None:
        """From the `usage` object of an answer; None when it holds no usable number. Chat, completions, embeddings and
        rerankers say prompt_tokens and completion_tokens, images and transcriptions input_tokens and output_tokens.

        Vendors differ, so nothing is trusted: what is missing, negative or not a number counts as absent, and a part
        never exceeds its whole.
        """
        if not isinstance(usage, dict):
            return None
        prompt = _first(usage, "prompt_tokens", "input_tokens")
        completion = _first(usage, "completion_tokens", "output_tokens")
        total = _count(usage, "total_tokens")
        if prompt is None and completion is None and total is None:
            return None
        output = completion or 0
        if prompt is None:
            prompt = max((total or 0) - output, 0)
        return cls._build(usage, prompt, output, total)

    @classmethod
    def _build(cls, usage: Mapping[str, Any], prompt: int, output: int, total: int | None) -> Self:
        of_prompt = _part(usage, "prompt_tokens_details") or _part(usage, "input_tokens_details")
        # DeepSeek reports its cache beside the prompt's tokens, not below them.
        read = _count(of_prompt, "cached_tokens") or _count(usage, "prompt_cache_hit_tokens") or 0
        read = min(read, prompt)
        write = min(_count(of_prompt, "cache_creation_tokens") or 0, prompt - read)
        reasoning = _count(_part(usage, "completion_tokens_details"), "reasoning_tokens") or 0
        if total is not None and total == prompt + output + reasoning:
            # xAI charges for reasoning but leaves it out of completion_tokens; only its total shows it.
            output += reasoning
        return cls(prompt - read - write, read, write, output, min(reasoning, output))


def usage_of(answer: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where an answer says what it used: `usage`, or `meta.tokens` as servers with Cohere's form of reranking have it
    (SiliconFlow's and Xinference's references)."""
    for said in (answer.get("usage"), _part(answer, "meta").get("tokens")):
        if isinstance(said, dict):
            return said
    return None


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and value >= 0 else None


def _first(usage: Mapping[str, Any], *names: str) -> int | None:
    return next((count for name in names if (count := _count(usage, name)) is not None), None)


def _part(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}
