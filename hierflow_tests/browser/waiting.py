"""What a browser does after an action has returned, waited for."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Page

SECONDS = 60


def wait_until(page: Page, holds: str, argument: Any = None) -> None:
    """Ask the page again and again, by a function of JavaScript, until its answer is true.

    Not `wait_for_function`: from its second question on that asks by `eval`, which our pages refuse.

    Raises
    ------
    TimeoutError
        If it did not hold within a minute.
    """
    end = time.monotonic() + SECONDS
    while not page.evaluate(holds, argument):
        if time.monotonic() > end:
            msg = f"{holds} did not hold within {SECONDS} s"
            raise TimeoutError(msg)
        page.wait_for_timeout(20)


def follow(page: Page, link: str, file: str) -> None:
    """Click the first such link, and wait until the page in that file has loaded: a click returns before."""
    page.locator(link).first.click()
    page.wait_for_url(re.compile(rf"/{re.escape(file)}(#.*)?$"))
