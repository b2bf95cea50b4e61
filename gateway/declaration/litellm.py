"""From a LiteLLM proxy's config.yaml to a declaration of ours, and a line for each thing in it that has no place here.

docs.litellm.ai/docs/proxy/configs and .../docs/routing say what the file holds.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from gateway.declaration import litellm_budgets as budgets
from gateway.declaration import litellm_table as table
from gateway.declaration.errors import DeclarationError
from gateway.declaration.export import VERSION
from gateway.declaration.litellm_deployment import Deployment, Place, Reader, Secrets, Unfit
from providers.models import Kind, UnknownParams

JSON = dict[str, Any]

SUFFIX = " (LiteLLM)"  # so that a provider that is here already is left alone
MOST_RETRIES = 5
SECTIONS = ("router_settings", "litellm_settings")


@dataclass(slots=True)
class Converted:
    """A document for `taking.take`, the secrets that it refers to, and what did not fit."""

    document: JSON
    secrets: Secrets
    report: list[str]


def convert(source: Any) -> Converted:
    """Raises DeclarationError for what is no config.yaml at all."""
    if not isinstance(source, dict) or not isinstance(source.get("model_list"), list):
        raise DeclarationError(["the file: has no model_list"])
    return _Converter(source).convert()


@dataclass(slots=True)
class _Home:
    """A provider and its models, of which no two have the same kind and name."""

    name: str
    deployments: list[Deployment] = field(default_factory=list)

    def has(self, model: JSON) -> bool:
        return any(
            each.model["name"] == model["name"] and each.model["kind"] == model["kind"] for each in self.deployments
        )


class _Converter:
    def __init__(self, source: JSON) -> None:
        self.source = source
        self.report: list[str] = []
        variables = self._section("environment_variables")
        self.secrets = Secrets({str(name): str(value) for name, value in variables.items()})
        self.router, self.module = (self._section(name) for name in SECTIONS)

    def convert(self) -> Converted:
        found = list(self._deployments())
        found += self._aliases(found)
        self._set_weights(found)
        self._set_routing(found)
        self._set_fallbacks(found)
        homes = _homes(found)
        self._tell_the_rest()
        document = {
            "version": VERSION,
            "providers": [self._provider(home) for home in homes],
            "groups": _groups(found),
            "limits": budgets.limits(self.module, self._section("general_settings"), self._tell),
        }
        return Converted(document, self.secrets, self.report)

    # Models

    def _deployments(self) -> Iterator[Deployment]:
        for index, entry in enumerate(self.source["model_list"]):
            name = entry.get("model_name") if isinstance(entry, dict) else None
            where = f"model_list[{index}]" + (f" ({name})" if isinstance(name, str) else "")
            try:
                yield self._deployment(entry, name, where)
            except Unfit as unfit:
                self.report.append(f"{where}: left out, as {unfit}.")

    def _deployment(self, entry: Any, name: Any, where: str) -> Deployment:
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name or not isinstance(params, dict):
            raise Unfit("it has no model_name or litellm_params")
        beside = {key: entry[key] for key in ("rpm", "tpm") if key in entry}  # the router's own spelling
        info = entry.get("model_info")
        info = info if isinstance(info, dict) else {}
        return Reader(name, {**beside, **params}, info, self.secrets, self.report, where).read()

    def _aliases(self, found: list[Deployment]) -> list[Deployment]:
        """Another name for a group of models is another row of each here."""
        copies: list[Deployment] = []
        for alias, target in _dict(self.router.get("model_group_alias")).items():
            is_hidden = isinstance(target, dict) and target.get("hidden") is True
            name = target.get("model") if isinstance(target, dict) else target
            same = [each for each in found if each.model["name"] == name]
            if not same:
                self._tell(f"router_settings.model_group_alias.{alias}", "left out, as there is no such model")
            elif is_hidden:
                self._tell(
                    f"router_settings.model_group_alias.{alias}", "is not hidden here from those who may call it"
                )
            copies += [_renamed(each, str(alias)) for each in same]
        return copies

    def _set_weights(self, found: list[Deployment]) -> None:
        """Shares may be fractions there. Where some of a name have one, those without get calls last."""
        for name in {each.model["name"] for each in found}:
            group = [each for each in found if each.model["name"] == name]
            given = [each.weight for each in group if each.weight is not None]
            scale = 1 if all(weight == int(weight) for weight in given) else 100
            for each in group if given else ():
                each.model["weight"] = min(round((each.weight or Decimal(0)) * scale), 32767)

    def _set_routing(self, found: list[Deployment]) -> None:
        strategy = self.router.get("routing_strategy", "simple-shuffle")
        if strategy not in table.STRATEGIES:
            self._tell("router_settings.routing_strategy", "is not known here, so models share calls by weight")
        elif strategy in table.NEAREST:
            self._tell("router_settings.routing_strategy", "has no counterpart; the least busy is asked first")
        ours = table.STRATEGIES.get(strategy, table.STRATEGIES["simple-shuffle"])
        drops = self.module.get("drop_params")
        for each in found:
            each.model["strategy"] = str(ours)
            if drops is False:
                each.model.setdefault("unknown_params", str(UnknownParams.REFUSE))

    def _set_fallbacks(self, found: list[Deployment]) -> None:
        names = {each.model["name"] for each in found}
        for theirs, ours in table.FALLBACKS.items():
            chains = self._chains(theirs, names)
            for each in found:
                own = next((chains[name] for name in (each.model["name"], each.alias_of) if name in chains), None)
                usual = chains.get("*", []) if each.model["kind"] == Kind.LLM else []
                chain = usual if own is None else own
                each.model[ours] = [name for name in chain if name not in (each.model["name"], each.alias_of)]

    def _chains(self, theirs: str, names: set[str]) -> dict[str, list[str]]:
        """By model; `*` is for all that have none of their own."""
        chains: dict[str, list[str]] = {}
        for place, section in zip(SECTIONS, (self.router, self.module), strict=True):
            for each in _list(section.get(theirs)):
                for model, others in _dict(each).items():
                    chains.setdefault(model, self._existing(f"{place}.{theirs}.{model}", others, names))
            if theirs == "fallbacks" and section.get("default_fallbacks"):
                place = f"{place}.default_fallbacks"
                chains.setdefault("*", self._existing(place, section["default_fallbacks"], names))
        return chains

    def _existing(self, place: str, others: Any, names: set[str]) -> list[str]:
        wanted = [str(each) for each in _list(others)]
        for name in wanted:
            if name not in names:
                self._tell(place, f"{name} is left out, as there is no such model")
        return list(dict.fromkeys(name for name in wanted if name in names))

    # Providers

    def _provider(self, home: _Home) -> JSON:
        first = home.deployments[0]
        keys = [{"name": "default", "secret": first.secret}] if first.secret else []
        models = [_without_empty(each.model) for each in home.deployments]
        provider = {"name": home.name, **first.provider, **self._patience(home)}
        return {**provider, "keys": keys, "models": models} if keys else {**provider, "models": models}

    def _patience(self, home: _Home) -> JSON:
        """A provider has one of each: the longest that its models are given."""
        usual = {
            "total_timeout": self.router.get("timeout", self.module.get("request_timeout")),
            "first_byte_timeout": self.router.get("stream_timeout"),
            "retries": self.router.get("num_retries", self.module.get("num_retries")),
        }
        fields: JSON = {}
        for name, default in usual.items():
            given = {each.timeouts[name] for each in home.deployments if name in each.timeouts}
            if len(given) > 1:
                self._tell(home.name, f"its models' {name} differ; the largest holds for all")
            value = max(given) if given else default
            if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and value >= 0:
                fields[name] = min(int(value), MOST_RETRIES) if name == "retries" else max(float(value), 0.1)
        return fields

    # What does not fit

    def _section(self, name: str) -> JSON:
        return _dict(self.source.get(name))

    def _tell_the_rest(self) -> None:
        handled = {
            "router_settings": table.ROUTER_FIELDS,
            "litellm_settings": table.MODULE_FIELDS | budgets.MODULE_FIELDS,
            "general_settings": budgets.GENERAL_FIELDS,
        }
        known = {"model_list", "environment_variables", *handled}
        for name in self.source:
            section = self.source[name]
            if name not in known and not isinstance(section, dict):
                self._tell(str(name), "has no counterpart")
            for field_ in _dict(section) if name not in known or name in handled else ():
                if field_ not in handled.get(name, ()):
                    place = f"{name}.{field_}"
                    self._tell(place, table.INSTEAD.get(place, "has no counterpart"))

    def _tell(self, place: str, text: str) -> None:
        self.report.append(f"{place}: {text}.")


def _homes(found: Iterable[Deployment]) -> list[_Home]:
    """Each deployment's provider; a second one of the same place for a model whose name is taken in the first."""
    homes: dict[Place, list[_Home]] = {}
    taken: set[str] = set()
    for each in found:
        here = homes.setdefault(each.place, [])
        home = next((home for home in here if not home.has(each.model)), None)
        if home is None:
            home = _Home(_free(each.label, taken))
            taken.add(home.name)
            here.append(home)
        home.deployments.append(each)
    return [home for here in homes.values() for home in here]


def _free(label: str, taken: set[str]) -> str:
    name, number = f"{label}{SUFFIX}", 1
    while name in taken:
        number += 1
        name = f"{label} {number}{SUFFIX}"
    return name


def _renamed(each: Deployment, name: str) -> Deployment:
    return replace(each, model={**each.model, "name": name}, groups=[], alias_of=each.model["name"])


def _groups(found: Iterable[Deployment]) -> list[JSON]:
    """LiteLLM's access groups are ours."""
    groups: dict[str, list[str]] = {}
    for each in found:
        for name in each.groups:
            groups.setdefault(name, []).append(each.model["name"])
    return [{"name": name, "models": sorted(set(models))} for name, models in groups.items()]


def _without_empty(model: JSON) -> JSON:
    return {name: value for name, value in model.items() if value != []}


def _dict(value: Any) -> JSON:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
