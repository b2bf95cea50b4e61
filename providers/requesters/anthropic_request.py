"""From OpenAI's chat body to Anthropic's. Messages are in anthropic_messages.

A parameter without a counterpart is left out, and `left_out` names it: never silently.
"""

from typing import Any

from providers.requesters.anthropic_messages import has_bare_tool_turn, split
from providers.requesters.errors import BadRequest

JSON = dict[str, Any]

DEFAULT_MAX_TOKENS = 4096

# Anthropic's own parameters, handed through as they are.
NATIVE = frozenset(
    {"model", "stream", "top_p", "top_k", "thinking", "cache_control", "container", "inference_geo", "output_config"}
)
TRANSLATED = frozenset(
    {
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "metadata",
        "n",
        "parallel_tool_calls",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "stop",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "user",
    }
)
SERVICE_TIERS = ("auto", "standard_only")
TOOL_CHOICES = {"auto": "auto", "none": "none", "required": "any"}

# Thinking in two generations. Models from 4.6 on decide by themselves, under an effort, and the newest refuse a
# budget; those before, and other vendors' servers with this protocol, know only the budget.
BUDGET_MODELS = ("claude-3", "-4-0", "-4-1", "-4-5", "-4-2025")
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768}
MIN_BUDGET = 1024
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh"}
# With thinking on the vendor refuses these (top_p from 0.95 is allowed).
SAMPLING = ("temperature", "top_p", "top_k")


def build(body: JSON) -> JSON:
    if (body.get("n") or 1) != 1:
        raise BadRequest("the model's provider gives one answer per request", param="n")
    dropped = set(left_out(body))
    system, messages = split(body.get("messages"))
    request = {name: body[name] for name in NATIVE & body.keys() - dropped if body[name] is not None}
    request |= {"max_tokens": _max_tokens(body), "messages": messages}
    request |= {"system": system} if system else {}
    request |= _sampling(body, dropped) | _tools(body) | _metadata(body)
    if (config := _output_config(body, dropped)) or "output_config" in request:
        request["output_config"] = {**(request.get("output_config") or {}), **config}
    if not dropped & {"reasoning_effort", "thinking"} and (thinking := _thinking(body)):
        request["thinking"] = thinking
    return request


def left_out(body: JSON) -> list[str]:
    """The names of what the caller asked for and Anthropic cannot be asked for. Switched-off values do not count."""
    names = [name for name, value in body.items() if value and name not in NATIVE | TRANSLATED]
    if _schema(body) is None and _type_of(body.get("response_format")) not in (None, "text"):
        names.append("response_format")
    if body.get("service_tier") not in (None, *SERVICE_TIERS):
        names.append("service_tier")
    metadata = body.get("metadata")
    if metadata and not (isinstance(metadata, dict) and metadata.keys() <= {"user_id"}):
        names.append("metadata")
    wish = "reasoning_effort" if _effort(body) else "thinking"
    if wish == "thinking" and not _spelled_out(body):
        return names
    if not _thinking(body):
        return [*names, wish]
    return names + [name for name in SAMPLING if _clashes_with_thinking(name, body.get(name))]


def _clashes_with_thinking(name: str, value: Any) -> bool:
    if value is None:
        return False
    return not ((name == "temperature" and value == 1) or (name == "top_p" and bool(value >= 0.95)))


def _max_tokens(body: JSON) -> int:
    given = (body.get(name) for name in ("max_completion_tokens", "max_tokens"))
    return next((limit for limit in given if limit is not None), DEFAULT_MAX_TOKENS)


def _sampling(body: JSON, dropped: set[str]) -> JSON:
    fields: JSON = {}
    if body.get("temperature") is not None and "temperature" not in dropped:
        # OpenAI's scale goes to 2, Anthropic's to 1.
        fields["temperature"] = min(body["temperature"], 1)
    if stop := body.get("stop"):
        stops = [stop] if isinstance(stop, str) else stop
        # The vendor refuses blank ones.
        fields["stop_sequences"] = [sequence for sequence in stops if sequence.strip()]
    if body.get("service_tier") in SERVICE_TIERS:
        fields["service_tier"] = body["service_tier"]
    return fields


def _metadata(body: JSON) -> JSON:
    metadata = body.get("metadata")
    user = body.get("user") or (metadata.get("user_id") if isinstance(metadata, dict) else None)
    return {"metadata": {"user_id": user}} if user else {}


def _output_config(body: JSON, dropped: set[str]) -> JSON:
    config: JSON = {}
    if schema := _schema(body):
        config["format"] = {"type": "json_schema", "schema": schema}
    effort = _effort(body)
    if effort and "reasoning_effort" not in dropped and not _takes_budget(body):
        config["effort"] = EFFORTS[effort]
    return config


def _schema(body: JSON) -> JSON | None:
    response_format = body.get("response_format")
    if _type_of(response_format) != "json_schema":
        return None
    inner = response_format.get("json_schema")  # type: ignore[union-attr]  # _type_of found a dict
    schema = inner.get("schema") if isinstance(inner, dict) else None
    if not isinstance(schema, dict):
        raise BadRequest("response_format.json_schema needs a schema", param="response_format")
    return schema


def _type_of(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else value


# Thinking


def _effort(body: JSON) -> str | None:
    """The effort asked for; none when thinking is spelled out or switched off."""
    effort = body.get("reasoning_effort")
    if not effort or effort == "none" or body.get("thinking"):
        return None
    if effort not in EFFORTS:
        raise BadRequest(f"reasoning_effort must be one of none, {', '.join(EFFORTS)}", param="reasoning_effort")
    return str(effort)


def _takes_budget(body: JSON) -> bool:
    model = str(body.get("model"))
    return "claude" not in model or any(mark in model for mark in BUDGET_MODELS)


def _thinking(body: JSON) -> JSON | None:
    """None where it would make the vendor refuse the request: a forced tool, too little room, or (with a budget) a
    tool call in the history whose thinking the caller did not keep."""
    thinking, effort = _spelled_out(body), _effort(body)
    if not (thinking or effort) or _is_forced(body.get("tool_choice")):
        return None
    if thinking:
        return _possible(body, thinking) if thinking.get("type") == "enabled" else thinking
    if not _takes_budget(body):
        return {"type": "adaptive"}
    budget = min(BUDGETS[str(effort)], _max_tokens(body) // 2)
    return _possible(body, {"type": "enabled", "budget_tokens": budget}) if budget >= MIN_BUDGET else None


def _possible(body: JSON, thinking: JSON) -> JSON | None:
    fitted = within_limit(thinking, _max_tokens(body))
    return None if has_bare_tool_turn(body.get("messages")) else fitted


def within_limit(thinking: JSON, limit: int | None) -> JSON | None:
    """The budget is a part of the limit, which is never raised: the caller's funds were held for just that much. None
    where there is no room for the least that the vendor takes."""
    budget = _budget_of(thinking)
    if limit is not None and budget >= limit:
        budget = limit // 2
    return {**thinking, "budget_tokens": budget} if budget >= MIN_BUDGET else None


def _budget_of(thinking: JSON) -> int:
    """Never less than the vendor takes."""
    budget = thinking.get("budget_tokens") or 0
    if not isinstance(budget, int):
        raise BadRequest("thinking.budget_tokens must be a whole number", param="thinking")
    return max(budget, MIN_BUDGET)


def _spelled_out(body: JSON) -> JSON | None:
    """The vendor's own object, unless it switches thinking off."""
    thinking = body.get("thinking")
    return thinking if isinstance(thinking, dict) and thinking.get("type") != "disabled" else None


def _is_forced(choice: Any) -> bool:
    return choice == "required" or bool(_type_of(choice) == "function")


# Tools


def _tools(body: JSON) -> JSON:
    tools = body.get("tools")
    if not tools:
        return {}
    fields: JSON = {"tools": [_tool(tool) for tool in tools]}
    choice = _tool_choice(body.get("tool_choice"))
    if body.get("parallel_tool_calls") is False and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    return fields | ({"tool_choice": choice} if choice else {})


def _tool(tool: Any) -> JSON:
    if _type_of(tool) != "function":
        # One of the vendor's own (web search, say), already in its form.
        if isinstance(tool, dict):
            return tool
        raise BadRequest("a tool must be an object", param="tools")
    function = tool.get("function")
    if not isinstance(function, dict) or not function.get("name"):
        raise BadRequest("a tool needs function.name", param="tools")
    fields = {
        "name": function["name"],
        "description": function.get("description"),
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
        "strict": function.get("strict") or None,
        "cache_control": tool.get("cache_control") or function.get("cache_control"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _tool_choice(choice: Any) -> JSON | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in TOOL_CHOICES:
        return {"type": TOOL_CHOICES[choice]}
    function = choice.get("function") if _type_of(choice) == "function" else None
    if not isinstance(function, dict) or not function.get("name"):
        raise BadRequest("tool_choice is not auto, none, required or a function", param="tool_choice")
    return {"type": "tool", "name": function["name"]}
