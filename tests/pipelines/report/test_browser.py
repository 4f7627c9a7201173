"""The report in a real browser, as somebody opens it from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser
Look = Callable[..., Any]


@pytest.fixture(scope="session")
def address(page: Callable[[], Path]) -> str:
    return page().as_uri()


def opened(page: Page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector("#list tbody tr")


def shards(page: Page) -> list[str]:
    return page.locator("#list .open-row").all_inner_texts()


def told(page: Page) -> str:
    return page.locator("#changes [role=status]").inner_text()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phone", [False, True])
def test_anybody_can_read_it(look: Look, address: str, dark: bool, phone: bool) -> None:
    with look(dark=dark, phone=phone) as one:
        opened(one.page, address)
        one.page.get_by_role("button", name="b/test_late.py").click()
        one.page.wait_for_selector("tr.more .diff")
        for numbers in one.page.locator("details").all():
            numbers.locator("summary").click()
        assert one.faults() == []
        assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        colour = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert colour == ("rgb(20, 22, 26)" if dark else "rgb(255, 255, 255)")
        assert one.elsewhere() == []


def test_search_filter_and_sort(look: Look, address: str) -> None:
    with look() as one:
        page = one.page
        opened(page, address)
        assert told(page) == "18 rows"
        search = page.get_by_label("Search in: Changes")
        search.fill("ledger B/")
        assert shards(page) == ["b/test_late.py", "b/test_never.py"] and told(page) == "2 of 18 rows"
        search.fill("no such thing")
        assert shards(page) == ["test_gone.py"], "what was found is searched as well"
        search.fill("nothing at all")
        assert told(page) == "No row has all of these words."
        search.fill("")
        page.get_by_label("Status").select_option("overcome")
        assert shards(page) == ["b/test_late.py"]
        page.get_by_label("Status").select_option("")
        page.locator("#repo").select_option("shop")
        assert shards(page) == ["test_fine.py", "test_gone.py", "test_long.py"]
        page.locator("#repo").select_option("")
        head = page.locator("#list th", has_text="Attempts")
        for order in ("descending", "ascending"):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == order
            first = page.locator("#list tbody tr").first.locator("td").nth(5).inner_text()
            assert first == {"descending": "2", "ascending": ""}[order]
        assert page.locator("#list th[aria-sort]").count() == 1
        owners = page.locator("table.live", has_text="as CODEOWNERS names them")
        owners.get_by_role("button", name="Shards").click()
        assert owners.locator("tbody th").all_inner_texts() == ["@money", "shop", "@ledger"]


def test_a_change_with_what_it_took(look: Look, address: str) -> None:
    with look() as one:
        page = one.page
        opened(page, address)
        late = page.get_by_role("button", name="b/test_late.py")
        late.click()
        more = page.locator("tr.more")
        more.locator(".diff").wait_for()
        assert late.get_attribute("aria-expanded") == "true"
        text = more.inner_text()
        assert "Findings overcome" in text and "attempt 1, gone (b/test_late.py:6)" in text and "Proof" in text
        assert more.locator("tr.add").inner_text().split() == ["6", "+", "assert", "late"]
        assert more.locator("tr.del").inner_text().split() == ["6", "−", "self.assertTrue(late)"]
        assert more.get_by_role("link").get_attribute("href").endswith(".html")  # type: ignore[union-attr]
        late.click()
        assert more.count() == 0 and late.get_attribute("aria-expanded") == "false"
        page.get_by_role("button", name="b/test_never.py").click()
        assert "nothing of it was proposed" in more.inner_text()


def test_what_is_hostile_is_text(look: Look, address: str) -> None:
    with look() as one:
        page = one.page
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        opened(page, address)
        page.get_by_role("button", name="c/test_<b>&.py").click()
        page.wait_for_selector("tr.more .diff")
        assert "</script><script>alert(1)</script>" in page.locator("tr.more tr.add").inner_text()
        assert page.locator("tr.more mark").all_inner_texts() == ["[U+202E]"] * 2
        assert page.locator("img").count() == 0


def test_a_shape_shows_its_changes(look: Look, address: str) -> None:
    with look() as one:
        page = one.page
        opened(page, address)
        row = page.locator("#shapes tbody tr", has_text="assertTrue")
        row.get_by_role("button").click()
        assert shards(page) == ["b/test_late.py"]
        assert page.evaluate("document.activeElement.id") == "h-changes"
        page.get_by_role("button", name="All shapes").click()
        assert len(shards(page)) == 18


def test_by_keyboard_alone(look: Look, address: str) -> None:
    with look() as one:
        page = one.page
        opened(page, address)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#changes input[type=search]").focus()
        page.keyboard.type("late")
        reached = []
        for _ in range(30):
            page.keyboard.press("Tab")
            reached.append(page.evaluate("document.activeElement.textContent"))
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
            if reached[-1] == "b/test_late.py":
                break
        assert {"Repository", "Tokens", "b/test_late.py"} <= {*reached}
        page.keyboard.press("Enter")
        page.wait_for_selector("tr.more .diff")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") in {"A", "DIV"}


def test_on_paper(look: Look, address: str) -> None:
    with look(dark=True) as one:
        page = one.page
        opened(page, address)
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible() and not page.locator("#changes .tools").is_visible()
        assert len(page.pdf()) > 20_000


def test_without_scripts(look: Look, address: str) -> None:
    with look(java_script_enabled=False) as one:
        one.page.goto(address)
        text = one.page.locator("body").inner_text()
        assert "This list needs JavaScript" in text and "93.8 %" in text and "self.assertEqual(‹1›, ‹2›)" in text


def test_an_old_browser_is_told(look: Look, address: str) -> None:
    with look() as one:
        one.page.add_init_script("delete globalThis.DecompressionStream")
        one.page.goto(address)
        assert one.page.locator("#too-old").is_visible()
        assert one.page.locator("#acceptance th[aria-sort], #acceptance th button").count() > 5
