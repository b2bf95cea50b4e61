"""The configuration that calls are resolved from: read once, used until its version has moved."""

import threading
from dataclasses import dataclass, field
from decimal import Decimal

from django.db import Error

from accounts.errors import LedgerUnavailable
from accounts.services import grants
from accounts.services.keys import Caller
from accounts.services.ledger.limiting.rules import Book, load_book
from accounts.services.ledger.types import ONE
from common.database import borrowed_connection
from common.models import ConfigVersion
from providers.models import Kind
from providers.services.routing import Catalog, Target, load_catalog


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The catalog, the groups' grants and the limits, as they were at one version."""

    version: int
    catalog: Catalog
    group_grants: dict[int, frozenset[int]]
    limits: Book = field(default_factory=Book)
    price_ratios: dict[int, Decimal] = field(default_factory=dict)

    def named(self, caller: Caller, kind: str, name: str) -> list[Target]:
        """The deployments of that name that this caller may use."""
        return self.catalog.named(kind, name, lambda model_id: self.may_call(caller, model_id))

    def kinds_of(self, caller: Caller, name: str) -> list[str]:
        """Of which kinds there are models of that name that this caller may use."""
        return [kind for kind in Kind.values if self.named(caller, kind, name)]

    def has(self, name: str) -> bool:
        """Whether there is a model of that name for anybody."""
        return any((kind, name) in self.catalog.routes for kind in Kind.values)

    def visible(self, caller: Caller) -> list[Target]:
        """One target for each public name that this caller may use."""
        return self.catalog.visible(lambda model_id: self.may_call(caller, model_id))

    def may_call(self, caller: Caller, model_id: int) -> bool:
        """All models, or the key's own grants and its group's together."""
        if caller.all_models or model_id in caller.granted:
            return True
        return caller.group_id is not None and model_id in self.group_grants.get(caller.group_id, ())

    def price_ratio(self, caller: Caller) -> Decimal:
        """What this caller's group pays, as a multiple of the prices."""
        return self.price_ratios.get(caller.group_id or 0, ONE)


_current: Snapshot | None = None
_loading = threading.Lock()


def current() -> Snapshot:
    """What this process knows. The admission says when it is out of date."""
    return _current or newer_than(0)


def newer_than(version: int) -> Snapshot:
    """A snapshot above `version`; callers that ask together load it once."""
    global _current
    with _loading:
        if _current is None or _current.version <= version:
            _current = _load()
        return _current


def fresh() -> Snapshot:
    """The snapshot of this very moment, for answers that no admission checks."""
    version = _version()
    held = _current
    if held is None or held.version != version:
        return newer_than(held.version if held else 0)
    return held


def _version() -> int:
    try:
        with borrowed_connection():
            return ConfigVersion.current()
    except Error as error:
        raise LedgerUnavailable() from error


def _load() -> Snapshot:
    try:
        with borrowed_connection():
            # The version is read before the rows: an edit in between makes this one stale at its first admission.
            version, catalog = ConfigVersion.current(), load_catalog()
            return Snapshot(version, catalog, grants.by_group(), load_book(), grants.price_ratios())
    except Error as error:
        raise LedgerUnavailable() from error


def forget() -> None:
    """Drop what is known, as a new process would."""
    global _current
    _current = None
