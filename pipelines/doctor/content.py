"""What code, tests and people say: what of it is kept back, and whether it gives orders."""

from __future__ import annotations

from operators.planted import PLANTED, slips
from pipelines.attempted import got_through
from pipelines.doctor.line import Line
from pipelines.masking import rules
from pipelines.site import site, site_file


def secrets() -> Line:
    """Plant a secret of each kind."""
    promise = "secrets in code reach no model, log or store"
    tests = (
        "tests/operators/test_planted.py::test_no_kind_slips_through",
        "tests/pipelines/test_secrets.py::test_secrets_stand_where_they_stood_and_nowhere_else",
    )
    if through := slips(rules()):
        return Line(promise, f"these would get through: {', '.join(through)}", tests, "bad")
    return Line(promise, f"{len(PLANTED)} kinds were planted here, and none got through", tests)


def masked() -> Line:
    names = ", ".join(name for name, _ in rules().mask)
    said = f"{names} ({site_file()})" if names else f"{site_file()} names no patterns of its own (`mask`)"
    test = "tests/pipelines/test_masking.py::test_what_the_site_names_is_masked_from_the_moment_it_does"
    return Line("what the site names as personal is masked likewise", said, (test,))


def added() -> Line:
    test = "tests/operators/test_veil.py::test_an_edit_adds_no_secret"
    return Line("no edit adds a secret", "the check `secrets` is part of every job", (test,))


def orders() -> Line:
    """Try to steer Umbau by text."""
    promise, hostile = "what code, tests and strangers say gives no orders", "tests/hostile/test_injection"
    tests = (
        "tests/pipelines/test_attempted.py::test_nothing_gets_through_and_it_is_quick",
        f"{hostile}.py::test_a_model_that_obeys_everything_changes_the_shards_files_alone",
        f"{hostile}_forge.py::test_people_are_heard_as_far_as_they_may_give_orders",
    )
    if through := got_through():
        return Line(promise, f"got through: {'; '.join(through)}", tests, "bad")
    return Line(promise, "attempts by replies, paths, names and comments, made here, came to nothing", tests)


def shared() -> Line:
    allowed = f"allowed by `share: true` in {site_file()}" if site().share else "examples are taken from its own alone"
    test = "tests/pipelines/test_learn.py::test_edits_of_another_repository_are_shown_where_the_site_says_so"
    return Line(
        "code of a repository stands in no prompt about another",
        allowed,
        (test,),
        "note" if site().share else "ok",
    )
