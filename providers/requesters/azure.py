"""OpenAI's models as Azure serves them: OpenAI's bodies under Azure's addresses, versions and keys.

Facts from learn.microsoft.com/azure/ai-foundry/openai (reference, api-version-lifecycle, concepts/content-filter,
how-to/switching-endpoints) and the specification AzureOpenAI/inference of Azure/azure-rest-api-specs.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from providers.requesters import failures
from providers.requesters.base import JSON, Endpoint, Requester
from providers.requesters.egress import CancelToken, Transport, Upstream
from providers.requesters.entra import AUTHORITY, EntraTokens, Principal
from providers.requesters.errors import AuthFailed, BadRequest, ProviderError

API_VERSION = "2024-10-21"
# The first whose chat takes stream_options and max_completion_tokens; an older one refuses both.
NEWER_NAMES_SINCE = "2024-09-01"
ENTRA = "entra"
# What the portal and other gateways call the address: the resource, with or without more of the path.
ADDRESS = re.compile(r"(?P<resource>.*?)(/openai(/(?P<v1>v1)|/deployments/(?P<deployment>[^/]+))?(/.*)?)?/?")
# Names of one thing, as `code` or as that of the error inside: text, images, and images of older versions.
FILTERED = frozenset({"content_filter", "ResponsibleAIPolicyViolation", "contentFilter", "content_policy_violation"})


class AzureRequester(Requester):
    """`base_url` is the resource's address; it may go on to /openai, to one deployment, or to /openai/v1, the form
    in which Azure takes OpenAI's own paths and needs no version.

    `config`: apiVersion, deployment (else the one in the address, else the model's name), auth ("key" or "entra") and
    authority, the host that Entra tokens come from. With "entra" the key is a token, or JSON with tenant_id,
    client_id and client_secret.
    """

    paths: ClassVar[Mapping[str, str]] = {
        "chat": "/chat/completions",
        "completion": "/completions",
        "embedding": "/embeddings",
        "image": "/images/generations",
        "speech": "/audio/speech",
        "transcription": "/audio/transcriptions",
        "models": "/models",
    }

    def __init__(self, endpoint: Endpoint, transport: Transport) -> None:
        config, parts = endpoint.config, urlsplit(endpoint.base_url)
        found = ADDRESS.fullmatch(endpoint.base_url.partition("?")[0])
        self._root = f"{found['resource']}/openai" if found else endpoint.base_url
        self._is_v1 = bool(found and found["v1"])
        self._deployment = config.get("deployment") or (found and found["deployment"]) or ""
        [in_address] = parse_qs(parts.query).get("api-version", [""])[:1]
        self._version = config.get("apiVersion") or in_address or ("" if self._is_v1 else API_VERSION)
        self._tokens = _tokens(endpoint, transport)
        super().__init__(endpoint, transport)

    def headers(self) -> Mapping[str, str]:
        if self._tokens is not None or not self.endpoint.api_key:
            return {}
        return super().headers() if _is_entra(self.endpoint) else {"api-key": self.endpoint.api_key}

    def url(self, operation: str, body: JSON, *, is_stream: bool = False) -> str:
        place = "/v1" if self._is_v1 else ""
        if not self._is_v1 and operation != "models":
            place = f"/deployments/{quote(self._named(body), safe='')}"
        query = f"?{urlencode({'api-version': self._version})}" if self._version else ""
        return self._root + place + self.paths[operation] + query

    def build(self, operation: str, body: JSON) -> JSON:
        """In the v1 form the deployment's name stands where OpenAI has the model's."""
        built = super().build(operation, body)
        if self._is_v1 and self._deployment:
            built = {**built, "model": self._deployment}
        return _in_older_names(built) if "" < self._version[:10] < NEWER_NAMES_SINCE else built

    def map_error(self, status: int, payload: Any, headers: Mapping[str, str]) -> ProviderError:
        secrets = [*self._secrets, *(self._tokens.secrets() if self._tokens else ())]
        return failures.to_error(status, _with_filter(payload), headers, secrets)

    def _named(self, body: JSON) -> str:
        name = str(self._deployment or body.get("model") or "")
        if not name.strip("."):
            raise BadRequest("the model's name at its provider is not valid", param="model")
        return name

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, token: CancelToken | None
    ) -> Upstream:
        """A token may be withdrawn before its time: then the call is tried once more, with a new one."""
        if self._tokens is None:
            return super()._send(method, url, headers, body, token)
        bearer = self._tokens.get()
        try:
            return super()._send(method, url, _with_bearer(headers, bearer), body, token)
        except AuthFailed as error:
            if error.upstream_status != 401:
                raise
        self._tokens.forget(bearer)
        return super()._send(method, url, _with_bearer(headers, self._tokens.get()), body, token)


def _is_entra(endpoint: Endpoint) -> bool:
    return str(endpoint.config.get("auth")).lower() == ENTRA


def _tokens(endpoint: Endpoint, transport: Transport) -> EntraTokens | None:
    """Whatever `auth` says: a resource's key is no JSON, and a principal's secret is for the authority alone."""
    principal = Principal.read(endpoint.api_key)
    authority = endpoint.config.get("authority") or AUTHORITY
    return EntraTokens(principal, authority, transport, endpoint.timeouts) if principal else None


def _with_bearer(headers: Mapping[str, str], token: str) -> Mapping[str, str]:
    return {**headers, "Authorization": f"Bearer {token}"}


def _in_older_names(body: JSON) -> JSON:
    renamed = {"max_tokens": body["max_completion_tokens"]} if "max_completion_tokens" in body else {}
    newer = {"stream_options", "max_completion_tokens"}
    return {**{name: body[name] for name in body if name not in newer}, **renamed}


def _with_filter(payload: Any) -> Any:
    """The payload, with OpenAI's code where it tells of Azure's filter in one of its other ways."""
    inner = payload.get("error") if isinstance(payload, dict) else None
    if not isinstance(inner, dict):
        return payload
    deeper = inner.get("innererror") or inner.get("inner_error")
    codes = {str(each.get("code")) for each in (inner, deeper) if isinstance(each, dict)}
    return {"error": {**inner, "code": "content_filter"}} if codes & FILTERED else payload
