"""Which limits a call counts against: its caller's and its tags' wherever it ends, a model's and a provider's there."""

import re

from accounts.models import Subject
from accounts.services.ledger.limiting.rules import EVERYONE, Book, Claim, as_email, each_once
from accounts.services.ledger.types import Option, Place
from chat.errors import BadCall
from chat.services.billing import deployment_of
from chat.services.calls import Call
from chat.services.plan import Plan
from providers.services.routing import Target

TAGS_HEADER = "X-Weighbridge-Tags"
MOST_TAGS = 10
TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.:/@+=-]{0,63}")


def read_tags(text: str) -> tuple[str, ...]:
    """The tags of a header, each once: `team-a, nightly`. Raises BadCall."""
    tags = tuple(dict.fromkeys(tag.strip() for tag in text.split(",") if tag.strip()))
    if len(tags) > MOST_TAGS:
        raise BadCall(f"The header {TAGS_HEADER} has at most {MOST_TAGS} tags.", TAGS_HEADER)
    if not all(TAG.fullmatch(tag) for tag in tags):
        raise BadCall(f"A tag in {TAGS_HEADER} has at most 64 letters, digits, spaces and _.:/@+=-.", TAGS_HEADER)
    return tags


def counted(call: Call, book: Book, plan: Plan) -> tuple[tuple[Claim, ...], tuple[Option, ...]]:
    """What the call counts against wherever it ends, and the places it may end at, if those differ in their limits."""
    if not book:
        return (), ()
    claims = _callers(call, book)
    if not book.has_places:
        return each_once(claims), ()
    options = _options(book, plan)
    own = {frozenset(claim.line for claim in option.claims) for option in options}
    if len(own) == 1:
        return each_once([*claims, *options[0].claims]), ()
    return each_once(claims), options


def _callers(call: Call, book: Book) -> list[Claim]:
    caller = call.caller
    return [
        *book.of(Subject.EVERYONE, EVERYONE),
        *book.of(Subject.KEY, caller.id),
        *book.of(Subject.GROUP, caller.group_id),
        *book.of(Subject.EMAIL, as_email(caller.email)),
        *(claim for tag in call.tags for claim in book.of(Subject.TAG, tag)),
        *book.of(Subject.MODEL, call.router),  # the name that was asked for, whoever answers
    ]


def _options(book: Book, plan: Plan) -> tuple[Option, ...]:
    first = {target.place for target in plan.targets}
    places: dict[Place, Target] = {}
    for target in plan.all:
        places.setdefault(target.place, target)
    return tuple(
        Option(deployment_of(target), _of_place(book, target), place in first) for place, target in places.items()
    )


def _of_place(book: Book, target: Target) -> tuple[Claim, ...]:
    model = (Subject.MODEL.value, target.name)
    provider = (Subject.PROVIDER.value, str(target.provider_id))
    return (*book.of(*model, model), *book.of(Subject.PROVIDER, target.provider_id, provider))
