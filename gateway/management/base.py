"""What the gateway's commands share: reading arguments strictly, printing for people or as JSON."""

import json
import sys
from argparse import ArgumentTypeError
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from accounts.models import ApiKey
from accounts.services.payments import Maker
from common.money import show, to_units

COMMAND_LINE = Maker(name="command line")  # who logs in to the machine is not known here


class GatewayCommand(BaseCommand):
    """Adds `--json`, and turns a service's ValidationError into one line and exit code 1."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print one JSON object.")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except ValidationError as error:
            raise CommandError(_sentence(error)) from None

    def show(self, options: dict[str, Any], content: dict[str, Any]) -> None:
        """One object: as JSON, or a line for each field."""
        if options["json"]:
            self.stdout.write(json.dumps(content, default=str))
            return
        width = max(map(len, content))
        for name, value in content.items():
            self.stdout.write(f"{name:<{width}}  {'-' if value is None else value}")


class AskingCommand(GatewayCommand):
    """Shows what would change, and asks before it does so. `NOT_APPLIED`: its exit code where that was not done."""

    NOT_APPLIED = 1
    question: str

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--yes", action="store_true", help="Apply without asking.")
        parser.add_argument("--dry-run", action="store_true", help="Show only.")

    def may_apply(self, options: dict[str, Any]) -> bool:
        """Somebody who sits there says yes; where nobody can answer, it is no."""
        if options["dry_run"]:
            return False
        if options["yes"]:
            return True
        return sys.stdin.isatty() and input(f"{self.question} [y/N] ").strip().lower() in ("y", "yes")


def _sentence(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return " ".join(error.messages)
    parts = ((name, " ".join(messages)) for name, messages in error.message_dict.items())
    return " ".join(text if name == NON_FIELD_ERRORS else f"{name}: {text}" for name, text in parts)


def amount(text: str) -> Decimal:
    """An amount in USD, for argparse."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ArgumentTypeError(f"{text!r} is not an amount in USD.") from None
    if not value.is_finite():
        raise ArgumentTypeError(f"{text!r} is not an amount in USD.")
    return value


def moment(text: str) -> datetime:
    """When something ends: a date, a date with a time, or a number of days as in `30d`."""
    if text.endswith("d") and text[:-1].isdigit():
        return timezone.now() + timedelta(days=int(text[:-1]))
    try:
        found = parse_datetime(text)
        day = parse_date(text) if found is None else None
    except ValueError:
        found = day = None
    if found is None and day is not None:
        found = datetime(day.year, day.month, day.day)
    if found is None:
        raise ArgumentTypeError(f"{text!r} is no date: give 2027-01-31, 2027-01-31T12:00 or 30d.")
    return found if timezone.is_aware(found) else timezone.make_aware(found)


def find_key(name: str) -> ApiKey:
    """A key by its id, its prefix or its name, when that is one key. Raises CommandError."""
    found = ApiKey.objects.filter(is_internal=False)
    by_id = found.filter(pk=int(name)) if name.isdecimal() and len(name) < 19 else found.none()
    matches = list(by_id or found.filter(prefix=name) or found.filter(name=name)[:2])
    if len(matches) == 1:
        return matches[0]
    problem = "Several keys are" if matches else "No key is"
    raise CommandError(f"{problem} called {name!r}; `manage.py list_keys` shows their ids.")


def json_object(text: str) -> dict[str, Any]:
    """A JSON object, for argparse."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ArgumentTypeError(f"{text!r} is no JSON object.")
    return value


def usd(value: Decimal) -> str:
    return show(to_units(value))


def describe(key: ApiKey) -> dict[str, Any]:
    """A key for the command line, without anything secret."""
    return {
        "id": key.pk,
        "uuid": str(key.uuid),
        "name": key.name,
        "prefix": key.prefix,
        "email": key.email,
        "role": key.role,
        "scopes": sorted(key.rights),
        "group": key.group.name if key.group else None,
        "month_quota": None if key.month_quota is None else usd(key.month_quota),
        "month_fee": usd(key.month_fee),
        "balance": usd(key.balance),
        "held": usd(key.held),
        "spent": usd(key.spent),
        "expires_at": key.expires_at,
        "active": key.is_active,
        "all_models": key.all_models,
    }
