"""Sends notices of limits: signed messages to webhooks, over the gateway's one way out, and mail."""

from collections.abc import Callable, Iterator
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPResponseException

import orjson
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.utils import timezone

from accounts.models import Limit, LimitNotice
from accounts.services import notices
from common.webhooks import signed
from providers.requesters.connections import parse_target
from providers.requesters.egress import Timeouts
from providers.requesters.errors import EgressRefused, ProviderError
from providers.services.providers import check_egress
from providers.services.routing import transport

TIMEOUTS = Timeouts(connect=5, first_byte=10, idle=5, total=20)
ACCEPTED = range(200, 300)

NO_MAIL = "Mail is not set up: EMAIL_URL is not set."
NO_SECRET = "The webhook's secret is missing or can't be read any more: enter it again."

Channel = tuple[Callable[[LimitNotice], None], Callable[..., None]]


class NotTold(Exception):
    """Why one of those who are to be told was not, in one sentence without anything secret."""


def tell(notice: LimitNotice) -> list[str]:
    """Tell a notice that was claimed to all who don't know it yet; answers what went wrong."""
    errors = list(_failures(notice))
    notices.close(notice=notice, errors=errors)
    return errors


def _failures(notice: LimitNotice) -> Iterator[str]:
    for send, note in _channels(notice):
        error = _tried(send, notice)
        if error:
            yield error
        else:
            note(notice=notice)


def _channels(notice: LimitNotice) -> Iterator[Channel]:
    if notice.limit.notify_url and notice.posted_at is None:
        yield post, notices.is_posted
    if notice.limit.notify_email and notice.mailed_at is None:
        yield mail, notices.is_mailed


def tell_sample(limit: Limit) -> list[tuple[str, str]]:
    """Try out who is told; answers each with what went wrong, empty where nothing did."""
    sample = notices.sample(limit=limit)
    return [(_place(limit, send), _tried(send, sample)) for send, _ in _channels(sample)]


def _place(limit: Limit, send: Callable[[LimitNotice], None]) -> str:
    return "The webhook" if send is post else limit.notify_email


def _tried(send: Callable[[LimitNotice], None], notice: LimitNotice) -> str:
    """What went wrong; empty where nothing did."""
    try:
        send(notice)
    except NotTold as error:
        return str(error)
    return ""


def post(notice: LimitNotice) -> None:
    """To the limit's webhook. Raises NotTold; nothing of an answer but its status is read, or told to anybody."""
    key = notices.secret_of(notice.limit)
    if key is None:
        raise NotTold(NO_SECRET)
    content = orjson.dumps(notices.body_of(notice))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Weighbridge",
        **signed(key, notices.id_of(notice), content, timezone.now()),
    }
    try:
        answer = transport().send("POST", notice.limit.notify_url, headers, content, TIMEOUTS)
    except ProviderError as error:
        raise NotTold(f"The webhook can't be reached: {error}.") from error
    answer.close()
    if answer.status not in ACCEPTED:
        raise NotTold(f"The webhook answered with status {answer.status}.")


def mail(notice: LimitNotice) -> None:
    """To the limit's address. Raises NotTold."""
    if not settings.EMAIL_URL:
        raise NotTold(NO_MAIL)
    subject, text = notices.mail_of(notice)
    # The same for each try, so that a mailbox that gets it twice can tell.
    headers = {"Message-ID": f"<{notices.id_of(notice)}@weighbridge>"}
    try:
        EmailMessage(subject, text, to=[notice.limit.notify_email], headers=headers).send()
    except SMTPRecipientsRefused as error:
        raise NotTold("The mail server refuses the address.") from error
    except SMTPResponseException as error:
        raise NotTold(f"The mail server answered with code {error.smtp_code}.") from error
    except (SMTPException, OSError) as error:
        raise NotTold(f"The mail server can't be reached: {type(error).__name__}.") from error


# Who may be told


def check_address(url: str) -> None:
    """Raises ValidationError for an address that no message would be sent to. Names are judged when called."""
    try:
        parse_target(url)
        check_egress(url)
    except EgressRefused as error:
        raise ValidationError("Give an http:// or https:// URL without a user and a password.") from error
    except ValidationError as error:
        raise ValidationError(error.messages) from error
