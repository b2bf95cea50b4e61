from argparse import ArgumentTypeError
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from accounts.models import Action, Group, Limit, Metric, Subject, Window
from accounts.models.limits import usual_thresholds
from accounts.services import limits, notices
from common.money import show
from gateway.declaration import references
from gateway.management.base import GatewayCommand, amount, find_key
from gateway.notices import check_address
from providers.models import Provider

EACH = "each"


class Command(GatewayCommand):
    help = "Limit what somebody may use: make the limit of that name, or change it."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("name", help="What refusals and warnings call it.")
        whose = parser.add_mutually_exclusive_group(required=True)
        whose.add_argument("--key", help=f"A key's id, prefix or name; `{EACH}`: each key has a count of its own.")
        whose.add_argument("--group", help=f"A group's name, or `{EACH}`.")
        whose.add_argument("--email", help=f"All keys of this address, or `{EACH}`.")
        whose.add_argument("--model", help=f"A public name, or `{EACH}`.")
        whose.add_argument("--provider", help=f"A provider's name, or `{EACH}`.")
        whose.add_argument("--tag", help=f"Calls with this tag in X-Weighbridge-Tags, or `{EACH}`.")
        whose.add_argument("--everyone", action="store_true", help="All calls together.")
        parser.add_argument("--metric", choices=Metric.values, default=Metric.COST, help="Default: cost.")
        parser.add_argument("--window", choices=Window.values, default=Window.MONTH, help="Default: month.")
        parser.add_argument("--sliding", action="store_true", help="The latest hour, say, not the calendar's.")
        parser.add_argument("--most", type=amount, required=True, help="USD for cost, else a whole number.")
        parser.add_argument("--action", choices=Action.values, default=Action.BLOCK, help="Default: block.")
        parser.add_argument(
            "--thresholds", nargs="*", type=percent, metavar="PERCENT", help="When somebody is told. Default: 80 100."
        )
        parser.add_argument("--notify-url", default="", help="A webhook that is told.")
        parser.add_argument("--notify-secret", default="", help="What signs its messages, as env:NAME or file:/path.")
        parser.add_argument("--notify-email", default="", help="An address that is told.")

    def handle(self, *args: Any, **options: Any) -> None:
        metric = options["metric"]
        thresholds = options["thresholds"]
        secret = _secret(options)
        limit = limits.put(
            name=options["name"],
            **_whose(options),
            metric=metric,
            window=options["window"],
            is_sliding=options["sliding"],
            most=options["most"] if metric == Metric.COST else _count(options["most"]),
            action=options["action"],
            thresholds=usual_thresholds() if thresholds is None else sorted(set(thresholds)),
            notify_url=options["notify_url"],
            notify_email=options["notify_email"],
        )
        if secret != notices.readable_secret(limit):
            limit.notify_secret = secret
            limit.save()
        self.show(options, _describe(limit))


def percent(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number of per cent.")
    return int(text)


def _secret(options: dict[str, Any]) -> str:
    """What is to sign messages to the webhook: the one that is given, else the stored one."""
    if not options["notify_url"]:
        return ""
    _check("notify_url", check_address, options["notify_url"])
    stored = notices.readable_secret(Limit.objects.filter(name=options["name"]).defer("notify_secret").first())
    secret = (references.resolve(options["notify_secret"]) or "") if options["notify_secret"] else stored
    _check("notify_secret", notices.check_secret, secret)
    return secret


def _check(option: str, check: Callable[[str], None], value: str) -> None:
    try:
        check(value)
    except ValidationError as error:
        raise ValidationError({option: error.messages}) from error


def _count(most: Decimal) -> int:
    if most != most.to_integral_value():
        raise CommandError("--most is a whole number, unless it is a limit of cost.")
    return int(most)


def _whose(options: dict[str, Any]) -> dict[str, Any]:
    """The columns that say whom the limit is about."""
    subject = next(each for each in Subject if options[each.value])
    name = options[subject.value]
    columns: dict[str, Any] = {"subject": subject}
    if subject == Subject.EVERYONE or name == EACH:
        return columns
    if subject == Subject.KEY:
        return {**columns, "key": find_key(name)}
    if subject == Subject.GROUP:
        return {**columns, "group": _found(Group.objects.filter(name=name).first(), "group", name)}
    if subject == Subject.PROVIDER:
        return {**columns, "provider": _found(Provider.objects.filter(name=name).first(), "provider", name)}
    return {**columns, "value": name}


def _found(row: Any, kind: str, name: str) -> Any:
    if row is None:
        raise CommandError(f"There is no {kind} {name!r}.")
    return row


def _describe(limit: Limit) -> dict[str, Any]:
    return {
        "id": limit.pk,
        "uuid": str(limit.uuid),
        "name": limit.name,
        "subject": limit.subject,
        "whose": str(limit.key or limit.group or limit.provider or limit.value or "") or None,
        "metric": limit.metric,
        "window": limit.window,
        "sliding": limit.is_sliding,
        "most": show(limit.most) if limit.metric == Metric.COST else limit.most,
        "action": limit.action,
        "thresholds": limit.thresholds,
    }
