from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text import BadTemplate, render


def test_facts_are_filled_in() -> None:
    assert (
        render("{{ job }}: {{ files | length }} of {{ group }}", job="a", group="<b>", files=["x", "y"])
        == "a: 2 of <b>"
    )


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ nobody }}", "'nobody' is undefined"),
        ("{{ job.nobody }}", "no attribute 'nobody'"),
        ("{{ job", "unexpected end"),
        ("{% nobody %}", "unknown tag"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ job + 1 }}", "can only concatenate"),
        ("{{ job | nobody }}", "No filter named 'nobody'"),
        ("{{ range(10 ** 9) | list }}", "Range too big"),
        ("{% include 'x' %}", "no loader"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute '__class__'"),
        ("{{ files.append(1) }}", "access to attribute 'append'"),
        ("{{ '%d' % job }}", "a real number is required|a number is required"),
    ],
)
def test_what_does_not_work_is_named(template: str, why: str) -> None:
    with pytest.raises(BadTemplate, match=why) as caught:
        render(template, job="a", files=[])
    assert template in str(caught.value)


@given(
    st.lists(st.sampled_from(["{{", "}}", "{%", "%}", "{#", " job", " files", "|", "(", "1", "/", "0", "if", "end"]))
)
def test_any_template_gives_text_or_says_why_not(parts: list[str]) -> None:
    with suppress(BadTemplate):
        assert isinstance(render("".join(parts), job="a", files=[]), str)
