import logging
import os
import threading
from datetime import timedelta
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from accounts.services.ledger import writer
from common import jobs
from common.database import use_own_connection
from gateway.jobs import runner, worker

logger = logging.getLogger(__name__)

NICENESS = 5  # a call's work comes before a task's


class Command(BaseCommand):
    help = "Do background tasks, one at a time, and answer for bots, until told to end. Any number of these may run."
    requires_system_checks = ()  # they load every page and its forms, 13 MB that this process never needs

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--check-every", type=float, default=0, metavar="SECONDS", help="Check the upstreams beside. 0: never."
        )
        parser.add_argument(
            "--silence",
            type=float,
            default=jobs.SILENT_FOR.total_seconds(),
            metavar="SECONDS",
            help="After how long without a sign of life a worker is taken for dead. The same for all workers.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        os.nice(NICENESS)
        jobs.SILENT_FOR = timedelta(seconds=options["silence"])
        worker.RECOVER_SECONDS = min(worker.RECOVER_SECONDS, options["silence"] / 2)
        if options["check_every"]:
            threading.Thread(target=self._check, args=(options["check_every"],), daemon=True).start()
        worker.Worker().run()
        writer.stop()
        os._exit(os.EX_OK)  # else Python waits for the checks that are running

    def _check(self, seconds: float) -> None:
        """In this process, as one of its own would take as much memory again. Should it end, all of this ends."""
        use_own_connection(sqlite_timeout_seconds=runner.SQLITE_TIMEOUT_SECONDS)
        try:
            call_command("check_health", every=seconds, stdout=self.stdout, stderr=self.stderr)
        except Exception:
            logger.exception("the checks ended, and the worker with them")
        os._exit(1)
