"""How a charge came to its fee, as plain data: who pays can compute it again by hand. The console and the APIs show it.

Amounts are in USD. A fee is the sum of quantity x price over all lines, rounded once, half up, to ten decimals; what
nobody could pay of it is the shortfall.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import unquote

from django.db.models import Q, QuerySet

from accounts.errors import UnknownCharge
from accounts.models import ApiKey, Charge, Metric, Outcome, Payment, Role, State, UsageSource
from accounts.services.ledger.limiting.deciding import Entry
from accounts.services.ledger.types import WHOLES, Bucket
from common.money import DECIMALS, TOKENS_PER_PRICE, cost_units, to_units, to_usd

Price = Decimal | None
Amount = Decimal | int  # money, or a count

# Kind of line, its label, the column of its count, the column of its price.
KINDS = (
    ("input", "Prompt", "input_tokens", "price_in"),
    ("cached_read", "Prompt, read from cache", "cached_read_tokens", "price_cached_read"),
    ("cached_write", "Prompt, written to cache", "cached_write_tokens", "price_cached_write"),
    ("output", "Answer", "output_tokens", "price_out"),
)
PARTS = {
    "cached_write_1h": "Prompt, written to cache for an hour",
    "reasoning": "Answer, reasoning",
    "image_in": "Prompt, images",
    "image_out": "Answer, images",
    "audio_in": "Prompt, sound",
    "audio_out": "Answer, sound",
    "request": "Requests",
}
# By how the call ended: why it costs something, and why it costs nothing.
WHY = {
    Outcome.OK: ("The answer came whole.", "The answer came whole and used nothing that is counted."),
    Outcome.BAD_REQUEST: (
        "The upstream called the request wrong after it had begun to answer. What had come is charged.",
        "The upstream called the request itself wrong. Nothing was made, so nothing is charged.",
    ),
    Outcome.UPSTREAM_ERROR: (
        "The upstream broke off in the middle of its answer. What had come was passed on and is charged, as its vendor "
        "bills it.",
        "No upstream answered, so nothing is charged.",
    ),
    Outcome.CLIENT_CLOSED: (
        "The caller left before the end. What the upstream had read and produced by then is charged, as its vendor "
        "bills it.",
        "The caller left before an upstream had accepted the call, so nothing is charged.",
    ),
    Outcome.SERVER_STOPPED: (
        "The gateway's process ended during the call. What it had sent and received by then is charged, as the vendor "
        "bills it.",
        "The gateway's process ended before the call was sent, so nothing is charged.",
    ),
    Outcome.GATEWAY_ERROR: (
        "The gateway failed in the middle of the call. What the upstream had produced is charged, as its vendor bills "
        "it.",
        "The gateway failed before anything was produced, so nothing is charged.",
    ),
    Outcome.RUNNING: ("", "The call is running. Its hold is set aside; nothing is charged yet."),
}
SOURCES = {
    UsageSource.NONE: "",
    UsageSource.REPORTED: "The counts are the upstream's own.",
    UsageSource.ESTIMATED: "The upstream reported no usage, so the gateway counted; the counts are estimates.",
    UsageSource.CARRIED: "Carried over from another system's books, which do not say how it came about.",
}
ROUTE = re.compile(r"(?P<tries>.*?)(?:(?:^|; )left out: (?P<left_out>.*))?", re.DOTALL)  # as a charge has it


@dataclass(frozen=True, slots=True)
class Line:
    """Something that was used: how much, at what price per million."""

    kind: str
    label: str
    quantity: int
    price: Price
    note: str = ""

    @property
    def cost(self) -> Decimal:
        """Quantity x price, not rounded."""
        return _exact(self.quantity * to_units(self.price or 0))


@dataclass(frozen=True, slots=True)
class Hold:
    """What was set aside before the call was sent."""

    amount: Decimal
    prompt_tokens: int
    output_tokens: int
    note: str


@dataclass(frozen=True, slots=True)
class Share:
    """One that paid: what, and what it had before and after. A quota counts up, a balance down."""

    payer: str
    amount: Decimal
    before: Price
    after: Price


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit that the call counted against. `held_before`: by other calls; `over`: used beyond it, counted nowhere."""

    name: str
    member: str
    metric: str
    window: str
    is_sliding: bool
    action: str
    most: Amount
    used_before: Amount
    held_before: Amount
    held: Amount
    used: Amount
    over: Amount
    used_after: Amount | None
    note: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A charge, told. `total` is the exact sum of the lines, `cost` the same rounded once; `adds_up` says whether that
    is what was paid and what was missing."""

    charge: Charge
    lines: Sequence[Line]
    total: Decimal
    cost: Decimal
    adds_up: bool
    is_unpriced: bool
    hold: Hold
    shares: Sequence[Share]
    limits: Sequence[LimitState]
    tries: Sequence[str]
    left_out: str
    why: Sequence[str]
    payments: Sequence[Payment]
    ratings: Sequence[Charge]


def find(*, key: ApiKey, request_id: str) -> Charge:
    """A charge of this key, or of any for an admin's. Raises UnknownCharge."""
    charges = Charge.objects.select_related("key", "corrects")
    return _named(charges if key.role == Role.ADMIN else charges.filter(key=key), request_id)


def latest(*, key: ApiKey, limit: int, after: str = "") -> tuple[list[Charge], bool]:
    """A key's own charges, newest first, from behind the one called `after`; and whether there are more.

    Raises UnknownCharge when that is none of its own.
    """
    own = Charge.objects.filter(key=key).order_by("-id")
    if after:
        own = own.filter(pk__lt=_named(own, after).pk)
    found = list(own[: limit + 1])
    return found[:limit], len(found) > limit


def _named(charges: QuerySet[Charge], request_id: str) -> Charge:
    charge = charges.filter(request_id=request_id).first() if request_id.isprintable() else None
    if charge is None:
        raise UnknownCharge("There is no such charge, or it is not yours.")
    return charge


def explain(charge: Charge) -> Explanation:
    """All that is to be said of a charge; it costs two queries."""
    lines = tuple(_lines(charge))
    products = tuple((line.quantity, to_units(line.price or 0)) for line in lines)
    cost = to_usd(cost_units(products))
    tries, left_out = _course(charge)
    return Explanation(
        charge=charge,
        lines=lines,
        total=_exact(sum(quantity * price for quantity, price in products)),
        cost=cost,
        adds_up=_is_taken_on_trust(charge) or cost == _rated(charge),
        is_unpriced=any(line.quantity and line.price is None for line in lines),
        hold=Hold(charge.hold, charge.prompt_bound, charge.output_bound, _hold_note(charge)),
        shares=tuple(_shares(charge)),
        limits=tuple(_limit(entry, charge) for entry in charge.limits),
        tries=tries,
        left_out=left_out,
        why=tuple(_why(charge)),
        payments=tuple(Payment.objects.filter(Q(charge=charge) | Q(corrects__charge=charge)).order_by("id")),
        ratings=tuple(charge.corrections.order_by("id")),
    )


def _exact(product: int) -> Decimal:
    """Of units per million and a quantity: USD, with all of its decimals."""
    return Decimal(product).scaleb(-DECIMALS) / TOKENS_PER_PRICE


def _rated(charge: Charge) -> Decimal:
    """What a charge comes to; a correction together with all that it corrects."""
    total: Decimal = charge.fee + charge.shortfall
    if charge.corrects is None:
        return total
    before = charge.corrects.corrections.filter(pk__lt=charge.pk)
    return sum((row.fee + row.shortfall for row in (charge.corrects, *before)), total)


# What was used


def _lines(charge: Charge) -> Iterator[Line]:
    """No two of them count the same: what has a price of its own stands apart from the rest of its sort. A correction
    tells the call that it rates anew, at its own prices."""
    apart = [_bucket(each) for each in charge.buckets]
    for kind, label, count_column, price_column in KINDS:
        parts = [part for part in apart if WHOLES[part[0]] == kind]
        price, note = _price(charge, kind, price_column)
        count: int = getattr(charge.corrects or charge, count_column)
        rest = count - sum(quantity for _, quantity, own in parts if own is not None)
        notes = (note, *_notes(charge, kind, parts, count if count != rest else 0))
        yield Line(kind, label, rest, price, "; ".join(filter(None, notes)))
        yield from (_part(*part) for part in parts if part[2] is not None)
    yield from (_part(*part) for part in apart if WHOLES[part[0]] is None)


def _bucket(stored: Sequence[object]) -> Bucket:
    name, quantity, price = stored
    return str(name), int(str(quantity)), None if price is None else int(str(price))


def _part(name: str, quantity: int, price: int | None) -> Line:
    each = f"{_plain(_exact(price))} USD each" if name == "request" and price else ""
    return Line(name, PARTS[name], quantity, None if price is None else to_usd(price), each)


def _price(charge: Charge, kind: str, column: str) -> tuple[Price, str]:
    price: Price = getattr(charge, column)
    if price is None and kind.startswith("cached") and charge.price_in is not None:
        return charge.price_in, "at the input price: it has none of its own"
    return price, ""


def _notes(charge: Charge, kind: str, parts: Sequence[Bucket], whole: int) -> Iterator[str]:
    """What of it is told apart: at a price of its own in a line below, of `whole`, or at the usual price here."""
    if whole:
        yield f"of {whole:,} in all; the others stand below"
    for name, quantity, price in parts:
        if price is None:
            yield f"{quantity:,} of them {PARTS[name].partition(', ')[2]}"
    reasoning = (charge.corrects or charge).reasoning_tokens
    if kind == "output" and reasoning and not any(name == "reasoning" for name, *_ in parts):
        yield f"{reasoning:,} of them reasoning"


def _is_taken_on_trust(charge: Charge) -> bool:
    """Nothing to compute yet, or another system's sums."""
    return charge.state != State.SETTLED or charge.usage_source == UsageSource.CARRIED


# Who paid


def _hold_note(charge: Charge) -> str:
    prices = (charge.price_in, charge.price_cached_read, charge.price_cached_write)
    dearest = max((price for price in prices if price is not None), default=Decimal(0))
    price_out = charge.price_out or Decimal(0)
    bounds = ((charge.prompt_bound, to_units(dearest)), (charge.output_bound, to_units(price_out)))
    if to_usd(cost_units(bounds)) == charge.hold:
        return (
            f"{charge.prompt_bound:,} prompt tokens x {_plain(dearest)} and {charge.output_bound:,} answer tokens "
            f"x {_plain(price_out)} per million, at most."
        )
    return (
        f"{charge.prompt_bound:,} prompt and {charge.output_bound:,} answer tokens at most, at the dearest prices of "
        "all that could have served it."
    )


def _shares(charge: Charge) -> Iterator[Share]:
    month, balance = charge.month_fee_after, charge.balance_after
    quota_before = None if month is None else month - charge.quota_fee
    yield Share("quota", charge.quota_fee, quota_before, month)
    balance_before = None if balance is None else balance + charge.balance_fee
    yield Share("balance", charge.balance_fee, balance_before, balance)


def _limit(entry: Entry, charge: Charge) -> LimitState:
    def amount(number: int) -> Amount:
        return to_usd(number) if entry["metric"] == Metric.COST else number

    after = entry["used_after"]
    return LimitState(
        name=entry["name"],
        member=entry["member"],
        metric=entry["metric"],
        window=entry["window"],
        is_sliding=entry["sliding"],
        action=entry["action"],
        most=amount(entry["most"]),
        used_before=amount(entry["used_before"]),
        held_before=amount(entry["held_before"]),
        held=amount(entry["held"]),
        used=amount(entry["used"]),
        over=amount(entry["over"]),
        used_after=None if after is None else amount(after),
        note=_limit_note(entry, charge),
    )


def _limit_note(entry: Entry, charge: Charge) -> str:
    served = (["provider", str(charge.provider_id)], ["model", charge.model_name])
    if entry["of"] is not None and list(entry["of"]) not in served:
        return "The call ended elsewhere, so it counts nothing here."
    if entry["over"]:
        return "The upstream used more than was left. What lies beyond the limit counts nowhere."
    return ""


# How it went


def _course(charge: Charge) -> tuple[tuple[str, ...], str]:
    """Where it was sent in turn, and which parameters were left out."""
    said = ROUTE.fullmatch(charge.route)
    route, left_out = (said["tries"], said["left_out"] or "") if said else (charge.route, "")
    tries = tuple(unquote(each) for each in route.split(" > ")) if route else ()
    return tries or (f"{charge.upstream_name}@{charge.provider_name}",), left_out


def _why(charge: Charge) -> Iterator[str]:
    costs, is_free = WHY[Outcome(charge.outcome)]
    if charge.corrects is not None:
        yield f"This is no call: it rates {charge.corrects.request_id} anew. Its fee is what that changed."
    else:
        yield costs if charge.state == State.SETTLED else is_free
    if charge.state == State.SETTLED:
        yield SOURCES[UsageSource(charge.usage_source)]
    if charge.price_ratio != 1:
        ratio = _plain(charge.price_ratio)
        yield f"The key's group paid {ratio} times the model's prices; the prices here are that already."
    if charge.shortfall:
        yield "The call cost more than the key had left or a limit allowed. The shortfall was charged to nobody."


def _plain(amount: Decimal) -> str:
    """Without an exponent and without needless zeros."""
    return f"{amount.normalize():f}"
