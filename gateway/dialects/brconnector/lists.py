"""Lists: `limit`, `offset` and `q`, and the shape {"items", "total", "limit", "offset"} (contract A1)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Q, QuerySet, TextField, Value
from django.db.models.functions import Cast, StrIndex
from rest_framework.request import Request

from gateway.dialects.brconnector.refusals import NO_NULLS, Refusal
from gateway.dialects.brconnector.values import LARGEST_ID, id_in

JSON = dict[str, Any]

USUAL = 20
MOST = 2000  # rows at once, whatever is asked


@dataclass(frozen=True, slots=True)
class Page:
    limit: int
    offset: int
    q: str


def page_of(request: Request) -> Page:
    """Raises Refusal for what is below zero; what is no number counts as not given."""
    limit, offset = _number(request, "limit"), _number(request, "offset")
    return Page(min(limit or USUAL, MOST), min(offset, LARGEST_ID - MOST), parameter(request, "q"))


def _number(request: Request, name: str) -> int:
    text = parameter(request, name)
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return 0
    if text != digits and digits.strip("0"):
        raise Refusal(f"{name} must not be negative")
    return min(int(digits[:20]), LARGEST_ID)


def parameter(request: Request, name: str) -> str:
    """A query parameter; blank is not given. Raises Refusal."""
    text: str = request.query_params.get(name, "").strip()
    if "\0" in text:
        raise Refusal(NO_NULLS)
    return text


def id_parameter(request: Request, name: str) -> int | None:
    """A row's number from the query; None when it is not given. Raises Refusal."""
    text = parameter(request, name)
    return id_in({name: text}, name) if text else None


def containing(rows: QuerySet[Any], q: str, *columns: str) -> QuerySet[Any]:
    """Rows with this text in one of the columns, letter for letter, on every database."""
    if not q:
        return rows
    found = Q()
    for number, column in enumerate(columns):
        name = f"place_of_q_{number}"
        rows = rows.alias(**{name: StrIndex(Cast(F(column), TextField()), Value(q))})
        found |= Q(**{f"{name}__gt": 0})
    return rows.filter(found)


def listed(rows: QuerySet[Any], page: Page, shape: Callable[[Any], JSON]) -> JSON:
    """One page of the rows, which have an order, in the list's shape."""
    items = [shape(row) for row in rows[page.offset : page.offset + page.limit]]
    return {"items": items, "total": rows.count(), "limit": page.limit, "offset": page.offset}


def one(rows: QuerySet[Any], id: int, shape: Callable[[Any], JSON]) -> JSON | None:
    """The row of this number in its shape; None without one."""
    row = rows.filter(pk=id).first()
    return shape(row) if row else None
