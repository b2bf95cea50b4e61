"""Chromium for the console's tests and pictures: Debian's own, as Playwright's needs a download."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.test import Client
from playwright.sync_api import Browser, Page, sync_playwright

from accounts.models import User
from bench.processes import BenchError

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]
SIZES = {"desktop": (1440, 900), "phone": (390, 844)}
PASSWORD = "a long password"


def executable() -> str:
    """The browser of this machine; says how to install it when it is missing."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        raise BenchError("Chromium was not found: `apt-get install chromium` brings it.")
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    # Playwright runs an event loop in this thread, and Django would refuse to be called beside one.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class Visit:
    """A page that notes whatever must not happen: errors, violations of the policy, requests to other hosts."""

    def __init__(
        self, browser: Browser, url: str, size: str = "desktop", theme: str = "light", scale: float = 1
    ) -> None:
        width, height = SIZES[size]
        self.url = url
        self.complaints: list[str] = []
        self.context = browser.new_context(
            base_url=url,
            viewport={"width": width, "height": height},
            color_scheme="dark" if theme == "dark" else "light",
            device_scale_factor=scale,
            permissions=["clipboard-read", "clipboard-write"],
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _on_request(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"{self.page.url} asks {request.url}")

    def _on_response(self, response: Any) -> None:
        if response.status >= 400:
            self.complaints.append(f"{self.page.url}: {response.status} for {response.url}")

    def log_in(self, user: User) -> None:
        """Without the form, which is slow."""
        client = Client()
        client.force_login(user)
        cookie = client.cookies["weighbridge_session"]
        self.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url}])

    def picture(self, path: Path, *, full: bool = True) -> None:
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(150)
        self.page.screenshot(path=path, full_page=full)
