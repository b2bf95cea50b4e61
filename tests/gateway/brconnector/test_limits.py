"""How BRConnector's clients are told that a limit is reached."""

import pytest

from accounts.errors import BudgetReached, LimitReached
from gateway.dialects.brconnector.refusals import refusal_of


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LimitReached("The limit `rpm` allows …", 12), "rate_limit_exceeded"),
        (BudgetReached("The limit `team` allows …", 12), "insufficient_quota"),
    ],
)
def test_a_limit_is_told_in_its_own_words(error: LimitReached, code: str) -> None:
    refusal = refusal_of(error, "req_1")
    assert (refusal.message, refusal.true_status, refusal.code, refusal.retry_after) == (str(error), 429, code, 12)
