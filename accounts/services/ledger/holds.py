"""How much a call may use at most, and how long an answer a rest still covers."""

from bisect import bisect_right
from collections.abc import Callable

from accounts.services.ledger.types import Admission
from common.money import cost_units

Need = Callable[[Admission, int], int]  # what a call with so many answer tokens may use at most; grows with them


def hold_for(admission: Admission, output: int) -> int:
    """What a call with so many answer tokens may cost at most, in units."""
    prices = (admission.hold_price_in, admission.hold_price_out, admission.hold_price_request)
    return cost_units(tuple(zip((admission.prompt_bound, output, 1), prices, strict=True)))


def covered_output(admission: Admission, need: Need, rest: int, output: int) -> int | None:
    """The most answer tokens, up to `output`, that `rest` covers beside the prompt, a whole number for each choice.

    None: not even one token for each, or fewer where the answer can't be cut.
    """
    if need(admission, output) <= rest:
        return output
    if not admission.can_lower_output:
        return None
    choices = admission.choices
    each = bisect_right(range(output // choices + 1), rest, key=lambda tokens: need(admission, tokens * choices)) - 1
    return each * choices if each >= 1 else None
