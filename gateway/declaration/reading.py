"""From a document to what it declares: checked as a whole, every problem with its place."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import yaml
from django.core.exceptions import ValidationError

from accounts.models import Group, Limit, Metric, Subject, Window
from accounts.models.limits import SUBJECT_COLUMNS
from gateway.declaration.errors import DeclarationError
from gateway.declaration.export import VERSION
from gateway.declaration.fields import Row, default, fields_of, read
from gateway.notices import check_address
from providers import catalog
from providers.models import AIModel, Kind, Provider, ProviderKey

JSON = dict[str, Any]


@dataclass(slots=True)
class Entry:
    """One row of the document, with a value for each field. A list that it leaves out is None."""

    place: str
    values: JSON
    secret: str | None = None
    keys: "list[Entry] | None" = None
    models: "list[Entry] | None" = None
    grants: "list[Grant] | None" = None
    whose: str | None = None

    @property
    def name(self) -> str:
        return str(self.values.get("name", ""))

    @property
    def kind(self) -> str:
        return str(self.values.get("kind", ""))


@dataclass(frozen=True, slots=True)
class Grant:
    """A model that a group may call: all of that name, unless a provider or a kind narrows it."""

    place: str
    name: str
    provider: str | None = None
    kind: str | None = None

    def covers(self, provider: str, kind: str, name: str) -> bool:
        return name == self.name and self.provider in (None, provider) and self.kind in (None, kind)


@dataclass(slots=True)
class Declaration:
    providers: list[Entry] | None = None
    groups: list[Entry] | None = None
    limits: list[Entry] | None = None
    problems: list[str] = field(default_factory=list)


class UniqueKeys(yaml.SafeLoader):
    """The safe loader, but a name that stands twice in an object is an error and not the last one's."""


def _mapping(loader: UniqueKeys, node: yaml.MappingNode, deep: bool = False) -> Any:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if isinstance(key, str) and key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key!r} stands twice", key_node.start_mark)
        seen |= {key} if isinstance(key, str) else set()
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse(text: str) -> Any:
    """YAML, and nothing but data. Raises DeclarationError; it quotes no line, as that might be one with a secret."""
    try:
        return yaml.load(text, UniqueKeys)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise DeclarationError([f"{where}{error.problem or 'not YAML'}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DeclarationError([f"not YAML: {type(error).__name__}"]) from None


def declared(document: Any) -> Declaration:
    """What a document declares. Raises DeclarationError."""
    reader = _Reader()
    found = reader.document(document)
    if reader.problems:
        raise DeclarationError(reader.problems)
    return found


class _Reader:
    def __init__(self) -> None:
        self.problems: list[str] = []

    def document(self, document: Any) -> Declaration:
        known = {"version", "providers", "groups", "limits"}
        if not self._is_object("the document", document) or not self._knows("", document, known):
            return Declaration()
        if document.get("version") != VERSION or document["version"] is True:
            self._add("version", f"must be {VERSION}")
        providers = self._rows(document, "providers", "", self._provider)
        groups = self._rows(document, "groups", "", self._group)
        limits = self._rows(document, "limits", "", self._limit)
        for entries in (providers, groups, limits):
            self._refuse_twins(entries, lambda entry: entry.name)
        return Declaration(providers, groups, limits)

    # Rows

    def _provider(self, place: str, source: JSON) -> Entry:
        entry = self._entry(place, source, Provider, {"keys", "models"})
        entry.keys = self._rows(source, "keys", f"{place}.", self._key)
        entry.models = self._rows(source, "models", f"{place}.", self._model)
        self._refuse_twins(entry.keys, lambda key: key.name)
        self._refuse_twins(entry.models, lambda model: f"{model.name} ({model.kind})")
        return entry

    def _key(self, place: str, source: JSON) -> Entry:
        entry = self._entry(place, source, ProviderKey, {"secret"})
        entry.secret = self._text(place, source, "secret")
        return entry

    def _text(self, place: str, source: JSON, name: str) -> str | None:
        text = source.get(name)
        if text is not None and not isinstance(text, str):
            self._add(f"{place}.{name}", "must be a text")
        return text if isinstance(text, str) else None

    def _model(self, place: str, source: JSON) -> Entry:
        return self._entry(place, source, AIModel, set())

    def _group(self, place: str, source: JSON) -> Entry:
        entry = self._entry(place, source, Group, {"models"})
        models = source.get("models")
        if models is not None and not isinstance(models, list):
            self._add(f"{place}.models", "must be a list")
        elif models is not None:
            found = (self._grant(f"{place}.models[{index}]", each) for index, each in enumerate(models))
            entry.grants = [grant for grant in found if grant]
        return entry

    def _grant(self, place: str, source: Any) -> Grant | None:
        if isinstance(source, str):
            return Grant(place, source)
        if not self._is_object(place, source) or not self._knows(place, source, {"name", "provider", "kind"}):
            return None
        if not all(isinstance(value, str) for value in source.values()) or "name" not in source:
            self._add(place, "must be a model's name, or an object with name, provider and kind as texts")
            return None
        if source.get("kind", Kind.LLM) not in Kind.values:
            self._add(f"{place}.kind", f"must be one of {', '.join(Kind.values)}")
        return Grant(place, source["name"], source.get("provider"), source.get("kind"))

    def _limit(self, place: str, source: JSON) -> Entry:
        entry = self._entry(place, source, Limit, {*SUBJECT_COLUMNS.values(), "secret"})
        if entry.values.get("metric") == Metric.PARALLEL:
            entry.values["window"] = Window.TOTAL.value  # as the row itself has it
        entry.secret = self._text(place, source, "secret")
        own = SUBJECT_COLUMNS.get(entry.values.get("subject", Subject.EVERYONE))
        entry.whose = self._text(place, source, own) if own else None
        for other in set(SUBJECT_COLUMNS.values()) - {own}:
            if source.get(other) is not None:
                self._add(f"{place}.{other}", "is for a limit with that subject")
        self._check_address(f"{place}.notify_url", entry.values.get("notify_url"))
        return entry

    def _check_address(self, place: str, url: Any) -> None:
        try:
            check_address(url or "http://nobody.invalid")
        except ValidationError as error:
            self._add(place, " ".join(error.messages))

    # Fields

    def _entry(self, place: str, source: JSON, row: Row, also: set[str]) -> Entry:
        fields = fields_of(row)
        self._knows(place, source, {*fields, *also})
        values: JSON = {}
        wrong = set()
        for name, column in fields.items():
            try:
                given = name in source
                values[name] = read(column, source[name]) if given else default(row, column, values)
            except ValueError as error:
                self._add(f"{place}.{name}", str(error))
                wrong.add(name)
        if row is Provider and "requester" not in wrong and not self._has_requester(place, values):
            wrong.add("requester")
        if not wrong:
            self._check(place, row, values)
        return Entry(place, values)

    def _has_requester(self, place: str, values: JSON) -> bool:
        name = values["requester"]
        unknown = "" if catalog.find(name) else f"no requester is called {name!r}; docs/providers.md has all"
        problem = catalog.refusal(name) or unknown
        if problem:
            self._add(f"{place}.requester", problem)
        values["requester"] = catalog.canonical(name)
        return not problem

    def _check(self, place: str, row: Row, values: JSON) -> None:
        """The models' own rules; which names are taken is the whole document's business."""
        candidate = row(**values)
        related = {column.name for column in row._meta.concrete_fields if column.name not in values}
        checks: tuple[Callable[[], None], ...] = (partial(candidate.clean_fields, exclude=related), candidate.clean)
        for check in checks:
            try:
                check()
            except ValidationError as error:
                for name, messages in _messages(error):
                    self._add(f"{place}.{name}" if name else place, " ".join(messages))
                return

    # Shapes

    def _rows(self, source: JSON, name: str, start: str, read_one: Any) -> list[Entry] | None:
        rows = source.get(name)
        place = f"{start}{name}"
        if rows is None:
            return None
        if not isinstance(rows, list):
            self._add(place, "must be a list")
            return None
        return [
            read_one(f"{place}[{index}]", each)
            for index, each in enumerate(rows)
            if self._is_object(f"{place}[{index}]", each)
        ]

    def _is_object(self, place: str, value: Any) -> bool:
        if isinstance(value, dict):
            return True
        self._add(place, "must be an object")
        return False

    def _knows(self, place: str, source: Mapping[Any, Any], known: set[str]) -> bool:
        unknown = [str(name) for name in source if name not in known]
        for name in unknown:
            self._add(f"{place}.{name}".lstrip("."), f"is no field here; there are {', '.join(sorted(known))}")
        return not unknown

    def _refuse_twins(self, entries: list[Entry] | None, name_of: Any) -> None:
        first: dict[str, str] = {}
        for entry in entries or []:
            name = name_of(entry)
            if name in first:
                self._add(f"{entry.place}.name", f"{name} is the name of {first[name]} already")
            first.setdefault(name, entry.place)

    def _add(self, place: str, problem: str) -> None:
        self.problems.append(f"{place}: {problem}")


def _messages(error: ValidationError) -> Iterator[tuple[str, list[str]]]:
    if not hasattr(error, "error_dict"):
        yield "", error.messages
        return
    for name, messages in error.message_dict.items():
        yield "" if name == "__all__" else name, messages
