"""`make chaos`: rounds on SQLite and PostgreSQL in turn, each on a new database with the next seed.

CHAOS_SECONDS is how long all of them take about (600), SEED the first seed (at random), ROUND_SECONDS one round (60).
"""

import os
import random
import sys

import tests.settings  # noqa: F401  # puts secrets for tests in the environment
from bench.postgres import PostgresServer
from bench.processes import BenchError
from tests.chaos.run import Plan, Report, run

DATABASES = ("sqlite", "postgresql")


def number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)


def one_round(plan: Plan) -> Report:
    if plan.database == "sqlite":
        return run(plan)
    with PostgresServer() as server:
        return run(plan, server, server.url)


def main() -> int:
    total, each = number("CHAOS_SECONDS", 600), number("ROUND_SECONDS", 60)
    seed = number("SEED", random.randrange(1_000_000))
    only = os.environ.get("DATABASE")
    databases = [only] if only else DATABASES
    rounds = max(total // each, len(databases))
    failed = False
    for index in range(rounds):
        plan = Plan(databases[index % len(databases)], seed + index, total / rounds)
        print(f"SEED={plan.seed} on {plan.database} ...", flush=True)
        report = one_round(plan)
        print(report, flush=True)
        failed = failed or bool(report.problems)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BenchError as error:
        sys.exit(str(error))
