"""From OpenAI's chat, completion and embedding bodies to Ollama's.

A parameter without a counterpart is left out, and `left_out` names it: never silently. Facts from docs/api.md,
api/types.go and openai/openai.go of ollama/ollama.
"""

import re
from collections.abc import Mapping
from typing import Any

from providers.requesters.errors import BadRequest
from providers.requesters.inner import tool_arguments

JSON = dict[str, Any]

# OpenAI's (or the caller's own) name, and Ollama's among the options.
OPTIONS = {
    "max_completion_tokens": "num_predict",
    "max_tokens": "num_predict",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "min_p": "min_p",
    "repeat_penalty": "repeat_penalty",
    "seed": "seed",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
}
SHARED = frozenset({"model", "n", "stop", "stream", "stream_options", "logprobs", "top_logprobs", *OPTIONS})
TAKEN = {
    "messages": SHARED | {"messages", "reasoning_effort", "response_format", "tool_choice", "tools"},
    "prompt": SHARED | {"prompt"},
    "input": frozenset({"model", "input", "dimensions", "encoding_format"}),
}
# Every version takes these three; "max" is newer.
EFFORTS: dict[str, bool | str] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "high",
}
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
DATA_URI = re.compile(r"data:[\w.+/-]+(?:;[\w.+-]+=[\w.+-]+)*;base64,", re.ASCII)


def build_chat(body: JSON, settings: Mapping[str, Any]) -> JSON:
    request = _shared(body, settings) | {"messages": _messages(body.get("messages"))}
    # There is no tool_choice: a model that may not call gets no tools to call.
    if body.get("tools") and body.get("tool_choice") != "none":
        request["tools"] = body["tools"]
    if (wanted := _format(body.get("response_format"))) is not None:
        request["format"] = wanted
    if effort := body.get("reasoning_effort"):
        if effort not in EFFORTS:
            raise BadRequest(f"reasoning_effort must be one of {', '.join(EFFORTS)}", param="reasoning_effort")
        request["think"] = EFFORTS[effort]
    return request


def build_completion(body: JSON, settings: Mapping[str, Any]) -> JSON:
    """`raw`: the prompt as it is, without the model's chat template, as OpenAI's completions are."""
    prompt = body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        raise BadRequest("prompt must be a non-empty text: the model's provider takes one per request", param="prompt")
    return _shared(body, settings) | {"prompt": prompt, "raw": True}


def build_embedding(body: JSON, settings: Mapping[str, Any]) -> JSON:
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadRequest("input must be a text or a list of them: the model's provider takes no tokens", param="input")
    options = {"num_ctx": settings.get("num_ctx")}
    fields = {"dimensions": body.get("dimensions"), "keep_alive": _keep_alive(settings), "options": _given(options)}
    return {"model": body.get("model"), "input": texts} | {name: value for name, value in fields.items() if value}


def left_out(body: JSON) -> list[str]:
    """The names of what the caller asked for and Ollama cannot be asked for. Switched-off values do not count."""
    taken = next((names for field, names in TAKEN.items() if field in body), SHARED)
    names = [name for name, value in body.items() if value and name not in taken and name != "parallel_tool_calls"]
    if body.get("tools"):
        names += ["tool_choice"] if body.get("tool_choice") not in (None, "auto", "none") else []
        names += ["parallel_tool_calls"] if body.get("parallel_tool_calls") is False else []
    return names


def _shared(body: JSON, settings: Mapping[str, Any]) -> JSON:
    if (body.get("n") or 1) != 1:
        raise BadRequest("the model's provider gives one answer per request", param="n")
    # Left out, `stream` would mean true.
    request: JSON = {"model": body.get("model"), "stream": bool(body.get("stream"))}
    fields = {
        "options": _options(body, settings),
        "keep_alive": _keep_alive(settings),
        # A number in OpenAI's completions, a yes in its chat.
        "logprobs": True if body.get("logprobs") else None,
        "top_logprobs": _top_logprobs(body),
    }
    return request | _given(fields)


def _top_logprobs(body: JSON) -> int | None:
    logprobs = body.get("logprobs")
    if not logprobs:
        return None
    return body.get("top_logprobs") if logprobs is True else int(logprobs)


def _options(body: JSON, settings: Mapping[str, Any]) -> JSON | None:
    # Backwards, so that of two names for one thing the first decides.
    options = {OPTIONS[name]: body.get(name) for name in reversed(OPTIONS) if body.get(name) is not None}
    stop = body.get("stop")
    options["stop"] = [stop] if isinstance(stop, str) else stop
    options["num_ctx"] = settings.get("num_ctx") or None
    return _given(options) or None


def _keep_alive(settings: Mapping[str, Any]) -> str | int | None:
    """A duration such as "10m", or a number of seconds, which a setting's text may also hold; -1 is for ever."""
    value = settings.get("keep_alive")
    if value in (None, ""):
        return None
    return int(value) if re.fullmatch(r"-?\d+", str(value)) else str(value)


def _format(wanted: Any) -> Any:
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind in (None, "text"):
        return None
    if not isinstance(wanted, dict) or kind not in ("json_object", "json_schema"):
        raise BadRequest("response_format is not text, json_object or json_schema", param="response_format")
    if kind == "json_object":
        return "json"
    inner = wanted.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if not isinstance(schema, dict):
        raise BadRequest("response_format.json_schema needs a schema", param="response_format")
    return schema


def _given(fields: JSON) -> JSON:
    return {name: value for name, value in fields.items() if value is not None}


# Messages


def _messages(messages: Any) -> list[JSON]:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a non-empty list", param="messages")
    names: dict[str, str] = {}
    return [_message(message, names) for message in messages]


def _message(message: Any, names: dict[str, str]) -> JSON:
    """`names`: which function each tool call so far was for; a result names it too."""
    role = message.get("role") if isinstance(message, dict) else None
    if role not in ROLES:
        raise BadRequest(f"the model's provider has no message role {role!r}", param="messages")
    text, images = _content(message)
    built: JSON = {"role": ROLES[role], "content": text}
    further: JSON = {"images": images}
    if role == "assistant":
        further["thinking"] = message.get("reasoning_content")
        further["tool_calls"] = [_call(call, names) for call in message.get("tool_calls") or []]
    if role == "tool":
        call_id = message.get("tool_call_id")
        if call_id not in names:
            raise BadRequest("a tool message's tool_call_id must be that of an earlier tool call", param="messages")
        further |= {"tool_name": names[call_id], "tool_call_id": call_id}
    return built | {name: value for name, value in further.items() if value}


def _call(call: Any, names: dict[str, str]) -> JSON:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or not function.get("name") or not call.get("id"):
        raise BadRequest("a tool call needs id and function.name", param="messages")
    names[call["id"]] = function["name"]
    return {"id": call["id"], "function": {"name": function["name"], "arguments": tool_arguments(function)}}


def _content(message: JSON) -> tuple[str, list[str]]:
    content = message.get("content")
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list):
        raise BadRequest("a message's content must be a string or a list", param="messages")
    texts: list[str] = []
    images: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal"):
            texts.append(part[kind])
        elif kind == "image_url":
            images.append(_image(part["image_url"]))
        elif kind == "input_audio":
            # Sound goes the way of images: openai/openai.go.
            images.append(part["input_audio"]["data"])
        else:
            raise BadRequest(f"the model's provider does not take content of type {kind!r}", param="messages")
    return "\n".join(texts), images


def _image(image: Any) -> str:
    url = image.get("url") if isinstance(image, dict) else image
    if not (isinstance(url, str) and (found := DATA_URI.match(url))):
        raise BadRequest(
            "the model's provider takes images as base64 data URIs: it does not fetch addresses, and neither does the "
            "gateway",
            param="messages",
        )
    return url[found.end() :]
