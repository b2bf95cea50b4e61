"""The console's scan of a provider: what its upstream has, and what is taken over of it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import Charge, User
from providers.models import AIModel, Provider
from tests import factories
from tests.console.browser import PASSWORD, Visit, chromium
from tests.fakes.lister import FakeLister

PRICED = {
    "id": "seer",
    "name": "Acme Seer",
    "context_length": 131072,
    "pricing": {"prompt": "0.0000025", "completion": "0.00001"},
    "supported_parameters": ["tools"],
}
HOSTILE = {"id": "<script>alert(1)</script>", "description": "</textarea><img src=x onerror=alert(2)>"}


@pytest.fixture
def lister() -> Iterator[FakeLister]:
    with FakeLister(PRICED, "plain", "embed-1", HOSTILE) as fake:
        yield fake
        assert fake.violations == []


@pytest.fixture
def provider(lister: FakeLister, admin: User) -> Provider:
    return factories.provider(lister, name="acme")


def page_of(provider: Provider) -> str:
    return reverse("admin:providers_provider_scan", args=[provider.pk])


def shown(page: Any) -> dict[str, Any]:
    return {line.name: line for _, lines in page.context["groups"] for line in lines}


class TestScan:
    def test_the_provider_s_page_leads_there(self, console: Client, provider: Provider) -> None:
        page = console.get(reverse("admin:providers_provider_change", args=[provider.pk])).content.decode()
        assert page_of(provider) in page
        assert reverse("admin:providers_provider_test", args=[provider.pk]) in page

    def test_looking_at_the_page_asks_nobody(self, console: Client, provider: Provider, lister: FakeLister) -> None:
        assert console.get(page_of(provider)).status_code == 200
        assert not lister.seen

    def test_models_come_in_groups_with_what_is_known(self, console: Client, provider: Provider) -> None:
        factories.model(provider, "plain")
        page = console.post(page_of(provider))
        assert [label for label, _ in page.context["groups"]] == ["Language model (3)", "Embedding (1)"]
        lines = shown(page)
        assert (lines["seer"].label, lines["seer"].price) == ("Acme Seer", "$2.50 / $10.00")
        assert lines["seer"].facts == "131,072 tokens · tools"
        assert (lines["plain"].is_added, lines["plain"].price) == (True, "")
        assert "price unknown" in page.content.decode()
        assert not Charge.objects.exists()

    def test_what_an_upstream_says_is_text(self, console: Client, provider: Provider) -> None:
        text = console.post(page_of(provider)).content.decode()
        assert "<script>alert(1)" not in text
        assert "&lt;script&gt;alert(1)" in text

    def test_what_the_provider_can_t_serve_is_marked_and_stays_behind(
        self, console: Client, provider: Provider, lister: FakeLister
    ) -> None:
        Provider.objects.update(requester="openai-chat-completions")
        lister.entries = [{"id": "plain"}, {"id": "bge-reranker"}]
        page = console.post(page_of(provider))
        assert shown(page)["bge-reranker"].note == "Provider openai-chat-completions does not support rerank models."
        chosen = ["llm:plain", "rerank:bge-reranker"]
        console.post(page_of(provider), {"import": "1", "chosen": chosen})
        assert [model.name for model in AIModel.objects.all()] == ["plain"]

    def test_a_failure_says_why_without_the_secret(
        self, console: Client, provider: Provider, lister: FakeLister
    ) -> None:
        lister.status = 401
        page = console.post(page_of(provider))
        assert "Model scan failed: 401" in page.content.decode()
        assert lister.key not in page.content.decode()


class TestImport:
    def test_the_chosen_ones_become_rows(self, console: Client, provider: Provider) -> None:
        page = console.post(page_of(provider), {"import": "1", "chosen": ["llm:seer", "embedding:embed-1"]})
        assert {model.name for model in AIModel.objects.all()} == {"seer", "embed-1"}
        assert "2 imported. 1 without a price" in page.content.decode()
        assert [shown(page)[name].is_added for name in ("seer", "embed-1", "plain")] == [True, True, False]

    def test_a_packed_choice_counts_as_well(self, console: Client, provider: Provider) -> None:
        data = {"import": "1", "packed": json.dumps(["llm:plain"]), "prefix": " acme/ "}
        console.post(page_of(provider), data)
        assert AIModel.objects.get().name == "acme/plain"

    @pytest.mark.parametrize("packed", ["{", '"x"', "[1, null]", '["llm:nobody-has-this"]'])
    def test_what_the_upstream_does_not_have_is_not_imported(
        self, console: Client, provider: Provider, packed: str
    ) -> None:
        page = console.post(page_of(provider), {"import": "1", "packed": packed})
        assert "choose at least one model" in page.content.decode()
        assert not AIModel.objects.exists()

    def test_all_or_none(self, console: Client, provider: Provider, lister: FakeLister) -> None:
        lister.entries.append({"id": "x" * 300})
        page = console.post(page_of(provider), {"import": "1", "chosen": ["llm:plain", "llm:" + "x" * 300]})
        assert "Nothing was imported." in page.content.decode()
        assert not AIModel.objects.exists()


class TestRights:
    """It shows what a secret opens, and makes rows."""

    @pytest.mark.parametrize("rights", [(), ("change_provider",), ("add_aimodel", "view_provider")])
    def test_one_right_is_not_enough(self, provider: Provider, lister: FakeLister, rights: tuple[str, ...]) -> None:
        assert self.visitor(*rights).post(page_of(provider)).status_code in (302, 403, 404)
        assert not lister.seen

    def test_both_are(self, provider: Provider) -> None:
        visitor = self.visitor("change_provider", "view_provider", "add_aimodel")
        assert visitor.post(page_of(provider)).status_code == 200

    def test_a_forged_post_is_refused(self, provider: Provider, admin: User, lister: FakeLister) -> None:
        forger = Client(enforce_csrf_checks=True)
        forger.force_login(admin)
        assert forger.post(page_of(provider)).status_code == 403
        assert not lister.seen

    def visitor(self, *rights: str) -> Client:
        user = User.objects.create_user("visitor", password="x", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=rights))
        client = Client()
        client.force_login(user)
        return client


@pytest.mark.browser
@pytest.mark.usefixtures("database")
class TestBrowser:
    def test_a_thousand_models_are_filtered_and_imported(self, live_server: Any, database: None) -> None:
        operator = User.objects.create_superuser("operator", password=PASSWORD)
        entries = [f"family-{number % 7}/model-{number}" for number in range(1500)]
        with FakeLister(*entries, PRICED) as lister, chromium() as browser:
            provider = factories.provider(lister, name="acme")
            visit = Visit(browser, live_server.url)
            visit.log_in(operator)
            page = visit.page
            page.goto(reverse("admin:providers_provider_change", args=[provider.pk]))
            page.click("a:has-text('Scan models')")
            page.click("button:has-text('Scan now')")
            page.fill("[data-filter]", "seer")
            assert page.locator("[data-row]:visible").count() == 1
            page.fill("[data-filter]", "nothing like it")
            assert page.locator("[data-nothing]").is_visible()
            page.fill("[data-filter]", "family-")
            page.click("text=Select all shown")
            assert page.inner_text("[data-count]") == "(1500)"
            page.click("button:has-text('Import chosen')")
            page.wait_for_selector("text=1500 imported.")
            assert page.locator("input[name=chosen]:disabled").count() == 1500
            assert visit.complaints == []
        assert AIModel.objects.count() == 1500
