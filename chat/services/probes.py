"""Tests of providers and models: a real, small call through the whole pipeline, paid by the console's own key."""

import io
import secrets as randomness
import threading
import time
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from accounts.models import Charge
from accounts.services import keys
from chat.services import bounds, completions
from chat.services.calls import ENDPOINTS, Call
from chat.services.probe_answers import FAILURES, PATIENCE_SECONDS, full_reason, short_reason, told
from providers import policies
from providers.models import AIModel, Kind, Provider
from providers.requesters.base import FilePart
from providers.requesters.errors import AuthFailed
from providers.services import drafts
from providers.services.routing import Target, accesses_of

JSON = dict[str, Any]

MAX_TOKENS = 32
QUESTION = "Say hello in five words or fewer."
SESSION = "console-tests"
TONE_SECONDS, TONE_RATE, TONE_HERTZ = 0.5, 8000, 440


def _tone() -> FilePart:
    """Half a second of a square wave: the smallest thing that every transcriber takes for sound."""
    half = TONE_RATE // TONE_HERTZ // 2
    samples = bytes(160 if place // half % 2 else 96 for place in range(int(TONE_SECONDS * TONE_RATE)))
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(TONE_RATE)
        sound.writeframes(samples)
    return FilePart("tone.wav", "audio/wav", file.getvalue())


BODIES: dict[str, tuple[str, JSON]] = {
    Kind.LLM: ("chat", {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": MAX_TOKENS}),
    Kind.EMBEDDING: ("embedding", {"input": "hello"}),
    Kind.RERANK: ("rerank", {"query": "a greeting", "documents": ["hello", "a bridge"], "top_n": 2}),
    Kind.IMAGE: ("image", {"prompt": "A plain white square.", "n": 1}),
    Kind.SPEECH: ("speech", {"input": "Hello.", "voice": "alloy"}),
    Kind.TRANSCRIPTION: ("transcription", {"file": _tone()}),
    Kind.MODERATION: ("moderation", {"input": "hello"}),
}
# Of these a row that names its own is tested with that: a vendor may know other voices, or refuse two limits at once.
ROW_DECIDES = {"voice": {"voice"}, "max_tokens": {*bounds.OUTPUT_FIELDS}}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of a test. `milliseconds` runs to the whole answer; `charge_id` 0: no call was admitted.

    `reason` is one of a few short sentences, empty when it is ok; `text` is what a person wants to read.
    """

    is_ok: bool
    subject: str
    text: str
    milliseconds: int
    charge_id: int = 0
    reason: str = ""


def test_model(
    *, model: AIModel, extra_args: Mapping[str, Any] | None = None, seconds: float = PATIENCE_SECONDS
) -> ProbeResult:
    """Call one model on its own provider, whatever else has its name; `extra_args` are laid over its own, for this
    call alone. It is waited for `seconds` at most. Raises ValidationError for arguments that no row may have."""
    variant = drafts.variant(model=model, extra_args=extra_args) if extra_args else None
    obstacle = _obstacle(model)
    if obstacle:
        return ProbeResult(False, str(model), obstacle, 0, reason=obstacle.rstrip("."))
    sends = variant.extra_args if variant else policies.split(model.extra_args, model.kind).sends
    # What a router is given says nothing to the model that it chooses.
    targets = (variant,) if variant and variant.router is None else None
    return _probe(str(model), model.kind, model.name, sends, model_id=model.pk, targets=targets, seconds=seconds)


def test_unsaved(
    *,
    requester: str,
    base_url: str,
    secrets: Sequence[str],
    config: Mapping[str, Any],
    kind: str,
    upstream_name: str,
    extra_args: Mapping[str, Any],
    reasoning_effort: str = "",
) -> ProbeResult:
    """Call a model and a provider that are not stored, and leave no rows of them. Raises ValidationError."""
    target = drafts.target(
        requester=requester,
        base_url=base_url,
        secrets=secrets,
        config=config,
        kind=kind,
        upstream_name=upstream_name,
        extra_args=extra_args,
        reasoning_effort=reasoning_effort,
    )
    return _probe(upstream_name, kind, upstream_name, target.extra_args, targets=(target,))


def test_draft(*, model: AIModel) -> ProbeResult:
    """Call a model that is not stored on a provider that is. Raises ValidationError."""
    target = drafts.of(model=model)
    return _probe(str(model), model.kind, model.upstream_name, target.extra_args, targets=(target,))


def test_provider(*, provider: Provider, seconds: float = PATIENCE_SECONDS) -> ProbeResult:
    """Call the provider's first enabled model; without one, ask it which models it has."""
    model = _first_model(provider)
    return test_model(model=model, seconds=seconds) if model else _list_models(provider)


def has_model_to_call(*, provider: Provider) -> bool:
    """Whether a test of this provider is a call; without one it only lists the upstream's models."""
    return _first_model(provider) is not None


def _obstacle(model: AIModel) -> str:
    """Why a call can't even be tried."""
    if not model.is_enabled:
        return "The model is switched off."
    return "" if model.provider.is_enabled else "Its provider is switched off."


def _first_model(provider: Provider) -> AIModel | None:
    """The cheapest to try: a language model, else an embedding, and so on in the order of the kinds."""
    enabled = provider.models.filter(is_enabled=True).select_related("provider").order_by("id")
    places = {kind: place for place, kind in enumerate(BODIES)}
    return min(enabled, key=lambda model: places[model.kind], default=None)


def _probe(
    subject: str,
    kind: str,
    name: str,
    sends: Mapping[str, Any],
    *,
    model_id: int | None = None,
    targets: tuple[Target, ...] | None = None,
    seconds: float = PATIENCE_SECONDS,
) -> ProbeResult:
    endpoint, usual = BODIES[kind]
    body = {field: value for field, value in usual.items() if ROW_DECIDES.get(field, set()).isdisjoint(sends)}
    request_id = f"req_{randomness.token_hex(16)}"
    started = time.monotonic()
    try:
        caller = keys.caller_of(keys.console_key())
        body["model"] = name
        call = Call(
            ENDPOINTS[endpoint],
            body,
            _size(body),
            caller,
            request_id,
            session_key=SESSION,
            model_id=model_id,
            targets=targets,
        )
        text, reason = _answer(call, seconds), ""
    except FAILURES as error:
        text, reason = full_reason(error), short_reason(error)
    milliseconds = int((time.monotonic() - started) * 1000)
    charge = Charge.objects.filter(request_id=request_id).values_list("id", flat=True).first()
    return ProbeResult(not reason, subject, text, milliseconds, charge or 0, reason)


def _answer(call: Call, seconds: float) -> str:
    with _patience(call, seconds):
        return told(call.endpoint.name, completions.run(call).answer)


def _size(body: JSON) -> int:
    """The body's bytes on the wire; a file as it is, all else as JSON."""
    files = [value for value in body.values() if isinstance(value, FilePart)]
    plain = {name: value for name, value in body.items() if not isinstance(value, FilePart)}
    return sum(len(file.data) for file in files) + len(orjson.dumps(plain))


@contextmanager
def _patience(call: Call, seconds: float) -> Iterator[None]:
    timer = threading.Timer(seconds, call.token.cancel)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _list_models(provider: Provider) -> ProbeResult:
    """No model to call: the list costs nothing and leaves no charge."""
    started = time.monotonic()
    try:
        text, reason = _listed(provider), ""
    except FAILURES as error:
        text, reason = full_reason(error), short_reason(error)
    milliseconds = int((time.monotonic() - started) * 1000)
    return ProbeResult(not reason, str(provider), text, milliseconds, reason=reason)


def _listed(provider: Provider) -> str:
    accesses = accesses_of(provider)
    if not accesses:
        raise AuthFailed("It has no enabled key.")
    requester = accesses[0].requester
    if "models" not in requester.paths:
        requester.check()
        return "It answers. It has no list of models: add one to test a call."
    names = [model.id for model in requester.list_models()]
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    count = "1 model" if len(names) == 1 else f"{len(names)} models"
    return f"It answers and lists {count}{': ' if names else ''}{shown}. Add a model to test a call."
