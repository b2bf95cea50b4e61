"""One run: a gateway under random load, edits and faults, and then the oracle's judgement."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.postgres import PostgresServer
from tests.chaos import oracle, rows
from tests.chaos.edits import DOLLAR, Clerk, Edits
from tests.chaos.faults import Faults
from tests.chaos.load import Load, wait_a_little
from tests.chaos.story import Model, Story, Timeline
from tests.chaos.upstream import ChaosUpstream
from tests.served import databases
from tests.served.gateway import ServedGateway

ZONES = ("UTC", "Asia/Kathmandu", "America/St_Johns")
UPSTREAM_SECONDS = 3  # of patience with it; longer than any freeze
CALLERS = 20


@dataclass(frozen=True, slots=True)
class Plan:
    """`pause_seconds`: of each caller between two calls, on average."""

    database: str
    seed: int
    seconds: float
    pause_seconds: float = 0.05
    seconds_between_faults: float = 1.5
    seconds_between_edits: float = 0.15


@dataclass(slots=True)
class Report:
    plan: Plan
    calls: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, int] = field(default_factory=dict)
    edits: dict[str, int] = field(default_factory=dict)
    spent: int = 0
    problems: list[str] = field(default_factory=list)
    log: str = ""

    def __str__(self) -> str:
        plan = self.plan
        lines = [
            f"{plan.database}, SEED={plan.seed}, {plan.seconds:.0f} s: {self.calls} calls, "
            f"{sum(self.faults.values())} faults, {sum(self.edits.values())} edits, "
            f"{self.spent / DOLLAR:.4f} USD spent",
            f"  answers: {_told(self.statuses)}",
            f"  charges: {_told(self.outcomes)}",
            f"  faults: {_told(self.faults)}",
            f"  edits: {_told(self.edits)}",
            *(f"  WRONG: {problem}" for problem in self.problems[:40]),
            f"  {len(self.problems)} wrong; the gateway's log: {self.log}" if self.problems else "  nothing overspent",
        ]
        return "\n".join(lines)


def _told(counts: "Counter[int] | Counter[str] | dict[str, int]") -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items(), key=lambda item: str(item[0])))


def run(plan: Plan, server: PostgresServer | None = None) -> Report:
    """Everything at random, as the seed has it; which thread comes first it does not have."""
    story = Story()
    zone = random.Random(plan.seed).choice(ZONES)
    environment = {"WEB_WORKERS": "2", "TIME_ZONE": zone, "SHUTDOWN_SECONDS": "2", "LEDGER_WAIT_SECONDS": "4"}
    with ExitStack() as stack:
        upstream = stack.enter_context(ChaosUpstream(story))
        gateway = ServedGateway(databases.create(server) if server else "", **environment)
        clerk = Clerk(gateway.environment, gateway.folder / "clerk.log")
        stack.callback(clerk.dismiss)
        stack.callback(gateway.stop)
        gateway.start()
        edits = Edits(clerk, story, f"{plan.seed} edits")
        set_up(clerk, edits, story, upstream)
        faults = Faults(gateway, clerk, server, f"{plan.seed} faults")
        load = Load(gateway.port, story, edits)
        with going_on(plan, load, edits):
            _stir(plan, faults)
        gateway.stop()
        clerk.must("manage", command=["sweep_holds"])
        report = _judged(plan, gateway, story, zone)
        report.problems += json.loads(clerk.must("manage", command=["audit_ledger", "--json"])["output"])["breaks"]
        report.faults = faults.done
        return report


def set_up(clerk: Clerk, edits: Edits, story: Story, upstream: ChaosUpstream) -> None:
    """Three providers, eleven models, two groups, nine keys, and limits of every sort."""
    providers = []
    for number in range(3):
        secret = f"sk-chaos-{number}"
        upstream.other_keys.add(secret)
        made = clerk.must(
            "provider", name=f"p{number}", base_url=upstream.base_url, secret=secret, seconds=UPSTREAM_SECONDS
        )
        providers.append(made["id"])
    for name, place, kind, fields in MODELS:
        prices = [100 * DOLLAR, 1000 * DOLLAR]
        made = clerk.must("model", name=name, provider_id=providers[place], kind=kind, prices=prices, **fields)
        story.models.append(Model(made["id"], providers[place], name, Timeline(tuple(prices))))
    clerk.must("price_request", model_id=story.models[-1].id, units=DOLLAR // 200)
    for ratio in ("1", "1.5"):
        story.ratios[clerk.must("group", name=f"at {ratio}", ratio=ratio)["id"]] = Timeline(ratio)
    first, second = story.ratios
    admin = clerk.must("issue", name="admin", quota=None, balance=0, role="admin")
    edits.issue()
    story.keys[0].secret, story.keys[0].is_live = admin["secret"], True
    story.keys[0].id, story.keys[0].quota = admin["id"], Timeline(None)
    for email, quota, cents, group in (
        ("", None, 0, None), ("", DOLLAR // 2, 0, None), ("", 0, 150, None), ("", DOLLAR // 4, 50, first),
        ("", 2 * DOLLAR, 0, first), ("", 0, 300, second), ("team@example.com", DOLLAR, 20, None),
        ("Team@Example.com", DOLLAR, 0, second),
    ):  # fmt: skip
        edits.issue(email.lower(), quota, cents, group)
    for subject, whose, metric, window, most, fields in limits(story):
        edits.put_limit(subject, whose, metric, window, most, **fields)


MODELS = (
    ("alpha", 0, "llm", {"max_output": 50, "priority": 1}),
    ("alpha", 1, "llm", {"max_output": 60}),
    ("alpha", 2, "llm", {"max_output": 50}),
    ("beta", 1, "llm", {"max_output": 50, "fallbacks": ["alpha"]}),
    ("gamma", 2, "llm", {}),
    ("vectors", 0, "embedding", {}),
    ("paint", 0, "image", {}),
    ("voice", 1, "speech", {}),
    ("ears", 1, "transcription", {}),
    ("judge", 2, "moderation", {}),
    ("ranks", 2, "rerank", {}),
)
SLIDING = {"sliding": True}


def limits(story: Story) -> list[tuple[str, str, str, str, int, dict[str, object]]]:
    """Of every subject, metric, window and action."""
    keys, groups = [str(key.id) for key in story.keys], [str(group) for group in story.ratios]
    places = [str(model.provider_id) for model in story.models]
    return [
        ("everyone", "", "requests", "second", 60, {}),
        ("everyone", "", "parallel", "total", 18, {}),
        ("everyone", "", "tokens", "week", 10_000, {"sliding": True, "action": "observe"}),
        ("key", "", "requests", "minute", 150, SLIDING),
        ("key", keys[1], "cost", "hour", 3 * DOLLAR, {}),
        ("key", keys[2], "parallel", "total", 2, {}),
        ("key", keys[4], "tokens", "day", 20_000, {}),
        ("group", "", "cost", "day", 4 * DOLLAR, SLIDING),
        ("group", groups[0], "output_tokens", "month", 4_000, {}),
        ("email", "team@example.com", "output_tokens", "minute", 400, SLIDING),
        ("model", "alpha", "input_tokens", "minute", 30_000, {}),
        ("model", "", "output_tokens", "second", 150, SLIDING),
        ("provider", places[1], "parallel", "total", 9, {}),
        ("provider", "", "requests", "minute", 900, {}),
        ("tag", "night", "requests", "total", 150, {}),
        ("tag", "nightly", "cost", "total", DOLLAR, {}),
        ("tag", "batch", "cost", "month", DOLLAR // 2, {"action": "warn"}),
    ]


@contextmanager
def going_on(plan: Plan, load: Load, edits: Edits) -> Iterator[None]:
    """Callers and the clerk at work."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def again_and_again(act: Callable[[random.Random], None], seed: str, pause: float) -> None:
        chance = random.Random(seed)
        try:
            while not stop.is_set():
                act(chance)
                wait_a_little(chance, pause)
        except BaseException as error:
            failures.append(error)
            raise

    jobs = [(load.any_one, f"{plan.seed} caller {number}", plan.pause_seconds) for number in range(CALLERS)]
    jobs.append((lambda _: edits.any_one(), f"{plan.seed} pauses", plan.seconds_between_edits))
    threads = [threading.Thread(target=again_and_again, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failures, failures


def _stir(plan: Plan, faults: Faults) -> None:
    """Until the time is over and each kind of fault has come."""
    chance, end = random.Random(f"{plan.seed} stirring"), time.monotonic() + plan.seconds
    while time.monotonic() < end or faults.done.keys() != faults.kinds.keys():
        time.sleep(chance.expovariate(1 / plan.seconds_between_faults))
        faults.any_one()


def _judged(plan: Plan, gateway: ServedGateway, story: Story, zone: str) -> Report:
    found = rows.read(gateway)
    report = Report(plan, len(story.tries), Counter(tried.status for tried in story.tries))
    report.outcomes = Counter(charge.outcome for charge in found.charges)
    report.edits = story.edits
    report.spent = sum(charge.fee for charge in found.charges)
    report.problems = oracle.problems(found, story, zone)
    report.log = str(gateway.log)
    return report
