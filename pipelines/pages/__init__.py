"""What all pages share: one style sheet, templates in which foreign text stays text, and parts of pages."""

from __future__ import annotations

import hashlib
import unicodedata
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


@lru_cache(maxsize=8)
def environment(package: str = "pipelines") -> Environment:
    """Return the templates in the folder `pages` of a package, such as `pipelines.forges`, and those that all share:
    `base.html` (blocks `policy`, `title`, `head` and `content`) and `parts.html` (macros `badge` and `diff`). They know
    `style`, the style sheet, and `hashed`. Whatever is put into a page is escaped, and shown as `visible` says."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    made = Environment(
        loader=ChoiceLoader([PackageLoader(one, "pages") for one in dict.fromkeys((package, "pipelines"))]),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        finalize=lambda value: value if isinstance(value, Markup) else visible(value),
    )
    made.globals.update(style=style(), hashed=hashed)
    return made


@lru_cache(maxsize=1)
def style() -> str:
    """Return the style sheet of all pages."""
    return (Path(__file__).parent / "style.css").read_text()


def hashed(text: str) -> str:
    """Return what a Content-Security-Policy calls an inline script or style of this very text."""
    return f"sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def visible(text: object) -> str:
    """Return text in which characters that cannot be seen, or that reorder what is seen, are named instead."""
    said = str(text)
    if said.replace("\n", "").replace("\t", "").isprintable():  # as nearly all text is
        return said
    return "".join(
        one if one in "\n\t" or unicodedata.category(one) not in {"Cc", "Cf", "Co", "Cs"} else f"[U+{ord(one):04X}]"
        for one in said
    )
