"""A form that makes something makes it once, however often it is sent; a secret is shown once, to who asked for it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from accounts.admin import once
from accounts.models import ApiKey, Payment, User
from tests import factories
from tests.console.test_keys import ADD, RECHARGE, form, issue, nonce

pytestmark = pytest.mark.django_db


def test_the_same_form_sent_twice_makes_one_key(console: Client) -> None:
    data = form(month_quota="0", opening_balance="5", **nonce(console))
    first, second = (console.post(ADD, data) for _ in range(2))
    assert first["Location"] == second["Location"]  # a double click ends where the secret is
    assert (ApiKey.objects.count(), Payment.objects.count()) == (1, 1)
    assert ApiKey.objects.get().balance == 5
    assert console.get(second["Location"]).context["secret"].startswith("wb-")


def test_the_same_form_sent_twice_pays_once(console: Client) -> None:
    key = factories.key(month_quota=Decimal(0)).key
    data = {"key": key.pk, "amount": "5", **nonce(console, RECHARGE)}
    console.post(RECHARGE, data)
    assert "sent already" in console.post(RECHARGE, data, follow=True).content.decode()
    key.refresh_from_db()
    assert (Payment.objects.count(), key.balance) == (1, 5)


def test_a_corrected_form_is_accepted(console: Client) -> None:
    data = form(**nonce(console))
    refused = console.post(ADD, {**data, "name": ""})
    assert refused.context["form_nonce"] == data["form_nonce"]
    assert console.post(ADD, data).status_code == 302
    assert ApiKey.objects.count() == 1


@pytest.mark.parametrize("wrong", ["", "x", "a:b:c"])
def test_a_form_without_a_nonce_of_ours_makes_nothing(console: Client, wrong: str) -> None:
    assert "too old" in console.post(ADD, form(form_nonce=wrong), follow=True).content.decode()
    assert not ApiKey.objects.exists()


def test_an_old_form_makes_nothing(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    data = form(**nonce(console))
    monkeypatch.setattr(once, "FORM_LIFE", timedelta(seconds=-1))
    console.post(ADD, data)
    assert not ApiKey.objects.exists()


def test_a_secret_is_shown_for_minutes_only(console: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(once, "SHOWN_WITHIN", timedelta(seconds=-1))
    page = issue(console)
    assert page.context.get("secret") is None
    assert "Revoke its key" in page.content.decode()


def test_nobody_else_is_shown_the_secret(console: Client) -> None:
    where = console.post(ADD, form(**nonce(console)))["Location"]
    other = Client()
    other.force_login(User.objects.create_superuser("other", password="x"))
    assert other.get(where, follow=True).context.get("secret") is None
    assert console.get(where).context["secret"]


def test_a_claim_logs_nobody_in(console: Client) -> None:
    data: dict[str, Any] = form(**nonce(console))
    console.post(ADD, data)
    thief = Client()
    thief.cookies["weighbridge_session"] = once._row_key(data["form_nonce"])
    assert thief.get("/admin/").status_code == 302
