"""The few fields of a body that the gateway itself acts on. All others pass through untouched."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from chat.errors import BadCall
from providers.requesters.forms import FilePart
from providers.requesters.rerank_address import OPERATORS_ONLY

JSON = dict[str, Any]

MOST_CHOICES = 128
MOST_PIECES = 10_000
TRANSCRIPTS = ("json", "verbose_json", "diarized_json", "text", "srt", "vtt")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field must be, and how to say so."""

    field: str
    is_good: Callable[[Any], bool]
    wanted: str
    is_required: bool = False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_few(value: Any) -> bool:
    return _is_count(value) and value <= MOST_CHOICES


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 255


def _is_text_or_list(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_documents(value: Any) -> bool:
    return (
        isinstance(value, list)
        and 0 < len(value) <= MOST_PIECES
        and all(isinstance(document, str | dict) for document in value)
    )


MODEL = Rule("model", _is_name, "a model's name", is_required=True)
STREAM = (
    Rule("stream", lambda value: isinstance(value, bool), "true or false"),
    Rule("stream_options", lambda value: isinstance(value, dict), "an object"),
)
LIMITS = (
    *STREAM,
    Rule("n", _is_few, f"a whole number from 1 to {MOST_CHOICES}"),
    Rule("best_of", _is_few, f"a whole number from 1 to {MOST_CHOICES}"),
    Rule("max_tokens", _is_count, "a whole number above 0"),
    Rule("max_completion_tokens", _is_count, "a whole number above 0"),
)
MESSAGES = Rule("messages", lambda value: isinstance(value, list) and bool(value), "a list of messages", True)
PROMPT = Rule("prompt", _is_text_or_list, "a text or a list", is_required=True)
INPUT = Rule("input", _is_text_or_list, "a text or a list that is not empty", is_required=True)


def check_chat(body: JSON) -> None:
    """Raises BadCall, naming the field, unless this is a chat body."""
    _check(body, (MODEL, MESSAGES, *LIMITS))
    if _pieces(body["messages"]) > MOST_PIECES:
        raise BadCall(f"Invalid 'messages': more than {MOST_PIECES} messages and parts.", "messages")
    for position, message in enumerate(body["messages"]):
        _check_message(message, f"messages[{position}]")


def _pieces(messages: list[Any]) -> int:
    """Messages and their parts: each is looked at, and a body of 20 MB has room for millions."""
    contents = (message.get("content") for message in messages if isinstance(message, dict))
    return len(messages) + sum(len(content) for content in contents if isinstance(content, list))


def check_completion(body: JSON) -> None:
    """Of a prompt; or of messages in its place."""
    if body.get("prompt") is None and body.get("messages") is not None:
        check_chat(body)
    else:
        _check(body, (MODEL, PROMPT, *LIMITS))


def check_embedding(body: JSON) -> None:
    _check(body, (MODEL, INPUT, *STREAM))


RERANK = (
    MODEL,
    Rule("query", _is_text, "a text", is_required=True),
    Rule("documents", _is_documents, f"a list of 1 to {MOST_PIECES} texts or objects", is_required=True),
    Rule("top_n", _is_count, "a whole number above 0"),
)
IMAGE = (MODEL, Rule("prompt", _is_text, "a text", is_required=True), *LIMITS[2:3])
SPEECH = (
    MODEL,
    Rule("input", _is_text, "a text", is_required=True),
    Rule("voice", lambda value: isinstance(value, str | dict), "a voice's name"),
)
TRANSCRIPTION = (
    MODEL,
    Rule("file", lambda value: isinstance(value, FilePart), "a file", is_required=True),
    Rule("response_format", lambda value: value in TRANSCRIPTS, f"one of {', '.join(TRANSCRIPTS)}"),
)


def check_rerank(body: JSON) -> None:
    _check(body, RERANK)
    for name in sorted(OPERATORS_ONLY & body.keys()):
        raise BadCall(f"Invalid '{name}': only a model's row may say it.", name)


def check_image(body: JSON) -> None:
    _check(body, IMAGE)


def check_speech(body: JSON) -> None:
    _check(body, SPEECH)


def check_transcription(form: JSON) -> None:
    _check(form, TRANSCRIPTION)


def check_moderation(body: JSON) -> None:
    _check(body, (MODEL, INPUT))


def _check(body: JSON, rules: Iterable[Rule]) -> None:
    for rule in rules:
        value = body.get(rule.field)
        if value is None and not rule.is_required:
            continue
        if value is None:
            raise BadCall(f"Missing required parameter: '{rule.field}'.", rule.field)
        if not rule.is_good(value):
            raise BadCall(f"Invalid '{rule.field}': expected {rule.wanted}.", rule.field)


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise BadCall(f"Invalid '{where}': expected an object.", where)
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise BadCall(f"Invalid '{where}.role': expected one of {', '.join(sorted(ROLES))}.", f"{where}.role")
    content = message.get("content")
    if not (content is None or isinstance(content, str | list)):
        raise BadCall(f"Invalid '{where}.content': expected a text or a list of parts.", f"{where}.content")
    if isinstance(content, list) and not all(isinstance(part, dict | str) for part in content):
        raise BadCall(f"Invalid '{where}.content': expected a list of parts.", f"{where}.content")
