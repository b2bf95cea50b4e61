"""From OpenAI's chat body to Converse's. Messages are in bedrock_messages.

A parameter without a counterpart is left out, and `left_out` names it: never silently. Facts from the service model
bedrock-runtime of boto/botocore, docs.aws.amazon.com/bedrock/latest/userguide (inference-parameters,
claude-messages-extended-thinking, prompt-caching) and the providers' pages there (model-parameters-*).
"""

from collections.abc import Mapping
from typing import Any

from providers.requesters.anthropic_request import BUDGET_MODELS, BUDGETS, EFFORTS, MIN_BUDGET, within_limit
from providers.requesters.bedrock_messages import cache_point, signed_thinking, split
from providers.requesters.errors import BadRequest

JSON = dict[str, Any]
Config = Mapping[str, Any]

# Converse's own parameters, handed through as they are.
NATIVE = frozenset(
    {
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
    }
)
TRANSLATED = frozenset(
    {
        "additionalModelRequestFields",
        "max_completion_tokens",
        "max_tokens",
        "messages",
        "model",
        "n",
        "reasoning_effort",
        "response_format",
        "service_tier",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
SERVICE_TIERS = ("default", "flex", "priority")
# Room for the answer beside the thoughts, where nobody set a limit.
ANSWER_TOKENS = 4096
MAX_CACHE_POINTS = 4


def build(body: JSON, config: Config) -> JSON:
    if (body.get("n") or 1) != 1:
        raise BadRequest("the model's provider gives one answer per request", param="n")
    asked = _Asked(body, config)
    system, messages = split(body.get("messages"), takes_thinking=asked.is_claude, takes_cache=asked.takes_cache)
    request: JSON = {name: body[name] for name in NATIVE & body.keys() if body[name] is not None}
    request["messages"] = messages
    request |= {"system": system} if system else {}
    parts = {
        "inferenceConfig": asked.inference(),
        "toolConfig": _tool_config(body, messages, asked),
        "additionalModelRequestFields": asked.additional(),
    }
    request |= {name: part for name, part in parts.items() if part}
    if body.get("service_tier") in SERVICE_TIERS:
        request.setdefault("serviceTier", {"type": body["service_tier"]})
    if asked.takes_cache:
        _add_cache_points(request, config.get("promptCache"))
    return request


def left_out(body: JSON, config: Config) -> list[str]:
    """The names of what the caller asked for and the model cannot be asked for. Switched-off values do not count."""
    names = [name for name, value in body.items() if value and name not in NATIVE | TRANSLATED]
    response_format = body.get("response_format")
    if isinstance(response_format, dict) and response_format.get("type") not in (None, "text"):
        names.append("response_format")
    if body.get("parallel_tool_calls") is False:
        names.append("parallel_tool_calls")
    if body.get("service_tier") not in (None, "auto", *SERVICE_TIERS):
        names.append("service_tier")
    if body.get("tool_choice") == "none" and any(message.get("tool_calls") for message in body.get("messages") or []):
        names.append("tool_choice")
    return names + _Asked(body, config).dropped


def _add_cache_points(request: JSON, settings: Any) -> None:
    """Those that the operator wants, as far as the caller's own leave room.

    A position is that of a turn, from 0; negative ones count from the last.
    """
    if not isinstance(settings, dict):
        return
    fields, turns = settings.get("fields") or (), request["messages"]
    places = [request["toolConfig"]["tools"]] if "tools" in fields and "toolConfig" in request else []
    places += [request["system"]] if "system" in fields and "system" in request else []
    if "messages" in fields:
        given = settings.get("messagePositions") or ()
        wanted = {position % len(turns) for position in given if -len(turns) <= position < len(turns)}
        places += [turns[position]["content"] for position in sorted(wanted)]
    every = [request.get("toolConfig", {}).get("tools", []), request.get("system", [])]
    every += [turn["content"] for turn in turns]
    left = MAX_CACHE_POINTS - sum("cachePoint" in block for blocks in every for block in blocks)
    free = [place for place in places if "cachePoint" not in place[-1]]
    for place in free[: max(left, 0)]:
        place.append(cache_point())


class _Asked:
    """What one body asks of one model: limits, sampling, thinking. `dropped` names what does not go together."""

    def __init__(self, body: JSON, config: Config) -> None:
        self.body = body
        # An inference profile's ARN says nothing of the model behind it.
        self.family = str(config.get("baseModelId") or body.get("model") or "").lower()
        self.is_claude = "anthropic" in self.family or "claude" in self.family
        self.takes_cache = self.is_claude or "nova" in self.family
        self.limit = _limit(body, config)
        self.dropped: list[str] = []
        self.thinking = self._thinking(config)
        self.sampling = self._sampling()

    def inference(self) -> JSON:
        limit, budget = self.limit, (self.thinking or {}).get("budget_tokens")
        if limit is None and budget:
            limit = budget + ANSWER_TOKENS
        stop = self.body.get("stop") or []
        # The vendor refuses blank ones.
        stops = [each for each in ([stop] if isinstance(stop, str) else stop) if each.strip()]
        fields = {"maxTokens": limit, **self.sampling, "stopSequences": stops or None}
        return {name: value for name, value in fields.items() if value is not None}

    def additional(self) -> JSON:
        """The model's own parameters: the caller's, and those that Converse has no field for."""
        fields: JSON = dict(self.body.get("additionalModelRequestFields") or {})
        if self.thinking:
            fields["thinking"] = self.thinking
        effort = self.body.get("reasoning_effort")
        if effort in EFFORTS and "reasoning_effort" not in self.dropped:
            if (self.thinking or {}).get("type") == "adaptive":
                fields["output_config"] = {**(fields.get("output_config") or {}), "effort": EFFORTS[effort]}
            elif "gpt-oss" in self.family:
                fields["reasoning_effort"] = EFFORTS[effort]
        if (top_k := self.body.get("top_k")) is not None and "top_k" not in self.dropped:
            inner = {**(fields.get("inferenceConfig") or {}), "topK": top_k}
            fields |= {"inferenceConfig": inner} if "nova" in self.family else {"top_k": top_k}
        return fields

    # Sampling

    def _sampling(self) -> JSON:
        """Claude takes temperature or top_p; its Opus 4 neither; with thinking temperature is 1."""
        given = {name: self.body.get(name) for name in ("temperature", "top_p")}
        fields = {name: min(value, 1) for name, value in given.items() if value is not None}
        if self.is_claude:
            fields = self._of_claude(fields)
        if self.thinking and self.body.get("top_k") is not None:
            self.dropped.append("top_k")
        return {{"temperature": "temperature", "top_p": "topP"}[name]: value for name, value in fields.items()}

    def _of_claude(self, given: JSON) -> JSON:
        if "claude-opus-4" in self.family:
            kept: JSON = {}
        elif self.thinking:
            kept = {"temperature": 1}
        else:
            kept = dict(list(given.items())[:1])  # temperature comes first
        self.dropped += [name for name, value in given.items() if value != kept.get(name, 1)]
        return kept

    # Thinking

    def _thinking(self, config: Config) -> JSON | None:
        """None where it would make the vendor refuse: a forced tool, too little room, a tool call in the history
        whose thinking the caller did not keep. What the call says goes before what the provider's settings say."""
        name, wish = self._wish(config)
        if wish is None:
            return None
        found = self._possible(wish) if self.is_claude else None
        if found is None and name and not (name == "reasoning_effort" and "gpt-oss" in self.family):
            self.dropped.append(name)
        return found

    def _wish(self, config: Config) -> tuple[str, JSON | None]:
        """The parameter's name, empty for the provider's setting, and Anthropic's object."""
        thinking, effort = self.body.get("thinking"), self.body.get("reasoning_effort")
        if isinstance(thinking, dict):
            return "thinking", thinking if thinking.get("type") != "disabled" else None
        if effort:
            return "reasoning_effort", self._from_effort(effort)
        if not (thinking is True or (thinking is None and config.get("thinking"))):
            return "", None
        return "", {"type": "enabled", "budget_tokens": max(config.get("thinkBudget") or 0, MIN_BUDGET)}

    def _from_effort(self, effort: Any) -> JSON | None:
        if effort == "none":
            return None
        if effort not in EFFORTS:
            raise BadRequest(f"reasoning_effort must be one of none, {', '.join(EFFORTS)}", param="reasoning_effort")
        if any(mark in self.family for mark in BUDGET_MODELS) or not self.is_claude:
            return {"type": "enabled", "budget_tokens": BUDGETS[effort]}
        return {"type": "adaptive"}

    def _possible(self, wish: JSON) -> JSON | None:
        if _is_forced(self.body.get("tool_choice")):
            return None
        if wish.get("type") != "enabled":
            return wish
        if _has_bare_tool_turn(self.body.get("messages")):
            return None
        return within_limit(wish, self.limit)


def _limit(body: JSON, config: Config) -> int | None:
    given = [body.get(name) for name in ("max_completion_tokens", "max_tokens")]
    limits = [limit for limit in (*[each for each in given if each is not None][:1], config.get("maxTokens")) if limit]
    return min(limits) if limits else None


def _has_bare_tool_turn(messages: Any) -> bool:
    """Whether the last assistant turn called a tool and came back without what it thought."""
    spoken = [message for message in messages or [] if message.get("role") == "assistant"]
    return bool(spoken and spoken[-1].get("tool_calls") and not signed_thinking(spoken[-1]))


def _is_forced(choice: Any) -> bool:
    return choice == "required" or isinstance(choice, dict)


# Tools


def _tool_config(body: JSON, messages: list[JSON], asked: _Asked) -> JSON:
    """Converse has no choice `none`: the tools stay away instead. But a history with calls must come with tools."""
    tools = [] if body.get("tool_choice") == "none" else body.get("tools") or []
    called = {block["toolUse"]["name"] for turn in messages for block in turn["content"] if "toolUse" in block}
    if not tools and called:
        names = {tool["function"]["name"] for tool in body.get("tools") or []}
        tools = [*(body.get("tools") or []), *({"function": {"name": name}} for name in sorted(called - names))]
        return {"tools": [entry for tool in tools for entry in _tool(tool, asked)]}
    if not tools:
        return {}
    choice = _tool_choice(body.get("tool_choice"))
    specifications = [entry for tool in tools for entry in _tool(tool, asked)]
    return {"tools": specifications} | ({"toolChoice": choice} if choice else {})


def _tool(tool: Any, asked: _Asked) -> list[JSON]:
    """The specification, and the point after it where the caller marked one."""
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or not function.get("name"):
        raise BadRequest("a tool needs function.name", param="tools")
    fields = {
        "name": function["name"],
        "description": function.get("description") or None,
        "inputSchema": {"json": function.get("parameters") or {"type": "object", "properties": {}}},
        "strict": function.get("strict") or None,
    }
    control = tool.get("cache_control") or function.get("cache_control")
    specification = {"toolSpec": {name: value for name, value in fields.items() if value is not None}}
    return [specification, cache_point(control)] if control and asked.takes_cache else [specification]


CHOICES: dict[str, JSON | None] = {"auto": {"auto": {}}, "required": {"any": {}}, "none": None}


def _tool_choice(choice: Any) -> JSON | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in CHOICES:
        return CHOICES[choice]
    function = choice.get("function") if isinstance(choice, dict) and choice.get("type") == "function" else None
    if not isinstance(function, dict) or not function.get("name"):
        raise BadRequest("tool_choice is not auto, none, required or a function", param="tool_choice")
    return {"tool": {"name": function["name"]}}
