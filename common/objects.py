"""JSON objects that others wrote, parsed within bounds of depth."""

from typing import Any

import orjson

JSON = dict[str, Any]

DEEPEST = 100  # levels; orjson writes no more than 254


class NoObject(ValueError):
    """What is wrong with a body that should have been one."""


def parse_object(raw: bytes | str) -> JSON:
    """Raises NoObject."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise NoObject(f"The body is not valid JSON: {error}.") from None
    if not isinstance(body, dict):
        raise NoObject("The body must be a JSON object.")
    if _brackets(raw) > DEEPEST and _depth(body) > DEEPEST:
        raise NoObject(f"The body is nested deeper than {DEEPEST} levels.")
    return body


def _brackets(raw: bytes | str) -> int:
    """No fewer than there are levels."""
    return raw.count("{") + raw.count("[") if isinstance(raw, str) else raw.count(b"{") + raw.count(b"[")


def _depth(value: Any) -> int:
    """Levels of nesting, counted without recursion."""
    depth, level = 0, [value]
    while level and depth <= DEEPEST:
        depth += 1
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
    return depth
