"""A Microsoft Entra token for a service principal: fetched with the client credentials grant, kept until it is old.

Facts from learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow (request, answer, errors) and
national-cloud (the hosts); the scopes from learn.microsoft.com/azure/ai-services/authentication.
"""

import threading
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from time import monotonic
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson

from providers.requesters import failures
from providers.requesters.egress import Timeouts, Transport, Upstream
from providers.requesters.errors import AuthFailed, BadAnswer, ProviderError

AUTHORITY = "https://login.microsoftonline.com"
SCOPE = "https://cognitiveservices.azure.com/.default"
# Sovereign clouds name the service by their own domain.
SCOPES = {
    "login.microsoftonline.us": "https://cognitiveservices.azure.us/.default",
    "login.partner.microsoftonline.cn": "https://cognitiveservices.azure.cn/.default",
    "login.chinacloudapi.cn": "https://cognitiveservices.azure.cn/.default",
}
# All calls wait for a token, so none waits long for it.
PATIENCE = Timeouts(connect=10.0, first_byte=20.0, idle=20.0, total=30.0)
# A token is replaced before its end: this many seconds, or a tenth of a short life.
MARGIN = 300.0
PARTS = ("tenant_id", "client_id", "client_secret")
MAX_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks for tokens. All of it counts as secret."""

    tenant_id: str = field(repr=False)
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "Principal | None":
        """From a key's text, if it is JSON. A token never begins with a brace."""
        if not text.lstrip().startswith("{"):
            return None
        try:
            parts = orjson.loads(text)
        except orjson.JSONDecodeError:
            parts = {}  # not chained: the error would quote the key
        values = [parts.get(name) for name in PARTS]
        return cls(*(value if isinstance(value, str) else "" for value in values))

    @property
    def is_whole(self) -> bool:
        return all(astuple(self))


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    expires: float

    def is_fresh(self) -> bool:
        return monotonic() < self.expires


class EntraTokens:
    """The tokens of one principal, for any number of threads: while one fetches, the others wait for what it gets,
    be it a token or a refusal."""

    def __init__(self, principal: Principal, authority: str, transport: Transport, timeouts: Timeouts) -> None:
        self._principal = principal
        self._authority = authority.rstrip("/")
        self.scope = SCOPES.get(urlsplit(authority).hostname or "", SCOPE)
        self._transport = transport
        self._timeouts = timeouts.within(PATIENCE)
        self._lock = threading.Lock()
        self._tries = 0
        self._token: _Token | None = None
        self._failure: ProviderError | None = None

    def secrets(self) -> list[str]:
        """What must never appear in a message, the token of the moment included."""
        token = self._token
        return [secret for secret in (*astuple(self._principal), token.value if token else "") if secret]

    def get(self) -> str:
        """A token that is still good. Raises a ProviderError."""
        token, tries = self._token, self._tries
        if token and token.is_fresh():
            return token.value
        with self._lock:
            if self._tries == tries or (self._token is None and self._failure is None):
                self._fetch()
            return self._outcome()

    def forget(self, value: str) -> None:
        """The service refuses this one. Another that came meanwhile is kept."""
        with self._lock:
            if self._token and self._token.value == value:
                self._token = None

    def _outcome(self) -> str:
        if self._token:
            return self._token.value
        assert self._failure is not None
        raise _copy(self._failure) from self._failure

    def _fetch(self) -> None:
        self._token = self._failure = None
        try:
            self._token = self._ask()
        except ProviderError as error:
            self._failure = error
        finally:
            self._tries += 1

    def _ask(self) -> _Token:
        if not self._principal.is_whole:
            raise AuthFailed(f"the key must be a token, or a JSON object with the texts {', '.join(PARTS)}")
        url = f"{self._authority}/{quote(self._principal.tenant_id, safe='')}/oauth2/v2.0/token"
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        upstream = self._transport.send("POST", url, headers, self._form(), self._timeouts)
        payload = _read(upstream)
        if upstream.status >= 400:
            raise self._refused(upstream, payload)
        return _token(payload)

    def _form(self) -> bytes:
        principal = self._principal
        fields = {
            "grant_type": "client_credentials",
            "client_id": principal.client_id,
            "client_secret": principal.client_secret,
            "scope": self.scope,
        }
        return urlencode(fields).encode()

    def _refused(self, upstream: Upstream, payload: Mapping[str, Any]) -> ProviderError:
        """RFC 6749's {"error": code, "error_description": text}. Whatever is wrong with the request is wrong with the
        key: nothing else of it is the caller's."""
        if upstream.status in (429, 503) or upstream.status >= 500:
            return failures.to_error(upstream.status, payload, upstream.headers, self.secrets())
        code = failures.scrub(str(payload.get("error") or ""), self.secrets())[:100]
        return AuthFailed(failures.AUTH_MESSAGE, upstream_status=upstream.status, upstream_code=code or None)


def _copy(error: ProviderError) -> ProviderError:
    """Each caller adds his own marks to what he is told."""
    return type(error)(
        error.message,
        upstream_status=error.upstream_status,
        retry_after=error.retry_after,
        upstream_code=error.upstream_code,
    )


def _read(upstream: Upstream) -> Mapping[str, Any]:
    try:
        payload = orjson.loads(upstream.read(MAX_BYTES))
    except orjson.JSONDecodeError:
        payload = {}
    return payload if isinstance(payload, dict) else {}


def _token(payload: Mapping[str, Any]) -> _Token:
    value, seconds = payload.get("access_token"), payload.get("expires_in")
    if not isinstance(value, str) or not value:
        raise BadAnswer("the token endpoint's answer has no token")
    # The grant's own endpoint says a number; older ones say it as text.
    life = float(seconds) if isinstance(seconds, int) or (isinstance(seconds, str) and seconds.isdecimal()) else 0.0
    return _Token(value, monotonic() + life - min(MARGIN, life / 10))
