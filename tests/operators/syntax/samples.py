"""Real files to try things on: a spread over the standard library."""

from __future__ import annotations

import sysconfig
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
TRICKY = '''\
#!/usr/bin/env python
# A comment before everything.
"""What the module
is about."""; import os
import sys; x = 1
from a import (
    b,
    c as d,  # why
)

a = 1; b = (
    2)
# between


@decorate
@decorate(
    1)
class A(
    B,  # why
):
    """About the class."""

    attribute = 1; other = """
    two"""

    # above a method
    @property
    def method(self) -> int:
        """About the method."""
        return 1
        # at its end

    class Inner:
        def deep(self): return 1
        def deeper(self):
            return """
text at the margin
"""
    # at the end of the class


class One: pass
class Two(A): x = 1; y = 2
@(
    decorate
)
def late(): ...
if sys.version_info > (3,):
    import late_import
else:
    late_import = None
\x0c
import last
async def no_newline():
    pass'''


def library(every: int, largest: int = 60_000) -> list[Path]:
    """Return each `every`-th module of the standard library that is no larger than `largest` bytes."""
    modules = sorted(path for path in LIBRARY.glob("*.py") if 500 < path.stat().st_size <= largest)
    return modules[::every]


def text_of(path: Path) -> str:
    return path.read_bytes().decode()
