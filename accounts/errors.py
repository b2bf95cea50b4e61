"""Why a call is refused before it is sent.

Refused
├── InvalidKey                 no such key, or none given
│   ├── KeyRevoked
│   └── KeyExpired
├── InsufficientQuota          quota and balance don't cover the call
└── LedgerUnavailable          the database doesn't answer: nobody's fault, try again

InvalidToken                   no token of a person, or one that holds no longer
├── TokenExpired
└── TokenReused                a refresh token that had been used before: somebody has a copy
"""


class Refused(Exception):
    """The call was not admitted. Nothing was sent, nothing was charged."""


class InvalidKey(Refused):
    """No key, or one that nobody was given."""


class KeyRevoked(InvalidKey):
    """A key that was good once and was switched off."""


class KeyExpired(InvalidKey):
    """A key whose time is over."""


class InsufficientQuota(Refused):
    """The month's quota and the balance don't cover the prompt and one token of the answer."""


class LedgerUnavailable(Refused):
    """The database doesn't answer. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int = 2) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class StaleResolution(Exception):
    """The configuration or the key's rights changed since the call was resolved: resolve it again."""


class InvalidToken(Exception):
    """Not a token of ours, or one whose user is gone or has a new password."""


class TokenExpired(InvalidToken):
    """A token whose time is over."""


class TokenReused(InvalidToken):
    """A refresh token comes a second time: it or its successor was stolen, so the whole log-in ends."""
