"""Every page of the console opens, under its content security policy, and says nothing that it must not."""

from decimal import Decimal

import pytest
from django.contrib import admin as django_admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Charge, User
from accounts.services import keys
from providers.models import AIModel
from tests import factories
from tests.console import rows
from tests.console.test_keys import staff

pytestmark = pytest.mark.django_db

MODELS = sorted(model._meta.label_lower for model in django_admin.site._registry)


@pytest.fixture
def month(admin: User) -> None:
    rows.history(days=3, most_per_day=20)


def url_of(label: str, page: str, *args: object) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_{page}", args=args)


@pytest.mark.parametrize("label", MODELS)
def test_each_list_opens_and_searches(console: Client, month: None, label: str) -> None:
    response = console.get(url_of(label, "changelist"))
    assert response.status_code == 200
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert console.get(url_of(label, "changelist"), {"q": "a"}).status_code == 200


@pytest.mark.parametrize(
    "label", ["providers.provider", "providers.aimodel", "accounts.apikey", "accounts.charge", "accounts.user"]
)
def test_each_row_opens(console: Client, month: None, label: str) -> None:
    model = next(model for model in django_admin.site._registry if model._meta.label_lower == label)
    assert console.get(url_of(label, "change", model.objects.first().pk)).status_code == 200


def test_django_s_own_groups_are_out_of_the_way(console: Client) -> None:
    assert "auth.group" not in MODELS
    assert "/auth/group/" not in console.get(reverse("admin:index")).content.decode()


def test_somebody_without_rights_sees_no_charges(client: Client, month: None) -> None:
    client.force_login(User.objects.create_user("visitor", password="x", is_staff=True))
    page = client.get(reverse("admin:index")).content.decode()
    assert "Latest calls" not in page
    assert client.get(url_of("accounts.charge", "changelist")).status_code == 403


@pytest.mark.parametrize(
    ("name", "rights"),
    [
        ("spend", ["view_charge"]),
        ("invoices", ["view_charge", "view_payment"]),
        ("explain-route", ["view_apikey", "view_aimodel"]),
    ],
)
def test_the_sidebar_leads_nobody_to_a_page_that_is_shut(month: None, name: str, rights: list[str]) -> None:
    def is_shown(visitor: Client) -> bool:
        return f'href="{reverse(name)}"' in visitor.get(reverse("admin:index")).content.decode()

    for missing in rights:
        visitor = staff(*(right for right in rights if right != missing))
        assert (is_shown(visitor), visitor.get(reverse(name)).status_code) == (False, 403)
        User.objects.get(username="visitor").delete()
    visitor = staff(*rights)
    assert (is_shown(visitor), visitor.get(reverse(name)).status_code) == (True, 200)


@pytest.mark.parametrize("label", ["accounts.charge", "chat.thread", "chat.session"])
def test_big_tables_are_never_counted(console: Client, month: None, label: str, django_assert_max_num_queries) -> None:
    with django_assert_max_num_queries(6) as seen:
        console.get(url_of(label, "changelist"))
    assert not [query["sql"] for query in seen.captured_queries if "COUNT(" in query["sql"]]


LISTS = [
    "accounts.apikey",
    "accounts.charge",
    "accounts.payment",
    "providers.provider",
    "providers.aimodel",
    "chat.thread",
]


@pytest.mark.parametrize("label", LISTS)
def test_the_queries_of_a_list_do_not_grow_with_its_rows(console: Client, month: None, label: str) -> None:
    with CaptureQueriesContext(connection) as few:
        console.get(url_of(label, "changelist"))
    for number in range(3):
        issued = factories.key(group=factories.group(factories.model(factories.provider(), f"model {number}")))
        keys.recharge(key=issued.key, amount=Decimal(1))
        rows.charge(issued.key, AIModel.objects.latest("pk")).save()
    with CaptureQueriesContext(connection) as more:
        console.get(url_of(label, "changelist"))
    assert len(more) == len(few) <= 8


def test_charges_are_filtered_by_days_of_the_gateway_s_zone(console: Client, month: None, settings) -> None:
    newest = Charge.objects.first()
    day = newest.created_at.date().isoformat()
    page = console.get(url_of("accounts.charge", "changelist"), {"created_at_from": day, "created_at_to": day})
    found = page.context["cl"].result_list
    assert newest in found
    assert {each.created_at.date().isoformat() for each in found} == {day}


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-02-31", "x"])
@pytest.mark.parametrize("label", ["accounts.charge", "accounts.payment"])
def test_what_can_t_be_a_day_is_no_filter(console: Client, month: None, label: str, day: str) -> None:
    with timezone.override("Asia/Tokyo"):
        page = console.get(url_of(label, "changelist"), {"created_at_from": day, "created_at_to": day})
    assert page.status_code == 200


def test_providers_are_offered_in_order(console: Client, month: None) -> None:
    asked = {"app_label": "providers", "model_name": "aimodel", "field_name": "provider"}
    found = console.get("/admin/autocomplete/", asked).json()["results"]
    assert [each["text"] for each in found] == ["Anthropic", "OpenAI", "Team GPU server"]


def test_an_unpriced_model_is_marked(console: Client, month: None) -> None:
    factories.model(factories.provider(), "free", price_in=None, price_out=None)
    assert "unpriced" in console.get(url_of("providers.aimodel", "changelist")).content.decode()
    page = console.get(url_of("providers.aimodel", "changelist"), {"priced": "no"})
    assert [model.name for model in page.context["cl"].result_list] == ["free"]
