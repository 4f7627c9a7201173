"""What somebody means who asks about a request, a commit or a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

from pipelines.errors import Refused
from pipelines.evidence.envelope import read
from pipelines.forge import Place
from pipelines.store import Store
from pipelines.store.evidence import Stated

_OBJECT = re.compile(r"[0-9a-f]{7,64}")
_NUMBER = re.compile(r"(.+)[/!#](\d+)")
HOW = "give a URL, REPO/NUMBER, REPO@BRANCH, or the name of a commit or blob"


class Unknown(Refused):
    """Nothing was stated of it."""

    code = 1


def is_object(word: str) -> bool:
    """Say whether a commit or blob is meant, and not a request."""
    return bool(_OBJECT.fullmatch(word))


def found(word: str, store: Store) -> tuple[list[Stated], str]:
    """Return what was stated of what is meant, oldest first, and what it is to it. Raises Unknown."""
    if is_object(word):
        if commits := store.evidence.about(word):
            return _one(word, commits), f"commit {commits[0].head} is Umbau's"
        if blobs := [*_holding(word, store)]:
            paths = ", ".join(dict.fromkeys(path for _, path in blobs))
            return [one for one, _ in blobs], f"blob {word} is Umbau's: {paths}"
        raise Unknown(f"{word}: nothing was stated of such a commit or blob, so it is not known to be Umbau's")
    place = _place(word, store)
    if stated := store.evidence.of(*place):
        return stated, f"{place[0]}@{place[1]}"
    raise Unknown(f"{word}: nothing was stated of {place[1]} of {place[0]}; it may be older than evidence is kept")


def _one(word: str, commits: list[Stated]) -> list[Stated]:
    if len({one.head for one in commits}) > 1:
        raise Refused(f"{word}: several commits begin like that: {', '.join(sorted({one.head for one in commits}))}")
    return commits


def _holding(blob: str, store: Store) -> Iterator[tuple[Stated, str]]:
    """Yield each statement that has a file of that content, with its path."""
    after = 0
    while True:
        some, after = store.evidence.all(after)
        for one in some:
            with suppress(Refused, LookupError, TypeError, AttributeError):  # tampered with: verifying it says so
                for subject in read(one.envelope).statement()["subject"]:
                    if str(subject["digest"].get("gitBlob", "")).startswith(blob):
                        yield one, str(subject["name"])
        if not after:
            return


def _place(word: str, store: Store) -> Place:
    """Return repository and branch of a request. Raises Unknown."""
    repo, at, branch = word.partition("@")
    if at and "://" not in word and store.evidence.jobs(repo):
        return repo, branch
    numbered = _NUMBER.fullmatch(word)
    for job in store.evidence.jobs(""):
        for event in reversed(store.log.events(job, ("opened",))):
            own = event.body
            if word == own["url"] or (numbered and (event.repo, own["number"]) == (numbered[1], int(numbered[2]))):
                return event.repo, own["branch"]
    raise Unknown(f"{word}: nothing is known of such a request: {HOW}")
