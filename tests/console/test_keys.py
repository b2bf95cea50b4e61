"""Keys and payments in the console: a secret is seen once, money moves through the ledger's own services."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.sessions.models import Session as BrowserSession
from django.core import serializers
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, KeyGrant, Payment, User
from accounts.services import keys
from providers.models import AIModel
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db

ADD = "/admin/accounts/apikey/add/"


def change(key: ApiKey, page: str = "change") -> str:
    return reverse(f"admin:accounts_apikey_{page}", args=[key.pk])


def form(**fields: Any) -> dict[str, Any]:
    empty = {f"grants-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
    blank = {"name": "ci", "email": "", "role": "user", "month_quota": "", "expires_at_0": "", "expires_at_1": ""}
    return {**empty, **blank, **fields}


@pytest.fixture
def model(admin: User) -> AIModel:
    return factories.model(factories.provider())


def test_a_new_key_s_secret_is_shown_once(console: Client) -> None:
    response = console.post(ADD, form(all_models="on"))
    secret = response.context["secret"]
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert keys.authenticate(secret).name == "ci"
    for page in (
        change(ApiKey.objects.get()),
        change(ApiKey.objects.get(), "history"),
        "/admin/accounts/apikey/",
        "/admin/",
    ):
        assert secret not in console.get(page).content.decode()


def test_the_secret_is_stored_nowhere(console: Client) -> None:
    secret = console.post(ADD, form()).context["secret"]
    key = ApiKey.objects.get()
    assert secret not in serializers.serialize("json", [key])
    assert key.digest == keys.digest(secret)
    sessions = [str(session.get_decoded()) for session in BrowserSession.objects.all()]
    assert sessions
    assert not any(secret in session for session in sessions)
    assert secret not in str(console.cookies)


def test_a_new_key_may_start_with_a_balance_and_grants(console: Client, model: AIModel, admin: User) -> None:
    grants = {"grants-TOTAL_FORMS": 1, "grants-0-model": model.pk}
    console.post(ADD, form(month_quota="0", opening_balance="12.5", **grants))
    key = ApiKey.objects.get()
    assert (key.month_quota, key.balance) == (0, Decimal("12.5"))
    assert key.payments.get().made_by == admin
    assert KeyGrant.objects.get(key=key).model == model


def test_a_balance_without_a_limit_is_refused_in_the_form(console: Client) -> None:
    response = console.post(ADD, form(opening_balance="5"))
    assert "never uses a balance" in response.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_without_a_limit_says_so(console: Client, admin: User) -> None:
    key = factories.key(month_quota=None).key
    assert "no limit" in console.get("/admin/accounts/apikey/").content.decode()
    assert "No limit: calls are counted" in console.get(change(key)).content.decode()


def test_editing_a_key_leaves_its_counters_alone(console: Client, admin: User) -> None:
    key = factories.key().key
    ApiKey.objects.filter(pk=key.pk).update(spent=Decimal("1.5"), balance=Decimal("3"), held=Decimal("0.5"))
    console.post(change(key), form(name="renamed", month_quota="7", balance="999", spent="0", is_active=""))
    key.refresh_from_db()
    assert (key.name, key.month_quota, key.is_active) == ("renamed", 7, True)
    assert (key.balance, key.held, key.spent) == (Decimal(3), Decimal("0.5"), Decimal("1.5"))


def test_revoking_takes_a_post(console: Client, admin: User) -> None:
    key = factories.key().key
    assert console.get(change(key, "revoke")).status_code == 200
    assert ApiKey.objects.get(pk=key.pk).is_active
    console.post(change(key, "revoke"))
    assert not ApiKey.objects.get(pk=key.pk).is_active
    assert console.get(change(key, "revoke")).status_code == 404


def test_forged_posts_are_refused(admin: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin)
    key = factories.key().key
    assert client.post(change(key, "revoke")).status_code == 403
    assert client.post("/admin/accounts/payment/add/", {"key": key.pk, "amount": "5"}).status_code == 403


def test_selected_keys_are_revoked(console: Client, admin: User) -> None:
    ids = [factories.key().key.pk for _ in range(2)]
    console.post("/admin/accounts/apikey/", {"action": "revoke_selected", "_selected_action": ids})
    assert not ApiKey.objects.filter(is_active=True).exists()


def test_the_console_s_own_key_is_shown_but_not_edited(console: Client, admin: User) -> None:
    key = keys.console_key()
    page = console.get(change(key)).content.decode()
    assert "The console's own key" in page
    assert 'name="_save"' not in page
    assert console.post(change(key, "revoke")).status_code == 404
    assert console.post(change(key), form(name="mine")).status_code == 403


def test_a_key_with_charges_can_t_be_deleted(console: Client, model: AIModel) -> None:
    key = factories.key().key
    assert change(key, "delete") in console.get(change(key)).content.decode()
    rows.charge(key, model).save()
    assert change(key, "delete") not in console.get(change(key)).content.decode()
    assert console.post(change(key, "delete"), {"post": "yes"}).status_code == 403


def test_recharging_makes_a_payment(console: Client, admin: User) -> None:
    key = factories.key(month_quota=Decimal(0)).key
    where = console.get(change(key, "recharge"))["Location"]
    assert f'value="{key.pk}" selected' in console.get(where).content.decode()
    assert console.post(where, {"key": key.pk, "amount": "25", "note": "invoice 7"})["Location"] == change(key)
    payment = Payment.objects.get()
    assert (payment.amount, payment.note, payment.made_by) == (25, "invoice 7", admin)
    assert ApiKey.objects.get(pk=key.pk).balance == 25


@pytest.mark.parametrize("amount", ["0", "-5", "x", ""])
def test_a_wrong_amount_is_refused(console: Client, admin: User, amount: str) -> None:
    key = factories.key().key
    page = console.post("/admin/accounts/payment/add/", {"key": key.pk, "amount": amount}, follow=True)
    assert page.status_code == 200
    assert not Payment.objects.exists()


def test_a_key_without_a_limit_takes_no_payment_and_says_why(console: Client, admin: User) -> None:
    key = factories.key(month_quota=None).key
    page = console.post("/admin/accounts/payment/add/", {"key": key.pk, "amount": "5", "note": "n"}, follow=True)
    assert "a balance would never be used" in page.content.decode()
    assert 'value="n"' in page.content.decode()
    assert not Payment.objects.exists()
    assert change(key, "recharge") not in console.get(change(key)).content.decode()


def test_payments_are_never_changed_or_removed(console: Client, admin: User) -> None:
    key = factories.key().key
    payment = keys.recharge(key=key, amount=Decimal(5))
    url = reverse("admin:accounts_payment_change", args=[payment.pk])
    assert console.get(url).status_code == 200
    assert console.post(url, {"key": key.pk, "amount": "500"}).status_code == 403
    assert console.post(reverse("admin:accounts_payment_delete", args=[payment.pk]), {"post": "yes"}).status_code == 403
    assert Payment.objects.get().amount == 5


def test_recharging_takes_the_right_to_add_payments(client: Client, admin: User) -> None:
    client.force_login(User.objects.create_user("visitor", password="x", is_staff=True))
    key = factories.key().key
    assert client.post("/admin/accounts/payment/add/", {"key": key.pk, "amount": "5"}).status_code == 403
    assert client.post(change(key, "revoke")).status_code in (403, 404)
    assert ApiKey.objects.get(pk=key.pk).is_active
