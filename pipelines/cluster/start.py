"""Starts Ray on this machine, or joins a cluster."""

from __future__ import annotations

import logging
import os
import signal
import socket
from typing import Any

from operators import outward
from pipelines.door import noticed
from pipelines.errors import Refused
from pipelines.notice import notice

OBJECT_STORE = 200 << 20  # bytes, on a laptop; a cluster has its own setting
RAY_ENV = {
    **outward.QUIET,  # nothing leaves the house
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # else every worker of `uv run umbau` would start a uv of its own
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
ALONE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}  # all of Ray's ports on the loopback: the one switch, on Linux too
GIVES_UP = "RAY_gcs_rpc_server_reconnect_timeout_s"  # after which Ray ends a process whose head is away, without a word
PATIENCE = float(os.environ.get(GIVES_UP, "60")) / 2  # seconds that a head may be away


class Gone(Refused):
    """The cluster does not answer any more."""


def started(address: str, cores: int | None) -> Any:
    """Return Ray's module, joined to the cluster at `address`, or with one of its own on this machine. Raises
    Refused."""
    wanted = RAY_ENV if address else RAY_ENV | ALONE
    os.environ.update({name: value for name, value in wanted.items() if name not in os.environ})
    import ray

    settings: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
    if address:
        if why := unreachable(address):  # Ray itself would go on trying for minutes
            raise Refused(f"no Ray cluster answers at {address}: {why}")
    else:
        here = {"num_cpus": cores, "include_dashboard": False, "object_store_memory": OBJECT_STORE}
        settings |= {"address": "local", **here}
    terminate = signal.getsignal(signal.SIGTERM)
    try:
        joined = ray.init(**settings)
    except Exception as error:  # a bare one, too, where a busy machine is slow to start it
        what = f"no Ray cluster answers at {address}" if address else "Ray cannot start here"
        raise Refused(f"{what}: {first(error)}") from None
    if head := getattr(ray.get_runtime_context(), "gcs_address", ""):  # which Ray Client does not tell
        outward.belong(head)
    signal.signal(signal.SIGTERM, terminate or signal.SIG_DFL)  # Ray has one of its own, which ends without a word
    if address and (warning := noticed(f"http://{joined.dashboard_url}")):
        notice(warning, "cluster")
    return ray


def unreachable(address: str) -> str:
    """Say why nobody listens at `host:port`, "" if somebody does; other ways to name a cluster are Ray's business."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return ""
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def first(error: Exception) -> str:
    """Return the first line of what an error says."""
    return next(iter(str(error).strip().splitlines()), "no reason given")
