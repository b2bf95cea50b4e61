"""The oracle finds what it is there to find: each thing that could be wrong, made wrong."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from tests.chaos import oracle
from tests.chaos.client import parse
from tests.chaos.rows import Charge, KeyRow, PaymentRow, Rows
from tests.chaos.story import SLACK_SECONDS, Key, Limit, Model, Paid, Served, Story, Timeline, Try

NOON = 1_800_000_000.0
MONTH = date(2027, 1, 1)
PRICES = (10**10, 10**11)
FEE = 5 * 10**4 + 3 * 10**5


def charge(number: int, **fields: Any) -> Charge:
    plain: dict[str, Any] = {
        "id": number, "request_id": f"req_{number}", "key_id": 1, "group_id": 2, "state": "settled", "outcome": "ok",
        "error": "", "endpoint": "chat", "model_id": 1, "model_name": "m", "provider_id": 3, "attempts": 1,
        "usage_source": "reported", "input_tokens": 5, "cached_read_tokens": 0, "cached_write_tokens": 0,
        "output_tokens": 3, "price_in": PRICES[0], "price_out": PRICES[1], "price_cached_read": None,
        "price_cached_write": None, "price_ratio": "1", "buckets": [], "tags": [f"op-{number}"], "hold": 10 * FEE,
        "fee": FEE, "quota_fee": FEE, "balance_fee": 0, "shortfall": 0, "month": MONTH, "created_at": NOON + number,
        "settled_at": NOON + number + 0.5, "corrects_id": None, "limits": [], "op": number,
    }  # fmt: skip
    return Charge(**{**plain, **fields})


def tried(op: int, **fields: Any) -> Try:
    headers = {"x-request-id": f"req_{op}", "x-weighbridge-cost": f"{FEE / 10**10:.10f}"}
    return Try(op, "chat", False, 1, f"key {op}", **{"status": 200, "headers": headers, "is_whole": True, **fields})


@pytest.fixture
def story() -> Story:
    """Two calls of a key that may spend three such calls a month."""
    told = Story()
    told.keys = [Key(1, "secret", "a@example.com", Timeline(3 * FEE), Timeline(2))]
    told.models = [Model(1, 3, "m", Timeline(PRICES))]
    told.ratios = {2: Timeline("1")}
    told.paid = [Paid(1, 1000, True)]
    told.tries = [tried(1), tried(2)]
    told.served = [Served(op, "echo", (5, 0, 3), is_good=True, is_finished=True) for op in (1, 2)]
    told.redeemed = [("code", 200), ("code", 400)]
    limits = [
        ("requests", "second", 1, False), ("requests", "minute", 2, True), ("cost", "total", 2 * FEE, False),
        ("output_tokens", "day", 6, False), ("parallel", "total", 1, False),
    ]  # fmt: skip
    told.limits = [
        Limit(number, f"limit {number}", "key", "", metric, window, sliding, "block", Timeline(most))
        for number, (metric, window, most, sliding) in enumerate(limits)
    ]
    return told


@pytest.fixture
def rows() -> Rows:
    key = KeyRow(1, 3 * FEE, MONTH, 2 * FEE, 1070, 0, 2 * FEE)
    payments = [PaymentRow(1, 1, "recharge", 1000, None), PaymentRow(2, 1, "redemption", 70, None)]
    return Rows([charge(1), charge(2)], [key], payments, 0, 1)


def test_a_sound_ledger_has_no_problems(rows: Rows, story: Story) -> None:
    assert oracle.problems(rows, story, "Asia/Kathmandu") == []


# What is wrong, and a word of what is said of it.
Wrong = Callable[[Rows, Story], Any]
WRONGS: dict[str, tuple[Wrong, str]] = {
    "a hold is left": (lambda rows, story: change(rows, 0, state="held"), "held after the end"),
    "a limit holds": (lambda rows, story: replace(rows, held_by_limits=1), "limits hold"),
    "a fee is not its parts": (lambda rows, story: change(rows, 0, quota_fee=FEE - 1), "is not its parts"),
    "a fee is not its cost": (lambda rows, story: change(rows, 0, fee=1, quota_fee=1), "and it costs"),
    "a counter is off": (lambda rows, story: key(rows, spent=1), "spent is 1"),
    "a month's counter is off": (lambda rows, story: key(rows, month_fee=1), "month_fee is 1"),
    "a balance is off": (lambda rows, story: key(rows, balance=1), "balance is 1"),
    "a balance is overdrawn": (lambda rows, story: key(rows, balance=-1), "overdrawn by 1"),
    "a quota is overspent": (lambda rows, story: another(rows, story, 2), "overspent by"),
    "a payment is lost": (lambda rows, story: story.paid.append(Paid(1, 7, True)), "is lost"),
    "a payment is there twice": (lambda rows, story: rows.payments.append(rows.payments[0]), "is there 2 times"),
    "nobody asked for a payment": (lambda rows, story: story.paid.clear(), "asked for: False"),
    "too much is refunded": (lambda rows, story: rows.payments.append(PaymentRow(3, 1, "refund", 9, 1)), "given back"),
    "a code is told twice": (lambda rows, story: story.redeemed.append(("code", 200)), "redeemed twice"),
    "a redemption is missing": (lambda rows, story: replace(rows, redeemed=2), "redemptions for 2 codes"),
    "a revoked key calls": (lambda rows, story: revoke(story), "after its key was revoked"),
    "a price is over": (lambda rows, story: story.models[0].prices.note((1, 1), 1, 2), "priced"),
    "a ratio is over": (lambda rows, story: story.ratios[2].note("2", 1, 2), "ratio"),
    "a group is over": (lambda rows, story: story.keys[0].group.note(0, 1, 2), "group 2, not"),
    "a second has too much": (lambda rows, story: change(rows, 1, created_at=NOON + 1.3), "limit 0"),
    "an answer is not charged": (lambda rows, story: change(rows, 0, state="released"), "answered and not charged"),
    "an answer's header says else": (lambda rows, story: tell(story, "1.00"), "told 1.00 USD"),
    "tokens that nobody said": (lambda rows, story: said(story, (5, 0, 4)), "the upstream said"),
    "an answer that is not charged": (lambda rows, story: more(story, 9), "0 were charged"),
    "one answer charged twice": (lambda rows, story: rows.charges.append(charge(7, op=1)), "2 charges"),
    "an answer of another": (lambda rows, story: answer_of(story, b"else"), "not all the same"),
    "a 500": (lambda rows, story: story.others.append(("/v1/models", 500)), "500, 1 times"),
}


def change(rows: Rows, at: int, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(rows.charges[at], name, value)


def key(rows: Rows, **fields: Any) -> None:
    rows.keys[0] = replace(rows.keys[0], **fields)


def another(rows: Rows, story: Story, times: int) -> None:
    for number in range(3, 3 + times):
        rows.charges.append(charge(number))
        story.served.append(replace(story.served[0], op=number))
    key(rows, spent=(2 + times) * FEE, month_fee=(2 + times) * FEE)


def revoke(story: Story) -> None:
    story.keys[0].revoked = NOON - SLACK_SECONDS


def tell(story: Story, cost: str) -> None:
    story.tries[0].headers["x-weighbridge-cost"] = cost


def said(story: Story, tokens: tuple[int, int, int]) -> None:
    story.served[0].tokens = tokens


def more(story: Story, op: int) -> None:
    story.served.append(replace(story.served[0], op=op))


def answer_of(story: Story, text: bytes) -> None:
    again = deepcopy(story.tries[0])
    again.text, again.headers["idempotent-replayed"] = text, "true"
    story.tries.append(again)


@pytest.mark.parametrize("name", WRONGS)
def test_what_is_wrong_is_found(rows: Rows, story: Story, name: str) -> None:
    make_wrong, word = WRONGS[name]
    changed = make_wrong(rows, story)
    found = oracle.problems(changed if isinstance(changed, Rows) else rows, story, "UTC")
    assert any(word in problem for problem in found), found


@pytest.mark.parametrize(
    ("metric", "window", "sliding"),
    [
        ("requests", "minute", True), ("requests", "day", False), ("cost", "total", False), ("tokens", "week", False),
        ("input_tokens", "month", False), ("output_tokens", "hour", True), ("parallel", "total", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("subject", ["everyone", "key", "group", "email", "model", "provider", "tag"])
def test_a_limit_that_was_passed_is_found(
    rows: Rows, story: Story, subject: str, metric: str, window: str, sliding: bool
) -> None:
    whose = {"everyone": "", "key": "1", "group": "2", "email": "a@example.com", "model": "m", "provider": "3"}
    for each in rows.charges:
        each.tags.append("night")
        each.settled_at = NOON + 10
    used = {"requests": 2, "cost": 2 * FEE, "tokens": 16, "input_tokens": 10, "output_tokens": 6, "parallel": 2}[metric]
    for most, is_passed in ((used, False), (used - 1, True)):
        passed = Limit(
            9, "nine", subject, whose.get(subject, "night"), metric, window, sliding, "block", Timeline(most)
        )
        story.limits = [passed]
        seen_by_audit_alone = metric == "parallel" and subject != "key"
        assert bool(oracle.problems(rows, story, "UTC")) == (is_passed and not seen_by_audit_alone)


def test_a_sliding_window_is_exact() -> None:
    amounts = [(0.0, 2), (30.0, 2), (60.0, 2), (89.9, 2)]
    assert oracle._most_within(amounts, 60) == 6
    assert oracle._most_within(amounts[:3], 60) == 4


def test_a_client_sees_whether_an_answer_is_whole() -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    whole = parse(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert (whole.status, whole.body, whole.is_whole) == (200, b"abcde", True)
    assert not parse(head + b"3\r\nabc\r\n2\r\nd").is_whole
    assert parse(b"HTTP/1.1 429 No\r\nContent-Length: 2\r\n\r\n{}").is_whole
    assert not parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{").is_whole
    assert parse(b"").status == 0
