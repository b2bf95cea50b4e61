"""The console in Chromium, against a live server: it works under its policy and asks no other host for anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib import admin as django_admin
from django.urls import reverse
from playwright.sync_api import Page

from accounts.models import ApiKey, Charge, Role, User
from accounts.services import tokens
from providers.models import AIModel
from tests import factories
from tests.console import rows
from tests.console.browser import PASSWORD, Visit, chromium
from tests.fakes.openai import FakeOpenAI

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("database")]


@pytest.fixture
def visit(live_server, database: None) -> Iterator[Visit]:
    with chromium() as browser:
        yield Visit(browser, live_server.url)


@pytest.fixture
def operator(database: None) -> User:
    return User.objects.create_superuser("operator", password=PASSWORD)


@pytest.fixture
def model(upstream: FakeOpenAI, database: None) -> AIModel:
    return factories.model(factories.provider(upstream, name="fake upstream"), "echo")


def test_from_log_in_to_the_first_call(visit: Visit, operator: User, model: AIModel, tmp_path: Path) -> None:
    page = visit.page
    page.goto("/")
    page.fill("[name=username]", "operator")
    page.fill("[name=password]", PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=No call yet")

    page.goto("/admin/accounts/apikey/add/")
    page.fill("[name=name]", "ci")
    page.fill("[name=month_quota]", "10")
    page.locator("label[for=id_all_models]").first.click()
    page.locator("button[name=_save]").click()
    page.click("[data-copy=secret]")
    page.wait_for_selector("text=Copied")
    secret = page.text_content("#secret") or ""
    assert page.evaluate("navigator.clipboard.readText()") == secret
    visit.picture(tmp_path / "secret.png")

    page.goto(reverse("admin:providers_provider_change", args=[model.provider_id]))
    page.click("a:has-text('Test')")
    page.click("button:has-text('Test now')")
    assert "tok0 tok1" in page.inner_text("#probe-result")
    visit.picture(tmp_path / "probe.png")

    page.goto("/admin/")
    assert "console" in page.inner_text("table:has-text('Outcome')")
    page.locator("table:has-text('Outcome') a").first.click()
    page.wait_for_selector("text=What was used")
    visit.picture(tmp_path / "charge.png")
    assert ApiKey.objects.filter(name="ci", month_quota=10, all_models=True).exists()
    assert visit.complaints == []


def test_every_page_keeps_to_this_host(visit: Visit, operator: User, model: AIModel) -> None:
    rows.history(days=4, most_per_day=12)
    visit.log_in(operator)
    paths = ["/admin/", "/admin/password_change/"]
    for each, page_admin in django_admin.site._registry.items():
        name = f"admin:{each._meta.app_label}_{each._meta.model_name}"
        paths.append(reverse(f"{name}_changelist"))
        row = each._default_manager.first()
        paths += [reverse(f"{name}_change", args=[row.pk])] if row else []
        paths += (
            [reverse(f"{name}_add")] if each not in (Charge,) and page_admin.has_add_permission(_of(operator)) else []
        )
    key = ApiKey.objects.first()
    paths += [
        reverse("admin:accounts_apikey_revoke", args=[key.pk]),
        reverse("admin:providers_aimodel_test", args=[model.pk]),
    ]
    for path in paths:
        visit.page.goto(path)
        visit.page.wait_for_load_state("networkidle")
    assert visit.complaints == []
    assert len(paths) > 20


def _of(user: User) -> object:
    return type("Request", (), {"user": user})()


def try_out(page: Page, secret: str, *operations: tuple[str, str]) -> None:
    """On the documentation's page: authorize with this secret, then execute each operation as its example has it."""
    page.goto("/api/docs/")
    page.click("button.authorize")
    page.fill(".auth-container input >> nth=0", secret)
    page.locator("button.auth.authorize").first.click()
    page.click("button.btn-done")
    for operation, status in operations:
        unfold(page, operation.partition("-")[0])
        page.click(f"#operations-{operation} .opblock-summary-control")
        page.click(f"#operations-{operation} button.execute")
        page.wait_for_selector(f"{answer_of(operation)} .response-col_status:has-text('{status}')")


def unfold(page: Page, tag: str) -> None:
    """The document shows its sections' titles alone until one is asked for."""
    title = page.locator(f"#operations-tag-{tag}")
    if title.get_attribute("data-is-open") != "true":
        title.click()


def answer_of(operation: str) -> str:
    return f"#operations-{operation} .live-responses-table"


def test_the_documentation_is_tried_out(visit: Visit, model: AIModel) -> None:
    try_out(visit.page, factories.key().secret, ("OpenAI-listModels", "200"))
    assert '"id": "echo"' in visit.page.inner_text(answer_of("OpenAI-listModels"))
    assert visit.complaints == []


@pytest.mark.parametrize("who", ["key", "token"])
def test_the_service_apis_are_tried_out(visit: Visit, operator: User, model: AIModel, who: str) -> None:
    secret = factories.key(role=Role.ADMIN).secret if who == "key" else tokens.issue(user=operator)
    operations = ("LangBot-listLLMModels", "LangBot-createLLMModel", "LangBot-createServiceProvider")
    try_out(visit.page, secret, *((each, "200") for each in operations), ("Providers_API-listProviders", "200"))
    assert '"name": "echo"' in visit.page.inner_text(answer_of(operations[0]))
    assert '"name": "fake upstream"' in visit.page.inner_text(answer_of("Providers_API-listProviders"))
    assert AIModel.objects.get(name="GPT-4").upstream_name == "gpt-4"
    assert visit.complaints == []
