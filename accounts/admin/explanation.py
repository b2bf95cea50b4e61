"""A charge's explanation as its page shows it: the service's data in the console's words and figures."""

from dataclasses import dataclass
from decimal import Decimal

from accounts.models import Action, Charge, Metric, State, Window
from accounts.services import explanations
from accounts.services.explanations import Amount, LimitState, Line
from common.console import moment, money, seconds
from common.money import DECIMALS

PAYERS = {"quota": "… by the month's quota", "balance": "… by the balance"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A figure of the ledger and what it says."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: its label with a note under it, then figures."""

    label: str
    note: str
    cells: tuple[str, ...]


class Explanation:
    """A charge, told: what was used, what it cost, who paid, what that left, and what it counted against."""

    def __init__(self, charge: Charge) -> None:
        self.charge = charge
        self.told = explanations.explain(charge)
        self.lines, self.cost, self.adds_up = self.told.lines, self.told.cost, self.told.adds_up
        self.is_unpriced, self.why = self.told.is_unpriced, self.told.why

    @property
    def whose(self) -> list[Fact]:
        charge = self.charge
        return [
            Fact("Key", charge.key.name),
            Fact("Model", charge.model_name),
            Fact("Provider", charge.provider_name),
            Fact("Time", moment(charge.created_at)),
            Fact("Request", charge.request_id),
            *([Fact("Tags", ", ".join(map(str, charge.tags)))] if charge.tags else []),
        ]

    @property
    def used(self) -> list[Row]:
        return [_used(line) for line in self.lines]

    @property
    def cost_text(self) -> str:
        return money(self.cost)

    @property
    def total_text(self) -> str:
        """The exact sum, where rounding changed it."""
        return "" if self.told.total == self.cost else exact(self.told.total)

    @property
    def is_settled(self) -> bool:
        return self.charge.state == State.SETTLED

    @property
    def payment(self) -> list[Fact]:
        charge = self.charge
        less = [
            "what was charged for the call before" if charge.corrects_id else "",
            "the shortfall" if charge.shortfall else "",
        ]
        fee_note = ", less ".join(["What the key paid: the cost", *filter(None, less)]) + "."
        return [
            Fact("Hold", money(charge.hold), f"Set aside before the call was sent: {self.told.hold.note}"),
            Fact("Fee", money(charge.fee), fee_note if self.is_settled else ""),
            *(
                Fact(PAYERS[each.payer], money(each.amount), _change(each.before, each.after))
                for each in self.told.shares
            ),
            Fact("Shortfall", money(charge.shortfall), "Nobody paid it." if charge.shortfall else ""),
            Fact(
                "Month's quota",
                money(charge.month_quota, "no limit"),
                charge.month.strftime("%B %Y") if charge.month else "",
            ),
        ]

    @property
    def course(self) -> list[Fact]:
        charge = self.charge
        told = self.told
        return [
            Fact("State", charge.get_state_display()),
            Fact("Outcome", charge.get_outcome_display(), charge.error),
            Fact("Usage", charge.get_usage_source_display()),
            Fact("Endpoint", charge.endpoint + (", streamed" if charge.is_stream else "")),
            Fact("Requests sent", str(charge.attempts), " > ".join(told.tries)),
            *(
                [Fact("Left out", told.left_out, "Parameters that the upstream does not know.")]
                if told.left_out
                else []
            ),
            Fact("First byte", seconds(charge.first_byte_ms)),
            Fact("Whole call", seconds(charge.total_ms)),
        ]

    @property
    def limits(self) -> list[Row]:
        return [_limit(each) for each in self.told.limits]

    @property
    def afterwards(self) -> list[Row]:
        """What was given back or rated anew, oldest first."""
        paid = [
            Row(each.get_kind_display(), each.note, (each.who or "–", moment(each.created_at), money(each.amount)))
            for each in self.told.payments
        ]
        rated = [
            Row("Rated anew", each.request_id, ("–", moment(each.created_at), money(each.fee)))
            for each in self.told.ratings
        ]
        return paid + rated


def exact(amount: Decimal) -> str:
    """An amount with all of its decimals, however small a token's price is."""
    if amount == round(amount, DECIMALS):
        return money(amount)
    return f"${amount.normalize():,f}"


def _used(line: Line) -> Row:
    return Row(line.label, line.note, (f"{line.quantity:,}", money(line.price, "unknown"), exact(line.cost)))


def _limit(state: LimitState) -> Row:
    name = f"{state.name} ({state.member})" if state.member else state.name
    figures = (state.most, state.used_before, state.held_before, state.held, state.used, state.used_after)
    return Row(name, " ".join(filter(None, (_about(state), state.note))), tuple(map(_figure, figures)))


def _about(state: LimitState) -> str:
    """What it counts, in which time, and what it does."""
    window = f"a sliding {state.window}" if state.is_sliding else Window(state.window).label.lower()
    counted = Metric(state.metric).label
    when = "" if state.metric == Metric.PARALLEL else f", {window}"
    return f"{counted}{when}: {Action(state.action).label.lower()}."


def _figure(amount: Amount | None) -> str:
    if isinstance(amount, int):
        return f"{amount:,}"
    return money(amount)


def _change(before: Decimal | None, after: Decimal | None) -> str:
    return "" if before is None else f"{money(before)} before, {money(after)} after"
