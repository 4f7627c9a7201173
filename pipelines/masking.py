"""What the driver lets nobody see: secrets by what they look like, what the site masks, and what its environment holds.

What workers give back is hidden already (operators.veiled). This is for what comes from elsewhere: logs of forges,
people's comments, errors of programs and libraries, and for all that is printed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from operators.data import Base, Shard
from operators.veil import Rules, Veil, tellable, veil_of
from pipelines.errors import Refused
from pipelines.site import site

SHORTEST = 8  # characters of what is taken for a secret of the environment
_NAMED = re.compile(r"TOKEN|SECRET|PASSW|CREDENTIAL|PRIVATE|API_?KEY|ACCESS_?KEY|MODEL_KEY|_KEY$")
# Paths among them; what mixes digits, capitals and small letters may be drawn at random, and begin with a slash too.
_NO_SECRET = re.compile(r"[/~.](?:\D*|[^A-Z]*|[^a-z]*)|\d+|(?i:true|false)")

WITHHELD: dict[str, str] = {}
"""Variables that are taken out of the environment for a while (pipelines.credentials), which are as secret then."""


def rules() -> Rules:
    """Return what is a secret at this site. Raises BadJob."""
    return Rules(tuple(site().mask.items()))


def masked(text: str) -> str:
    """Return a text without secrets, for good; one that takes too long is withheld (operators.veil)."""
    return tellable(text, masker())


def masked_all(value: Any) -> Any:
    """Return a value that JSON can hold with all its texts masked likewise, the keys as well."""
    mask = masker()

    def inner(value: Any) -> Any:
        if isinstance(value, str):
            return tellable(value, mask)
        if isinstance(value, Mapping):
            return {inner(key): inner(item) for key, item in value.items()}
        return type(value)(map(inner, value)) if isinstance(value, list | tuple) else value

    return inner(value)


def here(base: Base, shard: Shard) -> Veil:
    """Return what hides the secrets of a shard, as its workers do. Raises BadJob, Slow, GitError."""
    return veil_of(base, shard, rules())


def among(base: Base, shards: Iterable[Shard]) -> Veil:
    """Return what masks the secrets of several shards: of what is said about one, the others' are no business of it.
    Nothing that it hides can be shown again. Raises BadJob, Slow, GitError."""
    return Veil(rules(), dict.fromkeys((value for shard in shards for value in here(base, shard).numbers), 0))


def masker() -> Callable[[str], str]:
    """Return what masks many texts, as things are now. It raises Slow."""
    return partial(_known().masked, values=_held(frozenset({**WITHHELD, **os.environ}.items())))


@lru_cache(maxsize=4)
def _held(environment: frozenset[tuple[str, str]]) -> tuple[str, ...]:
    """Return the secrets in an environment."""
    found = {value for name, value in environment if _NAMED.search(name.upper()) and len(value) >= SHORTEST}
    return tuple(filter(_drawn, found))


def _drawn(value: str) -> bool:
    """Say whether a value is a secret rather than a setting or a path."""
    try:
        return not (_NO_SECRET.fullmatch(value) or Path(value).exists())
    except (OSError, ValueError):  # too long for a path, or of signs that stand in none
        return True


def _known() -> Rules:
    """Return the site's rules; where its file is broken those that all have: it has to be said that it is."""
    try:
        return rules()
    except Refused:
        return Rules()
