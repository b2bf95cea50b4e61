"""CSV files of people who get keys: all of their rows, or none."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import ApiKey
from gateway.dialects.brconnector.key_import import MOST_ROWS
from tests import factories
from tests.gateway.brconnector.api import Api, data_of

IMPORT = "/admin/api-key/import"
BAD_FILE = "Please upload a properly formatted CSV file."


def imported() -> list[tuple[str, str]]:
    return list(ApiKey.objects.exclude(name="root").order_by("id").values_list("name", "email"))


GOOD = {
    "plain": "name,email\njack,jack@example.com\njill,\n",
    "other_columns": "id,email,cognito:username,name\n1,jack@example.com,jack,J\n2,,jill,\n",
    "mark_and_line_ends": "\ufeffname,email\r\njack,jack@example.com\r\njill,\r\n",
    "old_line_ends": "name,email\rjack,jack@example.com\rjill,\r",
    "quoted": '"name","email"\n"jack","jack@example.com"\n"jill",""\n',
    "empty_lines": "\n\nname,email\n\njack,jack@example.com\n,\n\njill,\n\n",
    "blanks": " name , email \n jack , jack@example.com \n jill , \n",
    "no_last_line_end": "name,email\njack,jack@example.com\njill,",
}


@pytest.mark.parametrize("file", GOOD.values(), ids=GOOD)
def test_each_row_is_a_key(api: Api, file: str) -> None:
    assert data_of(api.upload(file)) == "OK"
    assert imported() == [("jack", "jack@example.com"), ("jill", "")]


def test_quotes_hold_commas_and_lines(api: Api) -> None:
    data_of(api.upload('name\n"Doe, ""Jack""\nof Kent"\n'))
    assert imported() == [('Doe, "Jack"\nof Kent', "")]


def test_the_keys_have_the_form_s_group_and_quota(api: Api) -> None:
    group = factories.group()
    data_of(api.upload("name\njack\n", month_quota="1.5", group_id=str(group.pk)))
    key = ApiKey.objects.get(name="jack")
    assert (key.group, key.month_quota, key.role, key.balance) == (group, Decimal("1.5"), "user", 0)
    assert not key.all_models and not key.grants.exists()


def test_who_asks_is_shown_the_secrets_and_no_one_else(api: Api) -> None:
    answer = api.upload("name\njack\njill\n", f"{IMPORT}?show=keys")
    assert answer["Cache-Control"] == "no-store"
    shown = data_of(answer)
    assert [row["name"] for row in shown] == ["jack", "jill"]
    for row in shown:
        assert Api(row["api_key"]).get("/user/api-key/mine")["id"] == row["id"]
        assert len(row["api_key"]) == 32


LONG = "name\n" + "jack\n" * (MOST_ROWS + 1)
BAD = {
    "header": ("user,email\njack,\n", "first row"),
    "semicolons": ("name;email\njack;\n", "first row"),
    "bad_row": ("name,email\njack,\njill,nowhere\njim,\n", "Row 3: email"),
    "missing_cell": ("name,email\njack,\njill\n", "Row 3"),
    "cell_too_many": ("name,email\njack,a@example.com,b\n", "Row 2"),
    "no_name": ("name,email\njack,\n,a@example.com\n", "Row 3: name is required"),
    "long_name": (f"name\njack\n{'j' * 256}\n", "Row 3: name"),
    "null_character": ("name\njack\nj\0ill\n", "Row 3"),
    "open_quote": ('name\njack\n"jill\n', "Row 3"),
    "too_many_rows": (LONG, f"more than {MOST_ROWS} rows"),
    "not_utf_8": ("name\njack\njérôme\n".encode("latin-1"), "UTF-8"),
    "utf_16": ("name\njack\n".encode("utf-16"), "UTF-8"),
    "a_picture": (b"\x89PNG\r\n\x1a\n\0\0", "UTF-8"),
    "huge_cell": (f"name\njack\n{'j' * 200_000}\n", "Row 3"),
}


@pytest.mark.parametrize(("file", "reason"), BAD.values(), ids=BAD)
def test_one_bad_row_and_nothing_is_stored(api: Api, file: Any, reason: str) -> None:
    answer = api.upload(file)
    assert answer.status_code == 400
    assert answer.json()["data"].startswith(BAD_FILE)
    assert reason in answer.json()["data"]
    assert imported() == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"group_id": "999"}, "group_id is invalid: there is no such group"),
        ({"group_id": "x"}, "group_id is invalid"),
        ({"month_quota": "-1"}, f"{BAD_FILE} Row 2: month_quota: Ensure this value is greater than or equal to 0."),
        ({"month_quota": "much"}, "month_quota: Give a number."),
        ({"name\0": "x"}, "Null characters are not allowed."),
    ],
)
def test_a_bad_field_and_nothing_is_stored(api: Api, fields: dict[str, str], reason: str) -> None:
    answer = api.upload("name\njack\n", **fields)
    assert (answer.status_code, answer.json()["data"]) == (400, reason)
    assert imported() == []


def test_users_import_nothing(database: None) -> None:
    user = Api(factories.key().secret)
    assert user.upload("name\njack\n").json()["data"] == "Unauthorized: you are not an admin role."


def test_the_most_rows_are_few_statements(api: Api) -> None:
    """Calls wait while they are written."""
    with CaptureQueriesContext(connection) as captured:
        data_of(api.upload("name\n" + "jack\n" * MOST_ROWS))
    assert ApiKey.objects.count() == MOST_ROWS + 1
    assert len(captured) < 300  # SQLite takes about forty rows in each
