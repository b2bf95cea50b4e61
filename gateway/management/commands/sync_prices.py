import json
import sys
from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.management.base import AskingCommand, usd
from providers.models import AIModel
from providers.services import price_sync
from providers.services.price_sync import Change


class Command(AskingCommand):
    help = (
        "Bring prices up to the public list (genai-prices, as installed): those that came from it, or those of the "
        "models named. Shows the difference and asks first; what held before is kept for re-rating. "
        "Exit code 1: there are differences that were not applied."
    )
    question = "Apply these prices from now on?"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("names", nargs="*", metavar="NAME", help="Public names of models.")

    def handle(self, *args: Any, **options: Any) -> None:
        models = list(price_sync.candidates(options["names"]))
        _check_names(models, options["names"])
        found = price_sync.changes(models)
        unlisted = sorted({model.name for model in models if not price_sync.is_listed(model)})
        if not options["json"]:
            self._tell(found, unlisted)
        applied = price_sync.apply(found) if found and self.may_apply(options) else 0
        if options["json"]:
            content = {"changes": [_as_json(each) for each in found], "not_in_the_list": unlisted, "applied": applied}
            self.stdout.write(json.dumps(content))
        elif found:
            self.stdout.write(f"{applied} models have new prices from now on." if applied else "Nothing was changed.")
        if applied < len({each.model.pk for each in found}):
            sys.exit(self.NOT_APPLIED)

    def _tell(self, found: list[Change], unlisted: list[str]) -> None:
        for each in found:
            above = f" above {each.above_tokens:,} prompt tokens" if each.above_tokens else ""
            change = f"{_shown(each.old)} -> {_shown(each.new)}"
            self.stdout.write(f"{each.model}  {each.bucket}{above}: {change}")
        if unlisted:
            self.stdout.write(f"Not in the list, so left alone: {', '.join(unlisted)}.")
        if not found:
            self.stdout.write("All prices are as the list has them.")


def _check_names(models: list[AIModel], names: list[str]) -> None:
    if missing := sorted(set(names) - {model.name for model in models}):
        raise CommandError(f"There is no model {', '.join(missing)}.")


def _shown(price: Decimal | None) -> str:
    return "-" if price is None else usd(price)


def _as_json(each: Change) -> dict[str, Any]:
    prices = {name: None if price is None else usd(price) for name, price in (("old", each.old), ("new", each.new))}
    place = {"model": each.model.name, "provider": each.model.provider.name}
    return {**place, "above_tokens": each.above_tokens, "bucket": each.bucket, **prices}
