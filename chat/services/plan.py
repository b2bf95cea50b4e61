"""Where a call may go: from the name that the caller gave to deployments in the order of trying."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from accounts.services.keys import Caller
from accounts.services.ledger.types import Place
from chat.services import abilities
from chat.services.calls import Call
from chat.services.snapshot import Snapshot
from providers.requesters.errors import ContentFiltered, ContextTooLong, ProviderError
from providers.services.board import board
from providers.services.choice import Need, Standing, in_order, standing_of
from providers.services.routing import Target, place_of

# Answers for names that nobody has.
DEFAULT_NAME = "default"
PATH_TRICKS = frozenset({"", ".", ".."})
Names = Callable[[Target], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """`targets` are tried in their order, those that rest behind the others; `special` ones only after that error."""

    targets: list[Target]
    special: dict[type[ProviderError], list[Target]]
    need: Need
    fallbacks: int = 0  # how many of `targets`, at their end, are of other names

    @property
    def all(self) -> list[Target]:
        """All that the call may end at: its hold covers the dearest of them."""
        return [*self.targets, *(target for targets in self.special.values() for target in targets)]

    def without_fallbacks(self) -> "Plan | None":
        """The deployments of the name alone; None when that are all there are."""
        if not self.fallbacks and not any(self.special.values()):
            return None
        return Plan(self.targets[: len(self.targets) - self.fallbacks], {}, self.need)

    def only(self, places: Collection[Place]) -> "Plan":
        """Without the deployments in other places: limits of their own leave the call no room there."""

        def kept(targets: list[Target]) -> list[Target]:
            return [target for target in targets if target.place in places]

        own = len(self.targets) - self.fallbacks
        special = {error: kept(targets) for error, targets in self.special.items()}
        return Plan(kept(self.targets), special, self.need, len(kept(self.targets[own:])))

    def standings(self, targets: Iterable[Target]) -> list[Standing]:
        """How each of them stands now, in the order of trying: what rests is the last resort, the rest is out."""
        found = [standing_of(target, self.need, board()) for target in targets]
        return sorted(found, key=lambda each: (bool(each.why_not), bool(each.why_not) and not each.is_last_resort))


def plan(call: Call, picture: Snapshot, need: Need) -> Plan | None:
    """None when the name leads nowhere that this caller may go."""
    if call.targets is not None:
        return Plan(list(call.targets), {}, need)
    first = resolve(picture, call.caller, call.endpoint.kind, call.model)
    if call.model_id is not None:
        first = [target for target in first if target.model_id == call.model_id]
        return Plan(first, {}, need) if first else None
    if not first:
        return None
    ordered = _able_first(in_order(first, need, board()), call)
    resolver = _Fallbacks(call, picture, need, ordered)
    fallbacks = resolver.named_by(lambda target: target.fallbacks)
    special: dict[type[ProviderError], list[Target]] = {
        ContextTooLong: resolver.named_by(lambda target: target.context_fallbacks),
        ContentFiltered: resolver.named_by(lambda target: target.filter_fallbacks),
    }
    return Plan(ordered + fallbacks, special, need, len(fallbacks))


class _Fallbacks:
    """The deployments of the names that a route's deployments name, each once, as far as the caller may use them."""

    def __init__(self, call: Call, picture: Snapshot, need: Need, route: list[Target]) -> None:
        self.call, self.picture, self.need, self.route = call, picture, need, route

    def named_by(self, names: Names) -> list[Target]:
        wanted = dict.fromkeys(name for target in self.route for name in names(target))
        return [target for name in wanted for target in self._of(name)]

    def _of(self, name: str) -> list[Target]:
        named = self.picture.named(self.call.caller, self.call.endpoint.kind, name)
        route_ids = {target.model_id for target in self.route}
        usable = [each for each in named if each.model_id not in route_ids and each.router is None]
        return _able_first(in_order(usable, self.need, board()), self.call)


def _able_first(targets: list[Target], call: Call) -> list[Target]:
    """Those that would get all of the call before those that would get it without its images or its tools."""
    if len(targets) < 2 or not any(target.withholds for target in targets):
        return targets
    asked = abilities.asked_of(call.body)
    return sorted(targets, key=lambda each: not each.withholds.isdisjoint(asked))


def resolve(picture: Snapshot, caller: Caller, kind: str, name: str) -> list[Target]:
    """By the exact name; else `name/upstream-model`; else, for a name that nobody has, by the model named `default`."""
    found = picture.named(caller, kind, name) or _other_upstream(picture, caller, kind, name)
    if found or picture.kinds_of(caller, name):
        return found
    return picture.named(caller, kind, DEFAULT_NAME)


def _other_upstream(picture: Snapshot, caller: Caller, kind: str, name: str) -> list[Target]:
    """Left of the first slash the model, right what its provider shall be asked for. What has rows of its own is
    priced, granted and switched off by those rows."""
    public, _, upstream = name.partition("/")
    if not _is_plain(upstream):
        return []
    found: list[Target] = []
    for target in picture.named(caller, kind, public):
        if target.router is not None or target.provider_id is None:
            continue
        place = place_of(target.provider_id, kind, upstream)
        rows = picture.catalog.by_upstream.get(place, ())
        own = next((row for row in rows if row.model_id and picture.may_call(caller, row.model_id)), None)
        is_unknown = not (rows or place in picture.catalog.switched_off)
        if own or (is_unknown and target.allows_other_upstream):
            found.append(target.calling(upstream, own))
    return found


def _is_plain(upstream: str) -> bool:
    """Whether that can be the name of a model: one that vendors have in their paths must not lead elsewhere there."""
    return upstream.isprintable() and upstream == upstream.strip() and PATH_TRICKS.isdisjoint(upstream.split("/"))
