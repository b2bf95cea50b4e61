"""Which fields of a row a declaration has and how each is written: read from the models, so that none is forgotten."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from django.db import models

from common.fields import EncryptedTextField
from common.money import MoneyField, plain, show, to_units, to_usd
from providers.models import AIModel

Row = type[models.Model]

if TYPE_CHECKING:
    Field = models.Field[Any, Any]
else:
    Field = models.Field


@dataclass(frozen=True, slots=True)
class Codec:
    """How a kind of column is written. `read` raises ValueError or TypeError for what is not `wanted`."""

    wanted: str
    read: Callable[[Field, Any], Any]
    write: Callable[[Any], Any] = lambda value: value


def _boolean(field: Field, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _integer(field: Field, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    return value


def _number(field: Field, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError
    return float(value)


def _text(field: Field, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _money(field: Field, value: Any) -> Decimal:
    """A text or a whole number: what YAML makes of 0.1 is not quite 0.1."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    return to_usd(to_units(value))


def _decimal(field: Field, value: Any) -> Decimal:
    """As an amount is; the column's own checks say how large and how precise it may be."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError
    try:
        return Decimal(value)
    except InvalidOperation:
        raise TypeError from None


def _json(field: Field, value: Any) -> Any:
    """What JSON has, in the column's own shape."""
    if type(value) is not type(field.get_default()):
        raise TypeError
    json.dumps(value, allow_nan=False)
    return value


# The first that fits, so the narrow come before the broad.
CODECS: tuple[tuple[type[Field], Codec], ...] = (
    (MoneyField, Codec("an amount as text, such as '2.50'", _money, lambda value: show(to_units(value)))),
    (models.DecimalField, Codec("a number as text, such as '1.5'", _decimal, lambda value: plain(Decimal(value)))),
    (models.BooleanField, Codec("true or false", _boolean)),
    (models.JSONField, Codec("JSON", _json)),
    (models.FloatField, Codec("a number", _number)),
    (models.IntegerField, Codec("a whole number", _integer)),
    (models.CharField, Codec("a text", _text)),
    (models.TextField, Codec("a text", _text)),
)


def fields_of(row: Row) -> dict[str, Field]:
    """Those that an operator edits, without what the place in the document says and without secrets."""
    return {
        field.name: field
        for field in row._meta.concrete_fields
        if field.editable
        and not field.primary_key
        and not field.is_relation
        and not isinstance(field, EncryptedTextField)
    }


def codec_of(field: Field) -> Codec:
    """Raises LookupError for a kind of column that no declaration can hold yet."""
    for kind, codec in CODECS:
        if isinstance(field, kind):
            return codec
    raise LookupError(f"no way to write {field.name}, a {type(field).__name__}")


def read(field: Field, value: Any) -> Any:
    """A column's value out of a document's; raises ValueError with what is wrong."""
    if value is None:
        if field.null:
            return None
        raise ValueError("must not be empty")
    codec = codec_of(field)
    try:
        return codec.read(field, value)
    except TypeError:
        raise ValueError(f"must be {_wanted(field, codec)}, not {_shown(value)}") from None


def write(field: Field, value: Any) -> Any:
    """A column's value as a document has it."""
    return None if value is None else codec_of(field).write(value)


def default(row: Row, field: Field, values: dict[str, Any]) -> Any:
    """What a field has that the document leaves out. `values` are the row's others."""
    if row is AIModel and field.name == "upstream_name":
        return values.get("name")
    return field.get_default()


def is_same(field: Field, one: Any, other: Any) -> bool:
    if isinstance(field, models.JSONField):  # in Python, true is 1
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    return bool(one == other)


def _wanted(field: Field, codec: Codec) -> str:
    """A column of JSON wants the shape of its default."""
    return _shown(field.get_default()) if isinstance(field, models.JSONField) else codec.wanted


def _shown(value: Any) -> str:
    """No more than its kind, as anything may turn out to be a secret in the wrong place."""
    names = {
        "str": "a text",
        "int": "a whole number",
        "float": "a number",
        "bool": "true or false",
        "dict": "an object",
    }
    return names.get(type(value).__name__, f"a {type(value).__name__}")
