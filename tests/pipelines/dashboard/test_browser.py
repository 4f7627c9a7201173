"""The dashboard in a browser, as people use it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from operators.data import Edit, Outcome, Verdict
from pipelines import steering
from pipelines.store import Store
from tests.browsing import picture
from tests.pipelines.dashboard.setting import OPERATOR, READER, Filled, fill, served

pytestmark = pytest.mark.browser
SHOTS = os.environ.get("UMBAU_PICTURES", "")


@dataclass
class Site:
    url: str
    filled: Filled

    def enter(self, one: Any, key: str = OPERATOR) -> Any:
        one.page.goto(self.url)
        one.page.get_by_label("Key").fill(key)
        one.page.get_by_role("button", name="Log in").click()
        one.page.get_by_role("heading", name="Jobs").wait_for()
        return one.page

    @property
    def paths(self) -> dict[str, str]:
        job, key = "/job/modern-logging", self.filled.shards["app/a.py"].key
        rest = {"repositories": f"{job}/repositories", "requests": f"{job}/requests", "shards": f"{job}/shards"}
        return {"jobs": "/", "job": job, **rest, "shard": f"{job}/shard/{key}"}


@pytest.fixture
def site(tmp_path: Path, checkout: Callable[..., Any]) -> Iterator[Site]:
    billing = checkout({"app/a.py": "print('a')\n", "app/b.py": "print(b)\n"})
    with closing(Store(tmp_path / "store.db")) as store:
        filled = fill(store, billing, time.time(), many=120)
        with served(store) as url:
            known = {"headers": {"Authorization": f"Bearer {READER}"}, "timeout": 60}
            while "app/a.py" not in httpx.get(f"{url}/job/modern-logging/shards", **known).text:  # type: ignore[arg-type]
                time.sleep(0.1)
            yield Site(url, filled)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phone", [False, True])
def test_every_page_on_every_screen(site: Site, look: Callable[..., Any], dark: bool, phone: bool) -> None:
    with look(dark=dark, phone=phone) as one:
        page = one.page
        page.goto(site.url)
        assert not one.faults()
        site.enter(one)
        for name, path in site.paths.items():
            page.goto(f"{site.url}{path}")
            if SHOTS:
                picture(page, Path(SHOTS) / f"{name}{'-dark' * dark}{'-phone' * phone}.png")
            assert not one.faults(), name
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"
        assert not one.elsewhere(urlsplit(site.url).netloc)


def test_from_a_job_down_to_an_attempt(site: Site, look: Callable[..., Any]) -> None:
    with look() as one:
        page = site.enter(one)
        page.get_by_role("link", name="modern-logging").click()
        page.get_by_role("link", name="rejected: tests").click()
        page.get_by_role("link", name="app/b.py").click()
        assert page.get_by_role("heading", name="Attempt 2").is_visible()
        assert page.get_by_text("newly failing: test_b").first.is_visible()
        page.get_by_text("What the model said").first.click()
        assert page.get_by_text("Done.", exact=True).first.is_visible()
        page.get_by_role("link", name="team/billing").click()
        page.get_by_label("Status").select_option("accepted")
        page.get_by_role("button", name="Filter").click()
        assert page.get_by_role("table").get_by_role("link").all_inner_texts() == ["app/a.py"]


def test_an_operator_steers_and_a_reader_does_not(site: Site, look: Callable[..., Any]) -> None:
    with look() as one:
        page = site.enter(one)
        page.goto(f"{site.url}/job/modern-logging")
        page.get_by_placeholder("why").fill("the forge is down")
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").wait_for()
        assert "by ada" in steering.paused(site.filled.store, "modern-logging")
        assert page.get_by_text("the forge is down").first.is_visible()
        page.get_by_role("button", name="Resume").click()
        page.get_by_role("button", name="Pause").wait_for()
        page.goto(f"{site.url}/job/modern-logging/shards?status=rejected")
        page.get_by_role("button", name="Retry these 2").click()
        page.get_by_text("122 waiting").wait_for()
        page.goto(f"{site.url}/job/modern-logging/shards?status=rejected")
        assert page.get_by_text("There is none like that").is_visible()
        page.get_by_role("button", name="Log out").click()
        page.get_by_label("Key").wait_for()
    with look() as one:
        page = site.enter(one, READER)
        for path in site.paths.values():
            page.goto(f"{site.url}{path}")
            assert {*page.get_by_role("button").all_inner_texts()} <= {"Log out", "Filter"}


def test_a_page_goes_on_by_itself(site: Site, look: Callable[..., Any]) -> None:
    with look() as one:
        page = site.enter(one, READER)
        page.goto(f"{site.url}/job/modern-logging")
        assert page.get_by_text("120 waiting").is_visible()
        web = next(one.shard for one in site.filled.plan.planned.of("team/web"))
        site.filled.store.save([(Outcome(web, (Verdict(Edit({web.paths[0]: "x"})),)), 0)])
        page.get_by_text("119 waiting").wait_for()


def test_without_javascript(site: Site, look: Callable[..., Any]) -> None:
    with look(java_script_enabled=False) as one:
        page = site.enter(one)
        page.goto(f"{site.url}/job/modern-logging")
        assert page.locator("noscript meta[http-equiv=refresh]").count() == 1
        page.get_by_role("button", name="Pause").click()
        page.get_by_role("button", name="Resume").wait_for()
        page.get_by_role("link", name="Shards", exact=True).click()
        page.get_by_label("Status").select_option("failed")
        page.get_by_role("button", name="Filter").click()
        assert page.get_by_role("link", name="app/d.py").is_visible()
