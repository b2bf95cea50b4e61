"""Makes the README's picture anew: `python -m tests.console.screenshot` writes docs/console.png.

With a folder as its argument it takes every page of the console instead, light, dark and phone, to be looked at.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.conf import settings  # noqa: E402  # after the set-up, as models need it
from django.db import connection  # noqa: E402
from django.test.testcases import LiveServerThread, _StaticFilesHandler  # noqa: E402
from django.test.utils import setup_test_environment  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402
from playwright.sync_api import Browser  # noqa: E402

from accounts.models import ApiKey, Charge, Group, Limit, User  # noqa: E402
from accounts.services import keys  # noqa: E402
from accounts.services.ledger import writer  # noqa: E402
from chat.models import Bot, Thread  # noqa: E402
from chat.services import probes  # noqa: E402
from common.models import Job  # noqa: E402
from gateway.jobs.kinds import SHOWN  # noqa: E402
from providers.models import AIModel, Provider  # noqa: E402
from tests import factories  # noqa: E402
from tests.console import rows  # noqa: E402
from tests.console.browser import Visit, chromium  # noqa: E402
from tests.fakes.openai import FakeOpenAI  # noqa: E402

README_PICTURE = Path(settings.BASE_DIR) / "docs" / "console.png"


@contextmanager
def served() -> Iterator[str]:
    """A gateway on a database that is thrown away."""
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0)
    server = LiveServerThread("localhost", _StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    try:
        yield f"http://localhost:{server.port}"
    finally:
        writer.stop()
        server.terminate()


def readme(browser: Browser, url: str, operator: User) -> None:
    visit = Visit(browser, url)
    visit.log_in(operator)
    visit.page.set_viewport_size({"width": 1440, "height": 1160})
    visit.page.goto("/admin/")
    README_PICTURE.parent.mkdir(exist_ok=True)
    visit.picture(README_PICTURE, full=False)


def everything(browser: Browser, url: str, operator: User, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for size, theme in (("desktop", "light"), ("desktop", "dark"), ("phone", "light")):
        visit = Visit(browser, url, size, theme)
        visit.log_in(operator)
        for name, path in _paths().items():
            visit.page.goto(path)
            visit.picture(folder / f"{name}-{size}-{theme}.png")
        _filters(visit, folder / f"filters-{size}-{theme}.png")
        _secret(visit, folder / f"secret-{size}-{theme}.png")
        _probe(visit, folder / f"probe-{size}-{theme}.png")
        _tasks(visit, folder, f"{size}-{theme}.png")
        print("\n".join(visit.complaints))


def _paths() -> dict[str, str]:
    lists = ("accounts_apikey", "accounts_charge", "accounts_payment", "accounts_group", "accounts_user")
    lists += ("accounts_redemptioncode", "accounts_limit", "accounts_limitnotice", "axes_accessattempt")
    lists += ("providers_provider", "providers_aimodel", "chat_thread", "chat_session", "chat_bot")
    adds = ("accounts_redemptioncode", "accounts_apikey", "accounts_payment", "accounts_group", "accounts_limit")
    adds += ("providers_provider", "providers_aimodel", "chat_bot")
    rows_ = {"accounts_apikey": ApiKey, "accounts_charge": Charge, "providers_provider": Provider}
    rows_ |= {"providers_aimodel": AIModel, "chat_thread": Thread, "accounts_user": User}
    rows_ |= {"accounts_limit": Limit, "accounts_group": Group, "chat_bot": Bot}
    return {
        "dashboard": "/admin/",
        "spend": "/admin/spend/",
        "spend-days": "/admin/spend/?by=day",
        "invoices": f"/admin/invoices/?month={timezone.localdate():%Y-%m}",
        "invoice": f"/admin/invoices/{ApiKey.objects.get(name='intern').pk}/{timezone.localdate():%Y-%m}/",
        "docs": "/api/docs/",
        "add-limit-of-key": f"{reverse('admin:accounts_limit_add')}?key={ApiKey.objects.last().pk}",
        "sample": reverse("admin:accounts_limit_sample", args=[Limit.objects.last().pk]),
        "revoke": reverse("admin:accounts_apikey_revoke", args=[ApiKey.objects.last().pk]),
        **{f"list-{name}": reverse(f"admin:{name}_changelist") for name in lists},
        **{f"add-{name}": reverse(f"admin:{name}_add") for name in adds},
        **{f"row-{name}": reverse(f"admin:{name}_change", args=[of.objects.last().pk]) for name, of in rows_.items()},
    }


def _filters(visit: Visit, path: Path) -> None:
    visit.page.goto(reverse("admin:accounts_charge_changelist"))
    visit.page.click("text=Filters")
    visit.page.wait_for_timeout(400)
    visit.picture(path, full=False)


def _secret(visit: Visit, path: Path) -> None:
    visit.page.goto("/admin/accounts/apikey/add/")
    visit.page.fill("[name=name]", "ci")
    visit.page.locator("button[name=_save]").click()
    visit.picture(path)


def _probe(visit: Visit, path: Path) -> None:
    visit.page.goto(reverse("admin:providers_aimodel_test", args=[AIModel.objects.get(name="echo").pk]))
    visit.page.click("button:has-text('Test now')")
    visit.picture(path)


def _tasks(visit: Visit, folder: Path, ending: str) -> None:
    """Not `_paths`: pages that refresh themselves never fall silent."""
    names = {job.pk: f"task-{job.kind}-{job.state}" for job in Job.objects.all()}
    pages = {name: reverse("admin:common_job_change", args=[pk]) for pk, name in names.items()}
    pages |= {f"task-start-{kind}": reverse("admin:common_job_start", args=[kind]) for kind in SHOWN}
    for name, path in {"tasks": reverse("admin:common_job_changelist"), **pages}.items():
        visit.page.goto(path)
        visit.picture(folder / f"{name}-{ending}")


def main(folder: str = "") -> None:
    with served() as url, FakeOpenAI() as upstream, chromium() as browser:
        operator = User.objects.create_superuser("operator", password="x")
        rows.history()
        rows.limits_in_use()
        if not folder:
            readme(browser, url, operator)
            return
        model = factories.model(factories.provider(upstream, name="Fake upstream"), "echo")
        factories.model(model.provider, "unpriced", price_in=None, price_out=None)
        probes.test_model(model=model)
        keys.recharge(key=ApiKey.objects.get(name="intern"), amount=rows.Decimal(25), note="invoice 7")
        rows.tasks(operator)
        rows.bots()
        everything(browser, url, operator, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:2])
