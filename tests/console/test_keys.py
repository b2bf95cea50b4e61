"""Keys and payments in the console: a secret is seen once, money moves through the ledger's own services."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.contrib.sessions.models import Session as BrowserSession
from django.core import serializers
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, KeyGrant, Payment, User
from accounts.services import keys
from providers.models import AIModel
from tests import factories
from tests.console import rows

pytestmark = pytest.mark.django_db

ADD = "/admin/accounts/apikey/add/"
RECHARGE = "/admin/accounts/payment/add/"


def change(key: ApiKey, page: str = "change") -> str:
    return reverse(f"admin:accounts_apikey_{page}", args=[key.pk])


def form(**fields: Any) -> dict[str, Any]:
    empty = {f"grants-{name}_FORMS": 0 for name in ("TOTAL", "INITIAL")}
    blank = {"name": "ci", "email": "", "role": "user", "month_quota": "", "expires_at_0": "", "expires_at_1": ""}
    return {**empty, **blank, **fields}


def nonce(console: Client, url: str = ADD) -> dict[str, str]:
    """Of a form that has just been opened."""
    return {"form_nonce": console.get(url).context["form_nonce"]}


def issue(console: Client, **fields: Any) -> Any:
    return console.post(ADD, form(**nonce(console), **fields), follow=True)


def recharge(console: Client, key: ApiKey, amount: str, **options: Any) -> Any:
    data = {"key": key.pk, "amount": amount, "note": "n", **nonce(console, RECHARGE)}
    return console.post(RECHARGE, data, **options)


def staff(*permissions: str) -> Client:
    """A browser of somebody who may do just that."""
    user = User.objects.create_user("visitor", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def model(admin: User) -> AIModel:
    return factories.model(factories.provider())


def test_a_new_key_s_secret_is_shown_once(console: Client) -> None:
    response = issue(console, all_models="on")
    secret = response.context["secret"]
    assert secret in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert keys.authenticate(secret).name == "ci"
    for page in (
        change(ApiKey.objects.get()),
        change(ApiKey.objects.get(), "history"),
        "/admin/accounts/apikey/",
        "/admin/",
        response.request["PATH_INFO"],
    ):
        assert secret not in console.get(page, follow=True).content.decode()


def test_the_secret_is_stored_nowhere(console: Client) -> None:
    where = console.post(ADD, form(**nonce(console)))["Location"]
    kept = [session.get_decoded() for session in BrowserSession.objects.all()]
    secret = console.get(where).context["secret"]
    key = ApiKey.objects.get()
    assert secret not in serializers.serialize("json", [key])
    assert key.digest == keys.digest(secret)
    assert secret not in str(kept)  # encrypted until it is shown
    assert "'secret'" in str(kept)
    sessions = [session.get_decoded() for session in BrowserSession.objects.all()]
    assert {"key": key.pk} in sessions
    assert "'secret'" not in str(sessions)
    assert secret not in str(console.cookies)


def test_a_new_key_may_start_with_a_balance_and_grants(console: Client, model: AIModel, admin: User) -> None:
    grants = {"grants-TOTAL_FORMS": 1, "grants-0-model": model.pk}
    issue(console, month_quota="0", opening_balance="12.5", **grants)
    key = ApiKey.objects.get()
    assert (key.month_quota, key.balance) == (0, Decimal("12.5"))
    assert key.payments.get().made_by == admin
    assert KeyGrant.objects.get(key=key).model == model


def test_a_balance_without_a_limit_is_refused_in_the_form(console: Client) -> None:
    response = issue(console, opening_balance="5")
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
    assert client.post(RECHARGE, {"key": key.pk, "amount": "5"}).status_code == 403


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
    data = {"key": key.pk, "amount": "25", "note": "invoice 7", **nonce(console, where)}
    assert console.post(where, data)["Location"] == change(key)
    payment = Payment.objects.get()
    assert (payment.amount, payment.note, payment.made_by) == (25, "invoice 7", admin)
    assert ApiKey.objects.get(pk=key.pk).balance == 25


@pytest.mark.parametrize("amount", ["0", "-5", "x", ""])
def test_a_wrong_amount_is_refused(console: Client, admin: User, amount: str) -> None:
    key = factories.key().key
    page = recharge(console, key, amount, follow=True)
    assert page.status_code == 200
    assert not Payment.objects.exists()


def test_a_key_without_a_limit_takes_no_payment_and_says_why(console: Client, admin: User) -> None:
    key = factories.key(month_quota=None).key
    page = recharge(console, key, "5", follow=True)
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


def test_recharging_takes_the_right_to_add_payments(admin: User) -> None:
    client = staff()
    key = factories.key().key
    assert client.get(RECHARGE).status_code == 403
    assert client.post(RECHARGE, {"key": key.pk, "amount": "5"}, follow=True).status_code == 403
    assert client.post(change(key, "revoke")).status_code in (403, 404)
    assert ApiKey.objects.get(pk=key.pk).is_active


def test_an_opening_balance_takes_the_right_to_add_payments(admin: User) -> None:
    client = staff("add_apikey", "view_apikey", "change_apikey")
    assert "opening_balance" not in client.get(ADD).content.decode()
    assert issue(client, month_quota="0", opening_balance="12.5").context["secret"]
    assert ApiKey.objects.get().balance == 0
    assert not Payment.objects.exists()


@pytest.mark.parametrize("fields", [{"is_active": False}, {"expires_at": timezone.now()}])
def test_a_key_that_is_no_good_any_more_is_not_recharged(console: Client, admin: User, fields: dict[str, Any]) -> None:
    key = factories.key().key
    assert change(key, "recharge") in console.get(change(key)).content.decode()
    ApiKey.objects.filter(pk=key.pk).update(**fields)
    assert change(key, "recharge") not in console.get(change(key)).content.decode()
