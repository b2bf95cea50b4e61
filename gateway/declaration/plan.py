"""What has to change for a declaration to hold: steps that can be shown, and then taken."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ValidationError
from django.db.models import Model, Q

from accounts.models import ApiKey, Group, GroupGrant, Limit, Subject
from accounts.models.limits import COUNTED_BY, SUBJECT_COLUMNS
from accounts.services import notices
from gateway.declaration import references
from gateway.declaration.fields import fields_of, is_same, write
from gateway.declaration.reading import Declaration, Entry, Grant
from gateway.declaration.references import Resolve
from providers.models import AIModel, Provider, ProviderKey
from providers.services import providers

ADD, CHANGE, REMOVE = "+", "~", "-"
SECRETIVE = frozenset({"headers"})  # parts of a setting that may hold a secret: that they changed is all that is said

NAMED: dict[Subject, type[Provider] | type[Group]] = {Subject.PROVIDER: Provider, Subject.GROUP: Group}

Triple = tuple[str, str, str]  # a model by its provider, kind and public name


@dataclass(slots=True)
class Step:
    """One row's change. `lines` are its fields, old and new, without anything secret."""

    sign: str
    subject: str
    lines: list[str] = field(default_factory=list)
    row: Model | None = None
    grants: set[Triple] | None = None

    def take(self) -> None:
        if self.grants is not None:
            _set_grants(self.row, self.grants)
        elif self.row is None:
            return
        elif self.sign == REMOVE:
            self.row.delete()
        elif self.sign == CHANGE and isinstance(self.row, Provider):
            providers.change(provider=self.row)
        else:
            self.row.save()


@dataclass(slots=True)
class Plan:
    """Steps in the order in which they are taken; `notes` are for the operator; with a problem there is no step.

    `unset` are references to secrets that lead nowhere: a problem, unless nothing is to be written.
    """

    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unset: list[str] = field(default_factory=list)

    def take(self) -> None:
        for step in self.steps:
            step.take()


def make(declaration: Declaration, *, resolve: Resolve, prune: bool) -> Plan:
    """What has to change. To be made and taken in one transaction."""
    planner = _Planner(resolve, prune)
    planner.providers(declaration.providers)
    planner.groups(declaration.groups)
    planner.limits(declaration.limits)
    return planner.plan


class _Planner:
    def __init__(self, resolve: Resolve, prune: bool) -> None:
        self.plan = Plan()
        self._resolve = resolve
        self._prune = prune
        # What there will be, for groups to refer to.
        self._models: set[Triple] = set(AIModel.objects.values_list("provider__name", "kind", "name"))
        self._rows: dict[tuple[str, str], Any] = {
            (str(subject), row.name): row for subject, kind in NAMED.items() for row in kind.objects.all()
        }

    def providers(self, entries: list[Entry] | None) -> None:
        stored = {row.name: row for row in Provider.objects.all()}
        for entry in entries or []:
            self._provider(entry, stored.pop(entry.name, None))
        if entries is not None:
            for row in self._pruned(stored.values()):
                self._models = {triple for triple in self._models if triple[0] != row.name}
                del self._rows[(Subject.PROVIDER, row.name)]
                self._step(REMOVE, f"provider {row.name}, with its keys and models", [], row)

    def groups(self, entries: list[Entry] | None) -> None:
        stored = {row.name: row for row in Group.objects.all()}
        for entry in entries or []:
            old = stored.pop(entry.name, None)
            row = self._rows[(Subject.GROUP, entry.name)] = self._row(f"group {entry.name}", entry, old, Group())
            if entry.grants is not None:
                self._grants(entry, row, old)
        if entries is not None:
            for row in self._pruned(stored.values()):
                self._step(REMOVE, f"group {row.name}", [], row)
                del self._rows[(Subject.GROUP, row.name)]

    # Providers

    def _provider(self, entry: Entry, old: Provider | None) -> None:
        before = old.address if old else ""
        row = self._rows[(Subject.PROVIDER, entry.name)] = self._row(f"provider {entry.name}", entry, old, Provider())
        has_moved = old is not None and _origin(before) != _origin(row.address)
        self._keys(entry, row, has_moved=has_moved)
        stored = {(each.kind, each.name): each for each in row.models.all()} if old else {}
        for model in entry.models or []:
            subject = f"model {model.name} ({model.kind}) of {entry.name}"
            self._row(subject, model, stored.pop((model.kind, model.name), None), AIModel(provider=row))
            self._models.add((entry.name, model.kind, model.name))
        if entry.models is not None:
            for each in self._pruned(stored.values()):
                self._models.discard((entry.name, each.kind, each.name))
                self._step(REMOVE, f"model {each.name} ({each.kind}) of {entry.name}", [], each)

    def _keys(self, entry: Entry, provider: Provider, *, has_moved: bool) -> None:
        stored = {key.name: key for key in provider.keys.defer("secret")} if provider.pk else {}
        for each in entry.keys or []:
            self._key(each, provider, stored.pop(each.name, None), has_moved=has_moved)
        for key in list(self._pruned(stored.values())) if entry.keys is not None else []:
            self._step(REMOVE, f"key {key.name} of {provider.name}", [], stored.pop(key.name))
        if has_moved and any(key.is_enabled for key in stored.values()):
            names = ", ".join(sorted(stored))
            self._note(f"{provider.name} leads elsewhere now: its stored keys are switched off ({names})")

    def _key(self, entry: Entry, provider: Provider, old: ProviderKey | None, *, has_moved: bool) -> None:
        stored = old.readable_secret if old else None
        secret = self._secret(entry, old, has_moved=has_moved)
        row = old or ProviderKey(provider=provider)
        lines = _write_to(row, entry) + (["secret: replaced"] if old and secret and secret != stored else [])
        if secret and secret != stored:
            row.secret = secret
        if old is None or lines or has_moved:  # a move switches keys off, and saving switches those on again
            subject = f"key {entry.name} of {provider.name}"
            self._step(CHANGE if old else ADD, subject, lines or ["kept on at the new address"] if old else [], row)

    def _secret(self, entry: Entry, old: ProviderKey | None, *, has_moved: bool) -> str | None:
        """The secret to store; None keeps the one that is stored."""
        place, reference = f"{entry.place}.secret", entry.secret
        secret = self._resolve(reference) if reference else None
        if reference and not secret and not references.is_reference(reference):
            self.plan.problems.append(f"{place}: {references.FORM}")  # which might be the secret: it is not repeated
        elif not secret and (old is None or has_moved):
            why = "; the stored secret belongs to another address" if old else ""
            if reference:
                self.plan.unset.append(f"{place}: {reference} is not set{why}")
            else:
                self.plan.problems.append(f"{place}: is missing{why}")
        elif not secret and reference and old:
            self._note(f"{reference} is not set: {old.name!r} of {old.provider.name} keeps its stored secret")
        return secret

    # Groups

    def _grants(self, entry: Entry, row: Any, old: Group | None) -> None:
        wanted = {triple for grant in entry.grants or [] for triple in self._covered(grant)}
        granted = GroupGrant.objects.filter(group=old) if old else GroupGrant.objects.none()
        current = set(granted.values_list("model__provider__name", "model__kind", "model__name"))
        current &= self._models  # those that are pruned lose their grants by themselves
        lines = [f"models: {ADD} {_named(triple)}" for triple in sorted(wanted - current)]
        lines += [f"models: {REMOVE} {_named(triple)}" for triple in sorted(current - wanted)]
        if lines:
            self._step(CHANGE, f"group {entry.name}", lines, row, wanted)

    def _covered(self, grant: Grant) -> set[Triple]:
        found = {triple for triple in self._models if grant.covers(*triple)}
        if not found:
            self.plan.problems.append(f"{grant.place}: there is no such model as {grant.name}")
        return found

    # Limits

    def limits(self, entries: list[Entry] | None) -> None:
        limits = Limit.objects.select_related(*SUBJECT_COLUMNS.values())
        stored = {row.name: row for row in limits.defer("notify_secret")}
        for entry in entries or []:
            self._limit(entry, stored.pop(entry.name, None))
        for row in list(self._pruned(stored.values())) if entries is not None else []:
            self._step(REMOVE, f"limit {row.name}", [], row)

    def _limit(self, entry: Entry, old: Limit | None) -> None:
        column = SUBJECT_COLUMNS.get(Subject(entry.values["subject"]))
        whose = self._whose(entry, column) if column and entry.whose else None
        if column and entry.whose and whose is None:
            return
        kept = None if old and self._counts_otherwise(old, entry, column, whose) else old
        secret = self._limit_secret(entry, old)
        row = kept or Limit()
        lines = _write_to(row, entry)
        if column:
            setattr(row, column, whose)
        if secret and secret != notices.readable_secret(old):
            row.notify_secret = secret
            lines.append("secret: replaced")
        elif old and not kept:
            row.notify_secret = notices.readable_secret(old)
        if old and not kept:
            self._step(REMOVE, f"limit {entry.name}, which counts something else from now on", [], old)
        if lines or not kept:
            self._step(CHANGE if kept else ADD, f"limit {entry.name}", lines if kept else [], row)

    def _whose(self, entry: Entry, column: str) -> Any:
        """The row that the limit is about; None: there is none."""
        place, name = f"{entry.place}.{column}", entry.whose or ""
        if column != SUBJECT_COLUMNS[Subject.KEY]:
            row = self._rows.get((entry.values["subject"], name))
            if row is None:
                self.plan.problems.append(f"{place}: there is no such {column} as {name}")
            return row
        keys = list(ApiKey.objects.filter(Q(name=name) | Q(prefix=name))[:2])
        if len(keys) != 1:
            why = "several keys are called so" if keys else "there is no such key"
            self._note(f"limit {entry.name} is left out, as {why}: {name}")
        return keys[0] if len(keys) == 1 else None

    def _counts_otherwise(self, old: Limit, entry: Entry, column: str | None, whose: Any) -> bool:
        values = {name: entry.values[name] for name in COUNTED_BY if name in entry.values}
        is_other = bool(column) and getattr(old, f"{column}_id") != (whose.pk if whose else None)
        return is_other or any(getattr(old, name) != value for name, value in values.items())

    def _limit_secret(self, entry: Entry, old: Limit | None) -> str:
        """The secret to store; empty keeps what is stored."""
        place, reference = f"{entry.place}.secret", entry.secret
        secret = (self._resolve(reference) if reference else None) or ""
        if reference and not secret and not references.is_reference(reference):
            self.plan.problems.append(f"{place}: {references.FORM}")
        elif secret:
            self._check_secret(place, secret)
        elif entry.values["notify_url"] and not (old and notices.has_secret(old)):
            missing = self.plan.unset if reference else self.plan.problems
            missing.append(f"{place}: {f'{reference} is not set' if reference else 'is missing'}")
        elif reference:
            self._note(f"{reference} is not set: limit {entry.name} keeps its stored secret")
        return secret

    def _check_secret(self, place: str, secret: str) -> None:
        try:
            notices.check_secret(secret)
        except ValidationError as error:
            self.plan.problems.append(f"{place}: {' '.join(error.messages)}")

    # Rows

    def _row(self, subject: str, entry: Entry, old: Any, fresh: Any) -> Any:
        row = old or fresh
        lines = _write_to(row, entry)
        if old is None or lines:
            self._step(CHANGE if old else ADD, subject, lines if old else [], row)
        return row

    def _pruned(self, rows: Iterable[Any]) -> Iterator[Any]:
        yield from list(rows) if self._prune else ()

    def _step(self, sign: str, subject: str, lines: list[str], row: Model, grants: set[Triple] | None = None) -> None:
        self.plan.steps.append(Step(sign, subject, lines, row, grants))

    def _note(self, text: str) -> None:
        self.plan.notes.append(f"{text}.")


def _write_to(row: Model, entry: Entry) -> list[str]:
    """Puts an entry's values into a row and says what that changes."""
    lines: list[str] = []
    for name, column in fields_of(type(row)).items():
        old, new = getattr(row, name), entry.values[name]
        if not is_same(column, old, new):
            lines += _differences(name, write(column, old), write(column, new))
            setattr(row, name, new)
    return lines


def _differences(name: str, old: Any, new: Any) -> Iterator[str]:
    """A line for a field; of an object one for each of its parts."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        yield f"{name}: {_shown(old)} -> {_shown(new)}"
        return
    for part in sorted(old.keys() | new.keys(), key=str):
        if old.get(part) != new.get(part):
            values = "changed" if part in SECRETIVE else f"{_shown(old.get(part))} -> {_shown(new.get(part))}"
            yield f"{name}.{part}: {values}"


def _shown(value: Any) -> str:
    return "-" if value is None else json.dumps(value, ensure_ascii=False)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port


def _named(triple: Triple) -> str:
    provider, kind, name = triple
    return f"{name} ({kind}) of {provider}"


def _set_grants(group: Any, wanted: set[Triple]) -> None:
    """Only the grants that differ are touched."""
    models = AIModel.objects.values_list("provider__name", "kind", "name", "pk")
    wanted_ids = {pk for *triple, pk in models if tuple(triple) in wanted}
    current_ids = set(group.grants.values_list("model_id", flat=True))
    for grant in group.grants.filter(model_id__in=current_ids - wanted_ids):
        grant.delete()
    for model_id in sorted(wanted_ids - current_ids):
        GroupGrant(group=group, model_id=model_id).save()
