"""The ledger's rules on one key's row."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from accounts.errors import InsufficientQuota, KeyExpired, KeyRevoked, StaleResolution
from accounts.models import Outcome, UsageSource
from accounts.services.ledger.decisions import admit, settle
from accounts.services.ledger.limiting.counters import Counters
from accounts.services.ledger.limiting.windows import Clock
from accounts.services.ledger.types import Account, Admission, Deployment, Prices, Settlement, Tokens

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
USD = 10**10
DEPLOYMENT = Deployment(1, 1, "m", "p", "u", Prices(USD, 2 * USD))


def account(**fields: Any) -> Account:
    defaults = {
        "id": 1, "is_active": True, "expires_at": None, "group_id": None, "all_models": True, "email": "",
        "month_quota": USD, "month": date(2026, 11, 1), "month_fee": 0, "balance": 0, "held": 0, "spent": 0,
    }  # fmt: skip
    return Account(**{**defaults, **fields})


def nothing() -> Counters:
    """No limits, at that moment."""
    return Counters(Clock(NOW))


def admission(**fields: Any) -> Admission:
    defaults = {
        "request_id": "req", "key_id": 1, "group_id": None, "all_models": True, "config_version": 7, "endpoint": "chat",
        "is_stream": False, "deployment": DEPLOYMENT, "prompt_bound": 100, "output_bound": 50, "choices": 1,
        "hold_price_in": USD, "hold_price_out": 2 * USD, "can_lower_output": True,
    }  # fmt: skip
    return Admission(**{**defaults, **fields})


def settlement(output: int, **fields: Any) -> Settlement:
    tokens = Tokens(input=100, output=output)
    return Settlement("req", 1, Outcome.OK, DEPLOYMENT, tokens, UsageSource.REPORTED, **fields)


def test_a_hold_covers_prompt_and_answer() -> None:
    row = account()
    assert admit(admission(), row, nothing(), 7).hold == 2_000_000  # (100 x 1 + 50 x 2) USD per million
    assert row.held == 2_000_000


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"is_active": False}, KeyRevoked),
        ({"expires_at": NOW}, KeyExpired),
        ({"expires_at": NOW - timedelta(days=1)}, KeyExpired),
        ({"group_id": 5}, StaleResolution),
        ({"all_models": False}, StaleResolution),
        ({"month_quota": 0}, InsufficientQuota),
        ({"held": USD}, InsufficientQuota),
        ({"month_fee": USD}, InsufficientQuota),
    ],
)
def test_a_refusal_takes_nothing(fields: dict[str, Any], error: type[Exception]) -> None:
    row = account(**fields)
    held = row.held
    with pytest.raises(error):
        admit(admission(), row, nothing(), 7)
    assert (row.held, row.changed) == (held, False)


def test_a_key_that_is_gone_is_revoked() -> None:
    with pytest.raises(KeyRevoked):
        admit(admission(), None, nothing(), 7)


def test_another_version_means_resolve_again() -> None:
    with pytest.raises(StaleResolution):
        admit(admission(), account(), nothing(), 8)


@pytest.mark.parametrize("free", [1_000_000 + 20_000, 1_000_000 + 20_001, 1_000_000 + 999_999, 1_999_999])
def test_the_answer_is_cut_to_what_the_key_can_pay(free: int) -> None:
    admitted = admit(admission(), row := account(month_quota=free), nothing(), 7)
    assert 1 <= admitted.output_bound < 50
    assert row.held == admitted.hold <= free
    assert admitted.hold + 2 * 10_000 > free  # one token more would not fit


def test_less_than_one_token_is_refused() -> None:
    with pytest.raises(InsufficientQuota, match="USD left"):
        admit(admission(), account(month_quota=1_000_000 + 19_000), nothing(), 7)


def test_each_of_several_answers_is_cut_alike() -> None:
    admitted = admit(admission(output_bound=150, choices=3), account(month_quota=1_000_000 + 20_000 * 8), nothing(), 7)
    assert admitted.output_bound == 6


def test_what_can_not_be_cut_is_refused() -> None:
    with pytest.raises(InsufficientQuota):
        admit(admission(can_lower_output=False), account(month_quota=1_500_000), nothing(), 7)


def test_a_key_without_limit_is_never_refused() -> None:
    admitted = admit(admission(), account(month_quota=None, held=10**17), nothing(), 7)
    assert not admitted.is_limited


def test_a_free_model_needs_no_money() -> None:
    free = admission(hold_price_in=0, hold_price_out=0)
    assert admit(free, account(month_quota=0), nothing(), 7).hold == 0


def test_the_quota_pays_first_and_then_the_balance() -> None:
    row = account(month_quota=USD, month_fee=USD - 1_200_000, balance=USD, held=2_000_000)
    split = settle(settlement(50), row, 2_000_000, DEPLOYMENT.prices)
    assert (split.fee, split.quota_fee, split.balance_fee, split.shortfall) == (2_000_000, 1_200_000, 800_000, 0)
    assert (row.month_fee, row.balance, row.held, row.spent) == (USD, USD - 800_000, 0, 2_000_000)


def test_a_cost_beyond_the_hold_never_takes_what_other_calls_hold() -> None:
    row = account(month_quota=5_000_000, held=2_000_000 + 2_500_000)
    split = settle(settlement(500), row, 2_000_000, DEPLOYMENT.prices)  # 11,000,000
    assert (split.fee, split.shortfall) == (2_500_000, 8_500_000)
    assert row.free == 0
    assert row.held == 2_500_000


def test_a_quota_lowered_meanwhile_is_not_overrun() -> None:
    row = account(month_quota=0, held=2_000_000)
    split = settle(settlement(50), row, 2_000_000, DEPLOYMENT.prices)
    assert (split.fee, split.shortfall, row.held) == (0, 2_000_000, 0)


def test_the_month_turns_without_a_job() -> None:
    row = account(month_fee=USD, month=date(2026, 10, 1))
    row.turn_month(date(2026, 11, 1))
    assert (row.month_fee, row.quota_left) == (0, USD)


def test_a_clock_that_lags_turns_nothing_back() -> None:
    row = account(month_fee=USD, month=date(2026, 11, 1))
    row.turn_month(date(2026, 10, 1))
    assert (row.month, row.month_fee) == (date(2026, 11, 1), USD)


def test_a_fee_is_rounded_once() -> None:
    prices = Prices(input=333, output=333, cached_read=333, cached_write=333)
    assert Tokens(500, 500, 500, 1002).cost(prices) == 1  # 833,166 / 10^6, not 0.17 + 0.17 + 0.17 + 0.33 each rounded
    assert Tokens(500, 500, 0, 500).cost(prices) == 0
