"""A strict fake of Azure OpenAI and of the Entra endpoint that gives out tokens for it, on one address.

`deployments` says which behaviour of the OpenAI fake each deployment has; whatever `model` a body names is ignored, as
Azure does, but in the v1 form, where it is the deployment. `tokens` are those that were given out and still hold;
`life` and `delay` are a token's seconds and how long the endpoint takes; `outage` is a status that it answers with.

Shapes from learn.microsoft.com/azure/ai-foundry/openai (reference, concepts/content-filter) and from
learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow.
"""

import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.fakes.kinds import KindsHandler
from tests.fakes.openai import CREATED
from tests.fakes.server import JSON, FakeVendor, Seen, Violation, serve_alone

CLASSIC = re.compile(r"/openai/deployments/([^/]+)/([a-z/]+)")
VERSION = re.compile(r"20\d\d-\d\d-\d\d(-preview)?")
TOKEN_PATH = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
SCOPE = "https://cognitiveservices.azure.com/.default"
NEWER = ("stream_options", "max_completion_tokens")
DENIED = "Access denied due to invalid subscription key or wrong API endpoint."
MODELS = ("gpt-4o-2024-08-06", "text-embedding-3-small")
SEVERITY = {"hate": {"filtered": True, "severity": "high"}, "violence": {"filtered": False, "severity": "safe"}}
PROMPT_RESULTS = [{"prompt_index": 0, "content_filter_results": {"hate": {"filtered": False, "severity": "safe"}}}]
FILTERED = {
    "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    "type": None,
    "param": "prompt",
    "code": "content_filter",
    "status": 400,
    "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SEVERITY},
}
FILTERED_IMAGE = {
    "message": "Your request was rejected as a result of our safety system.",
    "type": "invalid_request_error",
    "code": "contentFilter",
    "inner_error": {"code": "ResponsibleAIPolicyViolation", "content_filter_results": SEVERITY},
}
REFUSALS = {"filtered": FILTERED, "filtered-image": FILTERED_IMAGE}


class AzureHandler(KindsHandler):
    fake: "FakeAzure"  # type: ignore[misc, assignment]  # the one that FakeAzure binds

    def respond(self, body: Any) -> None:
        parts = urlsplit(self.path)
        if found := TOKEN_PATH.fullmatch(parts.path):
            self._token(unquote(found[1]), body)
            return
        if not self._is_let_in():
            self.send_json(401, {"error": {"code": "401", "message": DENIED}})
            return
        query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        if parts.path.startswith("/openai/v1/"):
            self._newer(parts.path.removeprefix("/openai/v1"), query, body)
        else:
            self._classic(parts.path, query, body)

    def error_body(self, violation: Violation) -> JSON:
        if TOKEN_PATH.fullmatch(self.path):
            return {"error": "invalid_request", "error_description": f"AADSTS900144: {violation.message}"}
        return {"error": {"code": str(violation.status), "message": violation.message}}

    def start_stream(self) -> None:
        """What the filter says of the prompt comes before anything else, in a chunk without choices."""
        super().start_stream()
        head = {"choices": [], "created": 0, "id": "", "model": "", "object": ""}
        self.send_event({**head, "prompt_filter_results": PROMPT_RESULTS})

    def _is_let_in(self) -> bool:
        key, bearer = self.headers.get("api-key"), self.headers.get("Authorization")
        if key is not None and bearer is not None:
            raise Violation("one of api-key and Authorization, not both", status=401)
        if key is not None:
            return key == self.fake.key
        return (bearer or "").removeprefix("Bearer ") in self.fake.tokens

    def _classic(self, path: str, query: dict[str, str], body: Any) -> None:
        version = query.pop("api-version", "")
        if not VERSION.fullmatch(version) or query:
            raise Violation(f"Resource not found: api-version is {version!r}", status=404)
        found = CLASSIC.fullmatch(path)
        if (self.command, path) == ("GET", "/openai/models"):
            self._models(None)
        elif found and self.command == "POST":
            self._refuse_newer(version, body)
            self._call(unquote(found[1]), f"/{found[2]}", body)
        else:
            raise Violation("Resource not found", status=404)

    def _newer(self, path: str, query: dict[str, str], body: Any) -> None:
        if query not in ({}, {"api-version": "preview"}, {"api-version": "latest"}):
            raise Violation("api-version query parameter is not allowed when using /v1 path")
        if (self.command, path) == ("GET", "/models"):
            self._models(None)
        else:
            self._call(str(body.get("model")), path, body)

    def _refuse_newer(self, version: str, body: JSON) -> None:
        unknown = [name for name in NEWER if name in body]
        if version < "2024-09-01" and unknown:
            raise Violation(f"Unrecognized request argument supplied: {unknown[0]}")

    def _call(self, deployment: str, path: str, body: JSON) -> None:
        routes: dict[str, Callable[[Any], None]] = {
            "/chat/completions": self._chat,
            "/completions": self._completion,
            "/embeddings": self._embed,
            "/images/generations": self._image,
            "/audio/speech": self._speech,
            "/audio/transcriptions": self._transcription,
        }
        if path not in routes:
            raise Violation("Resource not found", status=404)
        behaviour = self.fake.deployments.get(deployment)
        if behaviour is None:
            message = "The API deployment for this resource does not exist."
            self.send_json(404, {"error": {"code": "DeploymentNotFound", "message": message}})
        elif behaviour in REFUSALS:
            self.send_json(400, {"error": REFUSALS[behaviour]})
        else:
            routes[path]({**body, "model": behaviour})

    def _models(self, _: Any) -> None:
        able = {"chat_completion": True, "completion": False, "embeddings": False, "fine_tune": False}
        head = {"object": "model", "created_at": CREATED, "lifecycle_status": "generally-available"}
        self.send_json(200, {"object": "list", "data": [{"id": each, **head, "capabilities": able} for each in MODELS]})

    # Entra

    def _note(self, raw: bytes | None) -> Any:
        if raw is None or not TOKEN_PATH.fullmatch(self.path):
            return super()._note(raw)
        form = {name: values[0] for name, values in parse_qs(raw.decode(), keep_blank_values=True).items()}
        with self.fake.lock:
            self.fake.seen.append(Seen(self.command, self.path, dict(self.headers.items()), form))
        return form

    def _token(self, tenant: str, form: JSON) -> None:
        if self.command != "POST" or self.headers.get("Content-Type") != "application/x-www-form-urlencoded":
            raise Violation("a form must be posted")
        if form.keys() != {"grant_type", "client_id", "client_secret", "scope"}:
            raise Violation(f"The request body must contain four parameters, not {sorted(form)}")
        if (form["grant_type"], form["scope"]) != ("client_credentials", SCOPE):
            raise Violation(f"AADSTS70011: grant {form['grant_type']} with scope {form['scope']}")
        time.sleep(self.fake.delay)
        if self.fake.outage:
            self.send_json(self.fake.outage, {"error": "temporarily_unavailable", "error_description": "AADSTS90033"})
        elif (tenant, form["client_id"], form["client_secret"]) != self.fake.principal:
            told = f"AADSTS7000215: Invalid client secret {form['client_secret']} for app '{form['client_id']}'."
            self.send_json(401, {"error": "invalid_client", "error_description": told, "error_codes": [7000215]})
        else:
            self.send_json(200, {"token_type": "Bearer", "expires_in": self.fake.life, "access_token": self._issue()})

    def _issue(self) -> str:
        with self.fake.lock:
            self.fake.issued += 1
            token = f"ey-fake-entra-token-{self.fake.issued}"
            self.fake.tokens.add(token)
        return token


class FakeAzure(FakeVendor):
    handler = AzureHandler

    def __init__(self, key: str = "azure-fake-key", port: int = 0) -> None:
        super().__init__(key, port)
        self.principal = ("tenant-0000", "client-1111", "secret~2222+/=&")
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.deployments = {"my-gpt": "echo", "echo": "echo", "busy": "429", **{name: name for name in REFUSALS}}
        self.tokens: set[str] = set()
        self.issued = self.outage = 0
        self.life: int | str = 3599
        self.delay = 0.0

    @property
    def base_url(self) -> str:
        return self.origin


if __name__ == "__main__":
    serve_alone(FakeAzure, __doc__)
