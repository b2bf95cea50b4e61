"""What is this dialect's own at /v1, where its clients call models beside everybody else's: how refusals are told, and
a header (contract A1, A2c)."""

from typing import Any

from django.http import HttpRequest

from accounts.errors import InsufficientQuota, InvalidKey, KeyExpired
from chat.errors import BadCall, NotGranted, OtherKind, UnknownModel
from chat.services.exchange import SAYS_EFFORT
from gateway.dialects.brconnector import refusals
from gateway.dialects.brconnector.authentication import secret_of
from providers.requesters.errors import ProviderError

JSON = dict[str, Any]

# Its clients are known by their keys.
STARTS = ("br-", "br_")
# Its texts, by the exception; of two that fit, the first. What is not here is told in the gateway's own words.
TEXTS: dict[type[Exception], str] = {
    KeyExpired: "{message}",
    InvalidKey: refusals.UNKNOWN_KEY,
    InsufficientQuota: refusals.RECHARGE,
    NotGranted: refusals.NOT_PERMITTED,
    OtherKind: "{message}",
    UnknownModel: refusals.NO_MODEL,
}
THINK_BUDGET = "HTTP_THINK_BUDGET"
MOST_DIGITS = 9


def told(request: HttpRequest, error: Exception, status: int, content: JSON) -> tuple[int, JSON]:
    """The status and the body of a failure, from OpenAI's status and error: for this dialect's clients in its envelope,
    with its texts, and, where the gateway itself refuses, with its statuses. For all others as it came."""
    secret = secret_of(request)
    if not secret:  # nobody can say whose client this is, so the status stays
        return status, {"success": False, "data": refusals.NO_KEY, "error": content}
    if not secret.startswith(STARTS):
        return status, {"error": content}
    text = _text_of(error, content["message"])
    if not isinstance(error, ProviderError):
        status = refusals.told_status(403 if isinstance(error, NotGranted) else status)
    return status, {"success": False, "data": text, "error": {**content, "message": text, "error_type": "Error"}}


def _text_of(error: Exception, message: str) -> str:
    text = next((text for kind, text in TEXTS.items() if isinstance(error, kind)), "{message}")
    return text.format(message=message, model=getattr(error, "name", ""))


def wishes_of(request: HttpRequest, body: JSON) -> JSON:
    """`Think-Budget`: so many tokens of thought, unless the body says itself how much is to be thought. 0 and less ask
    for nothing. Raises BadCall for what is no whole number."""
    header = request.META.get(THINK_BUDGET)
    if header is None:
        return {}
    text = header.strip()
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS):
        raise BadCall("The header Think-Budget is a whole number of tokens.", "Think-Budget")
    if int(text) <= 0 or not SAYS_EFFORT.isdisjoint(body):
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": int(text)}}
