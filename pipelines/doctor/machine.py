"""What this machine gives: programs, a sandbox, a folder that is ours alone."""

from __future__ import annotations

import os
import platform
import re
import stat
from pathlib import Path

from operators.probe import proven
from operators.proc import git
from operators.stage import NoSandbox
from pipelines.doctor.line import Line

OLDEST_GIT = (2, 38)


def sandbox() -> Line:
    """Try the walls, as before each run."""
    promise, walls = "commands, tests and builds of repositories run in a sandbox", "tests/hostile/test_walls.py::"
    names = ("no_socket_leads_out", "nothing_is_written_outside", "no_credential_can_be_read")
    tests = tuple(f"{walls}test_{name}" for name in names)
    try:
        found = proven()
    except NoSandbox as why:
        said, _, mend = str(why).partition("\n")
        return Line(promise, said, tests, "bad", mend)
    who = "as user 65534, though Umbau was started by root" if os.geteuid() == 0 else "without a right of yours"
    tried = "a program in it reached no network, file, process or environment of this machine"
    return Line(promise, f"{found}, {who}: {tried}", tests)


def programs() -> Line:
    said = git(None, "--version").decode().strip()
    found = re.search(r"(\d+)\.(\d+)", said)
    line = f"{said}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    if not found or (int(found[1]), int(found[2])) < OLDEST_GIT:
        return Line("programs are new enough", line, (), "bad", "install git 2.38 or newer")
    return Line("programs are new enough", line)


def private(home: Path) -> Line:
    """See that nobody else on this machine reads what is kept."""
    promise, tests = "what is kept is its owner's alone", ("tests/test_cli.py::test_what_is_kept_is_its_owners_alone",)
    mode = stat.S_IMODE(home.stat().st_mode)
    if mode & 0o077:
        return Line(promise, f"others on this machine may enter {home}", tests, "bad", f"chmod 700 {home}")
    return Line(promise, f"{home} may be entered by its owner only", tests)
