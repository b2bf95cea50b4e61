"""What a chat platform is to a bot: it sends events, and is told answers. One small class for each platform."""

import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from chat.errors import Forged, Malformed, PlatformError
from common import objects
from common.objects import NoObject

JSON = dict[str, Any]

WINDOW_SECONDS = 300
MOST_KEY_CHARACTERS = 128
MOST_CHARACTERS = 200_000  # of a message


@dataclass(frozen=True, slots=True)
class Field:
    """One of a bot's settings. `travels`: it is sent to the bot's address. `problem`: what is wrong with a text, if
    anything."""

    name: str
    label: str
    help_text: str = ""
    default: str = ""
    is_required: bool = False
    is_secret: bool = False
    travels: bool = False
    problem: Callable[[str], str] = lambda text: ""


COMMON = (
    Field("apiKey", "API key", "Pays for the answers.", is_required=True, is_secret=True),
    Field("modelId", "Model", "The public name of the model that answers.", default="default"),
)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request at a bot's address. Names of headers are in small letters; `now` is Unix time."""

    raw: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    now: float

    def header(self, name: str) -> str:
        return self.headers.get(name, "")

    def object(self) -> JSON:
        return parse_object(self.raw)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A platform asks whether somebody is there; `answer` says so."""

    answer: JSON


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be answered. `key` is the platform's id of the event; `said` is for the platform's own class."""

    key: str
    chat: str
    said: JSON


@dataclass(frozen=True, slots=True)
class Shown:
    """An answer as far as it has come."""

    text: str
    is_final: bool = False
    is_error: bool = False


class Platform:
    """`address`: the name of the setting that says where its interface is.

    All methods that send raise PlatformError, with a text that holds no secret.
    """

    fields: ClassVar[tuple[Field, ...]] = COMMON
    address: ClassVar[str]
    seconds_between: ClassVar[float]  # two updates of one message

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    def setting(self, name: str) -> str:
        """As it is stored, or its default."""
        defaults = {field.name: field.default for field in self.fields}
        return str(self.settings.get(name) or defaults[name])

    def read(self, incoming: Incoming) -> Challenge | Message | None:
        """What came, once it is proven to be the platform's; None: nothing to be answered. Raises EventRefused."""
        raise NotImplementedError

    def start(self, message: Message, request_id: str) -> str:
        """Say that an answer is on its way; what comes back is where it will be shown."""
        raise NotImplementedError

    def show(self, place: str, message: Message, request_id: str, shown: Shown) -> None:
        """Put this in place of what stood there before."""
        raise NotImplementedError

    def messages(self, message: Message, earlier: Sequence[JSON]) -> list[JSON]:
        """What the model is asked, in the inner form. `earlier`: what the gateway itself remembers of the chat."""
        return [*earlier, {"role": "user", "content": message.said["text"]}]


def parse_object(raw: bytes | str) -> JSON:
    """Raises Malformed unless it is a JSON object."""
    try:
        return objects.parse_object(raw)
    except NoObject as error:
        raise Malformed(str(error)) from None


def text_in(body: Any, *path: str, is_optional: bool = False, most: int = MOST_CHARACTERS) -> str:
    """The text at that place, which must not be empty unless it is optional. Raises Malformed."""
    value = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None and is_optional:
        return ""
    if not isinstance(value, str) or not (value or is_optional) or "\0" in value or len(value) > most:
        raise Malformed(f"{'.'.join(path)} must be a text of at most {most} characters.")
    return value


def key_in(body: Any, *path: str) -> str:
    """An id of the platform's."""
    return text_in(body, *path, most=MOST_KEY_CHARACTERS)


def told_in(answer: Any, name: str) -> str:
    """The same of what a platform has answered. Raises PlatformError."""
    try:
        return text_in(answer, name, most=4000)
    except Malformed:
        raise PlatformError(f"The chat platform's answer has no {name}.") from None


def check_recent(timestamp: str, now: float) -> None:
    """Raises Forged for a time outside the window: a copy of an old event has an old time, and is signed with it."""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 16):
        raise Forged("The request has no valid timestamp.")
    if abs(now - int(timestamp)) > WINDOW_SECONDS:
        raise Forged("The request is too old.")


def check_signature(expected: str, given: Iterable[str]) -> None:
    """Raises Forged unless one of those given is the one. No comparison tells how much was right."""
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in given):
        raise Forged("The request's signature is not valid.")
