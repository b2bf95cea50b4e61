"""A chat as a model takes it that sees no images or calls no tools.

Images go, whole messages stay: the turns keep their order. With the tools goes what the history tells of them in the
wire's own words, as vendors refuse calls and results where no tools are named, and templates of models that know none
stumble over the role `tool`. It is told in plain words instead, so that nothing is lost of what was found out.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from providers.requesters.listing import TOOLS, VISION

JSON = dict[str, Any]

IMAGES = frozenset({"image_url", "image", "input_image"})
TOOL_FIELDS = ("tools", "tool_choice", "parallel_tool_calls", "functions", "function_call")
CALLS = ("tool_calls", "function_call")
RESULTS = frozenset({"tool", "function"})


def asked_of(body: JSON) -> frozenset[str]:
    """The abilities that a call is about."""
    messages = _messages(body)
    uses_tools = any(body.get(name) for name in TOOL_FIELDS) or any(map(_is_about_tools, messages))
    sees = any(map(_has_images, messages))
    return frozenset(name for name, is_asked in ((VISION, sees), (TOOLS, uses_tools)) if is_asked)


def fitted(body: JSON, withholds: Iterable[str]) -> tuple[JSON, list[str]]:
    """A copy without what those abilities are needed for, and the names of what it lacks now."""
    left_out: list[str] = []
    if VISION in withholds:
        body, names = _without_images(body)
        left_out += names
    if TOOLS in withholds:
        body, names = _without_tools(body)
        left_out += names
    return body, left_out


def _messages(body: JSON) -> list[JSON]:
    messages = body.get("messages")
    return [each for each in messages if isinstance(each, dict)] if isinstance(messages, list) else []


# Images


def _without_images(body: JSON) -> tuple[JSON, list[str]]:
    messages = _messages(body)
    if not any(map(_has_images, messages)):
        return body, []
    return {**body, "messages": [_blind(each) if _has_images(each) else each for each in messages]}, ["image_url"]


def _has_images(message: JSON) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(map(_is_image, content))


def _is_image(part: Any) -> bool:
    return isinstance(part, dict) and str(part.get("type")) in IMAGES


def _blind(message: JSON) -> JSON:
    """An empty list of parts is refused where an empty text is taken."""
    return {**message, "content": [part for part in message["content"] if not _is_image(part)] or ""}


# Tools


def _without_tools(body: JSON) -> tuple[JSON, list[str]]:
    messages = _messages(body)
    left_out = [name for name in TOOL_FIELDS if body.get(name)]  # what is switched off is not missed
    body = {name: body[name] for name in body if name not in TOOL_FIELDS}
    if any(map(_is_about_tools, messages)):
        body["messages"] = list(_retold(messages))
        left_out += ["tool_calls"]
    return body, left_out


def _is_about_tools(message: JSON) -> bool:
    return message.get("role") in RESULTS or any(message.get(name) for name in CALLS)


def _retold(messages: list[JSON]) -> Iterator[JSON]:
    """Results that follow each other become one message: some vendors want the turns to alternate."""
    names: dict[str, str] = {}
    results: list[Any] = []
    for message in messages:
        if message.get("role") in RESULTS:
            results += _result(message, names)
            continue
        if results:
            yield {"role": "user", "content": _joined(results)}
            results = []
        yield _told(message, names) if _is_about_tools(message) else message
    if results:
        yield {"role": "user", "content": _joined(results)}


def _told(message: JSON, names: dict[str, str]) -> JSON:
    calls = [call for call in _list(message.get("tool_calls")) if isinstance(call, dict)]
    functions = [(call.get("id"), call.get("function")) for call in calls] + [(None, message.get("function_call"))]
    words: list[Any] = []
    for call_id, function in functions:
        if isinstance(function, dict):
            names[str(call_id)] = str(function.get("name"))
            words.append(_text(f"[{function.get('name')} was called with {function.get('arguments') or '{}'}]"))
    rest = {name: message[name] for name in message if name not in CALLS}
    return {**rest, "content": _joined(_parts(message.get("content")) + words)}


def _result(message: JSON, names: dict[str, str]) -> list[Any]:
    name = message.get("name") or names.get(str(message.get("tool_call_id"))) or "a tool"
    return [_text(f"[{name} returned:]"), *_parts(message.get("content"))]


def _parts(content: Any) -> list[Any]:
    return [_text(content)] if isinstance(content, str) and content else _list(content)


def _joined(parts: list[Any]) -> Any:
    """As one text where there is nothing else, which every upstream takes."""
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None for part in parts]
    whole = [text for text in texts if isinstance(text, str)]
    return "\n".join(whole) if len(whole) == len(parts) else parts


def _text(text: str) -> JSON:
    return {"type": "text", "text": text}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
