"""What made-up calls meet: rows of every kind, and nothing outside this machine."""

import socket
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey, Group, Role, User
from accounts.services import keys, tokens
from chat.models import Bot, BotPlatform, Session, Thread
from chat.services.bots import managing
from common.models import Job
from providers.models import AIModel, Kind, Provider
from tests import factories
from tests.fakes.openai import FakeOpenAI

CALLERS = ("key", "key", "token", "token", "nobody")
HERE = ("127.0.0.1", "localhost")
BOT = {"appId": "cli_1", "appSecret": "secret", "apiKey": "br-nobody-s"}
KINDS = (Kind.LLM, Kind.EMBEDDING, Kind.RERANK)


def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up host names are not looked up."""
    look_up = socket.getaddrinfo

    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host not in HERE:
            raise socket.gaierror(socket.EAI_NONAME, "made up")
        return look_up(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)


# Whose number the path's `id` is, by a part of the path; else a key's.
TABLES: dict[str, Any] = {
    "/tasks/": Job,
    "/admin/group/": Group,
    "/admin/model/": AIModel,
    "/admin/bot": Bot,
    "/session/": Session,
    "/thread/": Thread,
}


def _table(path: str) -> Any:
    return next((table for part, table in TABLES.items() if part in path), ApiKey)


class Rows:
    """Calls change and remove rows, so they are made again when they are gone."""

    def __init__(self, upstream: FakeOpenAI) -> None:
        self.upstream = upstream
        self.secret = ""

    def make(self) -> None:
        self.admin = User.objects.filter(username="admin").first() or User.objects.create_superuser("admin")
        User.objects.filter(pk=self.admin.pk).update(is_active=True, is_superuser=True)
        self.admin.refresh_from_db()
        self.other = User.objects.filter(username="other").first() or User.objects.create_user("other")
        if not ApiKey.objects.usable().filter(digest=keys.digest(self.secret), role=Role.ADMIN).exists():
            self.secret = factories.key(role=Role.ADMIN, month_quota=None).secret
        if not ApiKey.objects.filter(owner=self.other, is_active=True).exists():
            factories.key(owner=self.other)
        if not Group.objects.exists():
            factories.group()
        if not Bot.objects.exists():
            managing.make(name="helper", platform=BotPlatform.FEISHU, config=BOT)
        self.provider = Provider.objects.filter(name="fake").first() or factories.provider(self.upstream, name="fake")
        for kind in KINDS:
            if not self.provider.models.filter(kind=kind).exists():
                factories.model(self.provider, kind=kind)
        if not Thread.objects.exists():
            self._say_something()

    def _say_something(self) -> None:
        body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
        headers = {"X-API-Key": self.secret, "Session-Id": "made up"}
        Client().post("/v1/chat/completions", body, content_type="application/json", headers=headers)

    def credentials(self, caller: str) -> dict[str, str]:
        given = {
            "key": {"X-API-Key": self.secret},
            "token": {"Authorization": f"Bearer {tokens.issue(user=self.admin)}"},
        }
        return given.get(caller, {})

    def parameters(self, path: str) -> dict[str, list[Any]]:
        """What stands for the path's parameters, by name."""
        return {name: known for name, known in self._known(path).items() if f"{{{name}}}" in path and known}

    def _known(self, path: str) -> dict[str, list[Any]]:
        models = {f"/models/{kind}/": [str(each.uuid) for each in AIModel.objects.filter(kind=kind)] for kind in KINDS}
        of_kind = next((uuids for part, uuids in models.items() if part in path), None)
        names = list((Bot if path.startswith("/bot/") else Provider).objects.values_list("name", flat=True))
        return {
            "uuid": of_kind or [str(uuid) for uuid in Provider.objects.values_list("uuid", flat=True)],
            "name": ["openai-chat-completions", "nothing"] if "requesters" in path else names,
            "platform": ["feishu", "slack", "webhook"],
            "id": list(_table(path).objects.values_list("pk", flat=True)),
            "key_id": list(ApiKey.objects.values_list("pk", flat=True)),
            "user_id": [f"user-{uuid.hex}" for uuid in User.objects.values_list("uuid", flat=True)],
        }
