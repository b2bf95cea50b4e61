"""What came of a test, in words: what a person wants to read of an answer, and a failure in few words and in many."""

from collections.abc import Callable
from typing import Any

from accounts.errors import Refused
from chat.errors import BadCall, CallError, UnknownModel
from providers.requesters.base import Answer
from providers.requesters.errors import (
    AuthFailed,
    BadRequest,
    Cancelled,
    ContextTooLong,
    EgressRefused,
    ModelNotFound,
    ProviderError,
    RateLimited,
    Timeout,
    Unavailable,
)

JSON = dict[str, Any]

PATIENCE_SECONDS = 60.0  # an operator waits at the other end
MAX_SHOWN = 500
FAILURES = (Refused, CallError, ProviderError)
OTHER = "API error"

# The first that fits, so the narrow come before the broad.
SHORT: tuple[tuple[type[Exception], str], ...] = (
    (ContextTooLong, "Context length exceeded"),
    (BadRequest, "Invalid request parameters"),
    (BadCall, "Invalid request parameters"),
    (AuthFailed, "Invalid API key"),
    (ModelNotFound, "Invalid model or endpoint"),
    (UnknownModel, "Invalid model or endpoint"),
    (RateLimited, "Rate limit exceeded or insufficient balance"),
    (Timeout, "Request timed out"),
    (Cancelled, "Request timed out"),  # nobody but our own patience cancels a test
    (EgressRefused, "Connection failed"),
)


def short_reason(error: Exception) -> str:
    """One of a few fixed sentences, which say nothing of the vendor's own words."""
    if isinstance(error, Unavailable) and error.upstream_status is None:
        return "Connection failed"
    return next((reason for kind, reason in SHORT if isinstance(error, kind)), OTHER)


def full_reason(error: Exception) -> str:
    """Requesters blot secrets out of what a vendor says; a long answer is of no use here."""
    if isinstance(error, Cancelled):
        return f"No whole answer within {PATIENCE_SECONDS:g} seconds."
    text = str(error)[:MAX_SHOWN]
    return f"{text} ({error.code})" if isinstance(error, ProviderError) else text


def told(endpoint: str, answer: Answer) -> str:
    """What a person wants to read of an answer."""
    return TELLERS[endpoint](answer)


def _chat(answer: Answer) -> str:
    message = _first(answer.json, "choices").get("message") or {}
    said = message.get("content") or message.get("reasoning_content") or ""
    return str(said).strip() or "The answer has no text."


def _embedding(answer: Answer) -> str:
    numbers = _first(answer.json, "data").get("embedding")
    return f"An embedding of {len(numbers)} numbers." if isinstance(numbers, list) else "An embedding."


def _rerank(answer: Answer) -> str:
    results = answer.json.get("results")
    scores = [each.get("relevance_score") for each in results if isinstance(each, dict)] if results else []
    return f"{len(scores)} documents, by relevance: {', '.join(map(str, scores))}."


def _image(answer: Answer) -> str:
    image = _first(answer.json, "data")
    encoded = image.get("b64_json")
    return f"An image of {len(encoded) * 3 // 4:,} bytes." if isinstance(encoded, str) else "An image, as a link."


def _speech(answer: Answer) -> str:
    return f"{len(answer.raw or b''):,} bytes of {answer.content_type.partition(';')[0]}."


def _transcription(answer: Answer) -> str:
    text = answer.json.get("text") if answer.json else (answer.raw or b"").decode(errors="replace")
    return f"It heard: {str(text).strip()}" if str(text or "").strip() else "It heard nothing, as there is only a tone."


def _moderation(answer: Answer) -> str:
    return "Flagged." if _first(answer.json, "results").get("flagged") else "Not flagged."


def _first(answer: JSON, name: str) -> JSON:
    """The first entry of a list; vendors' answers may lack anything."""
    entries = answer.get(name)
    return entries[0] if isinstance(entries, list) and entries and isinstance(entries[0], dict) else {}


TELLERS: dict[str, Callable[[Answer], str]] = {
    "chat": _chat,
    "embedding": _embedding,
    "rerank": _rerank,
    "image": _image,
    "speech": _speech,
    "transcription": _transcription,
    "moderation": _moderation,
}
