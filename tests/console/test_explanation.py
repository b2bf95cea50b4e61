"""A newcomer reads one charge's page and computes its fee again by hand, from the page's text alone."""

import re
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Charge, Outcome, State, UsageSource
from accounts.services import explanations, payments
from accounts.services.ledger import corrections
from accounts.services.ledger.corrections import Rating
from accounts.services.ledger.types import Tokens
from accounts.services.payments import Maker
from providers.models import AIModel
from tests import factories
from tests.accounts import charged
from tests.accounts.charged import CASES, Read, differences
from tests.console import rows

pytestmark = pytest.mark.usefixtures("database")


class Page(HTMLParser):
    """A page as its reader sees it: rows of cells; what stands small under a cell's figure is its note."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[list[str]]] = []
        self._is_in_cell = False
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append([])
            self._is_in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._is_in_cell = False

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        self.text += f" {text}" if text else ""
        if text and self._is_in_cell and self.rows[-1]:
            self.rows[-1][-1].append(text)

    def row(self, label: str) -> list[list[str]]:
        """The cells beside this label."""
        return next(cells[1:] for cells in self.rows if cells and cells[0] and cells[0][0].startswith(label))


def amount(text: str) -> Decimal:
    """Unknown prices cost nothing, as the page says."""
    return Decimal(0) if text == "unknown" else Decimal(text.replace("$", "").replace(",", ""))


def read(page: Page) -> Read:
    start = next(at for at, cells in enumerate(page.rows) if cells and cells[-1] == ["Cost"])
    end = next(
        at for at, cells in enumerate(page.rows) if cells and cells[0][:1] and cells[0][0].startswith("Together")
    )
    lines = [
        (int(count[0].replace(",", "")), amount(price[0]), amount(cost[0]))
        for _, count, price, cost in page.rows[start + 1 : end]
    ]
    return Read(
        lines=lines,
        cost=amount(page.rows[end][-1][0]),
        fee=amount(page.row("Fee")[0][0]),
        shortfall=amount(page.row("Shortfall")[0][0]),
        quota=share(page.row("… by the month's quota")),
        balance=share(page.row("… by the balance")),
    )


def share(cells: list[list[str]]) -> tuple[Decimal, Decimal | None, Decimal | None]:
    paid, note = cells[0]
    found = re.fullmatch(r"(\S+) before, (\S+) after", note)
    assert found
    return amount(paid), amount(found[1]), amount(found[2])


def page_of(console: Client, charge: Charge) -> Page:
    return Page(console.get(reverse("admin:accounts_charge_change", args=[charge.pk])).content.decode())


@pytest.mark.parametrize("case", CASES)
def test_a_newcomer_computes_the_fee_by_hand(console: Client, case: str) -> None:
    charge = CASES[case]()
    assert differences(read(page_of(console, charge)), charge) == []


def test_a_wrong_figure_on_the_page_would_be_found(console: Client) -> None:
    charge = charged.plain()
    Charge.objects.filter(pk=charge.pk).update(input_tokens=1235)
    charge.refresh_from_db()
    page = page_of(console, charge)
    assert differences(read(page), charge) == ["fee: 0.008755 and not 0.0087575"]
    assert "does not add up" in page.text


def test_parts_with_a_price_of_their_own_stand_apart_and_count_once(console: Client) -> None:
    page = page_of(console, charged.rare_buckets_at_a_ratio())
    counts = {cells[0][0]: cells[1][0] for cells in page.rows if len(cells) == 4 and cells[1][0][0].isdigit()}
    assert counts == {
        "Prompt": "700",
        "Prompt, sound": "300",
        "Prompt, read from cache": "0",
        "Prompt, written to cache": "70",
        "Prompt, written to cache for an hour": "50",
        "Answer": "300",
        "Answer, reasoning": "200",
        "Requests": "1",
    }
    for text in ("of 1,000 in all", "85 of them images", "0.015 USD each", "1.5 times the model's prices"):
        assert text in page.text


def test_a_rounded_sum_says_so(console: Client) -> None:
    page = page_of(console, charged.rounded())
    assert "The exact sum is $0.0000038271604894; it is rounded once, half up, to ten decimals." in page.text
    assert page.rows[-1]
    assert page.row("Together")[-1] == ["$0.0000038272"]


def test_the_hold_is_told_with_its_bounds(console: Client) -> None:
    charge = charged.plain()
    assert charge.hold == Decimal("0.25")
    note = "20,000 prompt tokens x 2.5 and 20,000 answer tokens x 10 per million, at most."
    assert note in page_of(console, charge).text
    Charge.objects.filter(pk=charge.pk).update(hold=Decimal("0.9"))
    assert "at the dearest prices of all that could have served it" in page_of(console, charge).text


# Why


ENDINGS = [
    (Outcome.CLIENT_CLOSED, UsageSource.ESTIMATED, "The caller left before the end. What the upstream had read"),
    (Outcome.CLIENT_CLOSED, UsageSource.NONE, "The caller left before an upstream had accepted the call, so nothing"),
    (Outcome.UPSTREAM_ERROR, UsageSource.REPORTED, "broke off in the middle of its answer"),
    (Outcome.UPSTREAM_ERROR, UsageSource.NONE, "No upstream answered, so nothing is charged"),
    (Outcome.SERVER_STOPPED, UsageSource.ESTIMATED, "The gateway's process ended during the call"),
    (Outcome.SERVER_STOPPED, UsageSource.NONE, "ended before the call was sent, so nothing"),
    (Outcome.BAD_REQUEST, UsageSource.NONE, "The upstream called the request itself wrong"),
    (Outcome.OK, UsageSource.ESTIMATED, "the counts are estimates"),
    (Outcome.OK, UsageSource.REPORTED, "The counts are the upstream's own"),
]


@pytest.mark.parametrize(("outcome", "source", "text"), ENDINGS)
def test_the_page_says_why_it_is_charged(console: Client, outcome: Outcome, source: UsageSource, text: str) -> None:
    tokens = Tokens() if source == UsageSource.NONE else Tokens(input=100, output=10)
    charge = charged.charged(
        factories.key(), tokens, charged.prices("1", "2"), outcome=outcome, usage_source=source, error="the reason"
    )
    page = page_of(console, charge)
    assert text in page.text
    assert "the reason" in page.text
    is_free = source == UsageSource.NONE
    assert (charge.state == State.RELEASED) is is_free
    if is_free:
        assert "not charged: released" in page.text


def test_every_outcome_has_its_reasons() -> None:
    assert set(explanations.WHY) == set(Outcome)
    assert set(explanations.SOURCES) == set(UsageSource)


def test_a_detour_and_what_was_left_out_are_told(console: Client) -> None:
    route = "large%2F2@acme rate_limit_exceeded > large@other one; left out: logit_bias"
    charge = charged.charged(factories.key(), Tokens(1), charged.prices("1", "1"), route=route, attempts=2)
    page = page_of(console, charge)
    assert page.row("Requests sent")[0] == ["2", "large/2@acme rate_limit_exceeded > large@other one"]
    assert page.row("Left out")[0][0] == "logit_bias"


@pytest.mark.parametrize(
    ("route", "tries", "left_out"),
    [
        ("", ("acme-large@acme",), ""),
        ("left out: a, b", ("acme-large@acme",), "a, b"),
        ("a@b timeout > c@d", ("a@b timeout", "c@d"), ""),
        ("a@b timeout > c@d; left out: x", ("a@b timeout", "c@d"), "x"),
    ],
)
def test_a_route_is_read_as_the_exchange_writes_it(route: str, tries: tuple[str, ...], left_out: str) -> None:
    told = explanations.explain(charged.charged(factories.key(), Tokens(1), charged.prices("1", "1"), route=route))
    assert (told.tries, told.left_out) == (tries, left_out)


# Limits


LIMIT = {
    "limit": 1,
    "name": "team a day",
    "metric": "cost",
    "window": "day",
    "sliding": False,
    "action": "block",
    "most": 5 * 10**10,
    "thresholds": [80],
    "member": "",
    "of": None,
    "starts_at": "2026-11-29T00:00:00+00:00",
    "used_before": 10**10,
    "held_before": 2 * 10**9,
    "held": 3 * 10**8,
    "used": 14 * 10**6,
    "over": 0,
    "used_after": 10**10 + 14 * 10**6,
}


def with_limits(*limits: dict[str, Any]) -> Charge:
    charge = charged.plain()
    Charge.objects.filter(pk=charge.pk).update(limits=list(limits))
    charge.refresh_from_db()
    return charge


def test_each_limit_is_told_before_and_after(console: Client) -> None:
    requests = {"name": "bursts", "metric": "requests", "window": "minute", "sliding": True, "action": "warn"}
    counts = {"most": 1200, "used_before": 7, "held_before": 2, "held": 1, "used": 1, "used_after": None}
    page = page_of(console, with_limits(LIMIT, {**LIMIT, **requests, **counts, "member": "alice@example.com"}))
    figures = [cells[0] for cells in page.row("team a day")]
    assert figures == ["$5.00", "$1.00", "$0.20", "$0.03", "$0.0014", "$1.0014"]
    assert [cells[0] for cells in page.row("bursts (alice@example.com)")] == ["1,200", "7", "2", "1", "1", "–"]
    assert "Requests, a sliding minute: warn." in page.text
    assert "Cost in USD, a day: refuse calls beyond it." in page.text


def test_a_limit_of_a_place_that_did_not_serve_says_so() -> None:
    elsewhere = {**LIMIT, "of": ["provider", "0"], "used": 0}
    beyond = {**LIMIT, "over": 5}
    charge = with_limits(elsewhere, beyond)
    here = {**LIMIT, "of": ["provider", str(charge.provider_id)]}
    notes = [each.note for each in explanations.explain(with_limits(elsewhere, beyond)).limits]
    assert ["ended elsewhere" in notes[0], "beyond the limit" in notes[1]] == [True, True]
    Charge.objects.filter(pk=charge.pk).update(limits=[here, {**LIMIT, "of": ["model", charge.model_name]}])
    charge.refresh_from_db()
    assert [each.note for each in explanations.explain(charge).limits] == ["", ""]


# Afterwards


def test_refunds_and_their_corrections_stand_on_the_page(console: Client) -> None:
    charge = charged.split_over_quota_and_balance()
    refund = payments.refund(charge=charge, amount=Decimal("0.004"), note="was slow", by=Maker(name="boss"))
    payments.correct(key=charge.key, amount=Decimal("-0.001"), note="too much", corrects=refund)
    page = page_of(console, charge)
    assert [cells[0] for cells in page.row("Refund")][::2] == ["boss", "$0.004"]
    assert [cells[0] for cells in page.row("Correction")][::2] == ["–", "-$0.001"]
    assert "was slow" in page.text and "too much" in page.text
    assert differences(read(page), charge) == []  # what was charged stays what it was


def test_another_system_s_sums_are_taken_on_trust(console: Client) -> None:
    key: ApiKey = factories.key().key
    model: AIModel = factories.model(factories.provider())
    charge = rows.charge(
        key,
        model,
        usage_source=UsageSource.CARRIED,
        price_in=None,
        price_out=None,
        fee=Decimal(3),
        quota_fee=Decimal(3),
    )
    charge.save()
    page = page_of(console, charge)
    assert "another system's books" in page.text
    assert "does not add up" not in page.text


def test_a_call_rated_anew_and_what_that_changed_are_told(console: Client) -> None:
    charge = charged.plain()
    rating = Rating(charged.prices("5", "10"))
    (correction,) = corrections.correct(charge.key_id, {charge.pk: rating})
    page = page_of(console, charge)
    assert differences(read(page), charge) == []  # what was charged first stays what it was
    assert [cells[0] for cells in page.row("Rated anew")][-1] == "$0.003085"
    page = page_of(console, correction)
    told = read(page)
    assert told.cost == 1234 * Decimal(5) / 1_000_000 + 567 * Decimal(10) / 1_000_000
    assert told.fee == told.cost - charge.fee
    assert f"rates {charge.request_id} anew" in page.text
    assert "less what was charged for the call before" in page.text
    assert "does not add up" not in page.text
