"""What the commands that read a declaration share: their options, the plan as people read it, exit codes."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from gateway.declaration.errors import DeclarationError
from gateway.declaration.plan import ADD, CHANGE, REMOVE, Plan
from gateway.management.base import GatewayCommand


class DeclaringCommand(GatewayCommand):
    """Exit code 0 whether or not something changed, 1 for an error and, with --check, when something would change."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("file", help="`-` reads standard input.")
        parser.add_argument("--dry-run", action="store_true", help="Show what would change and write nothing.")
        parser.add_argument("--check", action="store_true", help="A dry run with exit code 1 when it would change.")

    def read(self, options: dict[str, Any]) -> str:
        try:
            return sys.stdin.read() if options["file"] == "-" else Path(options["file"]).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(
                f"{options['file']} can't be read: {getattr(error, 'strerror', None) or error}."
            ) from None

    def run(self, options: dict[str, Any], work: Callable[[], Any]) -> Any:
        """Errors as lines, each with its place."""
        try:
            return work()
        except DeclarationError as error:
            raise CommandError("\n".join([*error.problems, "Nothing was written."])) from None

    def tell(self, options: dict[str, Any], plan: Plan, extra: list[str] | None = None) -> None:
        is_dry = options["dry_run"] or options["check"]
        notes = [*plan.notes, *(extra or [])]
        if options["json"]:
            changes = [{"sign": each.sign, "subject": each.subject, "fields": each.lines} for each in plan.steps]
            self.stdout.write(json.dumps({"changes": changes, "notes": notes, "written": not is_dry}))
        else:
            self._tell_people(plan, notes, is_dry=is_dry)
        if options["check"] and plan.steps:
            raise SystemExit(1)

    def _tell_people(self, plan: Plan, notes: list[str], *, is_dry: bool) -> None:
        colours = {ADD: self.style.SUCCESS, CHANGE: self.style.WARNING, REMOVE: self.style.ERROR}
        for step in plan.steps:
            self.stdout.write(colours[step.sign](f"{step.sign} {step.subject}"))
            for line in step.lines:
                self.stdout.write(f"    {line}")
        for note in notes:
            self.stdout.write(f"! {note}")
        self.stdout.write(_sum(plan, is_dry=is_dry))


def _sum(plan: Plan, *, is_dry: bool) -> str:
    if not plan.steps:
        return "No changes."
    counts = {sign: sum(step.sign == sign for step in plan.steps) for sign in (ADD, CHANGE, REMOVE)}
    text = f"{counts[ADD]} to add, {counts[CHANGE]} to change, {counts[REMOVE]} to remove."
    return (
        f"{text} Nothing was written."
        if is_dry
        else text.replace("to add", "added").replace("to change", "changed").replace("to remove", "removed")
    )
