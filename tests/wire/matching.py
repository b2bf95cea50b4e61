"""Recorded answers against real ones: equal key for key, with shapes where a value can't be known beforehand."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
SHAPES = {
    "uuid": UUID,
    "time": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)?",
    "int": r"\d+",
    "number": r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "token": r"[\w-]+\.[\w-]+\.[\w-]+",
    "secret": r"[\w-]{20,}",
    "text": r".+",
}
SHAPE = re.compile(rf"<({'|'.join(SHAPES)})>")
PLACEHOLDER = re.compile(r"\{(\w+)\.(\w+)\}")


def filled(value: Any, made: Mapping[str, Any]) -> Any:
    """A recording with `{name.attribute}` replaced by what the set-ups made; alone in its text, it keeps its type."""
    if isinstance(value, dict):
        return {filled(name, made): filled(each, made) for name, each in value.items()}
    if isinstance(value, list):
        return [filled(each, made) for each in value]
    return _filled_text(value, made) if isinstance(value, str) else value


def _filled_text(text: str, made: Mapping[str, Any]) -> Any:
    alone = PLACEHOLDER.fullmatch(text)
    if alone:
        found = _attribute(alone, made)
        return found if isinstance(found, int | float | list | dict) else str(found)
    return PLACEHOLDER.sub(lambda match: str(_attribute(match, made)), text)


def _attribute(match: re.Match[str], made: Mapping[str, Any]) -> Any:
    thing = made[match[1]]
    return thing[match[2]] if isinstance(thing, dict) else getattr(thing, match[2])


def differences(recorded: Any, real: Any, at: str = "body") -> Iterator[str]:
    """Each place where they differ, in words."""
    if isinstance(recorded, dict) and isinstance(real, dict):
        for name in sorted(recorded.keys() ^ real.keys()):
            yield f"{at}.{name} is {'missing' if name in recorded else f'not recorded: {real[name]!r}'}"
        for name in recorded.keys() & real.keys():
            yield from differences(recorded[name], real[name], f"{at}.{name}")
    elif isinstance(recorded, list) and isinstance(real, list) and len(recorded) == len(real):
        for place, pair in enumerate(zip(recorded, real, strict=True)):
            yield from differences(*pair, f"{at}[{place}]")
    elif not _is_alike(recorded, real):
        yield f"{at} is {real!r}, recorded is {recorded!r}"


def _is_alike(recorded: Any, real: Any) -> bool:
    if not (isinstance(recorded, str) and SHAPE.search(recorded)):
        return type(recorded) is type(real) and bool(recorded == real)
    if recorded in ("<int>", "<number>"):
        types = (int,) if recorded == "<int>" else (int, float)
        return isinstance(real, types) and not isinstance(real, bool)
    return isinstance(real, str) and re.fullmatch(_pattern(recorded), real) is not None


def _pattern(recorded: str) -> str:
    pieces = SHAPE.split(recorded)  # text, shape, text, shape, ...
    return "".join(SHAPES[piece] if place % 2 else re.escape(piece) for place, piece in enumerate(pieces))
