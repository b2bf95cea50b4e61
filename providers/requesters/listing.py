"""What an entry of an upstream's list of models says, whoever wrote it, and what its name alone says.

Shapes from platform.openai.com (Models), openrouter.ai/docs (pricing, architecture, supported_parameters),
ai.google.dev (Models: token limits, generation methods), docs.anthropic.com (Models: capabilities), docs.mistral.ai
(capabilities), Ollama's api.md (capabilities, model_info), vLLM (max_model_len) and Bedrock's ListFoundationModels.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

JSON = Mapping[str, Any]

LLM, EMBEDDING, IMAGE = "llm", "embedding", "image"
VISION, TOOLS, REASONING = "vision", "func_call", "reasoning"
PER_MILLION = 1_000_000

# The first that fits an id, in this order; what fits none is a language model.
WORDS: tuple[tuple[str, str], ...] = (
    ("rerank", r"rerank|re-rank|re_rank"),
    (EMBEDDING, r"embedding|embed|bge-|e5-|m3e|gte-"),
    ("moderation", r"moderation"),
    ("transcription", r"whisper|transcribe"),
    ("speech", r"(^|[-_/.])tts([-_/.\d]|$)"),
    (IMAGE, r"dall-e|gpt-image|imagen|stable-diffusion|sdxl|(^|[-_/.])flux([-_/.\d]|$)"),
)
BY_MODALITY = {"embedding": EMBEDDING, "embeddings": EMBEDDING, "image": IMAGE}
# Where upstreams say how long a prompt and answer may be: OpenRouter and LM Studio, others, vLLM, Gemini, Anthropic.
LENGTHS = frozenset({"context_length", "context_window", "max_context_length", "max_model_len", "max_input_tokens"})
LENGTHS |= {"inputTokenLimit", "input_token_limit", "max_sequence_length"}
OUTPUTS = frozenset({"max_output_tokens", "max_completion_tokens", "outputTokenLimit", "output_token_limit"})
# What upstreams call an ability: OpenRouter's supported_parameters, Ollama's and Mistral's capabilities, Anthropic's.
ABILITIES = {
    "tools": TOOLS,
    "function_calling": TOOLS,
    "tool_use": TOOLS,
    "vision": VISION,
    "image_input": VISION,
    "reasoning": REASONING,
    "thinking": REASONING,
}
# Our price columns in an upstream's own list, there in USD per token: openrouter.ai/docs/guides/overview/models.
OWN_PRICES = {
    "price_in": "prompt",
    "price_out": "completion",
    "price_cached_read": "input_cache_read",
    "price_cached_write": "input_cache_write",
}
# For upstreams that list no more than names, and those whose name alone says it.
FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"\bgpt-(5|6)(?!.*chat)", (TOOLS, VISION, REASONING)),
    (r"\bgpt-(4o|4\.1|4-turbo|5|6)", (TOOLS, VISION)),
    (r"\bgpt-(4|3\.5-turbo)(?!.*instruct)", (TOOLS,)),
    (r"(^|/)o[134](-|$)(?!mini-search)", (TOOLS, VISION, REASONING)),
    (r"\bclaude-(opus|sonnet|haiku|fable|mythos)-[4-9]|\bclaude-3[-.]7", (TOOLS, VISION, REASONING)),
    (r"\bclaude-3", (TOOLS, VISION)),
    (r"\bgemini-(2\.5|[3-9])", (TOOLS, VISION, REASONING)),
    (r"\bgemini-", (TOOLS, VISION)),
    (r"reasoner|thinking|\bqwq|-r1\b", (REASONING,)),
    (r"vision|pixtral|llava|-vl\b|-vl-", (VISION,)),
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What upstream says of a model. None and empty: nothing."""

    kind: str
    abilities: tuple[str, ...]
    label: str | None
    description: str | None
    context_length: int | None
    max_output: int | None
    owned_by: str | None
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]


def read(name: str, raw: JSON) -> Facts:
    """The facts of an entry; what is of an unexpected kind is none."""
    inputs, outputs = _modalities(raw, "input"), _modalities(raw, "output")
    kind = _kind(name, outputs, raw)
    return Facts(
        kind=kind,
        abilities=_abilities(name, raw, inputs) if kind == LLM else (),
        label=_label(name, raw),
        description=_text(raw, "description"),
        context_length=_number(raw, LENGTHS),
        max_output=_number(raw, OUTPUTS),
        owned_by=_text(raw, "owned_by", "organization", "providerName", "publisher"),
        input_modalities=inputs,
        output_modalities=outputs,
    )


def kind_of(name: str) -> str:
    """What a model of that name is most likely for."""
    return next((kind for kind, words in WORDS if re.search(words, name.lower())), LLM)


def prices(name: str, raw: JSON) -> dict[str, Decimal]:
    """What upstream itself says that a model costs, in USD per million tokens; without an input price, nothing."""
    pricing = raw.get("pricing")
    if not isinstance(pricing, dict):
        return {}
    found = {column: price for column, theirs in OWN_PRICES.items() if (price := _per_token(pricing.get(theirs)))}
    if not found and name.endswith(":free") and pricing.get("prompt") == "0":
        return {"price_in": Decimal(0), "price_out": Decimal(0)}
    return found if "price_in" in found else {}


def _per_token(value: Any) -> Decimal | None:
    """None for 0, too, which is what lists say of a price that they do not know; and for numbers, which say it of
    another unit."""
    try:
        price = Decimal(value) * PER_MILLION if isinstance(value, str) else Decimal(0)
    except InvalidOperation:
        return None
    return price if price.is_finite() and price > 0 else None


def _kind(name: str, outputs: Iterable[str], raw: JSON) -> str:
    """What upstream says it gives out, if that is one thing; else the words of its name."""
    methods = raw.get("supportedGenerationMethods")  # Gemini's
    if isinstance(methods, list) and methods and not any("generate" in str(each).lower() for each in methods):
        outputs = ["embedding"] if any(str(each).startswith("embed") for each in methods) else []
    declared = {BY_MODALITY.get(each) for each in outputs}
    only = declared.pop() if len(declared) == 1 else None
    return only or kind_of(name)


def _abilities(name: str, raw: JSON, inputs: Iterable[str]) -> tuple[str, ...]:
    """What upstream says, else what models of this family can do."""
    said = [ABILITIES[word] for word in _words(raw) if word in ABILITIES]
    said += [VISION] if "image" in inputs else []
    return tuple(dict.fromkeys(said or _family(name)))


def _words(raw: JSON) -> Iterator[str]:
    for field in ("supported_parameters", "capabilities", "features"):
        said = raw.get(field)
        if isinstance(said, list):
            yield from (str(each).lower() for each in said)
        elif isinstance(said, dict):
            yield from (name for name, value in said.items() if _is_supported(value))
    if raw.get("thinking") is True:  # Gemini's
        yield "thinking"


def _is_supported(value: Any) -> bool:
    return value is True or (isinstance(value, dict) and value.get("supported") is True)


def _modalities(raw: JSON, side: str) -> tuple[str, ...]:
    """In the entry itself, in OpenRouter's `architecture`, or in Bedrock's spelling."""
    architecture = raw.get("architecture")
    for holder, field in (
        (raw, f"{side}_modalities"),
        (architecture, f"{side}_modalities"),
        (raw, f"{side}Modalities"),
    ):
        said = holder.get(field) if isinstance(holder, dict) else None
        if isinstance(said, list):
            return tuple(str(each).lower() for each in said)
    return ()


def _label(name: str, raw: JSON) -> str | None:
    """What people call it, if that is something else than its id (or Gemini's `models/` and the id)."""
    label = _text(raw, "display_name", "displayName", "name", "modelName")
    return None if label and label.endswith(name) else label


def _text(raw: JSON, *fields: str) -> str | None:
    return next((value for field in fields if isinstance(value := raw.get(field), str) and value), None)


def _number(raw: JSON, fields: frozenset[str]) -> int | None:
    """A whole number above 0, in the entry or one level below, as OpenRouter's top_provider and Ollama's model_info."""
    holders = [raw, *(value for value in raw.values() if isinstance(value, dict))]
    for holder in holders:
        for name, value in holder.items():
            if name.rpartition(".")[2] in fields and type(value) is int and 0 < value < 2**31:
                return value
    return None


def _family(name: str) -> list[str]:
    """What models of this name can do, where the name is a well-known one."""
    return next((list(abilities) for pattern, abilities in FAMILIES if re.search(pattern, name.lower())), [])
