"""Tests of providers and models: a real, small call through the whole pipeline, paid by the console's own key."""

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from accounts.errors import Refused
from accounts.models import Charge
from accounts.services import keys
from chat.errors import CallError
from chat.services import completions
from chat.services.calls import ENDPOINTS, Call
from providers.models import AIModel, Kind, Provider
from providers.requesters.errors import AuthFailed, Cancelled, ProviderError
from providers.services.routing import requesters_of

JSON = dict[str, Any]

PATIENCE_SECONDS = 60.0  # an operator waits at the other end
MAX_TOKENS = 32
QUESTION = "Say hello in five words or fewer."
SESSION = "console-tests"

BODIES: dict[str, tuple[str, JSON]] = {
    Kind.LLM: ("chat", {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": MAX_TOKENS}),
    Kind.EMBEDDING: ("embedding", {"input": "hello"}),
}
FAILURES = (Refused, CallError, ProviderError)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of a test. `milliseconds` runs to the whole answer; `charge_id` 0: no call was admitted."""

    is_ok: bool
    subject: str
    text: str
    milliseconds: int
    charge_id: int = 0


def test_model(*, model: AIModel) -> ProbeResult:
    """Call one model on its own provider, whatever else has its name."""
    obstacle = _obstacle(model)
    if obstacle:
        return ProbeResult(False, str(model), obstacle, 0)
    endpoint, body = BODIES[model.kind]
    request_id = f"req_{secrets.token_hex(16)}"
    started = time.monotonic()
    try:
        text, is_ok = _answer(model, endpoint, {**body, "model": model.name}, request_id), True
    except FAILURES as error:
        text, is_ok = _reason(error), False
    milliseconds = int((time.monotonic() - started) * 1000)
    charge = Charge.objects.filter(request_id=request_id).values_list("id", flat=True).first()
    return ProbeResult(is_ok, str(model), text, milliseconds, charge or 0)


def test_provider(*, provider: Provider) -> ProbeResult:
    """Call the provider's first enabled model; without one, ask it which models it has."""
    model = _first_model(provider)
    return test_model(model=model) if model else _list_models(provider)


def has_model_to_call(*, provider: Provider) -> bool:
    """Whether a test of this provider is a call; without one it only lists the upstream's models."""
    return _first_model(provider) is not None


def _obstacle(model: AIModel) -> str:
    """Why a call can't even be tried."""
    if not model.is_enabled:
        return "The model is switched off."
    if not model.provider.is_enabled:
        return "Its provider is switched off."
    return "" if model.kind in BODIES else f"No endpoint calls a model of the kind {model.get_kind_display()!r} yet."


def _first_model(provider: Provider) -> AIModel | None:
    enabled = provider.models.filter(is_enabled=True).select_related("provider").order_by("id")
    return enabled.filter(kind=Kind.LLM).first() or enabled.filter(kind=Kind.EMBEDDING).first()


def _answer(model: AIModel, endpoint: str, body: JSON, request_id: str) -> str:
    caller = keys.caller_of(keys.console_key())
    size = len(orjson.dumps(body))
    call = Call(ENDPOINTS[endpoint], body, size, caller, request_id, session_key=SESSION, model_id=model.pk)
    with _patience(call):
        return _told(completions.run(call).answer.json)


@contextmanager
def _patience(call: Call) -> Iterator[None]:
    timer = threading.Timer(PATIENCE_SECONDS, call.token.cancel)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _told(answer: JSON) -> str:
    """What a person wants to read of an answer."""
    if "choices" in answer:
        message = (answer["choices"] or [{}])[0].get("message") or {}
        said = message.get("content") or message.get("reasoning_content") or ""
        return str(said).strip() or "The answer has no text."
    numbers = (answer.get("data") or [{}])[0].get("embedding") or []
    return f"An embedding of {len(numbers)} numbers." if isinstance(numbers, list) else "An embedding."


def _list_models(provider: Provider) -> ProbeResult:
    """No model to call: the list costs nothing and leaves no charge."""
    started = time.monotonic()
    try:
        text, is_ok = _listed(provider), True
    except FAILURES as error:
        text, is_ok = _reason(error), False
    return ProbeResult(is_ok, str(provider), text, int((time.monotonic() - started) * 1000))


def _listed(provider: Provider) -> str:
    requesters = requesters_of(provider)
    if not requesters:
        raise AuthFailed("It has no enabled key.")
    names = [model.id for model in requesters[0].list_models()]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    count = "1 model" if len(names) == 1 else f"{len(names)} models"
    return f"It answers and lists {count}{': ' if names else ''}{shown}. Add a model to test a call."


def _reason(error: Exception) -> str:
    """Requesters blot secrets out of what a vendor says; a long answer is of no use here."""
    if isinstance(error, Cancelled):
        return f"No whole answer within {PATIENCE_SECONDS:g} seconds."
    text = str(error)[:500]
    return f"{text} ({error.code})" if isinstance(error, ProviderError) else text
