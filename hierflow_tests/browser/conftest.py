"""A browser without a window. Where none is installed, the tests that need one say so and are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def _executable() -> str:
    candidates = (os.environ.get("CHROMIUM", ""), *_NAMES)
    found = next(filter(None, (shutil.which(name) for name in candidates if name)), None)
    if found is None:
        pytest.skip(f"no browser: set $CHROMIUM, or install one of {', '.join(_NAMES)}")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. It ends with the module: while it runs, this thread has an event loop, which asyncio.run refuses."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = _executable()
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """An empty page of 1280 x 900 pixels, in a profile of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(60_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def trouble(page: Page) -> list[str]:
    """What a page should never cause: a dialog, an error, a violation of its policy, a file that is not there."""
    found: list[str] = []

    def dismiss(dialog: Any) -> None:
        found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("dialog", dismiss)
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("console", lambda message: found.append(f"{message.type}: {message.text}"))
    page.on("requestfailed", lambda request: found.append(f"failed: {request.url}"))
    page.on(
        "response", lambda response: response.status >= 400 and found.append(f"{response.status}: {response.url}")
    )
    return found
