"""/v1/*: chat, completions, embeddings and models as OpenAI's API reference documents them.

Plain Django views: no session, form or serializer is made per call. Each is parse, call, shape.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from itertools import chain
from typing import Any

import orjson
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from accounts.services import keys
from accounts.services.keys import Caller
from chat.errors import UnknownModel
from chat.services import completions, idempotency, snapshot
from chat.services.calls import ENDPOINTS, Call, Endpoint
from chat.services.idempotency import Kept
from chat.services.relay import Relay
from gateway.dialects.base import (
    asked_of,
    caller_of,
    json_response,
    limits_of,
    new_request_id,
    secret_of,
    tags_of,
)
from gateway.dialects.brconnector import documents, llm
from gateway.dialects.forms import content_of, read_form
from gateway.dialects.incoming import discard_body, parse_object, read_body
from gateway.dialects.openai import bodies
from gateway.dialects.openai.errors import error_frame, error_response
from gateway.dialects.streaming import EventStream
from gateway.dialects.watching import watch
from providers.services.routing import Target

JSON = dict[str, Any]
Handler = Callable[..., HttpResponseBase]
Make = Callable[[HttpRequest, Call], HttpResponseBase]

DONE = b"data: [DONE]\n\n"


def openai_view(*methods: str) -> Callable[[Handler], Handler]:
    """Gives a view its request id, and every failure OpenAI's shape."""

    def decorate(view: Handler) -> Handler:
        @csrf_exempt
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any) -> HttpResponseBase:
            request_id = new_request_id()
            if request.method not in methods:
                return _not_allowed(request, request_id, methods)
            try:
                response = view(request, request_id, *args)
            except Exception as error:  # the dialect's one place where failures are told
                discard_body(request)
                return error_response(error, request, request_id)
            response.headers.setdefault("x-request-id", request_id)
            return response

        return wrapped

    return decorate


def _traffic(endpoint: Endpoint, check: Callable[[JSON], None]) -> Handler:
    """The view of one kind of call."""

    @openai_view("POST")
    def view(request: HttpRequest, request_id: str) -> HttpResponseBase:
        caller = caller_of(request)
        raw = read_body(request)
        body, size = parse_object(raw), len(raw)
        check(body)
        if endpoint.has_output and documents.MARK in raw:
            body = documents.with_files(body)
            size = len(orjson.dumps(body))
        call = call_of(request, endpoint, body, size, caller, request_id)
        if endpoint.name == "chat":
            call.wishes = llm.wishes_of(request, body)
        return _once(request, call, _stream if body.get("stream") else _whole, lambda: raw)

    return view


def call_of(request: HttpRequest, endpoint: Endpoint, body: JSON, size: int, caller: Caller, request_id: str) -> Call:
    """The call with what its headers say; raises BadCall."""
    call = Call(endpoint, body, size, caller, request_id, session_key(request), tags_of(request))
    call.limits = limits_of(request)
    return call


def session_key(request: HttpRequest) -> str:
    return str(request.META.get("HTTP_SESSION_ID", ""))[:128].replace("\0", "")


def _once(request: HttpRequest, call: Call, make: Make, content: Callable[[], bytes]) -> HttpResponseBase:
    """The answer to a call; under an Idempotency-Key that was used before, the one that was given then."""
    asked = asked_of(request, call.caller.id, call.caller.digest, call.request_id, content)
    if asked is None:
        return make(request, call)
    found = idempotency.claim(asked)
    if isinstance(found, Kept):
        return again(found, is_stream=make is _stream)
    call.repeatable = found
    return make(request, call)


def again(kept: Kept, *, is_stream: bool = False) -> HttpResponseBase:
    headers = {**kept.headers, "idempotent-replayed": "true"}
    if is_stream:
        return _event_stream(chain(kept.pieces, (DONE,)), headers)
    return json_response(kept.content, headers=headers, content_type=kept.content_type)


def _whole(request: HttpRequest, call: Call) -> HttpResponse:
    stop_watching = watch.start(request, call)
    try:
        done = completions.run(call)
    finally:
        stop_watching()
    answer = done.answer
    content = answer.json if answer.raw is None else answer.raw
    return json_response(content, headers=done.headers, content_type=answer.content_type)


def _stream(request: HttpRequest, call: Call) -> StreamingHttpResponse:
    options = call.body.get("stream_options") or {}
    call.wants_usage = bool(options.get("include_usage"))
    stream = EventStream(request, call, _frames, _broken)
    try:
        return _event_stream(stream, stream.headers)
    except BaseException:
        stream.close()
        raise


def _event_stream(frames: Iterable[bytes], headers: Mapping[str, str]) -> StreamingHttpResponse:
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no", **headers}
    return StreamingHttpResponse(frames, content_type="text/event-stream; charset=utf-8", headers=headers)


def _frames(relay: Relay) -> Iterator[bytes]:
    for events in relay:
        yield b"".join([event.frame for event in events]) if len(events) > 1 else events[0].frame
    if relay.error is not None:
        yield error_frame(relay.error)
    yield DONE


def _broken(error: Exception) -> Iterator[bytes]:
    yield error_frame(error)
    yield DONE


chat_completions = _traffic(ENDPOINTS["chat"], bodies.check_chat)
text_completions = _traffic(ENDPOINTS["completion"], bodies.check_completion)
embeddings = _traffic(ENDPOINTS["embedding"], bodies.check_embedding)
rerank = _traffic(ENDPOINTS["rerank"], bodies.check_rerank)
images = _traffic(ENDPOINTS["image"], bodies.check_image)
speech = _traffic(ENDPOINTS["speech"], bodies.check_speech)
moderations = _traffic(ENDPOINTS["moderation"], bodies.check_moderation)


@openai_view("POST")
def transcriptions(request: HttpRequest, request_id: str) -> HttpResponseBase:
    """Sound comes as a form."""
    caller = caller_of(request)
    form, size = read_form(request)
    bodies.check_transcription(form)
    call = call_of(request, ENDPOINTS["transcription"], form, size, caller, request_id)
    return _once(request, call, _whole, lambda: content_of(form))


@openai_view("GET")
def models(request: HttpRequest, request_id: str) -> HttpResponse:
    """The models that this key may call."""
    return json_response({"object": "list", "data": [_model(target) for target in _visible(request)]})


@openai_view("GET")
def model(request: HttpRequest, request_id: str, name: str) -> HttpResponse:
    for target in _visible(request):
        if target.name == name:
            return json_response(_model(target))
    raise UnknownModel(f"The model `{name}` does not exist or you do not have access to it.", "model", name=name)


@openai_view("GET", "POST", "PUT", "PATCH", "DELETE")
def unknown(request: HttpRequest, request_id: str) -> HttpResponse:
    return _failure(404, f"Unknown request URL: {request.method} {request.path}.", "unknown_url", request_id)


def _visible(request: HttpRequest) -> list[Target]:
    """No admission checks this answer, so the key and the catalog are read as they are now."""
    caller = keys.look_up(keys.digest(secret_of(request)))
    return snapshot.fresh().visible(caller)


def _model(target: Target) -> JSON:
    return {
        "id": target.name,
        "object": "model",
        "created": target.created,
        "owned_by": target.provider_name,
        "kind": target.kind,
        "context_length": target.context_length,
        "max_output_tokens": target.max_output,
        "multiple": target.is_multimodal,
    }


def _not_allowed(request: HttpRequest, request_id: str, methods: tuple[str, ...]) -> HttpResponse:
    message = f"Not allowed to {request.method} on {request.path}. Use {' or '.join(methods)}."
    response = _failure(405, message, "method_not_allowed", request_id)
    response["allow"] = ", ".join(methods)
    return response


def _failure(status: int, message: str, code: str, request_id: str) -> HttpResponse:
    content = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    response = json_response(content, status)
    response["x-request-id"] = request_id
    return response
