"""Pages in a real browser: Debian's Chromium, driven by Playwright, and what axe-core says of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

# What else Chromium asks of the network by itself is none of the page's business.
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PHONE = {"width": 375, "height": 812}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    found = shutil.which("chromium") or pytest.fail("Chromium is not there: .ci/browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


class Looking:
    """A page, and all that it asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", self._request)

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)

    def elsewhere(self, *hosts: str) -> list[str]:
        """Return what was asked of other hosts than these; without any, of everything that is not a file."""
        return [url for url in self.asked if urlsplit(url).netloc not in {"", *hosts}]

    def faults(self) -> list[str]:
        """Return what axe-core finds serious or critical, each with where."""
        from axe_playwright_python.sync_playwright import Axe

        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [
            f"{one['impact']}: {one['id']}: {json.dumps([node['target'] for node in one['nodes']][:5])}"
            for one in found
            if one["impact"] in {"serious", "critical"}
        ]


@pytest.fixture
def look(chromium: Browser) -> Iterator[Callable[..., Any]]:
    """`with look(dark=True, phone=True) as one:` gives a page of its own; what it complains of in the console fails
    the test."""

    @contextmanager
    def looking(*, dark: bool = False, phone: bool = False, **more: Any) -> Iterator[Looking]:
        context = chromium.new_context(
            viewport=PHONE if phone else DESK,  # type: ignore[arg-type]
            color_scheme="dark" if dark else "light",
            **more,
        )
        context.set_default_timeout(20_000)
        one = Looking(context.new_page())
        try:
            yield one
            assert not one.complaints, one.complaints
        finally:
            context.close()

    yield looking


def picture(page: Page, file: Path) -> None:
    """Keep what the page looks like, whole."""
    file.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(file), full_page=True)
