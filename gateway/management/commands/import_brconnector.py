import json
import sys
import time
from argparse import ArgumentTypeError
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.management.base import CommandError, CommandParser
from django.db import Error

from gateway.management.base import GatewayCommand
from gateway.moving.move import Move
from gateway.moving.progress import Progress
from gateway.moving.report import Report
from gateway.moving.run import move_in
from gateway.moving.source import Source, SourceError

DEFAULT_BATCH, MOST_AT_ONCE = 500, 5000
GO_ON = "Run it again: it goes on where it stopped."


class Command(GatewayCommand):
    help = (
        "Bring over a BRConnector's database: groups, models, keys, grants, quotas, balances, payments, sessions and "
        "threads. A later run adds what is new there, and changes nothing that is here but the keys' money. What did "
        "not fit is listed with its reason."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--dsn", required=True, help="postgres://user:password@host/database; `-` reads it from standard input."
        )
        parser.add_argument("--source", default="", help="A name for that BRConnector. Its database's, unless given.")
        parser.add_argument("--dry-run", action="store_true", help="Say what would come over, and write nothing.")
        parser.add_argument(
            "--batch", type=_batch, default=DEFAULT_BATCH, help="Threads in one transaction: %(default)s."
        )
        parser.add_argument(
            "--time-zone", type=_zone, default=settings.TIME_ZONE, help="Of the times there: %(default)s unless given."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.monotonic()
        dsn = sys.stdin.readline().strip() if options["dsn"] == "-" else options["dsn"]
        try:
            with Source(dsn, options["source"]) as source:
                move = _move(source, options)
                move_in(move)
        except SourceError as error:
            raise CommandError(str(error)) from None
        except Error as error:
            raise CommandError(f"The gateway's own database: {' '.join(str(error).split())}. {GO_ON}") from error
        except KeyboardInterrupt:
            raise CommandError(f"Stopped. {GO_ON}") from None
        self._tell(move, options, time.monotonic() - started)

    def _tell(self, move: Move, options: dict[str, Any], seconds: float) -> None:
        is_changed = move.report.has_changes
        if options["json"]:
            facts = {
                "source": move.source.name,
                "written": is_changed and not move.is_dry,
                "seconds": round(seconds, 1),
            }
            self.stdout.write(json.dumps({**facts, **move.report.content()}))
            return
        for line in move.report.lines():
            self.stdout.write(line)
        self.stdout.write(_sum(move, is_changed=is_changed, seconds=seconds))


def _sum(move: Move, *, is_changed: bool, seconds: float) -> str:
    if not is_changed:
        return "Nothing changed: all that fits is here already."
    if move.is_dry:
        return "A dry run: nothing was written."
    return f"Moved in from {move.source.name} in {seconds:.1f} s. `manage.py audit_ledger` proves the books."


def _move(source: Source, options: dict[str, Any]) -> Move:
    return Move(
        source=source,
        is_dry=options["dry_run"],
        batch=options["batch"],
        zone=options["time_zone"],
        report=Report(),
        progress=Progress(sys.stderr),
    )


def _batch(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= MOST_AT_ONCE):
        raise ArgumentTypeError(f"Give a number from 1 to {MOST_AT_ONCE}.")
    return int(text)


def _zone(text: str) -> ZoneInfo:
    try:
        return ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        raise ArgumentTypeError(f"{text!r} is not a time zone such as Europe/Berlin.") from None
