from typing import Any

from django.core.management.base import CommandParser

from gateway.declaration import reading, taking
from gateway.management.declaring import DeclaringCommand


class Command(DeclaringCommand):
    help = (
        "Make the gateway as a YAML file says (see `export_config`): all of it or nothing, and a second time nothing "
        "changes. Rows that the file names are as it says, fields that it leaves out have their defaults."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--prune",
            action="store_true",
            help="Also remove what the file's lists do not name. A list that it leaves out stays.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        text = self.read(options)
        is_dry = options["dry_run"] or options["check"]

        def work() -> Any:
            return taking.take(reading.parse(text), prune=options["prune"], is_dry_run=is_dry)

        self.tell(options, self.run(options, work))
