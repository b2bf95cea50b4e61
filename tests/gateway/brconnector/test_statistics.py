"""What all keys came to."""

from datetime import timedelta
from decimal import Decimal

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import ApiKey, Role
from accounts.services import keys
from tests import factories
from tests.fakes.openai import FakeOpenAI
from tests.gateway.brconnector.api import Api

TOTAL = "/admin/statistics/total"


def test_nothing_yet(api: Api) -> None:
    totals = {"count_key": 1, "active_key": 0, "active_key_this_month": 0, "total_fee": 0, "total_month_fee": 0}
    assert api.get(TOTAL) == totals


def test_calls_of_this_month_and_of_earlier_ones(api: Api, upstream: FakeOpenAI) -> None:
    factories.model(factories.provider(upstream), price_in=Decimal(0), price_out=Decimal(1000))
    long_ago = timezone.now() - timedelta(days=40)
    idle = factories.key().key
    ApiKey.objects.filter(pk=idle.pk).update(
        spent=Decimal("2.5"), month_fee=Decimal(2), month=long_ago.date().replace(day=1), last_used_at=long_ago
    )
    ApiKey.objects.filter(pk=idle.pk).update(updated_at=long_ago)
    caller = factories.key()
    for _ in range(3):
        assert Api(caller.secret).chat().status_code == 200
    assert api.get(TOTAL) == {
        "count_key": 3,
        "active_key": 2,
        "active_key_this_month": 1,
        "total_fee": 2.53,
        "total_month_fee": 0.03,
    }


def test_what_is_not_listed_is_not_counted(api: Api) -> None:
    for key in (factories.key(is_internal=True, role=Role.ADMIN).key, keys.revoke(key=factories.key().key)):
        ApiKey.objects.filter(pk=key.pk).update(spent=7)
    assert api.get(TOTAL)["count_key"] == 1
    assert api.get(TOTAL)["total_fee"] == 0


def test_it_is_one_query_whatever_the_number_of_keys(api: Api) -> None:
    api.get(TOTAL)
    with CaptureQueriesContext(connection) as captured:
        api.get(TOTAL)
    assert len(captured) == 2  # who asks is the other
