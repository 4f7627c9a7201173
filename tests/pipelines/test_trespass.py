from __future__ import annotations

import json
import subprocess
import sys

import pytest

from pipelines.trespass import got_through

# What the trial finds when the guard, the clients' own look, or both are taken away.
BLIND = """
import json
from operators import outward
from pipelines import trespass
{blind}
tried, through = trespass._trial()
print(json.dumps(through))
"""
NO_GUARD = "outward._install = lambda: None\n"
NO_LOOK_AT_PROXIES = "outward.drop_proxies = dict\n"
NO_CHECK = "outward.check = outward.check_at = lambda *args: None\n"


def test_nobody_gets_through() -> None:
    tried, through = got_through()
    assert tried >= 16 and not through


@pytest.mark.parametrize(
    ("blind", "least"),
    [
        (NO_GUARD, {"a plain socket", "a datagram", "a library that asks nobody", "IPv4 within IPv6"}),
        (NO_LOOK_AT_PROXIES, {"a proxy on this machine"}),
        (f"{NO_GUARD}{NO_CHECK}", {"a model elsewhere", "git elsewhere", "a dashboard or log that sends us on"}),
    ],
    ids=["without the guard", "with whatever proxies there are", "without either"],
)
def test_the_trial_sees_what_is_not_held(blind: str, least: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", BLIND.format(blind=blind)], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) >= least


def test_what_clients_look_at_is_held_by_the_guard_as_well() -> None:
    """git is a process of its own, which alone the guard does not hold."""
    done = subprocess.run([sys.executable, "-c", BLIND.format(blind=NO_CHECK)], capture_output=True, check=True)
    assert set(json.loads(done.stdout)) == {"git elsewhere"}
