from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.declaration import export
from gateway.management.base import GatewayCommand


class Command(GatewayCommand):
    help = (
        "Write providers, models, groups and limits as YAML for `import_config`. Secrets become env:NAME references; "
        "API keys are left out: they are minted, and nobody but their holder has one."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", nargs="?", default="-", help="Default: standard output.")

    def handle(self, *args: Any, **options: Any) -> None:
        document = export.export()
        text = export.dump(document)
        if options["file"] == "-":
            self.stdout.write(text, ending="")
            return
        try:
            Path(options["file"]).write_text(text)
        except OSError as error:
            raise CommandError(f"{options['file']} can't be written: {error.strerror}.") from None
        self.show(options, {"file": options["file"], **export.sizes(document)})
