"""The same thing done to many merge requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.bulk.acts import Bulk, Done, closing, commenting, conditions, merging, reopening, reverting
from pipelines.errors import Refused
from pipelines.forge import AUTOMATED, Forge, ForgeError, Request
from pipelines.job import Job
from tests.pipelines.forges.conftest import Site, site  # noqa: F401

ONE = Request("acme/billing", "umbau/j/app", "d", "open", "https://x/1", ci="passed", approved=True, title="Greet")
JOB = Job.model_validate(
    {
        "name": "j",
        "repos": [{"git": "."}],
        "steps": [{"shell": "true"}],
        "merge_request": {"labels": ["greet"], "author": "Bot <bot@example.eu>"},
    }
)


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ([], True),
        (["repo=acme/*"], True),
        (["repo=*/web"], False),
        (["repo!=*/web"], True),
        (["ci=passed", "approved=yes", "conflicts=no"], True),
        (["ci=passed", "approved!=yes"], False),
        (["title=[Gg]reet"], True),
        (["state=open", "number=0"], True),
        (["url=https://x/1"], True),
    ],
)
def test_which_requests_are_meant(words: list[str], holds: bool) -> None:
    assert bool(merging().fitting([ONE], conditions(words))) is holds


@pytest.mark.parametrize("word", ["repo", "repos=x", "comments=x", "=x", "repo!", "__class__=x", "REPO=x"])
def test_a_condition_that_is_none(word: str) -> None:
    with pytest.raises(Refused, match="with a key of repo, branch, state"):
        conditions([word])


@pytest.fixture
def two(site: Site) -> Site:  # noqa: F811
    site.push({"a.py": "x = 2\ny = 1\n"}, "umbau/j/a", title="Two")
    site.push({"b.py": "z = 2\n"}, "umbau/j/b", title="Three")
    return site


def requests(site: Site, prefix: str = "umbau/j/") -> list[Request]:  # noqa: F811
    return list(site.again().requests(prefix, [site.repo]))


def do(site: Site, bulk: Bulk, *where: str) -> list[str]:  # noqa: F811
    found = bulk.fitting(requests(site), conditions(where))
    return [f"{one.title} {one.trouble or one.what}" for one in bulk.each(site.forge, found, lambda: None)]


def test_closed_told_why_reopened_and_merged(two: Site) -> None:
    assert do(two, closing("not this quarter"), "branch=*/a") == ["Two closed"]
    assert [one.state for one in requests(two)] == ["closed", "open"]
    assert do(two, merging()) == ["Three merged"]
    assert do(two, merging()) == []
    assert do(two, reopening()) == ["Two reopened"]
    assert do(two, merging()) == ["Two merged"]
    assert two.tree("main") == {"a.py": "x = 2\ny = 1", "b.py": "z = 2"}


def test_said_once_on_each(two: Site) -> None:
    for _ in range(2):
        assert do(two, commenting("Freeze until Monday.", "bulk x")) == ["Two commented on", "Three commented on"]
    events = [event.text for record in two.forge.records() for event in record.events if event.kind == "comment"]
    assert events == [f"Freeze until Monday.\n\n{AUTOMATED}"] * 2


def test_one_that_cannot_be_merged_keeps_no_other_from_it(two: Site) -> None:
    two.foreign("umbau/j/a")
    first, second = do(two, merging())
    assert "somebody pushed to it" in first
    assert second == "Three merged"
    assert [one.state for one in requests(two)] == ["open", "merged"]


def test_what_a_forge_does_not_do_is_told() -> None:
    def act(forge: Forge, request: Request) -> None:
        raise ForgeError("not now")

    assert Bulk("merged", ("open",), act).each(None, [ONE], lambda: None) == [  # type: ignore[arg-type]
        Done("acme/billing", "https://x/1", "Greet", "merged", "not now")
    ]


class TestTakenBack:
    def merged(self, site: Site) -> None:  # noqa: F811
        """Merge both, as the source has it afterwards."""
        do(site, merging())
        site.made.git("pull", "--quiet", str(site.bare), "main")

    def test_each_by_a_request_of_its_own(self, two: Site) -> None:
        self.merged(two)
        two.made.commit({"a.py": "x = 2\ny = 1\n\n\n\n\n\nnew = 3\n", "c.py": "c = 1\n"})
        assert do(two, reverting(JOB, [two.repo])) == ["Two taken back", "Three taken back"]
        assert do(two, reverting(JOB, [two.repo])) == ["Two taken back", "Three taken back"], "twice is once"
        found = requests(two, "revert/")
        assert [(one.title, one.state) for one in found] == [("Revert: Two", "open"), ("Revert: Three", "open")]
        assert two.tree("revert/umbau/j/a")["a.py"] == "x = 1\ny = 1\n\n\n\n\n\nnew = 3", "what came later stays"
        assert two.tree("revert/umbau/j/b")["b.py"] == "z = 1"
        told = two.git("log", "-1", "--format=%an%n%B", "revert/umbau/j/a")
        assert told.startswith("Bot\nRevert: Two\n\nTakes back ") and "\nUmbau-Job: j\n" in told

    def test_with_what_people_added_before_it_was_merged(self, two: Site) -> None:
        two.foreign("umbau/j/a", "person.py")
        two.made.git("fetch", "--quiet", str(two.bare), "umbau/j/a")
        two.made.git("merge", "--quiet", "--no-edit", "FETCH_HEAD")
        (request,) = [one for one in requests(two) if one.branch == "umbau/j/a"]
        reverting(JOB, [two.repo]).act(two.forge, request)
        assert two.tree("revert/umbau/j/a") == {"a.py": "x = 1\ny = 1", "b.py": "z = 1"}

    def test_what_a_person_put_in_its_place_is_for_people(self, two: Site) -> None:
        two.made.git("pull", "--quiet", "--ff-only", str(two.bare), "umbau/j/b")
        (request,) = [one for one in requests(two) if one.branch == "umbau/j/a"]
        head = two.made.commit({"a.py": "x = 3\ny = 1\n"})
        with pytest.raises(ForgeError, match="holds no commit of Umbau's"):
            reverting(JOB, [two.repo]).act(two.forge, replace(request, head=head))

    def test_what_was_changed_again_is_for_people(self, two: Site) -> None:
        self.merged(two)
        two.made.commit({"a.py": "x = 7\ny = 1\n"})
        assert do(two, reverting(JOB, [two.repo]), "branch=*/a") == [
            "Two conflicts with what was changed later: take it back by hand"
        ]

    def test_where_the_job_has_nothing_to_do_any_more(self, two: Site) -> None:
        self.merged(two)
        assert do(two, reverting(JOB, []), "branch=*/a") == [
            "Two is not among the repositories of the job today: umbau plan j says why"
        ]

    def test_what_is_taken_back_already(self, two: Site) -> None:
        self.merged(two)
        two.made.commit({"a.py": "x = 1\ny = 1\n"})
        assert do(two, reverting(JOB, [two.repo]), "branch=*/a") == ["Two is taken back already: nothing of it is left"]
