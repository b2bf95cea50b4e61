"""What Anthropic's Messages API accepts, as far as the gateway uses it; anything else is a Violation.

Sources: platform.claude.com/docs (Messages, Tool use, Extended thinking) and anthropics/anthropic-sdk-python's types.
"""

import re
from collections.abc import Callable
from typing import Any

from tests.fakes.server import JSON, Violation

FIELDS = frozenset(
    {
        "cache_control",
        "container",
        "inference_geo",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "output_config",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
# Block type: who may say it, the fields it must have, the fields it may have.
BLOCKS: dict[str, tuple[tuple[str, ...], set[str], set[str]]] = {
    "text": (("user", "assistant"), {"text"}, {"cache_control", "citations"}),
    "image": (("user",), {"source"}, {"cache_control"}),
    "document": (("user",), {"source"}, {"cache_control", "title", "context", "citations"}),
    "tool_use": (("assistant",), {"id", "name", "input"}, {"cache_control"}),
    "tool_result": (("user",), {"tool_use_id"}, {"content", "is_error", "cache_control"}),
    "thinking": (("assistant",), {"thinking", "signature"}, set()),
    "redacted_thinking": (("assistant",), {"data"}, set()),
}
SOURCES = {"base64": {"type", "media_type", "data"}, "url": {"type", "url"}}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
TOOL_FIELDS = frozenset({"name", "description", "input_schema", "cache_control", "strict", "type"})
THINKING = ("thinking", "redacted_thinking")


def check_request(body: JSON) -> None:
    for name in body.keys() - FIELDS:
        raise Violation(f"{name}: Extra inputs are not permitted")
    _check(type(body.get("model")) is str, "model: Field required")
    _check(type(body.get("max_tokens")) is int and body["max_tokens"] >= 1, "max_tokens: Field required")
    _check(0 <= body.get("temperature", 1) <= 1, "temperature: range: 0..1")
    _check(set(body.get("metadata", {})) <= {"user_id"}, "metadata: Extra inputs are not permitted")
    _check(set(body.get("output_config", {})) <= {"format", "effort"}, "output_config: Extra inputs are not permitted")
    _check(all(text.strip() for text in body.get("stop_sequences", [])), "stop_sequences: must contain non-whitespace")
    system = body.get("system", "x")
    _check_blocks([{"type": "text", "text": system}] if isinstance(system, str) else system, "user", "system")
    _check_tools(body)
    _check_messages(body.get("messages"))
    _check_thinking(body)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise Violation(message)


def _check_tools(body: JSON) -> None:
    for index, tool in enumerate(body.get("tools", [])):
        where = f"tools.{index}"
        if tool.get("type") not in (None, "custom"):
            continue  # One of the vendor's own.
        _check(not tool.keys() - TOOL_FIELDS, f"{where}: Extra inputs are not permitted")
        _check(bool(TOOL_NAME.fullmatch(tool.get("name", ""))), f"{where}.name: invalid")
        _check((tool.get("input_schema") or {}).get("type") == "object", f"{where}.input_schema.type: Field required")
    choice = body.get("tool_choice")
    if choice is not None:
        _check("tools" in body, "tool_choice may only be specified while providing tools")
        _check(choice.get("type") in ("auto", "any", "tool", "none"), "tool_choice: invalid")
        _check((choice["type"] == "tool") == ("name" in choice), "tool_choice.name")


def _check_messages(messages: Any) -> None:
    _check(isinstance(messages, list) and len(messages) > 0, "messages: at least one message is required")
    expected: set[str] = set()
    for index, message in enumerate(messages):
        where, role = f"messages.{index}", message.get("role")
        _check(message.keys() == {"role", "content"}, f"{where}: Extra inputs are not permitted")
        # The real one merges neighbours of one role today; the gateway must not lean on that.
        _check(role == ("user", "assistant")[index % 2], f"{where}: roles must alternate, user first")
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        _check_blocks(blocks, role, where)
        _check_results(blocks, expected, where)
        expected = {block["id"] for block in blocks if block["type"] == "tool_use"}


def _check_blocks(blocks: Any, role: str, where: str) -> None:
    _check(isinstance(blocks, list) and len(blocks) > 0, f"{where}: content must not be empty")
    for index, block in enumerate(blocks):
        spot = f"{where}.content.{index}"
        _check(block.get("type") in BLOCKS, f"{spot}.type: unknown {block.get('type')!r}")
        speakers, required, optional = BLOCKS[block["type"]]
        _check(role in speakers, f"{spot}: `{block['type']}` blocks are not permitted in {role} turns")
        fields = block.keys() - {"type"}
        _check(required <= fields <= required | optional, f"{spot}: fields {sorted(fields)}")
        if check := FURTHER.get(block["type"]):
            check(block, spot)


def _check_text(block: JSON, where: str) -> None:
    _check(isinstance(block["text"], str) and bool(block["text"].strip()), f"{where}: text must be non-whitespace")


def _check_source(block: JSON, where: str) -> None:
    source = block["source"]
    _check(source.keys() == SOURCES.get(source.get("type")), f"{where}.source: invalid")


def _check_tool_use(block: JSON, where: str) -> None:
    _check(isinstance(block["input"], dict), f"{where}.input: must be an object")


def _check_tool_result(block: JSON, where: str) -> None:
    if isinstance(block.get("content"), list):
        _check_blocks(block["content"], "user", where)


FURTHER: dict[str, Callable[[JSON, str], None]] = {
    "text": _check_text,
    "image": _check_source,
    "document": _check_source,
    "tool_use": _check_tool_use,
    "tool_result": _check_tool_result,
}


def _check_results(blocks: list[JSON], expected: set[str], where: str) -> None:
    """Each tool_use is answered in the very next turn, once, and before anything else there."""
    found = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    _check(len(found) == len(set(found)) and set(found) == expected, f"{where}: tool_use and tool_result do not pair")
    _check(all(block["type"] == "tool_result" for block in blocks[: len(found)]), f"{where}: tool_result must be first")


def _check_thinking(body: JSON) -> None:
    thinking = body.get("thinking") or {"type": "disabled"}
    if thinking["type"] == "disabled":
        return
    _check("temperature" not in body or body["temperature"] == 1, "temperature: may only be 1 when thinking is enabled")
    _check("top_k" not in body, "top_k: must be unset when thinking is enabled")
    _check(body.get("top_p", 1) >= 0.95, "top_p: must be at least 0.95 when thinking is enabled")
    forced = (body.get("tool_choice") or {}).get("type") in ("any", "tool")
    _check(not forced, "Thinking may not be enabled when tool_choice forces tool use")
    if thinking["type"] == "enabled":
        _check(1024 <= thinking["budget_tokens"] < body["max_tokens"], "thinking.budget_tokens: out of range")
        _check("opus-4-7" not in body["model"], '"thinking.type.enabled" is not supported for this model')
        _check_kept_thinking(body["messages"])


def _check_kept_thinking(messages: list[JSON]) -> None:
    turns = [turn["content"] for turn in messages if turn["role"] == "assistant" and isinstance(turn["content"], list)]
    if turns and any(block["type"] == "tool_use" for block in turns[-1]):
        _check(turns[-1][0]["type"] in THINKING, "Expected `thinking` or `redacted_thinking`, but found `tool_use`")
