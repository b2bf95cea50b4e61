"""Redemption codes in the console: made by a form, shown once, made void; and payments made on purpose there."""

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, CodeState, Payment, RedemptionCode, User
from accounts.services import codes, payments
from providers.models import AIModel
from tests import factories
from tests.console import rows
from tests.console.test_keys import nonce, staff

pytestmark = pytest.mark.django_db

LIST = "/admin/accounts/redemptioncode/"
ADD = f"{LIST}add/"
PAY = "/admin/accounts/payment/add/"


def batch(console: Client, **fields: Any) -> Any:
    data = {"batch": "spring", "amount": "5", "count": "3", "expires_at_0": "", "expires_at_1": "", **fields}
    return console.post(ADD, {**data, **nonce(console, ADD)}, follow=True)


def test_a_batch_is_shown_once(console: Client, admin: User) -> None:
    page = batch(console)
    texts = page.context["codes"].split("\n")
    assert len(set(texts)) == 3
    assert all(text in page.content.decode() for text in texts)
    assert "no-store" in page["Cache-Control"]
    made = RedemptionCode.objects.all()
    assert [(code.batch, code.amount, code.made_by, code.state) for code in made] == [("spring", 5, admin, "open")] * 3
    assert {code.prefix for code in made} == {text[:4] for text in texts}
    for url in (page.request["PATH_INFO"], LIST, reverse("admin:accounts_redemptioncode_change", args=[made[0].pk])):
        again = console.get(url, follow=True).content.decode()
        assert not any(text in again for text in texts)
    assert not any(text in str(session.get_decoded()) for session in Session.objects.all() for text in texts)
    assert codes.redeem(key=factories.key().key, text=texts[1]).amount == 5


def test_the_same_form_sent_twice_makes_one_batch(console: Client) -> None:
    data = {"batch": "b", "amount": "5", "count": "2", "expires_at_0": "", "expires_at_1": "", **nonce(console, ADD)}
    first, second = (console.post(ADD, data) for _ in range(2))
    assert first["Location"] == second["Location"]
    assert RedemptionCode.objects.count() == 2


@pytest.mark.parametrize(
    "fields",
    [
        {"amount": "0"},
        {"amount": "-1"},
        {"amount": "x"},
        {"count": "0"},
        {"count": "1001"},
        {"batch": ""},
        {"expires_at_0": "2020-01-01", "expires_at_1": "00:00"},
    ],
)
def test_a_wrong_batch_is_refused_in_the_form(console: Client, fields: dict[str, str]) -> None:
    assert batch(console, **fields).status_code == 200
    assert not RedemptionCode.objects.exists()


def test_codes_are_made_void_but_not_those_in_use(console: Client, admin: User) -> None:
    first, _ = codes.make(amount=Decimal(5), count=2, batch="spring")
    codes.redeem(key=factories.key(name="alice").key, text=first)
    chosen = [code.pk for code in RedemptionCode.objects.all()]
    data = {"action": "void_selected", "_selected_action": chosen}
    assert "1 codes are void" in console.post(LIST, data, follow=True).content.decode()
    assert {code.state for code in RedemptionCode.objects.all()} == {CodeState.USED, CodeState.VOID}
    page = console.get(LIST).content.decode()
    assert all(text in page for text in ("Void", "Redeemed", "alice", f"{first[:4]}-…"))
    for state, count in (("open", 0), ("void", 1), ("used", 1), ("expired", 0)):
        assert console.get(LIST, {"state": state}).context["cl"].result_count == count


def test_codes_are_never_edited_or_removed(console: Client, admin: User) -> None:
    codes.make(amount=Decimal(5), count=1, batch="spring")
    code = RedemptionCode.objects.get()
    url = reverse("admin:accounts_redemptioncode_change", args=[code.pk])
    assert console.get(url).status_code == 200
    assert console.post(url, {"amount": "500"}).status_code == 403
    delete = reverse("admin:accounts_redemptioncode_delete", args=[code.pk])
    assert console.post(delete, {"post": "yes"}).status_code == 403
    assert RedemptionCode.objects.get().amount == 5


def test_making_and_voiding_take_their_rights(admin: User) -> None:
    codes.make(amount=Decimal(5), count=1, batch="spring")
    visitor = staff("view_redemptioncode")
    assert visitor.get(ADD).status_code == 403
    data = {"action": "void_selected", "_selected_action": [RedemptionCode.objects.get().pk]}
    visitor.post(LIST, data, follow=True)
    assert not RedemptionCode.objects.get().is_void


# Corrections and refunds


@pytest.fixture
def key(admin: User) -> ApiKey:
    return factories.key(month_quota=Decimal(0), balance=Decimal(10), name="alice").key


@pytest.fixture
def model(admin: User) -> AIModel:
    return factories.model(factories.provider())


def test_a_balance_is_corrected_with_a_reason(console: Client, key: ApiKey, admin: User) -> None:
    url = f"{PAY}?kind=correction"
    assert "Correct a balance" in console.get(url).content.decode()
    page = console.post(url, {"key": key.pk, "amount": "-4", "note": "", **nonce(console, url)}, follow=True)
    assert "Say why" in page.content.decode()
    page = console.post(url, {"key": key.pk, "amount": "-4", "note": "typed twice", **nonce(console, url)}, follow=True)
    assert "$4.00 taken off" in page.content.decode()
    made = Payment.objects.first()
    assert made and (made.kind, made.amount, made.note, made.made_by) == ("correction", -4, "typed twice", admin)
    assert ApiKey.objects.get(pk=key.pk).balance == 6


def test_a_payment_is_corrected_from_its_page(console: Client, key: ApiKey) -> None:
    wrong = Payment.objects.get()
    change = reverse("admin:accounts_payment_change", args=[wrong.pk])
    where = reverse("admin:accounts_payment_correct", args=[wrong.pk])
    assert where in console.get(change).content.decode()
    form = console.get(where)["Location"]
    page = console.get(form)
    assert 'name="key"' not in page.content.decode()
    console.post(form, {"amount": "-9", "note": "was 1", **nonce(console, form)})
    made = Payment.objects.get(kind="correction")
    assert (made.corrects, made.key, made.amount) == (wrong, key, -9)
    assert "$10.00 of" in console.get(reverse("admin:accounts_payment_change", args=[made.pk])).content.decode()


def test_more_than_there_is_can_not_be_taken_off(console: Client, key: ApiKey) -> None:
    url = f"{PAY}?kind=correction"
    page = console.post(url, {"key": key.pk, "amount": "-11", "note": "x", **nonce(console, url)}, follow=True)
    assert "At most 10.00 USD can be taken off" in page.content.decode()
    assert 'value="-11"' in page.content.decode()  # filled in again
    assert ApiKey.objects.get(pk=key.pk).balance == 10


def test_a_call_is_refunded_from_its_page(console: Client, key: ApiKey, model: AIModel, admin: User) -> None:
    parts = {"quota_fee": Decimal(0), "balance_fee": Decimal("0.0014"), "balance_after": Decimal(10)}
    charge = rows.charge(key, model, **parts)
    charge.save()
    url = reverse("admin:accounts_charge_change", args=[charge.pk])
    where = reverse("admin:accounts_charge_refund", args=[charge.pk])
    assert where in console.get(url).content.decode()
    form = console.get(where)["Location"]
    page = console.get(form)
    assert 'value="0.0014"' in page.content.decode()
    assert "Call" in page.content.decode() and charge.request_id in page.content.decode()
    data = {"amount": "0.0014", "note": "was slow", **nonce(console, form)}
    assert console.post(form, data)["Location"] == url
    made = Payment.objects.get(kind="refund")
    assert (made.charge, made.key, made.amount, made.who) == (charge, key, Decimal("0.0014"), "operator")
    page = console.get(url)
    assert where not in page.content.decode()  # nothing is left
    assert "was slow" in page.content.decode()


@pytest.mark.parametrize(
    "query", ["kind=refund", "kind=refund&charge=0", "kind=redemption", "kind=x", "kind=refund&charge=x"]
)
def test_an_address_that_is_no_form_s_is_not_found(console: Client, query: str) -> None:
    assert console.get(f"{PAY}?{query}").status_code == 404


def test_correcting_and_refunding_take_the_right_to_add_payments(key: ApiKey, model: AIModel) -> None:
    charge = rows.charge(key, model, quota_fee=Decimal(0), balance_fee=Decimal("0.0014"))
    charge.save()
    visitor = staff("view_payment", "view_charge")
    assert visitor.get(f"{PAY}?kind=correction").status_code == 403
    assert visitor.get(reverse("admin:accounts_charge_refund", args=[charge.pk])).status_code == 403
    page = visitor.get(reverse("admin:accounts_charge_change", args=[charge.pk])).content.decode()
    assert "/refund" not in page


def test_a_key_s_name_is_text_on_the_form(console: Client, admin: User, model: AIModel) -> None:
    key = factories.key(month_quota=Decimal(0), name="<b>x</b>").key
    payments.recharge(key=key, amount=Decimal(1))
    form = f"{PAY}?kind=correction&payment={Payment.objects.get().pk}"
    assert "<b>x</b>" not in console.get(form).content.decode()
