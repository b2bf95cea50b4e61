"""Keys as they are to be here: what of a row there fits, and who it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from accounts.models import ApiKey, Payment, Role
from accounts.services.keys import traces_of
from common.money import to_usd
from gateway.moving.books import Books, Counters, Entries, Target
from gateway.moving.carried import Rest
from gateway.moving.move import Move, whole_units
from gateway.moving.source import KeyRow

TABLE = "eiai_key"
SHARED_KEY = "__shared-api-key__"
LONGEST_EMAIL = 254
SHORT_SECRET, SHORT_PREFIX = 24, 3  # the usual traces would tell most of one that is shorter
NO_MONTH = date.min
NO_TARGET, NO_BOOKS = Target(0, 0, 0, NO_MONTH, 0), Books()
NO_ENTRIES = Entries(Rest(), Rest(), 0, Counters(NO_MONTH), 0)


@dataclass(slots=True)
class Draft:
    """A key, and what is to be written of its money: `ledger` fills in all from `target` on."""

    row: KeyRow
    key: ApiKey
    is_new: bool = True
    target: Target = NO_TARGET
    books: Books = NO_BOOKS
    rests: tuple[Rest, Rest] = field(default_factory=lambda: (Rest(), Rest()))
    payments: list[Payment] = field(default_factory=list)
    entries: Entries = NO_ENTRIES


def draft(move: Move, row: KeyRow, seen: dict[str, int]) -> Draft | None:
    """None, and a line in the report, for a row that can be no key. `seen`: whose each digest is, in this run."""
    if not (row.api_key or "").strip():
        move.report.left_out(TABLE, row.id, "it has no secret")
        return None
    traces = _traces(row)
    first = seen.setdefault(traces["digest"], row.id)
    if first != row.id:
        move.report.left_out(TABLE, row.id, "an earlier row has the same secret, and callers with it are that one")
        return None
    used_at, made_at = move.moment(row.updated_at), move.moment(row.created_at)
    is_shared = row.name == SHARED_KEY
    key = ApiKey(
        uuid=move.identity(TABLE, row.id),
        name=row.name or f"key {row.id}",
        role=row.role if row.role in Role.values else Role.USER,
        group_id=move.groups.get(row.group_id or 0),
        email=_email(row),
        month_quota=to_usd(amount(row.month_quota)),
        is_active=not is_shared,
        last_used_at=used_at if amount(row.total_fee) else None,
        created_at=made_at or move.now,
        updated_at=used_at or made_at or move.now,
        **traces,
    )
    return Draft(row, key)


def settled_who(move: Move, found: Sequence[Draft]) -> list[Draft]:
    """Those of an earlier run keep the row that they have. A secret that is another key's here stays that one's."""
    by_uuid = {key.uuid: key for key in ApiKey.objects.filter(uuid__in=[each.key.uuid for each in found])}
    digests = [each.key.digest for each in found if each.key.uuid not in by_uuid]
    taken = dict(ApiKey.objects.filter(digest__in=digests).values_list("digest", "id"))
    kept = []
    for each in found:
        known = by_uuid.get(each.key.uuid)
        if known:
            _compare(move, each, known)
            each.key, each.is_new = known, False
        elif each.key.digest in taken:
            reason = "its secret is a key's here that came from elsewhere; that one goes on as it is"
            move.report.left_out(TABLE, each.row.id, reason, f"key {taken[each.key.digest]} here")
            continue
        else:
            _tell(move, each.row)
        kept.append(each)
    return kept


def _compare(move: Move, each: Draft, known: ApiKey) -> None:
    if known.digest != each.key.digest:
        move.report.odd(TABLE, each.row.id, "its secret there is another one by now; here it has the one it came with")


def _traces(row: KeyRow) -> dict[str, str]:
    secret = row.api_key or ""
    shorter = {"prefix": secret[:SHORT_PREFIX], "suffix": ""} if len(secret) < SHORT_SECRET else {}
    return {**traces_of(secret), **shorter}


def _email(row: KeyRow) -> str:
    """Empty for what is none."""
    text = (row.email or "").strip()
    try:
        validate_email(text)
    except ValidationError:
        return ""
    return text if len(text) <= LONGEST_EMAIL else ""


def amount(value: Decimal | None) -> int:
    """In 10^-10 USD; no number is nothing, and so is less than nothing."""
    return max(whole_units(value) or 0, 0)


AMOUNTS = ("total_fee", "balance", "month_fee", "month_quota")


def _tell(move: Move, row: KeyRow) -> None:
    """What of a new key's row did not fit."""
    odd = move.report.odd
    if row.name == SHARED_KEY:
        odd(TABLE, row.id, "anybody could fetch its secret there; it came over switched off")
    if not row.name:
        odd(TABLE, row.id, "it has no name; its number is its name now")
    if row.role not in Role.values:
        odd(TABLE, row.id, "its role is neither admin nor user; it is a user's now", str(row.role))
    if (row.email or "").strip() and not _email(row):
        odd(TABLE, row.id, "its e-mail address is none, and was left out")
    if row.group_id and row.group_id not in move.groups:
        odd(TABLE, row.id, "its group does not exist; it came without one", f"group {row.group_id}")
    if len(row.api_key or "") < SHORT_SECRET:
        odd(TABLE, row.id, "its secret is short enough to be guessed: renew it", f"{len(row.api_key or '')} characters")
    for column in AMOUNTS:
        value: Decimal | None = getattr(row, column)
        if value is not None and (not value.is_finite() or value < 0):
            odd(TABLE, row.id, f"its {column} is below zero, or no number, and came as 0", str(value))
