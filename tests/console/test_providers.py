"""Providers in the console: their secrets go in and never come out, and their test is a real call."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import ApiKey, Charge, User
from providers.models import Provider, ProviderKey
from tests import factories
from tests.fakes.openai import FakeOpenAI

SECRET = "sk-abcdefghijklmnopqrstuvwxyz"


def change(row: Any, page: str = "change") -> str:
    return reverse(f"admin:providers_{row._meta.model_name}_{page}", args=[row.pk])


def form(*stored: ProviderKey, **fields: Any) -> dict[str, Any]:
    timeouts = {f"{name}_timeout": 10 for name in ("connect", "first_byte", "idle", "total")}
    plain = {"name": "p", "requester": "openai", "base_url": "https://api.example/v1", "config": "{}"}
    data = {**plain, **timeouts, "is_enabled": "on", "keys-INITIAL_FORMS": len(stored), "keys-TOTAL_FORMS": len(stored)}
    for place, key in enumerate(stored):
        row = {"id": key.pk, "provider": key.provider_id, "name": key.name, "secret": "", "is_enabled": "on"}
        data |= {f"keys-{place}-{name}": value for name, value in row.items()}
    return {**data, **fields}


@pytest.mark.django_db
class TestSecrets:
    @pytest.fixture
    def stored(self, admin: User) -> ProviderKey:
        return factories.provider(secret=SECRET, name="p").keys.get()

    def test_a_stored_secret_is_never_rendered(self, console: Client, stored: ProviderKey) -> None:
        pages = [change(stored.provider), change(stored.provider, "history"), "/admin/providers/provider/"]
        for page in pages:
            assert SECRET not in console.get(page).content.decode()
        assert f"…{SECRET[-4:]}" in console.get(change(stored.provider)).content.decode()

    def test_not_even_in_a_form_that_comes_back(self, console: Client, stored: ProviderKey) -> None:
        page = console.post(
            change(stored.provider), form(stored, **{"base_url": "x", "keys-0-secret": "sk-new-secret"})
        )
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        assert "sk-new-secret" not in page.content.decode()

    def test_an_empty_secret_keeps_the_stored_one(self, console: Client, stored: ProviderKey) -> None:
        assert console.post(change(stored.provider), form(stored, name="renamed")).status_code == 302
        stored.refresh_from_db()
        assert (stored.secret, stored.provider.name) == (SECRET, "renamed")

    def test_a_new_secret_replaces_it(self, console: Client, stored: ProviderKey) -> None:
        console.post(change(stored.provider), form(stored, **{"keys-0-secret": " sk-replaced "}))
        stored.refresh_from_db()
        assert stored.secret == "sk-replaced"

    def test_a_key_is_renamed_without_its_secret(self, console: Client, stored: ProviderKey) -> None:
        console.post(change(stored.provider), form(stored, **{"keys-0-name": "second account"}))
        stored.refresh_from_db()
        assert (stored.name, stored.secret) == ("second account", SECRET)

    def test_a_new_provider_has_several_keys(self, console: Client, admin: User) -> None:
        keys = {
            f"keys-{n}-{k}": v
            for n in (0, 1)
            for k, v in {"name": f"k{n}", "secret": f"s{n}", "is_enabled": "on"}.items()
        }
        console.post("/admin/providers/provider/add/", {**form(), "keys-TOTAL_FORMS": 2, **keys})
        assert [key.secret for key in Provider.objects.get().keys.all()] == ["s0", "s1"]

    def test_a_new_key_needs_a_secret(self, console: Client, admin: User) -> None:
        keys = {"keys-TOTAL_FORMS": 1, "keys-0-name": "k", "keys-0-is_enabled": "on"}
        page = console.post("/admin/providers/provider/add/", {**form(), **keys})
        assert "Give the secret." in page.content.decode()


@pytest.mark.usefixtures("database")
class TestTests:
    def test_a_model_is_called_and_charged(self, console: Client, upstream: FakeOpenAI) -> None:
        model = factories.model(factories.provider(upstream))
        page = console.post(change(model, "test"))
        result = page.context["result"]
        assert (result.is_ok, result.milliseconds > 0) == (True, True)
        assert result.text.startswith("tok0 tok1")
        charge = Charge.objects.get()
        assert (charge.pk, charge.model, charge.key.is_internal) == (result.charge_id, model, True)
        assert reverse("admin:accounts_charge_change", args=[charge.pk]) in page.content.decode()

    def test_looking_at_the_page_calls_nobody(self, console: Client, upstream: FakeOpenAI) -> None:
        model = factories.model(factories.provider(upstream))
        assert console.get(change(model, "test")).status_code == 200
        assert not upstream.seen
        assert not ApiKey.objects.exists()

    def test_a_provider_s_first_model_is_called(self, console: Client, upstream: FakeOpenAI) -> None:
        provider = factories.provider(upstream)
        factories.model(provider, "echo")
        assert console.post(change(provider, "test")).context["result"].subject == f"echo ({provider.name})"

    def test_the_namesake_on_another_provider_is_left_alone(self, console: Client, upstream: FakeOpenAI) -> None:
        factories.model(factories.provider(), "echo", priority=-1)
        model = factories.model(factories.provider(upstream), "echo")
        assert console.post(change(model, "test")).context["result"].is_ok

    def test_an_embedding_model_is_called(self, console: Client, upstream: FakeOpenAI) -> None:
        provider = factories.provider(upstream)
        factories.model(provider, "echo", kind="embedding")
        result = console.post(change(provider, "test")).context["result"]
        assert (result.is_ok, result.text) == (True, "An embedding of 8 numbers.")

    def test_a_provider_without_models_lists_what_it_has(self, console: Client, upstream: FakeOpenAI) -> None:
        result = console.post(change(factories.provider(upstream), "test")).context["result"]
        assert result.is_ok
        assert "echo" in result.text
        assert not Charge.objects.exists()

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"secret": "sk-this-is-the-wrong-secret"}, "upstream_auth_failed"),
            ({"is_enabled": False}, "Its provider is switched off."),
        ],
    )
    def test_a_failure_says_why_without_the_secret(
        self, console: Client, upstream: FakeOpenAI, fields: dict[str, Any], reason: str
    ) -> None:
        model = factories.model(factories.provider(upstream, **fields))
        page = console.post(change(model, "test"))
        assert not page.context["result"].is_ok
        assert reason in page.context["result"].text
        assert "wrong-secret" not in page.content.decode()

    def test_no_key_nobody_there(self, console: Client, admin: User) -> None:
        keyless = factories.provider(secret="", requester="openai")
        assert "no enabled key" in console.post(change(keyless, "test")).context["result"].text
        assert "no enabled key" in console.post(change(factories.model(keyless), "test")).context["result"].text
        absent = factories.model(factories.provider())
        assert "refuses connections" in console.post(change(absent, "test")).context["result"].text

    def test_selected_ones_are_tested(self, console: Client, upstream: FakeOpenAI) -> None:
        provider = factories.provider(upstream)
        good, bad = factories.model(provider, "echo"), factories.model(provider, "500")
        data = {"action": "test_selected", "_selected_action": [good.pk, bad.pk]}
        page = console.post("/admin/providers/aimodel/", data, follow=True)
        levels = sorted(message.level_tag for message in page.context["messages"])
        assert levels == ["error", "success"]

    def test_it_takes_the_right_to_change(self, client: Client, upstream: FakeOpenAI, admin: User) -> None:
        client.force_login(User.objects.create_user("visitor", password="x", is_staff=True))
        model = factories.model(factories.provider(upstream))
        assert client.post(change(model, "test")).status_code in (403, 404)
        forger = Client(enforce_csrf_checks=True)
        forger.force_login(admin)
        assert forger.post(change(model, "test")).status_code == 403
        assert not upstream.seen

    def test_an_unpriced_model_costs_nothing(self, console: Client, upstream: FakeOpenAI) -> None:
        model = factories.model(factories.provider(upstream), price_in=None, price_out=None)
        console.post(change(model, "test"))
        charge = Charge.objects.get()
        assert charge.fee == Decimal(0)
        assert (
            "Unpriced: the model had no price"
            in console.get(reverse("admin:accounts_charge_change", args=[charge.pk])).content.decode()
        )
