"""Made-up saves of models: each is stored and told as it was written, or refused and leaves nothing."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.models import Provider
from providers.sensitive import masked
from tests.gateway.brconnector.test_models import Admin, admin, everything
from tests.providers.test_flat import WHOLE

__all__ = ["admin"]  # a fixture

JSON = dict[str, Any]

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just("***"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
KNOWN = sorted({name for config in WHOLE.values() for name in config} | {"headers", "", "note"})
ODD = st.dictionaries(st.sampled_from(KNOWN) | st.text(max_size=5), ANY_JSON, max_size=2)


@st.composite
def bodies(draw: Any) -> JSON:
    """Whole ones, with a few fields or settings that are something else or too many."""
    provider = draw(st.sampled_from(sorted(WHOLE)))
    body = {"name": "made up", "provider": provider, "config": {**WHOLE[provider], **draw(ODD)}}
    fields = st.sampled_from(["id", "name", "provider", "config", "price_in", "price_out", "multiple", "group_id"])
    return {**body, **draw(st.dictionaries(fields, ANY_JSON, max_size=1))}


@pytest.mark.usefixtures("database")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=bodies())
def test_a_save_is_told_back_or_refused(admin: Admin, body: JSON) -> None:
    Provider.objects.all().delete()  # of a run that failed
    before = everything()
    answer = admin.send("/admin/model/save", body)
    assert answer.status_code in (200, 400), answer.content
    if answer.status_code == 400:
        assert everything() == before
        return
    row = admin.row(answer.json()["data"]["id"])
    assert as_read(row["config"]) == as_read(masked(body["config"]))
    after = everything()
    admin.data("/admin/model/save", row | {name: float(row[name]) * 1e6 for name in ("price_in", "price_out")})
    assert everything() == after


def as_read(value: Any) -> Any:
    """With numbers as clients read them: PostgreSQL writes large ones in another way."""
    return json.loads(json.dumps(value), parse_int=float)
