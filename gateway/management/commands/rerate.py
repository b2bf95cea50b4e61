import json
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat.services import rerating
from chat.services.rerating import Difference
from common.money import show
from gateway.management.base import AskingCommand, moment

WIDTHS = (32, 10, 10, 16, 16, 16)


class Command(AskingCommand):
    help = (
        "Rate the calls of a period anew, at the prices that held then as far as they are known now. Shows the "
        "difference for each key and asks first; applied, it becomes further charges (endpoint rerate) that point at "
        "those they correct. Exit code 1: there are differences that were not applied."
    )
    question = "Write these differences?"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--from", dest="since", type=moment, required=True, metavar="TIME", help="2026-10-01, say.")
        parser.add_argument("--to", dest="until", type=moment, required=True, metavar="TIME", help="Not included.")
        parser.add_argument("--model", default="", help="A model's public name; without, all.")

    def handle(self, *args: Any, **options: Any) -> None:
        charges = rerating.charges_of(since=options["since"], until=options["until"], model_name=options["model"])
        if options["since"] >= options["until"]:
            raise CommandError("--from must be before --to.")
        if not charges.exists():
            raise CommandError("No settled call began in that time.")
        found = list(rerating.rerate(charges, is_dry=True))
        if not options["json"]:
            self._tell(found)
        applied = self._apply(charges, found, options)
        if options["json"]:
            self.stdout.write(
                json.dumps({"keys": [_as_json(each) for each in applied or found], "applied": bool(applied)})
            )
        elif applied:
            self.stdout.write(f"Written: {show(sum(each.fee for each in applied))} USD in all.")
        if not applied and any(each.changed for each in found):
            sys.exit(self.NOT_APPLIED)

    def _apply(self, charges: Any, found: list[Difference], options: dict[str, Any]) -> list[Difference]:
        is_wanted = any(each.changed for each in found) and self.may_apply(options)
        return list(rerating.rerate(charges, is_dry=False)) if is_wanted else []

    def _tell(self, found: list[Difference]) -> None:
        self._line("key", "calls", "changed", "before", "after", "difference")
        for each in found:
            amounts = (show(each.before), show(each.after), show(each.difference))
            self._line(each.key_name, str(each.charges), str(each.changed), *amounts)
        if unknown := sum(each.unknown for each in found):
            self.stdout.write(f"{unknown} calls stay as they are: their models are gone or had no price.")

    def _line(self, *cells: str) -> None:
        self.stdout.write("".join(f"{cell:<{width}}" for cell, width in zip(cells, WIDTHS, strict=True)).rstrip())


def _as_json(each: Difference) -> dict[str, Any]:
    """Amounts are texts in USD."""
    amounts = {name: show(getattr(each, name)) for name in ("before", "after", "difference", "fee")}
    counts = {name: getattr(each, name) for name in ("charges", "changed", "unknown")}
    return {"id": each.key_id, "key": each.key_name, **counts, **amounts}
