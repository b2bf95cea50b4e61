"""What a call would hold, without taking the hold."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection
from django.utils import timezone

from accounts.errors import Refused
from accounts.models import ApiKey
from accounts.services.ledger.decisions import admit, this_month
from accounts.services.ledger.limiting import rows
from accounts.services.ledger.limiting.windows import Clock
from accounts.services.ledger.types import Account, Admission
from common.money import to_units, to_usd


@dataclass(frozen=True, slots=True)
class Quote:
    """USD and tokens. `refusal` is why it would not be let in; empty: it would."""

    hold: Decimal
    prompt_bound: int
    output_bound: int
    free: Decimal | None
    refusal: str = ""


def quote(admission: Admission) -> Quote:
    """Decide an admission on a copy of the key's row, as the ledger would at this moment."""
    key = ApiKey.objects.get(pk=admission.key_id)
    account = account_of(key)
    account.turn_month(this_month())
    clock = Clock(timezone.now())
    counters = rows.read(connection, clock, rows.wanted_for(clock, admission.every_claim, ()))
    free = None if key.month_quota is None else to_usd(max(account.free, 0))
    try:
        admitted = admit(admission, account, counters, admission.config_version)
    except Refused as refusal:
        return Quote(Decimal(0), admission.prompt_bound, 0, free, str(refusal))
    return Quote(to_usd(admitted.hold), admission.prompt_bound, admitted.output_bound, free)


def account_of(key: ApiKey) -> Account:
    """The key's row as the ledger's decisions read it."""
    return Account(
        id=key.pk,
        is_active=key.is_active,
        expires_at=key.expires_at,
        group_id=key.group_id,
        all_models=key.all_models,
        email=key.email,
        month_quota=None if key.month_quota is None else to_units(key.month_quota),
        month=key.month,
        month_fee=to_units(key.month_fee),
        balance=to_units(key.balance),
        held=to_units(key.held),
        spent=to_units(key.spent),
    )
