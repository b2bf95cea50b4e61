"""How much a call may use at most: what its hold has to cover."""

from collections.abc import Callable, Iterable
from typing import Any

from django.conf import settings

from providers.requesters.forms import FilePart
from providers.services.routing import Target

JSON = dict[str, Any]

OUTPUT_FIELDS = ("max_completion_tokens", "max_tokens")
MOST_TOKENS = 2**31 - 1
# What a vendor counts for one image, file or sound: below this for all but the largest.
TOKENS_PER_ATTACHMENT = 5_000
BYTES_PER_TOKEN = 4  # of ordinary text
# Other servers' names for the answer's limit. They would undo the one that keeps an answer within its hold.
OUTPUT_ALIASES = frozenset({"n_predict", "num_predict", "max_new_tokens", "max_gen_len", "max_output_tokens"})
# Sound: vendors count about ten tokens a second. The sparsest speech has 750 bytes a second (Opus at 6 kbit/s), usual
# speech ten times that.
LEAST_BYTES_PER_SOUND_TOKEN = 75
BYTES_PER_SOUND_TOKEN = 800
MOST_TOKENS_PER_IMAGE = 6_240  # platform.openai.com/docs/guides/images: the largest at high quality
# Spoken sound has about twenty tokens a second. A second takes some fifteen bytes of a Latin text and of a Chinese one
# (five characters of three bytes), but of numbers and pauses far fewer.
SPOKEN_TOKENS_PER_BYTE = 8
DOCUMENTS_PER_SEARCH, TOKENS_PER_DOCUMENT = 100, 500
# Kinds of content part that carry data, and the field that carries it.
ATTACHED = {"image_url": "url", "input_audio": "data", "file": "file_data"}


def prompt_bound(body: JSON, size: int) -> int:
    """Prompt tokens at most. `size` is the body in bytes: no byte-level tokenizer makes more tokens than bytes."""
    count, attached_bytes = _attachments(body)
    text = max(size - attached_bytes, 0) + _query_bytes_again(body)
    sound = _sound_tokens(body, LEAST_BYTES_PER_SOUND_TOKEN)
    return min(text + count * TOKENS_PER_ATTACHMENT + sound, MOST_TOKENS)


def prompt_estimate(body: JSON, size: int) -> int:
    """Prompt tokens, roughly and at once: before a call is sent. Afterwards they are counted (`tokenizing`)."""
    count, attached_bytes = _attachments(body)
    text = max(size - attached_bytes, 0) + _query_bytes_again(body)
    estimate = text // BYTES_PER_TOKEN + count * TOKENS_PER_ATTACHMENT // 5
    return min(estimate + sound_estimate(body), MOST_TOKENS)


def _query_bytes_again(body: JSON) -> int:
    return query_again(body, lambda query: len(query.encode()))


def query_again(body: JSON, measure: Callable[[str], int]) -> int:
    """A reranker reads the query with each document, and its vendor counts it as often: docs.voyageai.com/docs/faq."""
    query, documents = body.get("query"), body.get("documents")
    if not isinstance(query, str) or not isinstance(documents, list):
        return 0
    return measure(query) * max(len(documents) - 1, 0)


def requests_bound(body: JSON) -> int:
    """As how many requests a vendor may count the call: a reranker's searches. docs.cohere.com/docs/rerank: one for a
    hundred documents, and one of more than 500 tokens counts as several."""
    documents = body.get("documents")
    if not isinstance(documents, list):
        return 1
    pieces = sum(1 + len(str(each).encode("utf-8", "replace")) // TOKENS_PER_DOCUMENT for each in documents)
    return max(-(-pieces // DOCUMENTS_PER_SEARCH), 1)


def sound_estimate(body: JSON) -> int:
    """Tokens of the sound files of a form, roughly."""
    return _sound_tokens(body, BYTES_PER_SOUND_TOKEN)


def _sound_tokens(body: JSON, bytes_per_token: int) -> int:
    return sum(-(-len(value.data) // bytes_per_token) for value in body.values() if isinstance(value, FilePart))


# What the answers of endpoints without `max_tokens` may come to, for each choice.
UNSTATED_OUTPUT: dict[str, Callable[[JSON], int]] = {
    "image": lambda body: MOST_TOKENS_PER_IMAGE,
    "speech": lambda body: len(str(body.get("input") or "").encode()) * SPOKEN_TOKENS_PER_BYTE,
    "transcription": lambda body: _sound_tokens(body, LEAST_BYTES_PER_SOUND_TOKEN),
}


def unstated_output(endpoint: str, body: JSON) -> int:
    """The most answer tokens of one choice where nothing limits them but the endpoint's own nature."""
    most = UNSTATED_OUTPUT.get(endpoint)
    return most(body) if most else 0


def text_estimate(characters: int) -> int:
    """Answer tokens, roughly."""
    return min(-(-characters // BYTES_PER_TOKEN), MOST_TOKENS)


def _attachments(body: JSON) -> tuple[int, int]:
    """How many parts carry an image, a sound or a file, and how many bytes of the body their data fills.

    Only data in the places where vendors look for data is left out of the count; all else may be read as text.
    """
    sizes = [_data_bytes(part) for part in _parts(body) if is_attached(part)]
    return len(sizes), sum(sizes)


def is_attached(part: JSON) -> bool:
    """Whether a part of a message carries an image, a sound or a file."""
    kind = part.get("type")
    return isinstance(kind, str) and kind in ATTACHED


def _parts(body: JSON) -> Iterable[JSON]:
    # Only chat's messages have been looked at: any other call may bring the field in any shape.
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else ():
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, list):
            yield from (part for part in content if isinstance(part, dict))


def _data_bytes(part: JSON) -> int:
    kind = part["type"]
    holder = part.get(kind)
    data = holder.get(ATTACHED[kind]) if isinstance(holder, dict) else holder
    if not isinstance(data, str) or data.startswith("data:text/"):
        return 0  # a text's tokens are as many as it is long
    return len(data) if kind == "input_audio" or data.startswith("data:") else 0


def choices(body: JSON) -> int:
    """How many answers are asked for: `n` for each prompt."""
    prompt = body.get("prompt")
    prompts = len(prompt) if isinstance(prompt, list) and prompt and isinstance(prompt[0], (str, list)) else 1
    # Endpoints without choices pass these fields through as they are.
    asked: list[int] = [body[field] for field in ("n", "best_of") if isinstance(body.get(field), int)]
    return max([1, *asked]) * prompts


def stated_output(body: JSON) -> int:
    """The answer tokens that the caller names; 0: none named."""
    return max((body[field] for field in OUTPUT_FIELDS if isinstance(body.get(field), int)), default=0)


def output_limit(body: JSON, target: Target) -> int:
    """The most answer tokens of one choice: what the caller or the model's row says, or the setting's guess."""
    merged = {**target.extra_args, **body}
    stated = [merged[field] for field in OUTPUT_FIELDS if isinstance(merged.get(field), int) and merged[field] > 0]
    usual = target.max_output or settings.DEFAULT_MAX_OUTPUT_TOKENS + thinking_budget(merged)
    return int(min(max(stated, default=usual), MOST_TOKENS))


def thinking_budget(body: JSON) -> int:
    """The answer tokens that are set apart for thought; 0: none, or nothing is said of how many."""
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else 0
    return budget if isinstance(budget, int) and budget > 0 else 0


def limited(body: JSON, target: Target, each: int) -> JSON:
    """The body with its answer cut to `each` tokens a choice. Text completions know only the older field."""
    usual = "max_tokens" if "prompt" in body else target.max_tokens_field
    stated = [field for field in OUTPUT_FIELDS if body.get(field)] or [usual]
    return {**body, **{field: min(body.get(field) or each, each) for field in stated}}
