"""/admin/api-key/import: a key for each row of a CSV file, or for none of them (contract A2.1)."""

import csv
from collections.abc import Iterator, Sequence
from decimal import Decimal
from io import StringIO
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.services import keys
from accounts.services.keys import IssuedKey
from gateway.dialects.brconnector import schema_keys as schema
from gateway.dialects.brconnector.envelope import AdminView, ok
from gateway.dialects.brconnector.groups import group_in
from gateway.dialects.brconnector.keys import NEW_SECRET, told
from gateway.dialects.brconnector.lists import parameter
from gateway.dialects.brconnector.refusals import NO_NULLS, Refusal, text_of
from gateway.dialects.brconnector.values import amount_or, quota_of
from gateway.dialects.forms import read_form
from gateway.dialects.incoming import BodyNotForm
from gateway.dialects.service import has_null_character
from providers.requesters.forms import FilePart

JSON = dict[str, Any]
Rows = Iterator[tuple[int, list[str]]]

BAD_FILE = "Please upload a properly formatted CSV file."
NAME_COLUMNS = ("cognito:username", "name")  # of two that are there, the first
EMAIL_COLUMN = "email"
MOST_ROWS = 10_000
SHOW_KEYS = "keys"


class KeyImport(AdminView):
    """The secrets can be seen nowhere afterwards, so who wants them asks for them with the file."""

    @schema.IMPORT
    def post(self, request: Request) -> Response:
        form = form_of(request)
        drafts = list(drafts_of(form))
        if not drafts:
            raise bad_file("It has no rows.")
        with transaction.atomic():
            keys.store_all(drafts, group=group_in(form))
        if parameter(request, "show") == SHOW_KEYS:
            return ok([told(each) for each in drafts], is_secret=True)
        return ok("OK")


def form_of(request: Request) -> JSON:
    """Raises Refusal or a BodyError."""
    try:
        form, _ = read_form(request._request)
    except BodyNotForm as error:
        raise bad_file(str(error)) from error
    if has_null_character(form):
        raise Refusal(NO_NULLS)
    return form


def drafts_of(form: JSON) -> Iterator[IssuedKey]:
    """Keys that are not stored yet. Raises Refusal, with the number of the row where it is one row's fault."""
    quota = quota_of(amount_or(form, "month_quota", Decimal(0)))
    for number, name, email in people_in(text_in_file(form)):
        try:
            yield keys.draft(name=name, email=email, month_quota=quota, **NEW_SECRET)
        except ValidationError as error:
            raise bad_file(f"Row {number}: {text_of(error)}") from error


def text_in_file(form: JSON) -> str:
    """Raises Refusal."""
    file = form.get("file")
    if not isinstance(file, FilePart):
        raise Refusal(BAD_FILE)
    try:
        return file.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise bad_file("It is not in UTF-8.") from error


def people_in(text: str) -> Iterator[tuple[int, str, str]]:
    """The number of each row, its name and its e-mail address; the header is row 1. Raises Refusal."""
    rows = rows_in(text)
    _, header = next(rows, (1, []))
    name_column = next((header.index(name) for name in NAME_COLUMNS if name in header), None)
    if name_column is None:
        raise bad_file("Its first row names the columns: name or cognito:username, and email if there are addresses.")
    email_column = header.index(EMAIL_COLUMN) if EMAIL_COLUMN in header else None
    for number, cells in rows:
        check_row(number, cells, header, name_column)
        yield number, cells[name_column], "" if email_column is None else cells[email_column]


def rows_in(text: str) -> Rows:
    """Those that are not empty, without blanks around their cells. Raises Refusal."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    number = 0
    try:
        for number, row in enumerate(reader, start=1):
            cells = [cell.strip() for cell in row]
            if number > MOST_ROWS + 1:
                raise bad_file(f"It has more than {MOST_ROWS} rows.")
            if any(cells):
                yield number, cells
    except csv.Error as error:
        raise bad_file(f"Row {number + 1}: {error}.") from error


def check_row(number: int, cells: Sequence[str], header: Sequence[str], name_column: int) -> None:
    """Raises Refusal."""
    if len(cells) != len(header):
        raise bad_file(f"Row {number}: it has {len(cells)} columns, and the header has {len(header)}.")
    if not cells[name_column]:
        raise bad_file(f"Row {number}: name is required.")
    if has_null_character(cells):
        raise bad_file(f"Row {number}: null characters are not allowed.")


def bad_file(reason: str) -> Refusal:
    return Refusal(f"{BAD_FILE} {reason}")


urlpatterns = [path("import", KeyImport.as_view())]
