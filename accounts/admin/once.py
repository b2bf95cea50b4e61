"""Forms that act once, however often they are sent, and what their next page shows once.

A form carries a signed nonce. The row that claims it is written in the transaction of the form's own work, and its
primary key refuses the second one: a double click or a reload finds the first one's result. The claims live in the
session table, as `clearsessions` then clears them away; no one can log in with such a row.
"""

from datetime import timedelta
from typing import Any

from cryptography.fernet import InvalidToken
from django.contrib import messages
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.crypto import get_random_string, salted_hmac

from common.console import ConsoleAdmin
from common.fields import keyring

FIELD = "form_nonce"
FORM_LIFE = timedelta(hours=12)  # a nonce is refused before its claim is cleared away
SHOWN_WITHIN = timedelta(minutes=5)


class AlreadySent(Exception):
    """This very form has done its work before."""


class OnceAdmin(ConsoleAdmin):
    """Its form for a new row acts once; `save_model` calls `claim`."""

    change_form_before_template = "admin/console/form_nonce.html"

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if request.method == "POST" and not _is_valid(request, nonce_of(request)):
            messages.warning(request, "This form was too old, so nothing was saved. Here is a new one.")
            return HttpResponseRedirect(request.get_full_path())
        nonce = nonce_of(request) or _signer(request).sign(get_random_string(22))
        try:
            return super().add_view(request, form_url, {FIELD: nonce, **(extra_context or {})})
        except AlreadySent:
            return self.response_again(request)

    def claim(self, request: HttpRequest, shown_next: dict[str, Any] | None = None) -> None:
        """Take the form's nonce, and keep what the next page shows; raises AlreadySent."""
        kept = dict(shown_next or {})
        if "secret" in kept:
            kept["secret"] = keyring().encrypt(kept["secret"].encode()).decode()
        data = Session.objects.encode(kept)
        until = timezone.now() + FORM_LIFE
        try:
            Session.objects.create(session_key=_row_key(nonce_of(request)), session_data=data, expire_date=until)
        except IntegrityError as error:
            raise AlreadySent from error

    def response_again(self, request: HttpRequest) -> HttpResponse:
        messages.info(request, "This form had been sent already. Nothing was done twice.")
        return HttpResponseRedirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))


@transaction.atomic
def take(request: HttpRequest, nonce: str) -> dict[str, Any]:
    """What the form with this nonce left to be shown to whoever sent it; its secret is there once."""
    if not _is_valid(request, nonce):
        return {}
    row = Session.objects.select_for_update().filter(pk=_row_key(nonce)).first()
    kept: dict[str, Any] = row.get_decoded() if row else {}
    if row and "secret" in kept:
        token = kept.pop("secret")
        row.session_data = Session.objects.encode(kept)
        row.save(update_fields=["session_data"])
        kept |= _opened(token)
    return kept


def nonce_of(request: HttpRequest) -> str:
    return request.POST.get(FIELD, "")


def _opened(token: str) -> dict[str, str]:
    try:
        return {"secret": keyring().decrypt(token.encode(), ttl=int(SHOWN_WITHIN.total_seconds())).decode()}
    except InvalidToken:
        return {}


def _is_valid(request: HttpRequest, nonce: str) -> bool:
    try:
        _signer(request).unsign(nonce, max_age=FORM_LIFE)
    except signing.BadSignature:
        return False
    return True


def _signer(request: HttpRequest) -> signing.TimestampSigner:
    """One for each person: what somebody's form made is shown to nobody else."""
    return signing.TimestampSigner(salt=f"{__name__}:{request.user.pk}")


def _row_key(nonce: str) -> str:
    return salted_hmac(__name__, nonce).hexdigest()
