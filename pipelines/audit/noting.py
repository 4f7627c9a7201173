"""What is noted when a command begins and ends, and what has changed since the last time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pipelines.errors import Refused

if TYPE_CHECKING:
    from pipelines.dashboard.access import Access
    from pipelines.driver import Driver
    from pipelines.store import Store

BY_ITSELF = "umbau"
SEEN = "forge"  # whoever did it there
STARTED = ("run started", "pilot started", "tend started", "bot started")


def head(store: Store) -> str:
    """Return `NUMBER:HASH` of the log's last row: whoever keeps it elsewhere finds out when rows are taken away."""
    return str(store.audit.head())


@contextmanager
def audited(driver: Driver, what: str, who: str) -> Iterator[None]:
    """Note who has started a run, a pilot or the like of a job, and how it ended. What the site and the job's budget
    allow is compared with the last time. Of one that was killed there is no end."""
    store, job = driver.store, driver.job.name
    sited(store, who)
    began = _began(driver)
    last = store.audit.last(job, *STARTED)
    store.audit.note(who, f"{what} started", job, began)
    if last and last.facts["budget"] != began["budget"]:
        up = raised(last.facts["budget"], began["budget"])
        both = {"from": last.facts["budget"], "to": began["budget"]}
        store.audit.note(who, "budget raised" if up else "budget lowered", job, both)
    try:
        yield
    except BaseException as end:
        with suppress(Refused):  # what it ends with is told, not that this could not be noted as well
            how = (
                "stopped" if getattr(end, "exit_code", 0) == 130 or isinstance(end, KeyboardInterrupt) else "broke off"
            )
            store.audit.note(who, f"{what} ended", job, {"how": how, "error": type(end).__name__})
        raise
    store.audit.note(who, f"{what} ended", job, {"how": "paused" if driver.paused else "done"})


def _began(driver: Driver) -> dict[str, Any]:
    from importlib.metadata import version

    from pipelines.data import digest

    job = driver.job.model_dump(mode="json")
    return {
        "umbau": version("umbau"),
        "process": os.getpid(),
        "job": digest(job),
        "recipe": driver.recipe.fingerprint,
        "budget": job["budget"],
    }


def raised(before: Any, now: Any) -> bool:
    """Say whether a limit of a budget is higher than it was, or gone."""
    if isinstance(before, Mapping):
        rest: Mapping[str, Any] = now or {}
        return any(raised(before[key], rest.get(key, 0)) for key in before if key != "prices")
    limited = isinstance(before, int | float) and before > 0  # 0 is none
    return limited and isinstance(now, int | float) and (now == 0 or now > before)


def sited(store: Store, who: str) -> None:
    """Note the digest of the site's settings if they are others than at the last time. Raises BadJob."""
    from pipelines.data import digest
    from pipelines.site import site

    now = digest(site().model_dump(mode="json"))
    last = store.audit.last("", "site changed", "site read")
    if last is None or last.facts["settings"] != now:
        store.audit.note(who, "site changed" if last else "site read", facts={"settings": now})


def entrance(store: Store, access: Access, who: str) -> None:
    """Note who may look at the dashboard, or steer from there, if it is others than at the last time."""
    from pipelines.data import digest
    from pipelines.masking import masked_all

    keys = {name: [key.role, key.sha256[:12]] for name, key in sorted(access.keys.items())}
    proxy = digest(access.proxy.model_dump(mode="json")) if access.proxy else ""
    now: dict[str, Any] = masked_all({"keys": keys, "proxy": proxy})  # as it is noted
    keys = now["keys"]
    last = store.audit.last("", "access changed")
    known: dict[str, Any] = last.facts["keys"] if last else {}
    if now != {"keys": known, "proxy": last.facts["proxy"] if last else ""}:
        given = sorted(name for name in keys if keys[name] != known.get(name))
        store.audit.note(who, "access changed", facts={**now, "given": given, "removed": sorted({*known} - {*keys})})
