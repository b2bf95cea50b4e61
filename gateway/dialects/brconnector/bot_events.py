"""/bot/<platform>/<name>/webhook/event: where chat platforms send what people say to a bot.

No key is asked for: what comes proves by its signature whose it is. A plain Django view, as its answer is waited for:
the work goes on in a task.
"""

import time
from typing import Any

from cryptography.fernet import InvalidToken
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from chat.errors import Forged, Malformed
from chat.models import Bot
from chat.services.bots import platforms
from chat.services.bots.answers import UNREADABLE
from chat.services.bots.platform import Challenge, Incoming, Message
from gateway.dialects.base import json_response, new_request_id
from gateway.dialects.brconnector.envelope import refused
from gateway.dialects.brconnector.refusals import NOT_FOUND, Refusal, Told, refusal_of
from gateway.dialects.incoming import discard_body, read_body
from gateway.jobs import starting
from gateway.jobs.queue import QueueFull

JSON = dict[str, Any]

NO_BOT = "There is no such bot."
TOLD: Told = {
    Forged: (401, "forged", "{error}"),
    Malformed: (400, "bad_request", "{error}"),
    QueueFull: (503, "busy", "{error}"),
    InvalidToken: (503, "unavailable", UNREADABLE),
    IntegrityError: (404, "not_found", NO_BOT),  # it was deleted after it had been found
}


@csrf_exempt
def receive(request: HttpRequest, platform: str, name: str) -> HttpResponse:
    try:
        return json_response(_received(request, platform, name))
    except Exception as error:
        return _refused(request, error)


@csrf_exempt
def unknown(request: HttpRequest) -> HttpResponse:
    return _refused(request, Refusal(NOT_FOUND, 404, "not_found"))


def _received(request: HttpRequest, platform: str, name: str) -> JSON:
    if request.method != "POST":
        raise Refusal(f'Method "{request.method}" not allowed.', 405, "method_not_allowed")
    bot = _find(platform, name)
    headers = {each.lower(): value for each, value in request.headers.items()}
    incoming = Incoming(read_body(request), headers, time.time())
    come = platforms.of(bot).read(incoming)
    if isinstance(come, Message):
        starting.answer_event(bot=bot, message=come)
    return come.answer if isinstance(come, Challenge) else {}


def _find(platform: str, name: str) -> Bot:
    """As the rows are now: one that was made a moment ago is there. Raises Refusal."""
    known = "\0" not in platform + name and platform in platforms.PLATFORMS
    bot = Bot.objects.filter(platform=platform, name=name, is_enabled=True).first() if known else None
    if bot is None:
        raise Refusal(NO_BOT, 404, "not_found")
    return bot


def _refused(request: HttpRequest, error: Exception) -> HttpResponse:
    """With its true status, which platforms look at and nothing else."""
    discard_body(request)
    request_id = new_request_id()
    refusal = refusal_of(error, request_id, TOLD)
    status = refusal.true_status
    headers = {"Retry-After": str(refusal.retry_after)} if status == 503 else {}
    allowed = {"Allow": "POST"} if status == 405 else {}
    body = refused(refusal.message, refusal.code, request_id)
    return json_response(body, status, {"x-request-id": request_id, **headers, **allowed})
