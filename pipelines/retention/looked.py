"""What `umbau doctor` says of the audit log and of retention."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pipelines.doctor.line import Line
from pipelines.retention.due import kept
from pipelines.retention.purging import DAY
from pipelines.site import site_file
from pipelines.store import Store

LAST = 1000  # rows of the audit log that are followed
AUDIT = (
    "tests/pipelines/store/test_audit.py::test_who_gets_round_that_is_found_out",
    "tests/pipelines/audit/test_chain.py::test_tampering_is_seen_at_its_place",
)
PURGE = (
    "tests/pipelines/retention/test_bytes.py::test_no_byte_is_left",
    "tests/pipelines/retention/test_purging.py::test_by_itself_it_is_done_once_a_day_as_the_site_says",
)


def audit(store: Store) -> Line:
    """Follow the last rows of the audit log, and try to change and to delete one; `umbau audit` follows all."""
    promise, found = "who did what cannot be changed unseen", store.audit.verify(LAST)
    if found.wrong:
        return Line(promise, f"the audit log does not hold: {found.wrong}", AUDIT, "bad", "umbau audit")
    if not found.last.number:
        return Line(promise, "the audit log has no row yet", AUDIT)
    if open_ := store.unguarded():
        mend = (
            "make its triggers again, as pipelines/store/migrations/versions/r0005_account.py does; ask who took them"
        )
        return Line(
            promise, f"the database lets rows of the audit log be changed: {open_} was tried", AUDIT, "bad", mend
        )
    last = f"the last {LAST} of " if found.last.number > LAST else ""
    said = f"{last}{found.last.number} rows of the audit log hold; keep its head elsewhere: {found.last}"
    return Line(promise, said, AUDIT)


def retention(store: Store, now: float = 0.0) -> Iterator[Line]:
    """Say what is kept for how long, and whether some of it should be gone. `now`: in seconds since 1970, if not by
    the clock."""
    now = now or time.time()
    found, promise = kept(store, now), "what is old enough is removed for good"
    said = "; ".join(found.lines)
    if found.retention.prompts is None and found.retention.code is None:
        mend = f"retention: {{prompts: 30, code: 90}} in {site_file()}, or umbau purge"
        yield Line(promise, said, PURGE, "note", mend)
        return
    when = time.strftime("%Y-%m-%d", time.localtime(found.last)) if found.last else "never"
    late = found.overdue and found.last < now - 2 * DAY
    more = f"; {found.overdue:,} rows are older, those of open merge requests among them" if found.overdue else ""
    told = f"{said}; last purged as the site says: {when}{more}"
    yield Line(promise, told, PURGE, "bad" if late else "ok", "umbau purge --yes, or umbau tend" if late else "")
