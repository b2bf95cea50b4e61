"""JSON columns that hold what others sent."""

from typing import Any

import orjson
import pytest

from accounts.models import User
from tests import factories

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
