"""What recorded requests are sent into: people with their credentials, a fake upstream, and the rows of the set-ups."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from accounts.models import Role, Scope, User
from accounts.services import tokens
from accounts.services.keys import IssuedKey
from tests import factories
from tests.fakes.openai import FakeOpenAI

PASSWORD = "correct horse battery"


@dataclass
class World:
    upstream: FakeOpenAI
    made: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def admin(self) -> User:
        return User.objects.create_superuser("admin@example.com", "admin@example.com", PASSWORD)

    @cached_property
    def key(self) -> IssuedKey:
        return factories.key(name="admin's key", role=Role.ADMIN, month_quota=None)

    @cached_property
    def reader(self) -> IssuedKey:
        return factories.key(name="reader's key", scopes=[Scope.RESOURCE_VIEW])

    @cached_property
    def stranger(self) -> IssuedKey:
        return factories.key(name="stranger's key")

    @cached_property
    def br_key(self) -> IssuedKey:
        """Of BRConnector's kind, as are the next two."""
        return factories.key(start="br-")

    @cached_property
    def br_key_without_models(self) -> IssuedKey:
        return factories.key(start="br-", all_models=False)

    @cached_property
    def br_key_without_money(self) -> IssuedKey:
        return factories.key(start="br-", month_quota=0)

    def headers_of(self, who: str) -> dict[str, str]:
        """How this one of `key`, `user`, `reader`, `stranger`, `br_key…` and `nobody` authenticates."""
        if who == "nobody":
            return {}
        if who == "user":
            return {"Authorization": f"Bearer {tokens.issue(user=self.admin)}"}
        issued: IssuedKey = getattr(self, who)
        return {"X-API-Key": issued.secret}
