"""From OpenAI's chat and embedding bodies to Gemini's. Messages are in gemini_messages.

A parameter without a counterpart is left out, and `left_out` names it: never silently. Facts from ai.google.dev
(api/generate-content, api/embeddings, docs/thinking, docs/openai) and googleapis/python-genai.
"""

import re
from collections.abc import Mapping
from typing import Any

from providers.requesters.errors import BadRequest
from providers.requesters.gemini_messages import split
from providers.requesters.inner import embedding_texts

JSON = dict[str, Any]

# OpenAI's (or the caller's own) name, and Gemini's in generationConfig.
CONFIG_NAMES = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_completion_tokens": "maxOutputTokens",
    "max_tokens": "maxOutputTokens",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
# Gemini's own parameters beside generationConfig, under either spelling.
NATIVE_NAMES = {
    "safetySettings": "safetySettings",
    "safety_settings": "safetySettings",
    "cachedContent": "cachedContent",
    "cached_content": "cachedContent",
}
TRANSLATED = frozenset(
    {
        "extra_body",
        "messages",
        "model",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "stop",
        "stream",
        "stream_options",
        "thinking",
        "tool_choice",
        "tools",
        *CONFIG_NAMES,
        *NATIVE_NAMES,
    }
)
TOOL_CHOICES = {"auto": "AUTO", "none": "NONE", "required": "ANY"}

# Thinking in two generations: a budget of tokens in 2.5, a level from 3 on. The numbers are those of Google's own
# OpenAI layer (docs/openai#thinking).
VERSION = re.compile(r"gemini-(\d+(?:\.\d+)?)")
FIRST_THINKING, FIRST_LEVELS = 2.5, 3.0
BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
LEVELS = {"none": "minimal", "minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}
# Neither generation's Pro can be told not to think: it gets the least that it takes.
PRO = "-pro"
LEAST_PRO_BUDGET, LEAST_PRO_LEVEL = 128, "low"
# The least budget that every model of 2.5 takes.
MIN_BUDGET = 512


def build(body: JSON, settings: Mapping[str, Any]) -> JSON:
    """`settings` are the provider's: safetySettings and thinkBudget, for callers who say nothing of these."""
    system, contents = split(body.get("messages"), needs_signatures=_needs_signatures(body))
    request: JSON = {"contents": contents}
    request |= {"systemInstruction": {"parts": system}} if system else {}
    request |= _native(body, settings) | _tools(body)
    config = _sampling(body) | _format(body)
    if thinking := _thinking(body, settings):
        config["thinkingConfig"] = thinking
    return request | ({"generationConfig": config} if config else {})


def left_out(body: JSON) -> list[str]:
    """The names of what the caller asked for and Gemini cannot be asked for. Switched-off values do not count."""
    names = [name for name, value in body.items() if value and name not in TRANSLATED]
    if body.get("tools") and body.get("parallel_tool_calls") is False:
        names.append("parallel_tool_calls")
    if body.get("reasoning_effort") not in (None, "none") and not _can_think(body):
        names.append("reasoning_effort")
    if body.get("thinking") and not _spelled_out(body):
        names.append("thinking")
    return names


def _sampling(body: JSON) -> JSON:
    # Backwards, so that of two names for one thing the first decides.
    config = {CONFIG_NAMES[name]: body[name] for name in reversed(CONFIG_NAMES) if body.get(name) is not None}
    if not config.get("responseLogprobs"):
        config.pop("responseLogprobs", None)
        config.pop("logprobs", None)
    if stop := body.get("stop"):
        config["stopSequences"] = [text for text in ([stop] if isinstance(stop, str) else stop) if text]
    return config


def _format(body: JSON) -> JSON:
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind in (None, "text"):
        return {}
    if not isinstance(wanted, dict) or kind not in ("json_object", "json_schema"):
        raise BadRequest("response_format is not text, json_object or json_schema", param="response_format")
    if kind == "json_object":
        return {"responseMimeType": "application/json"}
    inner = wanted.get("json_schema")
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if not isinstance(schema, dict):
        raise BadRequest("response_format.json_schema needs a schema", param="response_format")
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _native(body: JSON, settings: Mapping[str, Any]) -> JSON:
    safety = settings.get("safetySettings")
    given = {NATIVE_NAMES[name]: body[name] for name in NATIVE_NAMES if body.get(name)}
    cached = _google(body).get("cached_content")
    defaults = {"safetySettings": safety, "cachedContent": cached}
    return {name: value for name, value in defaults.items() if value} | given


def _google(body: JSON) -> JSON:
    """What callers of Google's OpenAI layer say beyond OpenAI's parameters: extra_body.google."""
    extra = body.get("extra_body")
    google = extra.get("google") if isinstance(extra, dict) else None
    return google if isinstance(google, dict) else {}


# Thinking


def _version(body: JSON) -> float | None:
    found = VERSION.search(str(body.get("model")))
    return float(found[1]) if found else None


def _can_think(body: JSON) -> bool:
    """Names without a number, such as gemini-flash-latest, stand for a newest model."""
    version = _version(body)
    return version >= FIRST_THINKING if version else "gemini" in str(body.get("model"))


def _needs_signatures(body: JSON) -> bool:
    version = _version(body)
    return version >= FIRST_LEVELS if version else "gemini" in str(body.get("model"))


def _thinking(body: JSON, settings: Mapping[str, Any]) -> JSON | None:
    if config := _google(body).get("thinking_config"):
        return {_camel(name): value for name, value in config.items()}
    if stated := _spelled_out(body):
        return {"thinkingBudget": _within_limit(body, stated), "includeThoughts": True}
    effort = body.get("reasoning_effort")
    if not effort:
        budget = settings.get("thinkBudget")
        usable = type(budget) is int and _can_think(body)
        return {"thinkingBudget": budget, "includeThoughts": budget != 0} if usable else None
    if effort not in BUDGETS:
        raise BadRequest(f"reasoning_effort must be one of {', '.join(BUDGETS)}", param="reasoning_effort")
    return _by_effort(body, str(effort)) if _can_think(body) else None


def _spelled_out(body: JSON) -> int:
    """The budget of {"type": "enabled", "budget_tokens": 2048}, as others' callers say it; 0: none."""
    thinking = body.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("type") != "enabled" or not _can_think(body):
        return 0
    budget = thinking.get("budget_tokens")
    return max(budget, 0) if isinstance(budget, int) else 0


def _by_effort(body: JSON, effort: str) -> JSON:
    is_pro, shows = PRO in str(body.get("model")), {"includeThoughts": effort != "none"}
    version = _version(body)
    if version and version >= FIRST_LEVELS:
        level = LEVELS[effort]
        return {"thinkingLevel": LEAST_PRO_LEVEL if is_pro and level == "minimal" else level, **shows}
    if effort == "none":
        return {"thinkingBudget": LEAST_PRO_BUDGET if is_pro else 0, **shows}
    return {"thinkingBudget": _within_limit(body, BUDGETS[effort]), **shows}


def _within_limit(body: JSON, budget: int) -> int:
    """Thinking is a part of maxOutputTokens: half of it stays for the answer."""
    limit = _sampling(body).get("maxOutputTokens")
    return budget if limit is None else max(min(budget, limit // 2), MIN_BUDGET)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


# Tools


def _tools(body: JSON) -> JSON:
    tools = body.get("tools")
    if not tools:
        return {}
    functions = [_function(tool) for tool in tools if _is_function(tool)]
    # One of the vendor's own (googleSearch, say), already in its form.
    own = [tool for tool in tools if not _is_function(tool)]
    listed = [*([{"functionDeclarations": functions}] if functions else []), *own]
    choice = _tool_choice(body.get("tool_choice"))
    return {"tools": listed} | ({"toolConfig": {"functionCallingConfig": choice}} if choice and functions else {})


def _is_function(tool: Any) -> bool:
    if not isinstance(tool, dict):
        raise BadRequest("a tool must be an object", param="tools")
    return tool.get("type") == "function"


def _function(tool: JSON) -> JSON:
    """The schema goes as it is: `parametersJsonSchema` takes JSON Schema whole and skips what it does not know, where
    `parameters` refuses whatever is not in its own subset."""
    function = tool.get("function")
    if not isinstance(function, dict) or not function.get("name"):
        raise BadRequest("a tool needs function.name", param="tools")
    fields = {
        "name": function["name"],
        "description": function.get("description"),
        "parametersJsonSchema": function.get("parameters"),
    }
    return {name: value for name, value in fields.items() if value}


def _tool_choice(choice: Any) -> JSON | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in TOOL_CHOICES:
        return {"mode": TOOL_CHOICES[choice]}
    kind = choice.get("type") if isinstance(choice, dict) else None
    if kind == "allowed_tools":
        allowed = choice.get("allowed_tools") or {}
        mode = TOOL_CHOICES.get(str(allowed.get("mode")), "AUTO")
        names = [tool["function"]["name"] for tool in allowed.get("tools") or []]
        # Names are taken with ANY and, as the mode in which text stays allowed, with VALIDATED.
        return {"mode": "ANY" if mode == "ANY" else "VALIDATED", "allowedFunctionNames": names}
    function = choice.get("function") if kind == "function" else None
    if not isinstance(function, dict) or not function.get("name"):
        raise BadRequest("tool_choice is not auto, none, required, allowed_tools or a function", param="tool_choice")
    return {"mode": "ANY", "allowedFunctionNames": [function["name"]]}


# Embeddings

EMBEDDING_NAMES = frozenset({"model", "input", "dimensions", "encoding_format", "taskType", "task_type", "title"})
MAX_BATCH = 100


def build_embedding(body: JSON, model: str) -> JSON:
    shared = {
        "model": model,
        "outputDimensionality": body.get("dimensions"),
        "taskType": body.get("taskType") or body.get("task_type"),
        "title": body.get("title"),
    }
    shared = {name: value for name, value in shared.items() if value}
    return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in embedding_texts(body)]}
