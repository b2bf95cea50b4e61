"""Charges that nobody made are as whole as real ones."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import ApiKey, Charge, DayOfSpend
from accounts.services.ledger.audit import audit


def test_the_ledger_is_whole_with_them(database: None, settings: Any) -> None:
    settings.DEBUG = True
    out = StringIO()
    call_command("make_charges", "500", days=40, keys=6, stdout=out)
    assert "500 of 500" in out.getvalue()
    assert (Charge.objects.count(), ApiKey.objects.count()) == (500, 6)
    assert DayOfSpend.objects.values("day").distinct().count() == 40
    assert audit() == []
    call_command("make_charges", "50", keys=2, seed=2, stdout=out)  # beside what is there
    assert audit() == []


def test_a_gateway_in_use_is_not_filled_with_them(database: None) -> None:
    with pytest.raises(CommandError, match="Say --yes"):
        call_command("make_charges", "5")
    call_command("make_charges", "5", keys=1, yes=True, stdout=StringIO())
    assert Charge.objects.count() == 5


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 5, "days": 0}, {"count": 5, "days": 99999}])
def test_what_can_t_be_made_is_refused(database: None, options: dict[str, int]) -> None:
    with pytest.raises(CommandError):
        call_command("make_charges", str(options.pop("count")), yes=True, **options)
