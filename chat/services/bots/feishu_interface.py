"""Feishu's interface: a token for the app, and calls with it."""

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from chat.errors import PlatformError
from chat.services.bots import outgoing
from chat.services.bots.outgoing import Answer
from chat.services.bots.platform import told_in

JSON = dict[str, Any]

TOKEN = "/open-apis/auth/v3/tenant_access_token/internal"
EARLY_SECONDS = 180  # before its end a token is fetched anew
MOST_REMEMBERED = 1000
# The token is missing, of another app, wrong, expired.
STALE = frozenset({99991661, 99991663, 99991664, 99991668, 99991671})
TOO_OFTEN = frozenset({99991400, 11232, 230020})  # of the app, of the tenant, of one message
REFUSED = 400

_tokens: dict[str, tuple[str, float]] = {}
_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True, slots=True)
class Interface:
    """One app's. Its methods raise PlatformError."""

    base_url: str
    app_id: str
    app_secret: str = field(repr=False)

    def ask(self, method: str, path: str, body: JSON | None = None) -> JSON:
        """The `data` of the answer."""
        answer = self._patient(lambda token: outgoing.send(method, self.base_url + path, _bearer(token), body))
        data = answer.json.get("data")
        return data if isinstance(data, dict) else {}

    def file(self, path: str) -> Answer:
        """What somebody attached to a message."""
        return self._patient(lambda token: outgoing.fetch(self.base_url + path, _bearer(token)), is_file=True)

    def _patient(self, send: Callable[[str], Answer], *, is_file: bool = False) -> Answer:
        """A token that is refused is fetched anew, once."""
        answer = send(self._token())
        if _code(answer) in STALE and not (is_file and answer.status < REFUSED):
            forget(self)
            answer = send(self._token())
        if answer.status >= REFUSED or (_code(answer) and not is_file):
            raise _refused(answer)
        return answer

    def _token(self) -> str:
        """One at a time asks, so that all who wait get the same."""
        with _locks[_name(self)]:
            token, until = _tokens.get(_name(self), ("", 0.0))
            return token if time.monotonic() < until else self._new_token()

    def _new_token(self) -> str:
        credentials = {"app_id": self.app_id, "app_secret": self.app_secret}
        answer = outgoing.send("POST", self.base_url + TOKEN, {}, credentials)
        if _code(answer) or answer.status >= REFUSED:
            raise _refused(answer)
        seconds = answer.json.get("expire")
        token = told_in(answer.json, "tenant_access_token")
        if len(_tokens) >= MOST_REMEMBERED:
            _tokens.clear()
        if isinstance(seconds, int):
            _tokens[_name(self)] = token, time.monotonic() + seconds - EARLY_SECONDS
        return token


def forget(interface: Interface | None = None) -> None:
    """Drop what is remembered of this app's token, or of all."""
    if interface is None:
        _tokens.clear()
    else:
        _tokens.pop(_name(interface), None)


def _name(interface: Interface) -> str:
    """Another secret or another address is another token's."""
    known = "\0".join((interface.base_url, interface.app_id, interface.app_secret))
    return hashlib.sha256(known.encode()).hexdigest()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _code(answer: Answer) -> int:
    """Feishu's own; 0 where all is well."""
    code = answer.json.get("code", 0)
    return code if isinstance(code, int) else 1


def _refused(answer: Answer) -> PlatformError:
    """With the platform's code, not with its words, which may quote what was sent."""
    code = _code(answer)
    return answer.failure(f"Feishu refused with code {code} (status {answer.status}).", may_pass=code in TOO_OFTEN)
