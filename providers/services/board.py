"""How deployments and keys are doing: which ones rest after a failure, which are busy, which are quick.

One board a process, in memory; `board_sync` tells the other processes once a second. What this process saw itself
holds at once.
"""

import threading
import time
from collections import deque
from dataclasses import dataclass, field

from providers.requesters.errors import (
    AuthFailed,
    BadAnswer,
    ModelNotFound,
    OutOfPatience,
    ProviderError,
    RateLimited,
    Timeout,
    Unavailable,
)
from providers.services.routing import Access, Target

# A deployment with any key, one of its keys here, or a key wherever it is used: (model id, key id).
Subject = tuple[int | None, int | None]

PROBE_SECONDS = 10.0  # how long a trial keeps others from trying
LONGEST_ASKED_SECONDS = 24 * 3600.0  # a Retry-After beyond this is a slip
LONGEST_REASON = 500
SAMPLES = 100
FEWEST_SAMPLES = 20  # below that there is no saying what is slow
REMEMBERED_SECONDS = 300.0  # how long a latency counts without a newer one
SMOOTHING = 0.2  # weight of the newest latency in the running mean
MINUTE = 60


@dataclass(frozen=True, slots=True)
class RestRule:
    """What rests after a kind of failure, and for how many seconds: doubled with each failure in a row."""

    scope: str
    first_seconds: float
    longest_seconds: float
    is_firm: bool = False


MODEL, KEY, PAIR = "model", "key", "pair"
RULES: tuple[tuple[type[ProviderError], RestRule], ...] = (
    (RateLimited, RestRule(PAIR, 1, 60)),
    (ModelNotFound, RestRule(MODEL, 10, 300)),
    (Unavailable, RestRule(MODEL, 1, 60)),
    (Timeout, RestRule(MODEL, 1, 60)),
    (BadAnswer, RestRule(MODEL, 1, 60)),
)
KEY_REFUSED = RestRule(KEY, 300, 3600, is_firm=True)  # 401: nobody knows this key there
KEY_FORBIDDEN = RestRule(PAIR, 60, 3600)  # 403: not for this model
UNAUTHORIZED = 401


@dataclass(slots=True)
class Resting:
    """Why and how long somebody rests; times are seconds since 1970."""

    until: float
    since: float
    reason: str
    code: str
    failures: int
    is_firm: bool
    trial_until: float = 0.0

    def is_closed(self, now: float) -> bool:
        """Not to be called now. After its time it is half open: closed again while somebody tries it."""
        return now < self.until or now < self.trial_until


@dataclass(slots=True)
class Traffic:
    """What one deployment has to do, here and in the other processes, and how quickly it answered here."""

    running: int = 0
    minute: int = 0
    requests: int = 0
    tokens: int = 0
    latency_ms: float | None = None
    answered_at: float = 0.0  # of time.monotonic()
    first_bytes_ms: deque[int] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    running_elsewhere: int = 0
    minute_elsewhere: int = 0
    requests_elsewhere: int = 0
    tokens_elsewhere: int = 0

    def turn(self, minute: int) -> None:
        if minute != self.minute:
            self.minute, self.requests, self.tokens = minute, 0, 0
        if minute != self.minute_elsewhere:
            self.minute_elsewhere, self.requests_elsewhere, self.tokens_elsewhere = minute, 0, 0

    def ceiling_reached(self, target: Target, tokens: int) -> str:
        """Which ceiling one more call of so many tokens would break; empty: none."""
        if target.max_rpm and self.requests + self.requests_elsewhere >= target.max_rpm:
            return f"at its ceiling of {target.max_rpm} requests a minute"
        if target.max_tpm and tokens > target.max_tpm:
            return f"made for calls of at most {target.max_tpm} tokens"
        if target.max_tpm and self.tokens + self.tokens_elsewhere + tokens > target.max_tpm:
            return f"at its ceiling of {target.max_tpm} tokens a minute"
        if target.max_parallel and self.running + self.running_elsewhere >= target.max_parallel:
            return f"at its ceiling of {target.max_parallel} parallel calls"
        return ""

    @property
    def recent_latency_ms(self) -> float | None:
        """None when it has not answered for so long that it may be quite another by now."""
        return self.latency_ms if time.monotonic() - self.answered_at < REMEMBERED_SECONDS else None

    @property
    def slow_ms(self) -> int | None:
        """The 95th percentile of its latest first bytes; None until there are enough."""
        if len(self.first_bytes_ms) < FEWEST_SAMPLES:
            return None
        return sorted(self.first_bytes_ms)[int(len(self.first_bytes_ms) * 0.95)]


class Board:
    """Safe to share between threads and greenlets."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rests: dict[Subject, Resting] = {}
        self.traffic: dict[int | None, Traffic] = {}
        self.unwritten: set[Subject] = set()  # what the other processes don't know yet
        self.shared: set[int] = set()  # deployments whose traffic they want to know

    # Rests

    def rest_of(self, target: Target, access: Access, now: float) -> Resting | None:
        """What keeps calls from going there with that key, if anything; of several the longest."""
        if not self.rests:
            return None
        found = (self.rests.get(subject) for subject in _subjects(target, access))
        closed = [rest for rest in found if rest is not None and rest.is_closed(now)]
        return max(closed, key=lambda rest: (rest.is_firm, rest.until), default=None)

    def try_again(self, target: Target, access: Access, now: float) -> None:
        """Note that a call goes there: where a rest is just over, it is the one that finds out."""
        if not self.rests:
            return
        for subject in _subjects(target, access):
            rest = self.rests.get(subject)
            if rest is not None:
                rest.trial_until = now + PROBE_SECONDS

    def failed(self, target: Target, access: Access, error: ProviderError, now: float | None = None) -> None:
        """Let rest what this failure says should."""
        rule = _rule_for(error)
        # What callers name themselves may fail in any way, a 401 for that model alone among them.
        if rule is None or target.model_id is None or target.is_other_upstream:
            return
        now = time.time() if now is None else now
        subject = _subject(rule.scope, target, access)
        with self.lock:
            known = self.rests.get(subject)
            seconds = _seconds(rule, error, known.failures if known else 0)
            if known and now < known.until and now + seconds <= known.until:
                return  # one of many calls that met the same outage
            is_another = known is None or now >= known.until
            failures = (known.failures if known else 0) + is_another
            is_firm = rule.is_firm or error.retry_after is not None
            since = known.since if known else now
            # An upstream's words: PostgreSQL takes no NUL, and a row that can't be written would hold up all others.
            reason = str(error)[:LONGEST_REASON].replace("\0", "")
            self.rests[subject] = Resting(now + seconds, since, reason, error.code, failures, is_firm)
            self.unwritten.add(subject)

    def succeeded(self, target: Target, access: Access, started: float) -> None:
        """A call that began at `started` (seconds since 1970) was answered: whatever rested since before is well."""
        if not self.rests:
            return
        with self.lock:
            for subject in _subjects(target, access):
                rest = self.rests.get(subject)
                is_of_another = target.is_other_upstream and subject[0] is not None
                if rest is not None and rest.since < started and not is_of_another:
                    del self.rests[subject]
                    self.unwritten.add(subject)

    def answered_a_check(self, target: Target, access: Access, started: float) -> None:
        """The provider can be reached and knows the key. That ends the rests that said otherwise, and no others: a
        list of models is also answered while a quota is used up, or while one model is missing, forbidden or stuck."""
        with self.lock:
            for subject in _subjects(target, access):
                rest = self.rests.get(subject)
                was_unknown = rest is not None and rest.code == AuthFailed.code and subject[0] is None
                was_away = rest is not None and rest.code == Unavailable.code
                if rest is not None and rest.since < started and (was_unknown or was_away):
                    del self.rests[subject]
                    self.unwritten.add(subject)

    def forget_key(self, key_id: int) -> None:
        """Its secret was entered anew, or a check succeeded."""
        with self.lock:
            for subject in [each for each in self.rests if each[1] == key_id]:
                del self.rests[subject]
                self.unwritten.add(subject)

    # Traffic

    def traffic_of(self, target: Target) -> Traffic:
        return self.traffic_of_model(target.model_id)

    def traffic_of_model(self, model_id: int | None) -> Traffic:
        traffic = self.traffic.get(model_id)
        if traffic is None:
            traffic = self.traffic.setdefault(model_id, Traffic())
        traffic.turn(int(time.time()) // MINUTE)
        return traffic

    def full(self, target: Target, tokens: int) -> str:
        """Which ceiling is in the way of a call of so many tokens; empty: none."""
        return self.traffic_of(target).ceiling_reached(target, tokens) if target.has_ceiling else ""

    def begin(self, target: Target, tokens: int) -> int:
        """Count a call in. The minute that it counts for; 0 when a ceiling leaves no room for it."""
        traffic = self.traffic_of(target)
        if target.is_counted_together and target.model_id is not None:
            self.shared.add(target.model_id)
        with self.lock:
            if target.has_ceiling and traffic.ceiling_reached(target, tokens):
                return 0
            traffic.running += 1
            traffic.requests += 1
            traffic.tokens += tokens
        return traffic.minute

    def end(self, target: Target, minute: int, expected: int, used: int) -> None:
        """Count it out: what it used in place of what `begin` expected, if that minute is not over."""
        traffic = self.traffic_of(target)
        with self.lock:
            traffic.running = max(traffic.running - 1, 0)
            if traffic.minute == minute:
                traffic.tokens = max(traffic.tokens + used - expected, 0)

    def answered(self, target: Target, first_byte_ms: int) -> None:
        """Note how long the first byte took."""
        traffic = self.traffic_of(target)
        traffic.first_bytes_ms.append(first_byte_ms)
        before = traffic.recent_latency_ms
        traffic.answered_at = time.monotonic()
        traffic.latency_ms = first_byte_ms if before is None else before + SMOOTHING * (first_byte_ms - before)


def _subjects(target: Target, access: Access) -> tuple[Subject, Subject, Subject]:
    return (target.model_id, None), (target.model_id, access.key_id), (None, access.key_id)


def _subject(scope: str, target: Target, access: Access) -> Subject:
    """Where no key is needed, the deployment itself stands in for it."""
    if scope == MODEL or access.key_id is None:
        return target.model_id, None
    return (None, access.key_id) if scope == KEY else (target.model_id, access.key_id)


def _rule_for(error: ProviderError) -> RestRule | None:
    if isinstance(error, OutOfPatience):
        return None
    if isinstance(error, AuthFailed):
        return KEY_REFUSED if error.upstream_status == UNAUTHORIZED else KEY_FORBIDDEN
    return next((rule for kind, rule in RULES if isinstance(error, kind)), None)


def _seconds(rule: RestRule, error: ProviderError, failures: int) -> float:
    if error.retry_after is not None:
        return min(error.retry_after, LONGEST_ASKED_SECONDS)
    return float(min(rule.first_seconds * 2 ** min(failures, 20), rule.longest_seconds))


_board = Board()


def board() -> Board:
    """This process's board."""
    return _board


def forget() -> None:
    """Know nothing, as a new process would."""
    global _board
    _board = Board()
