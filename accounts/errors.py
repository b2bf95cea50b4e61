"""Why a call is refused before it is sent.

Refused
├── InvalidKey                 no such key, or none given
│   ├── KeyRevoked
│   └── KeyExpired
├── InsufficientQuota          quota and balance don't cover the call
├── LimitReached               a limit does not let it in
│   └── BudgetReached          one of money for a day or longer: waiting a moment is no use
└── LedgerUnavailable          the database doesn't answer: nobody's fault, try again

InvalidToken                   no token of a person, or one that holds no longer
├── TokenExpired
└── TokenReused                a refresh token that had been used before: somebody has a copy

NotAllowed                     somebody manages what is above or beside them
EmailTaken, KeyExists          there is one already

PersonRefused                  a person is not let in, or may not change what they asked to change
├── WrongCredentials           no such person, or not their password
├── LockedOut                  too many failures: wait
├── WrongPassword              the password given as the present one is not
├── WrongRecoveryKey
├── NoRecoveryKey              this installation has none
├── UnknownPerson              nobody of that name
├── NotInitialized             there is no superuser yet
└── AlreadyInitialized         there is one
    └── RegistrationClosed     somebody else was first, by a moment
UnknownCharge                  no such charge, or somebody else's
CodeRefused                    a redemption code brings no money
├── CodeUnknown, CodeUsed, CodeVoid, CodeExpired
├── KeyWithoutLimit            the key would never use a balance
└── TooManyTries               with codes that were none: wait
RightMissing                   somebody may not hand out a right that they lack
"""


class Refused(Exception):
    """The call was not admitted. Nothing was sent, nothing was charged. `headers` are for the answer."""

    text = ""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.text)
        self.headers: dict[str, str] = {}


class InvalidKey(Refused):
    """No key, or one that nobody was given."""

    text = "Incorrect API key provided."


class KeyRevoked(InvalidKey):
    """A key that was good once and was switched off."""


class KeyExpired(InvalidKey):
    """A key whose time is over."""


class InsufficientQuota(Refused):
    """The month's quota and the balance don't cover the prompt and one token of the answer."""

    is_about_size = True


class LimitReached(Refused):
    """One of the limits that the call counts against is used up, or does not cover it. The text says which and what to
    do; `retry_after` is in seconds, None where time does not help. `is_about_size`: a smaller or cheaper call might
    be let in."""

    is_about_size = False

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BudgetReached(LimitReached):
    """A limit of cost whose window is a day or longer."""


class LedgerUnavailable(Refused):
    """The database doesn't answer. `retry_after` is in seconds."""

    text = "The database does not answer. Try again shortly."

    def __init__(self, message: str = "", retry_after: int = 2) -> None:
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


class NotAllowed(Exception):
    """Who asks may do such a thing, but not to this one. The text says why."""


class EmailTaken(Exception):
    """Somebody else has this e-mail address, or logs in with it."""


class KeyExists(Exception):
    """A person has one key at a time."""


class PersonRefused(Exception):
    """Nothing was changed, and nobody was let in."""


class WrongCredentials(PersonRefused):
    """No such person or another password: which of the two is not told."""


class LockedOut(PersonRefused):
    """Too many failures of late. `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class WrongPassword(PersonRefused):
    """Who wants a new password has to know the present one."""


class WrongRecoveryKey(PersonRefused):
    """Not the installation's recovery key."""


class NoRecoveryKey(PersonRefused):
    """The installation has no recovery key, so nobody can show it."""


class UnknownPerson(PersonRefused):
    """Nobody active of that name."""


class NotInitialized(PersonRefused):
    """There is no superuser yet."""


class AlreadyInitialized(PersonRefused):
    """There is a superuser; others are made by them."""


class RegistrationClosed(AlreadyInitialized):
    """Two asked at once to be the first; this one came second."""


class RightMissing(Exception):
    """The caller lacks `right`, so can't hand it out."""

    def __init__(self, right: str) -> None:
        super().__init__(f"You lack the right {right} yourself.")
        self.right = right


class UnknownCharge(Exception):
    """No such charge, or one that is not the asker's to see: which of the two is not told."""


class CodeRefused(Exception):
    """Nothing was paid. The text says why."""

    text = ""

    def __init__(self, text: str = "") -> None:
        super().__init__(text or self.text)


class CodeUnknown(CodeRefused):
    """Nobody made such a code."""

    text = "There is no such code."


class CodeUsed(CodeRefused):
    """Somebody was first."""

    text = "This code has been redeemed already."


class CodeVoid(CodeRefused):
    """Whoever made it took it back."""

    text = "This code is not valid any more."


class CodeExpired(CodeRefused):
    """Its time is over."""

    text = "This code has expired."


class KeyWithoutLimit(CodeRefused):
    """A key that needs no balance."""


class TooManyTries(CodeRefused):
    """Enough wrong codes for now. `retry_after` is in seconds."""

    text = "Too many codes were wrong. Try again later."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after
