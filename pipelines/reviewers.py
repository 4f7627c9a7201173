"""Who is asked to review a merge request."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from pipelines.owners import Owners
from pipelines.publishing import Reviewers

_USER = re.compile(r"@([A-Za-z0-9_][A-Za-z0-9_.-]*)")


def reviewers(
    settings: Reviewers,
    owned: Owners,
    files: Iterable[str],
    load: Mapping[str, int],
    author_of_request: str,
    key: str,
) -> tuple[str, ...]:
    """Return the users, without `@`, who are to be asked: `settings.most` of those named and of the owners of `files`.

    `load`: user to the number of open requests that wait for them; those with the fewest are asked first, and among
    equals `key` decides, so that the same request asks the same people and many requests ask all. Names of users are
    told apart as forges do it, regardless of case. Who opened the request is never asked.
    """
    owning = [user for path in files for name in owned.named(path) if (user := _user(name))] if settings.owners else []
    known = {name.casefold(): name for name in reversed([*settings.named, *owning])}
    known.pop(author_of_request.casefold(), None)
    busy = {name.casefold(): count for name, count in load.items()}
    order = sorted(known, key=lambda name: (busy.get(name, 0), hashlib.sha256(f"{key}\0{name}".encode()).digest()))
    return tuple(known[name] for name in order[: settings.most])


def not_users(owned: Owners, files: Iterable[str]) -> tuple[str, ...]:
    """Return the owners that cannot be asked, in file order: teams, roles and addresses."""
    return tuple(dict.fromkeys(name for path in files for name in owned.named(path) if not _user(name)))


def _user(owner: str) -> str:
    """Return the user that an owner in CODEOWNERS is, "" when it is none."""
    found = _USER.fullmatch(owner)
    return found[1] if found else ""
