"""A provider's settings held against the fields of its vendor's row."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from providers.catalog.vendor import ConfigField, Vendor


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


# What each type of field takes, and how to ask for it.
TYPES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "string": (lambda value: isinstance(value, str), "a text"),
    "integer": (_is_integer, "a whole number"),
    "number": (_is_number, "a number"),
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "array": (lambda value: isinstance(value, list), "a JSON list"),
    "object": (lambda value: isinstance(value, dict), "a JSON object"),
}
NOTHING: tuple[Any, ...] = (None, "", [], {})


def problems(vendor: Vendor, config: Mapping[str, Any]) -> Iterator[tuple[ConfigField, str]]:
    """What is wrong with each field that something is wrong with."""
    for field in vendor.settings:
        problem = _problem(field, config.get(field.name))
        if problem:
            yield field, problem


def _problem(field: ConfigField, value: Any) -> str:
    if value in NOTHING:
        return "is required." if must_be_given(field) else ""
    is_right, wanted = TYPES[field.type]
    if not is_right(value):
        return f"must be {wanted}."
    taken = sorted(field.reserved & set(value)) if field.reserved else []
    return f"may not hold {', '.join(taken)}: the caller or the gateway says so." if taken else ""


def must_be_given(field: ConfigField) -> bool:
    return field.is_required and field.default in NOTHING
