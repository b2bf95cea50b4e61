"""Who manages: a person with a token or a program with a key, and what they may do."""

from dataclasses import dataclass

from django.db import Error

from accounts.errors import InvalidKey, LedgerUnavailable
from accounts.models import ApiKey, Scope, User
from accounts.services import keys, tokens

# What a person's permissions in the console open in the APIs; a superuser has all, anybody else by these.
PERMISSIONS = {
    Scope.WORKSPACE_VIEW: "providers.view_provider",
    Scope.RESOURCE_VIEW: "providers.view_provider",
    Scope.RESOURCE_MANAGE: "providers.delete_provider",
    Scope.RUNTIME_OPERATE: "providers.change_aimodel",
    Scope.PROVIDER_SECRET_MANAGE: "providers.change_provider",
    Scope.API_KEY_MANAGE: "accounts.change_apikey",
    Scope.MEMBER_VIEW: "accounts.view_user",
    Scope.MEMBER_INVITE: "accounts.add_user",
    Scope.MEMBER_UPDATE_ROLE: "accounts.change_user",
    Scope.MEMBER_REMOVE: "accounts.delete_user",
    Scope.AUDIT_VIEW: "accounts.view_charge",
    Scope.DATA_EXPORT: "accounts.view_charge",
}
ALL = frozenset(Scope.values)


@dataclass(frozen=True, slots=True)
class Principal:
    """One of `user` and `key` is set; `rights` are values of Scope."""

    rights: frozenset[str]
    user: User | None = None
    key: ApiKey | None = None

    @property
    def is_authenticated(self) -> bool:
        """For DRF, which asks this of whoever calls."""
        return True

    @property
    def person(self) -> User | None:
        """Who answers for what is done."""
        return self.user or (self.key.owner if self.key else None)

    def may(self, scope: str) -> bool:
        return scope in self.rights


def of_user(user: User) -> Principal:
    """A person; what is staff's alone is nobody else's."""
    if user.is_superuser:
        return Principal(ALL, user=user)
    granted = user.get_all_permissions() if user.is_staff else set()
    return Principal(frozenset(scope for scope, name in PERMISSIONS.items() if name in granted), user=user)


def of_token(token: str) -> Principal:
    """Raises InvalidToken."""
    return of_user(tokens.read(token))


def of_credentials(text: str) -> Principal:
    """Whose token or key's secret this is: a token by its shape, a key's else. Raises as the two do."""
    return of_token(text) if tokens.is_like_one(text) else of_secret(text)


def of_secret(secret: str) -> Principal:
    """Who has this key, as its row is now: what manages must not go by what a process remembers.

    Raises InvalidKey or LedgerUnavailable.
    """
    try:
        return _of_key(ApiKey.objects.select_related("owner").filter(digest=keys.digest(secret)).first())
    except Error as error:
        raise LedgerUnavailable() from error


def _of_key(key: ApiKey | None) -> Principal:
    if key is None or key.is_internal:
        raise InvalidKey()
    if key.owner and not key.owner.is_active:
        raise InvalidKey("The person who has this API key has been switched off.")
    keys.check_usable(key)
    keys.note_use(key)
    return Principal(key.rights, key=key)
