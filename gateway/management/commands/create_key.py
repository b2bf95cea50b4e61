from decimal import Decimal
from typing import Any

from django.core.management.base import CommandError, CommandParser

from accounts.models import Group, Role, Scope
from accounts.services import keys
from gateway.management.base import GatewayCommand, amount, describe, moment
from providers.models import AIModel


class Command(GatewayCommand):
    help = "Make an API key. Its secret is printed once and kept nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name")
        parser.add_argument("--email", default="")
        parser.add_argument("--role", choices=Role.values, default=Role.USER)
        parser.add_argument("--group", help="The name of an existing group.")
        parser.add_argument("--quota", type=amount, help="USD a month. Default: no limit; 0 with --balance.")
        parser.add_argument("--balance", type=amount, help="USD paid in advance.")
        parser.add_argument("--expires", type=moment, help="2027-01-31, 2027-01-31T12:00 or 30d. Default: never.")
        parser.add_argument("--models", nargs="+", default=[], metavar="MODEL", help="Public names it may call.")
        parser.add_argument("--all-models", action="store_true", help="It may call every model.")
        parser.add_argument(
            "--scopes",
            nargs="+",
            default=[],
            choices=Scope.values,
            metavar="SCOPE",
            help=f"What it may manage through the APIs: {', '.join(Scope.values)}. The role admin has all.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        quota, balance = options["quota"], options["balance"]
        issued = keys.issue(
            name=options["name"],
            email=options["email"],
            role=options["role"],
            group=_group(options["group"]),
            month_quota=Decimal(0) if quota is None and balance is not None else quota,
            balance=balance or Decimal(0),
            expires_at=options["expires"],
            all_models=options["all_models"],
            model_ids=_model_ids(options["models"]),
            scopes=options["scopes"],
        )
        self.show(options, {"key": issued.secret, **describe(issued.key)})
        if not (options["all_models"] or options["models"] or options["group"]):
            self.stderr.write("This key may not call any model yet: give --models, --all-models or --group.")


def _group(name: str | None) -> Group | None:
    if name is None:
        return None
    group = Group.objects.filter(name=name).first()
    if group is None:
        raise CommandError(f"There is no group {name!r}.")
    return group


def _model_ids(names: list[str]) -> list[int]:
    found = list(AIModel.objects.filter(name__in=names).values_list("name", "pk"))
    missing = set(names) - {name for name, _ in found}
    if missing:
        raise CommandError(f"There is no model {', '.join(sorted(missing))}.")
    return [pk for _, pk in found]
