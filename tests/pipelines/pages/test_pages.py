from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from pipelines.forges.page import index_page, request_page
from pipelines.forges.record import Record
from pipelines.pages import environment, hashed, style

DIFF = (
    "diff --git a/a.py b/a.py\n--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,2 @@\n x = 1\n-assertEquals(x, 1)\n+assert x == 1\n"
)


def test_templates_escape_and_forgive_nothing() -> None:
    made = environment()
    assert made.from_string("{{ x }}").render(x="<b>\u202e") == "&lt;b&gt;[U+202E]"
    with pytest.raises(UndefinedError):
        made.from_string("{{ x }}").render()
    parts = made.get_template("parts.html").module
    assert parts.badge("<i>") == '<span class="badge &lt;i&gt;">&lt;i&gt;</span>'  # type: ignore[attr-defined]


def test_a_page_allows_its_own_style_and_nothing_else() -> None:
    page = environment("pipelines.forges").get_template("index.html").render(records=[])
    assert f"default-src 'none'; style-src '{hashed(style())}'" in page and page.count("<style>") == 1
    assert "url(" not in style() and "@import" not in style()


def record(number: int, **more: object) -> Record:
    facts = {"repo": "billing", "number": number, "branch": "umbau/j/app", "base": "main", "commit": "c0ffee"}
    made = Record(**{**facts, "title": "Greet", "body": "Why.\n", "digest": "d", "head": "beef", **more})  # type: ignore[arg-type]
    return made.after("push", text="beef" * 10).after("comment", "ada", "Louder!", "a.py", 3).after("approve", "bob")


@pytest.mark.browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("phone", [False, True])
def test_pages_of_the_local_forge(look: Callable[..., Any], tmp_path: Path, dark: bool, phone: bool) -> None:
    states = ("open", "merged", "closed")
    records = [record(number, state=state, labels=("umbau",)) for number, state in enumerate(states, 1)]
    page = tmp_path / "billing" / "1.html"
    page.parent.mkdir()
    page.write_text(request_page(records[0], DIFF, "/srv/forge/billing/repo.git"))
    (tmp_path / "index.html").write_text(index_page([(one, Path("billing/1.html")) for one in records]))
    with look(dark=dark, phone=phone) as one:
        for file in (tmp_path / "index.html", page):
            one.page.goto(file.as_uri())
            assert one.faults() == []
            assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            colour = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert colour == ("rgb(20, 22, 26)" if dark else "rgb(255, 255, 255)")
        assert one.elsewhere() == []
