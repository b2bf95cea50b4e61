"""Money is exact."""

from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db.models import Sum

from accounts.models import ApiKey
from common import money
from tests import factories


def test_a_third_of_a_cent_survives_a_thousand_additions(db: None) -> None:
    factories.key(month_quota=Decimal("0.1"))
    total = Decimal(0)
    for _ in range(1000):
        total += Decimal("0.0033333333")
    ApiKey.objects.update(month_quota=total)
    assert ApiKey.objects.get().month_quota == Decimal("3.3333333000")
    assert ApiKey.objects.aggregate(sum=Sum("month_quota"))["sum"] == total


@pytest.mark.parametrize(
    "wrong",
    ["x", "", "0.00000000001", "1e30", "NaN", "sNaN", "Infinity", "-Infinity", "1e-11", "1e1000000", "-1e1000000"],
)
def test_what_is_no_amount_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError):
        money.to_units(wrong)


@pytest.mark.parametrize("wrong", [Decimal("0.00000000001"), Decimal("1e12"), Decimal(-1)])
def test_a_form_gets_a_validation_error(db: None, wrong: Decimal) -> None:
    with pytest.raises(ValidationError):
        factories.key(month_quota=wrong)


@pytest.mark.parametrize(
    ("units", "text"),
    [(0, "0.00"), (1, "0.0000000001"), (10**10, "1.00"), (12_500_000_000, "1.25"), (-5, "-0.0000000005")],
)
def test_an_amount_is_shown_plainly(units: int, text: str) -> None:
    assert money.show(units) == text


@pytest.mark.parametrize("given", [Decimal("1.5"), 2, "0.0000000001"])
def test_there_and_back(given: Any) -> None:
    assert money.to_usd(money.to_units(given)) == Decimal(given)
