"""Providers in the console: their secrets go in and never come out, and their test is a real call."""

from decimal import Decimal
from typing import Any

import pytest
from cryptography.fernet import Fernet
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
    timeouts |= {"retries": 2, "on_disconnect": "cancel"}
    plain = {"name": "p", "requester": "openai-chat-completions", "base_url": "https://api.example/v1", "config": "{}"}
    data = {**plain, **timeouts, "is_enabled": "on", "keys-INITIAL_FORMS": len(stored), "keys-TOTAL_FORMS": len(stored)}
    for place, key in enumerate(stored):
        row = {
            "id": key.pk,
            "provider": key.provider_id,
            "name": key.name,
            "new_secret": "",
            "weight": 1,
            "is_enabled": "on",
        }
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
            change(stored.provider), form(stored, **{"base_url": "x", "keys-0-new_secret": "sk-new-secret"})
        )
        assert page.status_code == 200
        assert SECRET not in page.content.decode()
        assert "sk-new-secret" not in page.content.decode()

    def test_an_empty_secret_keeps_the_stored_one(self, console: Client, stored: ProviderKey) -> None:
        assert console.post(change(stored.provider), form(stored, name="renamed")).status_code == 302
        stored.refresh_from_db()
        assert (stored.secret, stored.provider.name) == (SECRET, "renamed")

    def test_a_new_secret_replaces_it(self, console: Client, stored: ProviderKey) -> None:
        console.post(change(stored.provider), form(stored, **{"keys-0-new_secret": " sk-replaced "}))
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
            for k, v in {"name": f"k{n}", "new_secret": f"s{n}", "weight": 1, "is_enabled": "on"}.items()
        }
        console.post("/admin/providers/provider/add/", {**form(), "keys-TOTAL_FORMS": 2, **keys})
        assert [key.secret for key in Provider.objects.get().keys.all()] == ["s0", "s1"]

    def test_a_new_key_needs_a_secret(self, console: Client, admin: User) -> None:
        keys = {"keys-TOTAL_FORMS": 1, "keys-0-name": "k", "keys-0-weight": 1, "keys-0-is_enabled": "on"}
        page = console.post("/admin/providers/provider/add/", {**form(), **keys})
        assert "Give the secret." in page.content.decode()


@pytest.mark.django_db
class TestUnreadable:
    """The keyring has lost the key that a secret was encrypted with."""

    @pytest.fixture
    def lost(self, admin: User, settings: Any) -> ProviderKey:
        key = factories.provider(secret=SECRET, name="p").keys.get()
        settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
        return key

    def test_its_pages_open_and_say_so(self, console: Client, lost: ProviderKey) -> None:
        assert "unreadable: enter it again" in console.get(change(lost.provider)).content.decode()
        for page in ("/admin/providers/provider/", change(lost.provider, "history"), change(lost.provider, "delete")):
            assert console.get(page).status_code == 200

    def test_all_else_can_be_edited(self, console: Client, lost: ProviderKey) -> None:
        edited = form(lost, name="renamed", **{"keys-0-name": "main"})
        assert console.post(change(lost.provider), edited).status_code == 302
        assert ProviderKey.objects.defer("secret").get().name == "main"

    def test_the_secret_is_entered_again(self, console: Client, lost: ProviderKey) -> None:
        assert console.post(change(lost.provider), form(lost, **{"keys-0-new_secret": "sk-again"})).status_code == 302
        assert ProviderKey.objects.get().secret == "sk-again"

    def test_the_key_is_removed_before_its_provider(self, console: Client, lost: ProviderKey) -> None:
        page = console.post(change(lost.provider, "delete"), {"post": "yes"})
        assert "Remove that key" in page.content.decode()
        console.post(change(lost.provider), form(lost, **{"keys-0-DELETE": "on"}))
        console.post(change(lost.provider, "delete"), {"post": "yes"})
        assert not Provider.objects.exists()


@pytest.mark.usefixtures("database")
class TestMoving:
    """Who may edit an address may not read the secret by sending it there."""

    @pytest.fixture
    def stored(self, admin: User, database: None) -> ProviderKey:
        return factories.provider(secret=SECRET, name="p", requester="openai-chat-completions").keys.get()

    def move(self, console: Client, stored: ProviderKey, upstream: FakeOpenAI, **fields: Any) -> Any:
        address = {"base_url": f"{upstream.origin}/v1"}
        return console.post(change(stored.provider), form(stored, **{**address, **fields}), follow=True)

    def test_the_keys_stay_behind(self, console: Client, stored: ProviderKey, upstream: FakeOpenAI) -> None:
        page = self.move(console, stored, upstream, **{"keys-0-name": "renamed as well"})
        assert "switched off until they are entered again" in page.content.decode()
        stored.refresh_from_db()
        assert (stored.name, stored.is_enabled) == ("renamed as well", False)
        assert "no enabled key" in console.post(change(stored.provider, "test")).context["result"].text
        assert not upstream.seen

    def test_a_key_that_is_off_takes_its_secret_to_go_on(
        self, console: Client, stored: ProviderKey, upstream: FakeOpenAI
    ) -> None:
        self.move(console, stored, upstream)
        page = self.move(console, stored, upstream)
        assert "Enter the secret again" in page.content.decode()
        assert not ProviderKey.objects.get().is_enabled
        self.move(console, stored, upstream, **{"keys-0-new_secret": SECRET})
        assert ProviderKey.objects.get().is_enabled

    def test_a_secret_that_is_entered_along_with_it_goes_on(
        self, console: Client, stored: ProviderKey, upstream: FakeOpenAI
    ) -> None:
        self.move(console, stored, upstream, **{"keys-0-new_secret": upstream.key})
        stored.refresh_from_db()
        assert (stored.secret, stored.is_enabled) == (upstream.key, True)
        assert console.post(change(stored.provider, "test")).context["result"].is_ok

    def test_another_path_is_the_same_place(self, console: Client, stored: ProviderKey) -> None:
        url = stored.provider.base_url.replace("/v1", "/v2")
        console.post(change(stored.provider), form(stored, base_url=url))
        assert ProviderKey.objects.get().is_enabled


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
        page = console.post(change(factories.provider(upstream), "test"))
        result = page.context["result"]
        assert result.is_ok
        assert "leaves no charge" in page.content.decode()
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
        keyless = factories.provider(secret="", requester="openai-chat-completions")
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
