"""Who answers for what was done: evidence, models, the audit log, what is kept for how long."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pipelines.doctor.line import Line
from pipelines.evidence.trial import signing
from pipelines.licences import named, standing
from pipelines.retention import looked
from pipelines.site import site, site_file
from pipelines.store import opened
from pipelines.store.place import VARIABLE

_KEYS = "tests/pipelines/evidence/test_keys.py::test_"


def evidence(home: Path) -> Line:
    """Sign something, and change a bit of it."""
    promise, variable = "evidence of each merge request is signed, and tampering shows", site().evidence_key_from
    tests = (f"{_KEYS}signing_is_tried_with_a_flipped_bit", f"{_KEYS}no_bit_can_be_flipped")
    found = signing(home, variable)
    if found.trouble:
        return Line(promise, found.trouble, tests, "bad", f"name a usable ed25519 key in {variable}")
    tried = "one bit of a statement, and of a signature, was flipped here, and neither passed"
    return Line(promise, f"{found.fingerprint or 'no key yet'}, {found.whose}; {tried}", tests)


def key() -> Line:
    tests = (
        f"{_KEYS}a_key_is_made_once_and_nobody_else_can_read_it",
        "tests/hostile/test_walls.py::test_no_credential_can_be_read",
    )
    said = "it is read where requests are opened; a key that others may read is refused"
    return Line("the key of evidence reaches no worker and no sandbox", said, tests)


def marked() -> Line:
    tests = (
        "tests/pipelines/test_recipe.py::test_a_job_may_not_keep_silent_about_a_model",
        "tests/pipelines/report/test_filed.py::test_commits_name_the_model",
    )
    promise = "each commit that a model wrote parts of says so"
    if site().say_model:
        return Line(promise, "by the trailer Assisted-by, and requests and comments in words", tests)
    return Line(promise, f"jobs may leave it out, by `say_model: false` in {site_file()}", tests, "note")


def foreign() -> Line:
    test = "tests/operators/test_foreign.py::test_a_model_that_recites_is_pointed_at"
    promise = "long passages of a model's that stand in nothing it was shown are pointed at"
    if lines := site().foreign_lines:
        return Line(promise, f"from {lines} lines on", (test,))
    return Line(promise, f"not looked for, by `foreign_lines: 0` in {site_file()}", (test,), "note")


def licences() -> Iterator[Line]:
    tests = (
        "tests/pipelines/test_licences.py::test_what_a_site_states_of_a_licence",
        "tests/pipelines/report/test_filed.py::test_a_condition_that_nobody_states_to_be_met",
    )
    promise, allowed = "conditions of models' licences are met", site()
    if not named(allowed):
        yield Line(promise, "no model is named by the environment or the site; Umbau's own has none", tests)
    for name in named(allowed):
        found = standing(name, allowed)
        mend = "" if found.met else f"if it is met: `licences_met: [{name}]` in {site_file()}"
        yield Line(promise, f"{name}: {found.said}", tests, "ok" if found.met else "note", mend)


def store(home: Path) -> Iterator[Line]:
    """Look at what is kept, if anything is."""
    if not os.environ.get(VARIABLE) and not (home / "store.db").exists():
        yield Line("who did what cannot be changed unseen", "nothing was done yet", looked.AUDIT)
        yield Line("what is old enough is removed for good", "nothing is kept yet", looked.PURGE)
        return
    with closing(opened(home, upgrade=False)) as found:
        yield looked.audit(found)
        yield from looked.retention(found)
