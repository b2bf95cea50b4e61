"""A charge's page explains it: every line can be checked by hand, and together they are what was paid."""

from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse

from accounts.admin.explanation import Explanation
from accounts.models import ApiKey, Charge, State
from chat.services import probes
from providers.models import AIModel
from tests import factories
from tests.console import rows
from tests.fakes.openai import FakeOpenAI

pytestmark = pytest.mark.django_db


@pytest.fixture
def key(admin: object) -> ApiKey:
    return factories.key(month_quota=Decimal(10)).key


@pytest.fixture
def model(admin: object) -> AIModel:
    return factories.model(factories.provider())


def page_of(console: Client, charge: Charge) -> str:
    return console.get(reverse("admin:accounts_charge_change", args=[charge.pk])).content.decode()


def test_the_lines_add_up_to_what_was_paid(console: Client, key: ApiKey, model: AIModel) -> None:
    charge = rows.charge(key, model, input_tokens=1_000_001, output_tokens=333)
    charge.save()
    told = Explanation(charge)
    assert [line.cost for line in told.lines] == [Decimal("1.000001"), 0, 0, Decimal("0.000666")]
    assert told.cost == charge.fee == Decimal("1.000667")
    assert told.adds_up
    page = page_of(console, charge)
    for text in (
        "1,000,001",
        "$1.00",
        "$1.000001",
        "$0.000666",
        "$1.000667",
        "$10.00",
        "1.83 s",
        key.name,
        charge.provider_name,
        charge.request_id,
        "Reported by the upstream",
    ):
        assert text in page


def test_cached_tokens_without_a_price_cost_the_input_price(key: ApiKey, model: AIModel) -> None:
    charge = rows.charge(key, model, cached_read_tokens=500_000, fee=Decimal("0.5014"), quota_fee=Decimal("0.5014"))
    charge.save()
    told = Explanation(charge)
    assert told.lines[1].cost == Decimal("0.5")
    assert told.lines[1].note.startswith("at the input price")
    assert told.adds_up


def test_a_shortfall_is_told(console: Client, key: ApiKey, model: AIModel) -> None:
    charge = rows.charge(key, model, fee=Decimal("0.001"), quota_fee=Decimal("0.001"), shortfall=Decimal("0.0004"))
    charge.save()
    assert Explanation(charge).adds_up
    assert "Nobody paid it." in page_of(console, charge)


def test_a_charge_that_does_not_add_up_says_so(console: Client, key: ApiKey, model: AIModel) -> None:
    charge = rows.charge(key, model, fee=Decimal(5), quota_fee=Decimal(5), month_fee_after=Decimal(5))
    charge.save()
    assert "does not add up" in page_of(console, charge)


def test_before_and_after_are_told(console: Client, key: ApiKey, model: AIModel) -> None:
    fees = {"fee": Decimal("0.0014"), "quota_fee": Decimal("0.001"), "balance_fee": Decimal("0.0004")}
    after = {"month_fee_after": Decimal(10), "balance_after": Decimal("2.5")}
    charge = rows.charge(key, model, **fees, **after)
    charge.save()
    page = page_of(console, charge)
    assert "$9.999 before, $10.00 after" in page
    assert "$2.5004 before, $2.50 after" in page


def test_a_running_call_is_no_fee_yet(console: Client, key: ApiKey, model: AIModel) -> None:
    nothing = dict.fromkeys(("fee", "quota_fee"), Decimal(0))
    charge = rows.charge(
        key, model, state=State.HELD, outcome="running", month_fee_after=None, total_ms=None, **nothing
    )
    charge.save()
    page = page_of(console, charge)
    assert "not charged: running" in page
    assert "does not add up" not in page


def test_charges_are_only_read(console: Client, key: ApiKey, model: AIModel) -> None:
    charge = rows.charge(key, model)
    charge.save()
    assert console.get("/admin/accounts/charge/add/").status_code == 403
    assert console.post(reverse("admin:accounts_charge_change", args=[charge.pk]), {"fee": 0}).status_code == 403
    assert console.post(reverse("admin:accounts_charge_delete", args=[charge.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.usefixtures("database")
def test_what_the_ledger_wrote_adds_up_and_leads_to_what_was_said(console: Client, upstream: FakeOpenAI) -> None:
    probes.test_model(model=factories.model(factories.provider(upstream)))
    charge = Charge.objects.get()
    assert charge.fee > 0
    assert Explanation(charge).adds_up
    thread = reverse("admin:chat_thread_change", args=[charge.thread.pk])
    assert thread in page_of(console, charge)
    said = console.get(thread).content.decode()
    assert probes.QUESTION in said
    assert "tok0 tok1" in said
    session = console.get(reverse("admin:chat_session_change", args=[charge.thread.session_id])).content.decode()
    assert "The 1 exchanges of this session" in session


def test_a_detour_is_told(console: Client, key: ApiKey, model: AIModel) -> None:
    route = "gpt-4o@azure rate_limit_exceeded > gpt-4o@openai"
    charge = rows.charge(key, model, attempts=2, route=route)
    charge.save()
    assert route.replace(">", "&gt;") in page_of(console, charge)
