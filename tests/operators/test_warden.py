"""What a command in a box holds of memory, as it is measured from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from operators.stage import tool
from operators.warden import _resident


def test_what_has_not_entered_its_box_yet_holds_nothing() -> None:
    """It sees all of this machine, whose processes may well hold more than a command may."""
    with subprocess.Popen([tool("cat")], stdin=subprocess.PIPE) as child:
        assert _resident(child.pid) == 0


def test_what_is_in_it_counts_and_nothing_else() -> None:
    user = ["--user", "--map-root-user"]
    own = [tool("unshare"), *user, "--pid", "--fork", "--kill-child", "--mount-proc"]
    script = "import sys; held = bytearray(64 << 20); print(flush=True); sys.stdin.read()"
    with subprocess.Popen([*own, sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        (first,) = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        assert 64 << 20 < _resident(int(first)) < 128 << 20
        child.communicate()
