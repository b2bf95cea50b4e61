"""Making a declaration hold: read, checked, planned and taken, all or nothing."""

from typing import Any

from django.db import transaction

from gateway.declaration import plan, reading, references
from gateway.declaration.errors import DeclarationError
from gateway.declaration.plan import Plan
from gateway.declaration.references import Resolve


def take(
    document: Any, *, resolve: Resolve = references.resolve, prune: bool = False, is_dry_run: bool = False
) -> Plan:
    """Make what a document says hold, and say what that changed. `resolve` finds the secret behind a reference.

    Raises DeclarationError with nothing written.
    """
    declaration = reading.declared(document)
    with transaction.atomic():
        made = plan.make(declaration, resolve=resolve, prune=prune)
        if is_dry_run:
            made.notes += made.unset  # who only wants to see need not have all secrets at hand
        else:
            made.problems += made.unset
        if made.problems:
            raise DeclarationError(made.problems)
        if not is_dry_run:
            made.take()
    return made
