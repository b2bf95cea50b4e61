"""What is wrong with a call itself.

CallError
├── BadCall          a field is missing or of the wrong kind
└── UnknownModel     no such model, or none that this key may call
"""


class CallError(Exception):
    """The call can't be served as it stands. `param` names the field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class BadCall(CallError):
    """A field is missing or of the wrong kind."""


class UnknownModel(CallError):
    """No enabled model of that name and kind is open to this key."""
