"""JSON columns that hold what others sent."""

import json
from typing import Any

import orjson
import pytest
from django.core.exceptions import ValidationError

from accounts.models import User
from providers.models import Provider
from tests import factories

FIELD: Any = Provider._meta.get_field("config").formfield()
BEYOND = [10**30, -(2**63) - 1, 2**64, 1e22, 1e300]
WITHIN = [2**64 - 1, -(2**63), 0.1, "9" * 40, True]


@pytest.mark.parametrize(
    ("value", "told"), [*((each, float(each)) for each in BEYOND), *zip(WITHIN, WITHIN, strict=True)]
)
def test_whatever_was_stored_can_be_written_again(database: None, value: Any, told: Any) -> None:
    """On PostgreSQL a large float becomes a whole number in the column."""
    provider = factories.provider(config={"x": value}, metadata={"x": [value]})
    model = factories.model(provider, extra_args={"x": value}, metadata={"x": value})
    user = User.objects.create_user("ada", metadata={"x": value})
    for row, name in ((provider, "config"), (provider, "metadata"), (model, "extra_args"), (user, "metadata")):
        row.refresh_from_db()
        stored = getattr(row, name)["x"]
        assert orjson.loads(orjson.dumps(stored)) == ([told] if isinstance(stored, list) else told)


def _nested(levels: int) -> Any:
    return json.loads("[" * levels + "]" * levels)


@pytest.mark.parametrize("value", ["\ud800", {"\udfff": 1}, _nested(253), 2**64, {"x": [float("nan")]}])
def test_what_no_answer_could_tell_is_not_stored(db: None, value: Any) -> None:
    """As the console's forms take it: they read with Python's own parser."""
    model = factories.model(factories.provider())
    model.extra_args = {"x": value}
    model.provider.config = {"x": value}
    for row in (model, model.provider):
        with pytest.raises(ValidationError, match="JSON"):
            row.full_clean()


@pytest.mark.parametrize("sent", ["9" * 400, "-" + "9" * 5000, "[" * 3000 + "]" * 3000])
def test_a_form_is_told_that_it_can_t_be_stored(db: None, sent: str) -> None:
    """Numbers without end, and depth that Python's parser gives up on."""
    provider = factories.provider()
    with pytest.raises(ValidationError):
        provider.config = FIELD.clean(f'{{"x": {sent}}}')
        provider.full_clean()


@pytest.mark.parametrize("value", ["\U0001f600", _nested(200), 2**64 - 1, None, 1e300])
def test_what_an_answer_can_tell_is_stored(db: None, value: Any) -> None:
    model = factories.model(factories.provider(config={"x": value}), extra_args={"x": value})
    model.full_clean()
    model.provider.full_clean()
    model.refresh_from_db()
    assert (model.extra_args, model.provider.config) == ({"x": value}, {"x": value})
