"""Judges what a ledger came to from its raw rows and from what everybody saw, with none of the gateway's own code.

Each check yields sentences about what is wrong; there must be none.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain
from zoneinfo import ZoneInfo

from tests.chaos.rows import Charge, Rows
from tests.chaos.story import SLACK_SECONDS, Key, Limit, Served, Story, Try

Problems = Iterator[str]
MILLION = 10**6
NEVER_SENT = ("gateway_error", "server_stopped")
SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 7 * 86_400, "month": 30 * 86_400}


def problems(rows: Rows, story: Story, zone: str) -> list[str]:
    """All that is wrong; an empty list is the proof."""
    calls = [charge for charge in rows.charges if charge.corrects_id is None]
    return [
        *nothing_is_open(rows),
        *chain.from_iterable(map(fee, calls)),
        *keys(rows, story),
        *payments(rows, story),
        *prices(calls, story),
        *chain.from_iterable(limit(each, calls, story, ZoneInfo(zone)) for each in story.limits),
        *answers(calls, story),
        *served(calls, story),
        *idempotency(calls, story),
        *statuses(story),
    ]


def nothing_is_open(rows: Rows) -> Problems:
    open_calls = [charge.request_id for charge in rows.charges if charge.state == "held"]
    if open_calls:
        yield f"held after the end: {open_calls[:5]}, {len(open_calls)} in all"
    if rows.held_by_limits:
        yield f"limits hold {rows.held_by_limits} after the end"
    for key in rows.keys:
        if key.held:
            yield f"key {key.id} holds {key.held} after the end"


# Money


def cost(charge: Charge) -> int:
    """Tokens times prices, parts with a price of their own apart, rounded once."""
    input_price = charge.price_in or 0
    read = input_price if charge.price_cached_read is None else charge.price_cached_read
    write = input_price if charge.price_cached_write is None else charge.price_cached_write
    usual = {"input": input_price, "cached_write": write, "output": charge.price_out or 0, "": 0}
    total = charge.input_tokens * input_price + charge.cached_read_tokens * read + charge.cached_write_tokens * write
    total += charge.output_tokens * usual["output"]
    for name, quantity, price in charge.buckets:
        whole = {"request": "", "cached_write_1h": "cached_write", "reasoning": "output"}.get(name)
        whole = ("input" if name.endswith("_in") else "output") if whole is None else whole
        total += quantity * (price - usual[whole]) if price is not None else 0
    return int((Decimal(total) / MILLION).quantize(Decimal(1), ROUND_HALF_UP))


def fee(charge: Charge) -> Problems:
    if charge.fee != charge.quota_fee + charge.balance_fee or charge.fee < 0:
        yield f"{charge.request_id}: fee {charge.fee} is not its parts"
    if charge.state == "released" and (charge.fee or charge.prompt or charge.output_tokens):
        yield f"{charge.request_id}: released, and not free"
    if charge.state == "settled" and charge.fee + charge.shortfall != cost(charge):
        yield f"{charge.request_id}: fee {charge.fee} + {charge.shortfall}, and it costs {cost(charge)}"


def keys(rows: Rows, story: Story) -> Problems:
    """Nobody spent more than their quotas and payments allowed, and each counter is what its rows come to."""
    known = {key.id: key for key in story.keys}
    charges, paid = defaultdict(list), Counter[int]()
    for charge in rows.charges:
        charges[charge.key_id].append(charge)
    for payment in rows.payments:
        paid[payment.key_id] += payment.amount
    for row in rows.keys:
        mine, by_month = charges[row.id], Counter[object]()
        for charge in mine:
            by_month[charge.month] += charge.quota_fee
        sums = {
            "spent": (row.spent, sum(charge.fee for charge in mine)),
            "month_fee": (row.month_fee, by_month[row.month]),
            "balance": (row.balance, paid[row.id] - sum(charge.balance_fee for charge in mine)),
        }
        for name, (found, expected) in sums.items():
            if found != expected:
                yield f"key {row.id}: {name} is {found}, its rows come to {expected}"
        if row.balance < 0:
            yield f"key {row.id}: overdrawn by {-row.balance}"
        if row.id in known:
            yield from _overspent(known[row.id], mine, by_month, paid[row.id])


def _overspent(key: Key, charges: list[Charge], by_month: Counter[object], paid: int) -> Problems:
    if key.quota.ever == {None}:
        return
    most = max(key.quota.ever)
    for month, spent in by_month.items():
        if spent > most:
            yield f"key {key.id}: {month} overspent by {spent - most}"
    over = sum(charge.fee for charge in charges) - most * max(len(by_month), 1) - paid
    if over > 0:
        yield f"key {key.id}: overspent by {over}"


def payments(rows: Rows, story: Story) -> Problems:
    """Each payment that was asked for is there once, and none that nobody asked for."""
    asked = {paid.amount: paid for paid in story.paid}
    found = Counter(row.amount for row in rows.payments if row.kind in ("recharge", "correction"))
    for amount, times in found.items():
        if amount not in asked or times > 1:
            yield f"a payment of {amount} is there {times} times, asked for: {amount in asked}"
    for amount, paid in asked.items():
        if paid.is_acked and not found[amount]:
            yield f"key {paid.key_id}: a payment of {amount} is lost"
    refunded, of_balance = Counter[int | None](), Counter[int | None]()
    for row in rows.payments:
        refunded[row.charge_id] += row.amount if row.kind == "refund" else 0
    for charge in rows.charges:
        of_balance[charge.corrects_id or charge.id] += charge.balance_fee
    for charge_id, amount in refunded.items():
        if charge_id is not None and amount > of_balance[charge_id]:
            yield f"charge {charge_id}: {amount} was given back of {of_balance[charge_id]}"
    yield from _codes(rows, story)


def _codes(rows: Rows, story: Story) -> Problems:
    told = Counter(code for code, status in story.redeemed if status == 200)
    booked = sum(row.kind == "redemption" for row in rows.payments)
    if any(times > 1 for times in told.values()):
        yield "a code was redeemed twice"
    if booked != rows.redeemed or booked < len(told):
        yield f"{booked} redemptions for {rows.redeemed} codes, of which {len(told)} were told"


def prices(charges: list[Charge], story: Story) -> Problems:
    """An edit holds for the next call, in every process; so do a revocation, and a key's group."""
    models = {(model.provider_id, model.name): model for model in story.models}
    known = {key.id: key for key in story.keys}
    for charge in charges:
        key, moment = known.get(charge.key_id), charge.created_at
        if key is None:
            continue
        if moment > key.revoked + SLACK_SECONDS:
            yield f"{charge.request_id}: let in {moment - key.revoked:.3f} s after its key was revoked"
        if charge.group_id not in key.group.possible(moment):
            yield f"{charge.request_id}: group {charge.group_id}, not {key.group.possible(moment)}"
        ratios = story.ratios[charge.group_id].possible(moment) if charge.group_id else {"1"}
        if Decimal(str(charge.price_ratio)) not in map(Decimal, ratios):
            yield f"{charge.request_id}: ratio {charge.price_ratio}, not {ratios}"
        model = models.get((charge.provider_id or 0, charge.model_name))
        pairs = model.prices.possible(moment) if model else set()
        wanted = {tuple(_times(price, charge.price_ratio) for price in pair) for pair in pairs}
        if (charge.price_in, charge.price_out) not in wanted:
            yield f"{charge.request_id}: priced {charge.price_in}, {charge.price_out}, not {wanted}"


def _times(price: int, ratio: object) -> int:
    return int((price * Decimal(str(ratio))).quantize(Decimal(1), ROUND_HALF_UP))


# Limits


def limit(limit: Limit, charges: list[Charge], story: Story, zone: ZoneInfo) -> Problems:
    """What counts on a limit that blocks, in each of its windows, is at most what it was set to."""
    if limit.action != "block":
        return
    most, emails = max(limit.most.ever), {key.id: key.email for key in story.keys}
    by_member: dict[str, list[Charge]] = defaultdict(list)
    for charge in charges:
        if limit.born + SLACK_SECONDS <= charge.created_at <= limit.ended:
            for member in MEMBERS[limit.subject](charge, emails):
                if limit.whose in ("", member):
                    by_member[member].append(charge)
    for member, counted in by_member.items():
        worst = _worst(limit, counted, zone)
        if worst > most:
            yield f"{limit.name} ({limit}): {member or 'all'} came to {worst} of {most}"


MEMBERS: dict[str, Callable[[Charge, dict[int, str]], list[str]]] = {
    "everyone": lambda charge, emails: [""],
    "key": lambda charge, emails: [str(charge.key_id)],
    "group": lambda charge, emails: [str(charge.group_id)] if charge.group_id else [],
    "email": lambda charge, emails: [emails[charge.key_id]] if emails.get(charge.key_id) else [],
    "model": lambda charge, emails: [charge.model_name],
    "provider": lambda charge, emails: [str(charge.provider_id)],
    "tag": lambda charge, emails: charge.tags,
}


def _worst(limit: Limit, charges: list[Charge], zone: ZoneInfo) -> int:
    if limit.metric == "parallel":
        # Rows of one key are written under its lock, so their times are in order. Others' times are not: there the
        # gateway's own audit has the last word.
        return _most_at_once(charges) if limit.subject == "key" else 0
    amounts = [
        (charge.created_at, _amount(limit, charge)) for charge in sorted(charges, key=lambda each: each.created_at)
    ]
    if limit.sliding:
        return _most_within(amounts, SECONDS[limit.window])
    windows = Counter[object]()
    for moment, amount in amounts:
        windows[_window(limit.window, datetime.fromtimestamp(moment, zone))] += amount
    return max(windows.values(), default=0)


def _amount(limit: Limit, charge: Charge) -> int:
    if limit.metric == "requests":
        return int(not (charge.state == "released" and charge.outcome in NEVER_SENT))
    amount = {
        "cost": charge.fee,
        "input_tokens": charge.prompt,
        "output_tokens": charge.output_tokens,
        "tokens": charge.prompt + charge.output_tokens,
    }[limit.metric]
    # Tokens beyond what was asked for are the upstream's doing: they are told apart.
    return amount - sum(entry["over"] for entry in charge.limits if entry["limit"] == limit.id)


def _most_within(amounts: list[tuple[float, int]], seconds: int) -> int:
    """In any stretch of that length, which its start is not a part of."""
    worst = total = first = 0
    for moment, amount in amounts:
        total += amount
        while amounts[first][0] <= moment - seconds:
            total -= amounts[first][1]
            first += 1
        worst = max(worst, total)
    return worst


def _most_at_once(charges: list[Charge]) -> int:
    moments = [(charge.settled_at, -1) for charge in charges] + [(charge.created_at, 1) for charge in charges]
    worst = running = 0
    for _, change in sorted(moments):
        running += change
        worst = max(worst, running)
    return worst


def _window(window: str, moment: datetime) -> object:
    if window == "total":
        return ""
    if window == "week":
        return (moment - timedelta(days=moment.weekday())).date()
    parts = ("year", "month", "day", "hour", "minute", "second")
    until = {"month": 2, "day": 3, "hour": 4, "minute": 5, "second": 6}[window]
    return tuple(getattr(moment, part) for part in parts[:until])


# What everybody saw


def answers(charges: list[Charge], story: Story) -> Problems:
    """Who got an answer has one charge for it, with what the upstream said and what the answer's header told."""
    by_id = {charge.request_id: charge for charge in charges}
    said = _by_op(story)
    for tried in story.tries:
        if not tried.is_answered or tried.is_replayed:
            continue
        charge = by_id.get(tried.headers["x-request-id"])
        if charge is None or charge.state != "settled":
            yield f"op {tried.op}: answered and not charged ({charge and charge.outcome})"
        elif charge.outcome != "server_stopped":
            yield from _answer(tried, charge, said[tried.op])


def _answer(tried: Try, charge: Charge, said: list[Served]) -> Problems:
    if charge.op != tried.op or charge.key_id != tried.key_id or charge.outcome not in ("ok", "client_closed"):
        yield f"op {tried.op}: answered, and its charge says {charge.op}, key {charge.key_id}, {charge.outcome}"
    told = tried.headers.get("x-weighbridge-cost")
    if told is not None and Decimal(told) * 10**10 != charge.fee:
        yield f"op {tried.op}: told {told} USD, charged {charge.fee}"
    counted = [each.tokens for each in said if each.is_good]
    if charge.usage_source == "reported" and charge.tokens not in counted:
        yield f"op {tried.op}: {charge.tokens} tokens, the upstream said {counted}"
    if charge.usage_source == "estimated" and None not in counted:
        yield f"op {tried.op}: estimated, though the upstream said {counted}"


def _by_op(story: Story) -> dict[int, list[Served]]:
    found: dict[int, list[Served]] = defaultdict(list)
    for served in story.served:
        found[served.op].append(served)
    return found


def served(charges: list[Charge], story: Story) -> Problems:
    """Each answer that the upstream sent whole is charged, once; what it never heard of is free."""
    by_op: dict[int, list[Charge]] = defaultdict(list)
    for charge in charges:
        by_op[charge.op].append(charge)
    said = _by_op(story)
    for op in by_op.keys() | said.keys():
        yield from _served(op, [each for each in by_op[op] if each.state == "settled"], by_op[op], said[op])


def _served(op: int, settled: list[Charge], charges: list[Charge], said: list[Served]) -> Problems:
    whole = [each for each in said if each.is_good and each.is_finished]
    # An answer that came too late was given up, and the next one asked for, if any.
    given_up = sum(each.attempts - (each.outcome != "upstream_error") for each in charges)
    if len(whole) > len(settled) + given_up:
        yield f"op {op}: {len(whole)} answers went out, {len(settled)} were charged: {_short(charges)}"
    # A process that dies just before it sends a call has noted already that it does.
    sure = [each for each in settled if each.outcome not in ("server_stopped", "client_closed")]
    if len(sure) > len(said):
        yield f"op {op}: {len(sure)} charges, and the upstream has heard of {len(said)}: {_short(charges)}"
    reported = Counter(each.tokens for each in settled if each.usage_source == "reported")
    too_many = reported - Counter(each.tokens for each in said if each.is_good and each.tokens)
    if too_many:
        yield f"op {op}: charged more than once for the same answer: {dict(too_many)}"


def _short(charges: list[Charge]) -> list[tuple[str, str, str, int, int]]:
    return [(each.state, each.outcome, each.error[:60], each.attempts, each.fee) for each in charges]


def idempotency(charges: list[Charge], story: Story) -> Problems:
    """One answer and one charge for each Idempotency-Key, whoever asks again and whatever dies meanwhile."""
    by_key: dict[str, list[Try]] = defaultdict(list)
    for tried in story.tries:
        if tried.idempotency_key:
            by_key[tried.idempotency_key].append(tried)
    whole = Counter(charge.op for charge in charges if charge.outcome == "ok")
    guessed = {charge.op for charge in charges if charge.outcome == "server_stopped"}
    for key, tries in by_key.items():
        op = tries[0].op
        if whole[op] > 1:
            yield f"{key}: {whole[op]} whole answers were charged"
        answered = [tried for tried in tries if tried.is_answered]
        # Whoever was answered while the database was away, by a process that died before it was back, is on a guess.
        if len({tried.text for tried in answered}) > 1 and op not in guessed:
            yield f"{key}: {len(answered)} answers, not all the same"


def statuses(story: Story) -> Problems:
    failed = Counter((tried.endpoint, tried.status) for tried in story.tries if tried.status == 500)
    failed += Counter(other for other in story.others if other[1] == 500)
    for (what, status), times in failed.items():
        yield f"{what}: {status}, {times} times"
