"""What a call consumed, in buckets that can be priced one by one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

# Vendors' names for the same part of the prompt. Those after the first are OpenRouter's and DashScope's.
WRITES = ("cache_creation_tokens", "cache_write_tokens", "cache_creation_input_tokens")
MOST_TOKENS = 100_000_000  # far beyond any context; more is a vendor's slip
MOST_REQUESTS = 1_000_000  # in one call; at the highest price the cost still fits 64 bits
Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. Input is the sum of three disjoint buckets: `input_tokens` (neither read from nor written
    to a cache), `cached_read_tokens` and `cached_write_tokens`. `output_tokens` is all output. The others are parts,
    already counted: of the tokens written those that are kept for an hour, of input images and sound, and of output
    reasoning, images and sound. No token is in two parts."""

    input_tokens: int = 0
    cached_read_tokens: int = 0
    cached_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cached_write_1h_tokens: int = 0
    image_input_tokens: int = 0
    audio_input_tokens: int = 0
    image_output_tokens: int = 0
    audio_output_tokens: int = 0

    @property
    def has_parts(self) -> bool:
        """Whether there is more to tell than the first five."""
        inputs = self.cached_write_1h_tokens or self.image_input_tokens or self.audio_input_tokens
        return bool(inputs or self.image_output_tokens or self.audio_output_tokens)

    @classmethod
    def from_openai(cls, usage: object) -> Self | None:
        """From the `usage` object of an answer; None when it holds no usable number. Chat, completions, embeddings and
        rerankers say prompt_tokens and completion_tokens, images, transcriptions and responses input_tokens and
        output_tokens.

        Vendors differ, so nothing is trusted: what is missing, negative or not a number counts as absent, and a part
        never exceeds its whole.
        """
        if not isinstance(usage, dict):
            return None
        prompt = _prompt(usage)
        completion = _first(usage, "completion_tokens", "output_tokens")
        total = _count(usage, "total_tokens")
        if prompt is None and completion is None and total is None:
            return None
        output = completion or 0
        if prompt is None:
            prompt = max((total or 0) - output, 0)
        return cls._build(usage, prompt, output, total)

    @classmethod
    def _build(cls, usage: Details, prompt: int, output: int, total: int | None) -> Self:
        of_prompt = _part(usage, "prompt_tokens_details") or _part(usage, "input_tokens_details")
        of_output = _part(usage, "completion_tokens_details") or _part(usage, "output_tokens_details")
        reasoning = _count(of_output, "reasoning_tokens") or 0
        if total is not None and total == prompt + output + reasoning:
            # xAI charges for reasoning but leaves it out of completion_tokens; only its total shows it.
            output += reasoning
        prompt, output = min(prompt, MOST_TOKENS), min(output, MOST_TOKENS)
        read, write = _limited(prompt, _read(usage, of_prompt), _written(usage, of_prompt))
        # A vendor that tells images or sound says not how much of them its cache had: the cache goes first.
        plain = prompt - read - write
        image, audio = _limited(plain, _count(of_prompt, "image_tokens"), _count(of_prompt, "audio_tokens"))
        reasoning, image_output, audio_output = _limited(
            output, reasoning, _count(of_output, "image_tokens"), _count(of_output, "audio_tokens")
        )
        (long,) = _limited(write, _written_for_an_hour(usage, of_prompt))
        inputs = (plain, read, write)
        parts = (long, image, audio, image_output, audio_output)
        return cls(*inputs, output, reasoning, *parts)


def _prompt(usage: Details) -> int | None:
    """Anthropic counts what its cache read and wrote beside input_tokens; whoever says prompt_tokens, within."""
    prompt = _count(usage, "prompt_tokens")
    plain = _count(usage, "input_tokens")
    if prompt is not None or plain is None:
        return prompt
    return plain + sum(_count(usage, f"cache_{done}_input_tokens") or 0 for done in ("read", "creation"))


def _read(usage: Details, of_prompt: Details) -> int | None:
    """DeepSeek, Moonshot and Anthropic report their cache beside the prompt's tokens, not below them."""
    beside = ("prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens")
    return _count(of_prompt, "cached_tokens") or _first(usage, *beside)


def _written(usage: Details, of_prompt: Details) -> int | None:
    return _first(of_prompt, *WRITES) or _count(usage, "cache_creation_input_tokens")


def _written_for_an_hour(usage: Details, of_prompt: Details) -> int | None:
    name = "ephemeral_1h_input_tokens"
    return _count(_part(of_prompt, "cache_creation"), name) or _count(_part(usage, "cache_creation"), name)


def _limited(whole: int, *parts: int | None) -> list[int]:
    """The parts, one after the other, as far as the whole reaches."""
    found: list[int] = []
    for part in parts:
        found.append(min(part or 0, whole - sum(found)))
    return found


def requests_of(usage: object) -> int:
    """As how many requests a vendor counts a call that it charges by the request: a reranker's searches, else one."""
    searches = _count(usage, "search_units") if isinstance(usage, dict) else None
    return min(max(searches or 1, 1), MOST_REQUESTS)


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
