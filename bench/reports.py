"""`python -m bench.reports`: how long every report takes with a million charges in the table, on SQLite and PostgreSQL.

Each runs as a page or an API's answer does, in one process, after one that warms up; the figures are milliseconds. The
exit code is 1 when something failed; a missed target is only printed, since it may be the machine's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from statistics import median

from bench import gateway, report
from bench.processes import ROOT, BenchError, say

TARGET_MILLISECONDS = 300
ROUNDS = 7
Timings = dict[str, list[float]]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.reports", description=__doc__.splitlines()[0])
    parser.add_argument("--charges", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=90, help="how many days they are spread over")
    parser.add_argument("--database", choices=[*gateway.DATABASES, "both"], default="both")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(kind: str, arguments: argparse.Namespace) -> Timings:
    """On a fresh database, in a process of its own: Django knows one database in its life."""
    with tempfile.TemporaryDirectory(prefix="wb-reports-") as name:
        directory = Path(name)
        with gateway.database(kind, directory) as database_url:
            variables = gateway.environment(database_url, directory)
            manager = gateway.Manager(variables)
            manager.run("migrate --verbosity 0")
            made = manager.run(f"make_charges {arguments.charges} --days {arguments.days} --yes --json")
            say(f"{gateway.DATABASES[kind]}: made in {json.loads(made)['seconds']} s")
            manager.run("audit_ledger")
            return inside(variables)


def inside(variables: dict[str, str]) -> Timings:
    command = [sys.executable, "-m", "bench.reports", "--inside"]
    environment = {"DJANGO_SETTINGS_MODULE": "gateway.settings", **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise BenchError(f"the reports failed:\n{done.stderr[-3000:]}")
    timings: Timings = json.loads(done.stdout)
    return timings


# In the process that measures


def time_all() -> Timings:
    import django

    django.setup()
    from django.db import connection

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")  # autovacuum does it in time, and here there is none
    return {name: _times(run) for name, run in _reports()}


def _times(run: Callable[[], object]) -> list[float]:
    run()
    return [_time(run) for _ in range(ROUNDS)]


def _time(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1000


def _reports() -> Iterator[tuple[str, Callable[[], object]]]:
    yield from _sums()
    yield from _pages()


def _sums() -> Iterator[tuple[str, Callable[[], object]]]:
    from django.utils import timezone

    from accounts.models import ApiKey
    from accounts.services import reports
    from accounts.services.reports import Bounds

    now = timezone.now()
    busiest = ApiKey.objects.filter(pk=ApiKey.objects.order_by("-spent").values("pk")[:1])
    bounds = {
        "ever": Bounds(),
        "30 days to the second": Bounds(since=now - timedelta(days=30, hours=5), until=now - timedelta(hours=3)),
        "ever, one key": Bounds(keys=busiest),
    }
    for text, each in bounds.items():
        yield f"Sum, {text}", lambda each=each: reports.total(each)  # type: ignore[misc]
        for by in reports.GROUPS:
            yield f"By {by}, {text}", lambda each=each, by=by: reports.totals(each, by=by)  # type: ignore[misc]


def _pages() -> Iterator[tuple[str, Callable[[], object]]]:
    from django.conf import settings
    from django.test import Client
    from django.utils import timezone

    from accounts.models import ApiKey, User
    from accounts.services import keys

    settings.ALLOWED_HOSTS = ["testserver"]
    user = User.objects.create_superuser("bench", password="bench")
    console = Client()
    console.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    secret = keys.issue(name="bench", role="admin", all_models=True, owner=user).secret
    api = Client(headers={"Authorization": f"Bearer {secret}"})
    busiest = ApiKey.objects.order_by("-spent")[0]
    month, day = f"{timezone.localdate():%Y-%m}", str(timezone.localdate() - timedelta(days=80))
    pages = {
        "Console: dashboard": "/admin/",
        "Console: spend, 30 days by key": "/admin/spend/",
        "Console: spend, 80 days by tag": f"/admin/spend/?by=tag&since={day}",
        "Console: spend as CSV": f"/admin/spend/table.csv?by=model&since={day}",
        "Console: invoices of a month": f"/admin/invoices/?month={month}",
        "Console: the busiest key's invoice": f"/admin/invoices/{busiest.pk}/{month}/",
        "Console: the same as CSV": f"/admin/invoices/{busiest.pk}/{month}/invoice.csv",
        "Console: list of charges": "/admin/accounts/charge/",
        "Console: a key's charges": f"/admin/accounts/charge/?key__id__exact={busiest.pk}",
    }
    for name, path in pages.items():
        yield name, lambda path=path: _read(console, path)  # type: ignore[misc]
    answers = {
        "API: overview": "/api/stats/overview",
        "API: costs by day": "/api/costs/summary?groupBy=day",
        "API: costs by model, parts of days": "/api/costs/summary?groupBy=model&startDate=2026-01-01T05:00:00Z",
        "API: statistics by provider and model": "/api/audit/statistics",
        "API: calls, newest first": "/api/audit",
        "API: calls, dearest first": "/api/audit?sortBy=spend&sortOrder=desc",
        "API: calls, searched": "/api/audit?search=model-c",
        "API: somebody's own usage": "/api/me/usage",
    }
    for name, path in answers.items():
        yield name, lambda path=path: _read(api, path)  # type: ignore[misc]


def _read(client: object, path: str) -> bytes:
    answer = client.get(path)  # type: ignore[attr-defined]
    if answer.status_code != 200:
        raise BenchError(f"{path} answered {answer.status_code}")
    return b"".join(answer) if answer.streaming else bytes(answer.content)


# What is shown of it


def table(found: dict[str, Timings]) -> str:
    """Markdown: the median of each report, and in brackets its slowest."""
    lines = [f"| Report | {' | '.join(found)} |", f"|---|{'---:|' * len(found)}"]
    for name in next(iter(found.values())):
        cells = [f"{median(each[name]):.0f} ({max(each[name]):.0f}) ms" for each in found.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def missed(found: dict[str, Timings]) -> list[str]:
    slow = ((kind, name, median(times)) for kind, each in found.items() for name, times in each.items())
    return [f"{kind}: {name} took {took:.0f} ms" for kind, name, took in slow if took > TARGET_MILLISECONDS]


def main() -> int:
    arguments = parsed()
    if arguments.inside:
        print(json.dumps(time_all()))
        return 0
    load_before = os.getloadavg()[0]
    kinds = list(gateway.DATABASES) if arguments.database == "both" else [arguments.database]
    found: dict[str, Timings] = {}
    try:
        for kind in kinds:
            found[gateway.DATABASES[kind]] = measured(kind, arguments)
    except BenchError as error:
        say(f"bench: {error}")
        return 1
    print(", ".join(f"{name} {value}" for name, value in report.machine(load_before).items()), end="\n\n")
    print(f"{arguments.charges:,} charges over {arguments.days} days. Median (slowest) of {ROUNDS}.\n")
    print(table(found))
    for each in missed(found):
        print(f"\n- more than {TARGET_MILLISECONDS} ms: {each}", end="")
    print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
