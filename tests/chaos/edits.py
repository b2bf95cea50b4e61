"""Edits at random, through the clerk, and what is known of them."""

import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos.story import Key, Limit, Paid, Story, Timeline

JSON = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
DOLLAR = 10**10
QUOTAS = (0, DOLLAR // 4, DOLLAR // 2, DOLLAR, 3 * DOLLAR)
RATIOS = ("0.5", "0.7777", "1", "1.5", "2.3333")
CODES_AT_ONCE = 3


class Clerk:
    """The process; one action at a time. It may be killed at any moment, and is then hired anew."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment, self.log = environment, log
        self.process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def ask(self, action: str, /, **arguments: Any) -> JSON:
        """What came of it; {"lost": why} when the clerk died over it."""
        with self._lock:
            if self.process is None or self.process.poll() is not None:
                self.process = self._hired()
            assert self.process.stdin is not None
            assert self.process.stdout is not None
            with suppress(BrokenPipeError):
                print(json.dumps([action, arguments]), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        answer: JSON = json.loads(line) if line.endswith("\n") else {"lost": "the clerk died"}
        return answer

    def must(self, action: str, /, **arguments: Any) -> JSON:
        """Where nothing happens meanwhile; the clerk's own connection may be a victim of what happened before."""
        answer = self.ask(action, **arguments)
        if "lost" in answer:
            answer = self.ask(action, **arguments)
        assert not {"lost", "refused"} & answer.keys(), (action, arguments, answer)
        return answer

    def _hired(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.chaos.clerk"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with self.log.open("ab") as log:
            return subprocess.Popen(command, cwd=ROOT, env=dict(self.environment), text=True, stderr=log, **pipes)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()

    def dismiss(self) -> None:
        if self.process is not None:
            assert self.process.stdin is not None
            with suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait(20)


class Edits:
    """One edit after the other, until told to stop."""

    def __init__(self, clerk: Clerk, story: Story, seed: str) -> None:
        self.clerk, self.story, self.chance = clerk, story, random.Random(seed)
        self.codes: list[str] = []
        self._limits_made = 0

    def any_one(self) -> None:
        name = self.chance.choices(list(EDITS), [weight for weight, _ in EDITS.values()])[0]
        EDITS[name][1](self)
        self.story.edits[name] = self.story.edits.get(name, 0) + 1

    def _edit(self, timeline: Timeline, value: Any, action: str, /, **arguments: Any) -> None:
        started = time.time()
        answer = self.clerk.ask(action, **arguments)
        if "refused" not in answer:
            timeline.note(value, started, None if "lost" in answer else time.time())

    def _key(self) -> Key:
        return self.chance.choice(self.story.live_keys())

    # Money

    def recharge(self) -> None:
        self._pay("recharge", self._key(), self.story.next_amount(self.chance.randrange(5, 60)))

    def correct(self) -> None:
        sign = self.chance.choice((1, -1))
        self._pay("correct", self._key(), sign * self.story.next_amount(self.chance.randrange(1, 30)))

    def _pay(self, action: str, key: Key, amount: int) -> None:
        answer = self.clerk.ask(action, key_id=key.id, amount=amount)
        if "refused" not in answer:
            self.story.paid.append(Paid(key.id, amount, "lost" not in answer))

    def refund(self) -> None:
        self.clerk.ask("refund", number=self.chance.randrange(1000))

    def make_codes(self) -> None:
        amount = self.story.next_amount(self.chance.randrange(5, 40))
        self.codes += self.clerk.ask("make_codes", amount=amount, count=CODES_AT_ONCE).get("codes", [])

    def rerate(self) -> None:
        self.clerk.ask("rerate")

    # Keys, groups, prices

    def set_quota(self) -> None:
        key = self._key()
        if key.quota.ever != {None}:  # a key without a limit keeps none, and has no balance
            quota = self.chance.choice(QUOTAS)
            self._edit(key.quota, quota, "set_quota", key_id=key.id, quota=quota)

    def set_group(self) -> None:
        key, group_id = self._key(), self.chance.choice([*self.story.ratios, None])
        self._edit(key.group, group_id or 0, "set_group", key_id=key.id, group_id=group_id)

    def replace_key(self) -> None:
        """Revoke a key, and give its people another one."""
        key = self._key()
        key.is_live = False
        answer = self.clerk.ask(self.chance.choice(("revoke", "retire")), key_id=key.id)
        if "lost" not in answer:
            key.revoked = time.time()
        self.issue(key.email, self.chance.choice(QUOTAS[1:]), self.chance.randrange(50))

    def issue(self, email: str = "", quota: int | None = DOLLAR, cents: int = 0, group_id: int | None = None) -> None:
        amount = self.story.next_amount(cents) if cents and quota is not None else 0
        name = f"key {len(self.story.keys)}"
        made = self.clerk.ask("issue", name=name, quota=quota, balance=amount, group_id=group_id, email=email)
        if "lost" in made and amount:
            self.story.paid.append(Paid(0, amount, False))
        if "id" in made:
            key = Key(made["id"], made["secret"], email, Timeline(quota), Timeline(group_id or 0))
            if amount:
                self.story.paid.append(Paid(key.id, amount, True))
            self.story.keys.append(key)

    def set_ratio(self) -> None:
        group_id, ratio = self.chance.choice(list(self.story.ratios)), self.chance.choice(RATIOS)
        self._edit(self.story.ratios[group_id], ratio, "set_ratio", group_id=group_id, ratio=ratio)

    def set_prices(self) -> None:
        model = self.chance.choice(self.story.models)
        prices = (self.chance.randrange(1, 200) * DOLLAR + 3, self.chance.randrange(1, 2000) * DOLLAR + 7)
        self._edit(model.prices, prices, "set_prices", model_id=model.id, prices=prices)

    # Limits

    def make_limit(self) -> None:
        metric = self.chance.choice(list(MOSTS))
        window = self.chance.choice(list(WINDOWS))
        most = int(MOSTS[metric] * WINDOWS[window] * self.chance.uniform(0.5, 2)) if metric != "parallel" else 4
        subject, whose = self.chance.choice(self._subjects())
        action = self.chance.choice(("block", "block", "block", "warn", "observe"))
        sliding = window != "total" and metric != "parallel" and self.chance.random() < 0.5
        self.put_limit(subject, whose, metric, window, most, sliding=sliding, action=action)

    def _subjects(self) -> list[tuple[str, str]]:
        keys = [("key", str(self._key().id)), ("key", "")]
        groups = [("group", str(next(iter(self.story.ratios)))), ("group", "")]
        model = self.chance.choice(self.story.models)
        places = [("model", model.name), ("provider", str(model.provider_id)), ("provider", "")]
        return [("everyone", ""), *keys, *groups, *places, ("email", "team@example.com"), ("tag", "night")]

    def put_limit(
        self,
        subject: str,
        whose: str,
        metric: str,
        window: str,
        most: int,
        *,
        sliding: bool = False,
        action: str = "block",
    ) -> None:
        window = "total" if metric == "parallel" else window
        name, self._limits_made = f"limit {self._limits_made}", self._limits_made + 1
        sort = {"metric": metric, "window": window, "action": action}
        made = self.clerk.ask(
            "put_limit", name=name, subject=subject, whose=whose, most=most, is_sliding=sliding, **sort
        )
        if "id" in made:
            limit = Limit(made["id"], name, subject, whose, sliding=sliding, most=Timeline(most), **sort)
            limit.born = time.time()
            self.story.limits.append(limit)

    def change_limit(self) -> None:
        limits = self._live_limits()
        if limits:
            limit = self.chance.choice(limits)
            most = int(max(limit.most.ever) * self.chance.choice((0.5, 0.9, 1, 1.3, 2))) or 1
            arguments = {"subject": limit.subject, "whose": limit.whose, "metric": limit.metric, "window": limit.window}
            arguments |= {"is_sliding": limit.sliding, "action": limit.action}
            self._edit(limit.most, most, "put_limit", name=limit.name, most=most, **arguments)

    def drop_limit(self) -> None:
        limits = self._live_limits()
        if limits:
            limit = self.chance.choice(limits)
            limit.ended = time.time()
            self.clerk.ask("drop_limit", limit_id=limit.id)

    def _live_limits(self) -> list[Limit]:
        return [limit for limit in self.story.limits if limit.ended == float("inf")]

    # Caretaking

    def sweep(self) -> None:
        self.clerk.ask("sweep")

    def prune(self) -> None:
        self.clerk.ask("prune")


EDITS: dict[str, tuple[int, Callable[[Edits], None]]] = {
    "recharge": (20, Edits.recharge),
    "correct": (5, Edits.correct),
    "refund": (6, Edits.refund),
    "make_codes": (6, Edits.make_codes),
    "rerate": (1, Edits.rerate),
    "set_quota": (8, Edits.set_quota),
    "set_group": (3, Edits.set_group),
    "replace_key": (3, Edits.replace_key),
    "set_ratio": (3, Edits.set_ratio),
    "set_prices": (5, Edits.set_prices),
    "make_limit": (6, Edits.make_limit),
    "change_limit": (10, Edits.change_limit),
    "drop_limit": (6, Edits.drop_limit),
    "sweep": (3, Edits.sweep),
    "prune": (1, Edits.prune),
}
# About as much as is used in a minute, and how many minutes a window is here at most.
MOSTS = {
    "cost": DOLLAR * 3,
    "requests": 300,
    "input_tokens": 30_000,
    "output_tokens": 3_000,
    "tokens": 35_000,
    "parallel": 4,
}
WINDOWS = {"second": 1 / 20, "minute": 0.5, "hour": 2, "day": 2, "week": 2, "month": 2, "total": 2}
