"""A provider's form is made out of its vendor's row."""

import html
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from providers import catalog
from providers.models import Provider
from tests import factories
from tests.console.browser import PASSWORD, Visit, chromium

ADD = "/admin/providers/provider/add/"
RULES = '[{"name": "gpt-4o", "description": "For hard questions."}]'


def form(requester: str, **fields: Any) -> dict[str, Any]:
    timeouts = {f"{name}_timeout": 10 for name in ("connect", "first_byte", "idle", "total")}
    timeouts |= {"retries": 2, "on_disconnect": "cancel"}
    keys = {"keys-INITIAL_FORMS": 0, "keys-TOTAL_FORMS": 0}
    return {"name": "p", "requester": requester, "config": "{}", "is_enabled": "on", **timeouts, **keys, **fields}


def page_of(provider: Provider) -> str:
    return reverse("admin:providers_provider_change", args=[provider.pk])


@pytest.mark.django_db
class TestInputs:
    @pytest.mark.parametrize("name", sorted(catalog.VENDORS))
    def test_each_vendor_has_an_input_for_each_of_its_settings(self, console: Client, name: str) -> None:
        page = console.get(ADD, {"requester": name})
        assert page.status_code == 200
        inputs = set(page.context["adminform"].form.fields)
        vendor = catalog.VENDORS[name]
        assert {f"setting_{field.name}" for field in vendor.settings} == {
            each for each in inputs if each.startswith("setting_")
        }
        assert ("base_url" in inputs) == vendor.has_address

    def test_the_vendor_s_address_stands_where_none_is_given(self, console: Client) -> None:
        content = console.get(ADD, {"requester": "groq-chat-completions"}).content.decode()
        assert 'placeholder="https://api.groq.com/openai/v1"' in content
        assert "Empty: https://api.groq.com/openai/v1." in content

    def test_a_default_is_shown_as_one_would_type_it(self, console: Client) -> None:
        content = html.unescape(console.get(ADD, {"requester": "bedrock-converse"}).content.decode())
        assert 'Empty: ["us-east-1"].' in content
        assert "['us-east-1']" not in content

    def test_what_a_key_looks_like_stands_beside_the_keys(
        self, console: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hinted = replace(catalog.VENDORS["groq-chat-completions"], key_hint="id:secret, <or> a token")
        monkeypatch.setitem(catalog._BY_ALIAS, hinted.name, hinted)
        content = console.get(ADD, {"requester": hinted.name}).content.decode()
        assert 'console-key-hint">id:secret, &lt;or&gt; a token</p>' in content

    def test_choices_are_grouped_and_carry_their_search_words(self, console: Client) -> None:
        content = console.get(ADD).content.decode()
        assert '<optgroup label="Model makers">' in content
        assert 'data-search="deepseek-chat-completions' in content
        assert "深度求索" in content


@pytest.mark.django_db
class TestSaving:
    def test_settings_are_stored_in_their_types(self, console: Client) -> None:
        fields = {"setting_drop_params": "on", "setting_num_retries": "2", "setting_api_version": "v1"}
        data = form("litellm-chat", base_url="https://l.example", **fields)
        assert console.post(ADD, data).status_code == 302
        provider = Provider.objects.get()
        assert provider.config == {"drop_params": True, "num_retries": 2, "api_version": "v1"}

    def test_lists_are_json(self, console: Client) -> None:
        console.post(ADD, form("smart-router", setting_rules=RULES, setting_localLlmModel="tiny"))
        provider = Provider.objects.get()
        assert provider.config["rules"] == [{"name": "gpt-4o", "description": "For hard questions."}]
        assert (provider.config["localLlmModel"], provider.base_url) == ("tiny", "")

    def test_what_is_required_is_asked_for_at_its_input(self, console: Client) -> None:
        page = console.post(ADD, form("smart-router"))
        assert set(page.context["adminform"].form.errors) == {"setting_rules", "setting_localLlmModel"}
        assert not Provider.objects.exists()

    def test_the_wrong_type_is_told_at_its_input_once(self, console: Client) -> None:
        page = console.post(ADD, form("smart-router", setting_rules='{"name": "x"}', setting_localLlmModel="m"))
        errors = page.context["adminform"].form.errors
        assert dict(errors) == {"setting_rules": ["Rules (rules) must be a JSON list."]}

    def test_what_is_no_json_is_told_at_its_input_once(self, console: Client) -> None:
        page = console.post(ADD, form("smart-router", setting_rules="[", setting_localLlmModel="m"))
        assert set(page.context["adminform"].form.errors) == {"setting_rules"}

    def test_an_address_may_be_left_to_the_vendor(self, console: Client) -> None:
        assert console.post(ADD, form("openai-chat-completions", base_url="")).status_code == 302
        provider = Provider.objects.get()
        assert (provider.base_url, provider.address) == ("", "https://api.openai.com/v1")

    def test_but_not_where_the_vendor_has_none(self, console: Client) -> None:
        page = console.post(ADD, form("openai-compatible", base_url=""))
        assert set(page.context["adminform"].form.errors) == {"base_url"}

    def test_one_that_can_not_be_set_up_says_why(self, console: Client) -> None:
        page = console.post(ADD, form("openai-codex"))
        assert "takes a person&#x27;s device log-in" in page.content.decode()
        assert not Provider.objects.exists()


@pytest.mark.django_db
class TestEditing:
    @pytest.fixture
    def stored(self) -> Provider:
        config = {"num_retries": 3, "headers": {"X-Team": "a"}, "own": [1]}
        return factories.provider(name="p", requester="litellm-chat", secret="", config=config)

    def save(self, console: Client, stored: Provider, **fields: Any) -> dict[str, Any]:
        shown = console.get(page_of(stored)).context["adminform"].form
        given = {name: shown[name].value() for name in shown.fields}
        plain = {name: value for name, value in given.items() if value not in (None, False)}
        data = form(**{**plain, "config": '{"headers": {"X-Team": "a"}, "own": [1]}', **fields})
        assert console.post(page_of(stored), data).status_code == 302
        stored.refresh_from_db()
        return stored.config

    def test_keys_that_no_field_names_survive(self, console: Client, stored: Provider) -> None:
        assert self.save(console, stored, setting_num_retries="4") == {
            "num_retries": 4,
            "headers": {"X-Team": "a"},
            "own": [1],
        }

    def test_they_are_shown_as_json_and_the_fields_are_not(self, console: Client, stored: Provider) -> None:
        shown = console.get(page_of(stored)).context["adminform"].form
        assert shown.initial["config"] == {"headers": {"X-Team": "a"}, "own": [1]}
        assert shown.initial["setting_num_retries"] == 3

    def test_an_emptied_field_is_gone(self, console: Client, stored: Provider) -> None:
        assert "num_retries" not in self.save(console, stored, setting_num_retries="")

    def test_another_kind_s_settings_stay_as_json(self, console: Client, stored: Provider) -> None:
        shown = console.get(page_of(stored), {"requester": "openai-compatible"}).context["adminform"].form
        assert shown.initial["config"] == stored.config

    def test_who_may_only_look_sees_json_and_no_inputs(self, client: Client, stored: Provider, admin: User) -> None:
        visitor = User.objects.create_user("visitor", password="x", is_staff=True)
        visitor.user_permissions.add(Permission.objects.get(codename="view_provider"))
        client.force_login(visitor)
        page = client.get(page_of(stored))
        assert page.status_code == 200
        assert "setting_" not in page.content.decode()
        assert "num_retries" in page.content.decode()


@pytest.mark.django_db
def test_the_list_has_an_icon_and_the_effective_address(console: Client) -> None:
    factories.provider(requester="mistral-chat-completions", base_url="")
    content = console.get("/admin/providers/provider/").content.decode()
    assert "Mistral AI" in content and "<svg" in content
    assert "https://api.mistral.ai/v1" in content


@pytest.mark.browser
@pytest.mark.usefixtures("database")
class TestBrowser:
    @pytest.fixture
    def visit(self, live_server: Any, database: None) -> Iterator[Visit]:
        operator = User.objects.create_superuser("operator", password=PASSWORD)
        with chromium() as browser:
            visit = Visit(browser, live_server.url)
            visit.log_in(operator)
            yield visit

    def test_another_kind_brings_its_inputs_and_keeps_what_was_typed(self, visit: Visit) -> None:
        page = visit.page
        page.goto(ADD)
        page.fill("[name=name]", "my proxy")
        page.fill("[name=base_url]", "https://l.example")
        page.click("#select2-id_requester-container")
        page.fill(".select2-search__field", "代理")  # a search word that no label shows
        page.click(".select2-results__option--highlighted")
        page.wait_for_selector("[name=setting_num_retries]")
        assert page.input_value("[name=base_url]") == "https://l.example"
        page.fill("[name=setting_num_retries]", "2")
        page.click("button[name=_save]")
        page.wait_for_selector("text=was added successfully")
        provider = Provider.objects.get()
        assert (provider.name, provider.requester, provider.config) == ("my proxy", "litellm-chat", {"num_retries": 2})
        assert visit.complaints == []
