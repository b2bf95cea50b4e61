"""`make chaos`: rounds on SQLite and PostgreSQL in turn, each on a new database with the next seed.

CHAOS_SECONDS: how long all of it takes, about (600). SEED: the first round's (at random). DATABASE: only that one.
"""

import os
import random
import sys
import time

import tests.settings  # noqa: F401  # puts secrets for tests in the environment
from bench.postgres import PostgresServer
from bench.processes import BenchError
from tests.chaos.run import Plan, Report, run

DATABASES = ("sqlite", "postgresql")
ROUND_SECONDS, SHORTEST_SECONDS = 60, 5
SECONDS_AROUND = 15  # that a round takes beside its load
KILLS = ("kill -9", "server crashed")


def number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)


def one_round(plan: Plan) -> Report:
    if plan.database == "sqlite":
        return run(plan)
    with PostgresServer() as server:
        return run(plan, server)


def main() -> int:
    end = time.monotonic() + number("CHAOS_SECONDS", 600)
    seed = number("SEED", random.randrange(1_000_000))
    databases = [only] if (only := os.environ.get("DATABASE")) else DATABASES
    reports: list[Report] = []
    while time.monotonic() < end or len(reports) < len(databases):
        left = end - time.monotonic() - SECONDS_AROUND
        database = databases[len(reports) % len(databases)]
        plan = Plan(database, seed + len(reports), max(min(left, ROUND_SECONDS), SHORTEST_SECONDS))
        print(f"SEED={plan.seed} on {plan.database} ...", flush=True)
        reports.append(one_round(plan))
        print(reports[-1], flush=True)
    print(summary(reports))
    return int(any(report.problems for report in reports))


def summary(reports: list[Report]) -> str:
    calls, faults = sum(report.calls for report in reports), sum(sum(report.faults.values()) for report in reports)
    kills = sum(times for report in reports for name, times in report.faults.items() if name.startswith(KILLS))
    wrong = sum(len(report.problems) for report in reports)
    return f"{len(reports)} rounds, {calls} calls, {faults} faults, {kills} of them kills and crashes: {wrong} wrong"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(str(error))
