"""What is wrong with a call itself, and what can go wrong with a bot.

CallError
├── BadCall          a field is missing or of the wrong kind
├── UnknownModel     no such model, or none that this key may call
│   ├── NotGranted       there is one, for others
│   └── OtherKind        there is one, which this endpoint does not call
├── KeyReused        its Idempotency-Key stands for another request
├── StillRunning     the first request with its Idempotency-Key is not over
└── AnswerNotKept    it is, and what was answered can't be said again

EventRefused         what came to a bot's address is not taken in, and nothing happens
├── Forged           it is not signed as its platform signs, or it is too old
└── Malformed        it can't be read

PlatformError        a chat platform did not take what it was sent, or sent nothing useful
"""


class CallError(Exception):
    """The call can't be served as it stands. `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class BadCall(CallError):
    """A field is missing or of the wrong kind."""


class UnknownModel(CallError):
    """No enabled model of that name and kind is open to this key. `name` is the one that was asked for."""

    def __init__(self, message: str, param: str | None = None, *, name: str = "") -> None:
        super().__init__(message, param)
        self.name = name


class NotGranted(UnknownModel):
    """There is one of that name, but not for this key. The message does not tell."""


class OtherKind(UnknownModel):
    """The key may call one of that name, but not at this endpoint."""


class KeyReused(CallError):
    """One Idempotency-Key, two requests."""


class StillRunning(CallError):
    """The same request came before, and is being answered. `retry_after` is in seconds."""

    retry_after = 1


class AnswerNotKept(CallError):
    """The same request was answered and paid before. To answer it anew would be to charge it twice."""


class EventRefused(Exception):
    """Somebody sent a bot something that its platform would not have sent."""


class Forged(EventRefused):
    """Signed wrongly or not at all, or so long ago that it may be a copy."""


class Malformed(EventRefused):
    """Not what the platform's documents describe."""


class PlatformError(Exception):
    """`may_pass`: the same may work in a moment, after `retry_after` seconds where the platform said so."""

    def __init__(self, message: str, *, may_pass: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.retry_after = retry_after
