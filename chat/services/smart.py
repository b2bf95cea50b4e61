"""A router: a model that has no answers of its own, but lets another model choose who answers, by rules.

Settings of its provider: `rules`, a list of {"name": a model's public name, "description": when to take it}, and
`localLlmModel`, the public name of the model that chooses. Both calls are the caller's, each at its model's own price.
"""

import logging
from collections.abc import Callable
from typing import Any

import orjson

from chat.errors import BadCall
from chat.services.calls import ENDPOINTS, Call
from chat.services.plan import DEFAULT_NAME
from providers.requesters.errors import Cancelled, ProviderError, Unavailable

logger = logging.getLogger(__name__)
JSON = dict[str, Any]

DEEPEST = 3  # routers that lead to routers
MOST_TOKENS = 256
TOOL = "chooseModel"
INSTRUCTION = (
    "You choose which model answers the conversation. Don't answer it yourself: call the function chooseModel once, "
    "with the name of the model whose description fits best. The models are: "
)


def choose(call: Call, settings: JSON, run: Callable[[Call], Any]) -> None:
    """Put the name that the chooser picks into the call. Raises what `run`, one call's whole way, raises."""
    call.routed += 1
    if call.routed > DEEPEST:
        raise BadCall(f"The model `{call.model}` is a router that leads to other routers without end.", "model")
    rules = rules_of(settings)
    question = _question(call, chooser_of(settings), rules)
    picked = _ask(question, run) if rules else None  # vendors refuse a choice among nothing
    names = {rule["name"] for rule in rules}
    call.router, call.model_id = call.router or call.model, None
    call.body = {**call.body, "model": picked if picked in names else DEFAULT_NAME}


def _ask(question: Call, run: Callable[[Call], Any]) -> str | None:
    """The chooser's word; a chooser that fails chooses nobody."""
    try:
        return _picked(run(question).answer.json)
    except Cancelled:
        raise
    except ProviderError as error:
        logger.warning("%s: the router's chooser failed: %s", question.request_id, error)
        return None


def rules_of(settings: Any) -> list[dict[str, str]]:
    """The rules that can be used, without whatever else they hold."""
    rules = settings.get("rules") if isinstance(settings, dict) else None
    return [
        {"name": rule["name"], "description": str(rule.get("description", ""))}
        for rule in (rules if isinstance(rules, list) else ())
        if isinstance(rule, dict) and isinstance(rule.get("name"), str) and rule["name"]
    ]


def chooser_of(settings: Any) -> str:
    """The public name of the model that chooses; raises Unavailable without one."""
    name = settings.get("localLlmModel") if isinstance(settings, dict) else None
    if not isinstance(name, str) or not name:
        raise Unavailable("The router does not say which model chooses: set localLlmModel on its provider.")
    return name


def _question(call: Call, chooser: str, rules: list[dict[str, str]]) -> Call:
    messages = call.body.get("messages") or [{"role": "user", "content": str(call.body.get("prompt", ""))}]
    body = {
        "model": chooser,
        "messages": [*messages, {"role": "system", "content": INSTRUCTION + orjson.dumps(rules).decode()}],
        "tools": [_tool(list(dict.fromkeys(rule["name"] for rule in rules)))],
        "tool_choice": "auto",
        "max_tokens": MOST_TOKENS,
    }
    return Call(
        ENDPOINTS["chat"],
        body,
        len(orjson.dumps(body)),
        call.caller,
        question_ids(call.request_id)[call.routed - 1],
        tags=call.tags,
        limits=call.limits,
        token=call.token,
        routed=call.routed,
    )


def question_ids(request_id: str) -> list[str]:
    """The charges of what a call's routers may ask: beside its own, in turn."""
    return [f"{request_id}-r{number}" for number in range(1, DEEPEST + 1)]


def _tool(names: list[str]) -> JSON:
    parameters = {
        "type": "object",
        "properties": {"modelId": {"type": "string", "enum": names, "description": "The model's name."}},
        "required": ["modelId"],
    }
    function = {"name": TOOL, "description": "Choose the model that answers.", "parameters": parameters}
    return {"type": "function", "function": function}


def _picked(answer: JSON) -> str | None:
    """The name in the first fitting tool call, if there is one that can be read."""
    for choice in answer.get("choices") or []:
        for tool_call in (choice.get("message") or {}).get("tool_calls") or []:
            function = tool_call.get("function") or {}
            if function.get("name") == TOOL and (name := _argument(function.get("arguments"))):
                return name
    return None


def _argument(arguments: Any) -> str | None:
    try:
        value = orjson.loads(arguments)["modelId"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
