"""What a site allows, once for all jobs: umbau.yaml in the current folder, or where UMBAU_SITE says."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from operators.foreign import LEAST
from operators.hosts import NoHost, pattern
from operators.veil import Rules
from pipelines.catalogue import Model, catalogue
from pipelines.jobfile import BadJob, Problem, content, problem, settings
from pipelines.marked import Loc
from pipelines.strict import Regex, Strict

NEEDS = "leave it out, or write what your site allows, such as `downloads: true`"
OTHER = "a site's settings are keys and values: hosts, region, mask, retention, licences_met, downloads, models"


def _pattern(text: str) -> str:
    try:
        pattern(text)
    except NoHost as why:
        raise PydanticCustomError("host", "{why}", {"why": str(why)}) from None
    return text


def _said(hosts: Any) -> Any:
    """Refuse `hosts` with nothing behind it: it looks like nobody, and would be as if it were not there."""
    if hosts is None:
        raise PydanticCustomError("hosts", "nothing stands behind it: write `hosts: {}` for nobody, or take it out")
    return hosts


# A name, `*.` and the end of names, an address, or a network; then, perhaps, a port.
Host = Annotated[str, Field(max_length=300), AfterValidator(_pattern)]


class Hosts(Strict):
    """The only hosts that anything may go to, by what they are for. This machine itself always may, but as a
    proxy."""

    models: list[Host] = Field(default=[])
    """Endpoints that prompts go to."""
    forges: list[Host] = Field(default=[])
    """Where repositories are fetched from and merge requests are opened."""
    index: list[Host] = Field(default=[])
    """Where packages come from."""
    store: list[Host] = Field(default=[])
    """The database."""
    cluster: list[Host] = Field(default=[])
    """Heads of Ray clusters that jobs are submitted to."""
    traces: list[Host] = Field(default=[])
    """Collectors of traces."""
    proxies: list[Host] = Field(default=[])
    """What the others may be reached through."""


class Retention(Strict):
    """Days for which something is kept, from when it was written; nothing said: until somebody purges it."""

    prompts: float | None = Field(default=None, ge=0)
    """What models were told and what they replied. No longer than `code`, in whichever case."""
    code: float | None = Field(default=None, ge=0)
    """Edits, findings, output of tests, comments and logs, and copies of repositories that no job needs any more. Of a
    merge request that is open: until it is merged or closed."""

    @property
    def words(self) -> float | None:
        """Days after which what models were told and said goes: it stands beside code, and no longer than it."""
        return min((days for days in (self.prompts, self.code) if days is not None), default=None)


class Site(Strict):
    """Nothing that is not stated is allowed."""

    hosts: Annotated[Hosts | None, BeforeValidator(_said)] = Field(default=None)
    """Without it: the hosts that the environment names, for models, packages, store and traces; no forge."""
    regions: dict[Host, str] = Field(default={})
    """Where hosts are: `"*.example.eu": eu`."""
    region: list[str] = Field(default=[])
    """Where prompts may be processed; empty: wherever `hosts` says."""
    mask: dict[str, Regex] = Field(default={})
    """Further patterns of what is kept out of prompts, logs, reports, requests and the store, by name; all that one
    matches is. None may take long (operators.veil)."""
    share: bool = False
    """Whether code of a repository may stand in prompts about another."""
    say_model: bool = True
    """Whether each commit must say which model wrote parts of it; else a job may leave that out."""
    foreign_lines: int = Field(default=LEAST, ge=0, le=100_000)
    """Lines of a model's that stand in nothing it was shown, from which on requests and reports point at them; 0: never
    do."""
    retention: Retention = Field(default=Retention())
    evidence_key_from: str = "UMBAU_EVIDENCE_KEY"
    """The environment variable with the path of the SSH key that signs evidence; without it Umbau makes one."""

    licences_met: list[str] = Field(default=[])
    """Models of the catalogue whose licence has a condition that the company meets."""
    downloads: bool = False
    """Whether weights may be fetched from the model's repository."""
    models: dict[str, Model] = Field(default={})
    """Further models, or others under the same name."""


def site_file() -> Path:
    """Return where the site's settings stand, or would stand."""
    return Path(os.environ.get("UMBAU_SITE") or "umbau.yaml")


def site() -> Site:
    """Return the site's settings; without a file nothing is allowed. The file is read again once it is another. Raises
    BadJob."""
    file = site_file()
    try:
        stat = file.stat()
    except OSError:
        if os.environ.get("UMBAU_SITE"):
            raise BadJob(str(file), [Problem("is not there, and UMBAU_SITE names it")]) from None
        return Site()
    return _read(file, str(file.absolute()), stat.st_ino, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4)
def _read(file: Path, *stamp: str | int) -> Site:
    """Read the file. `stamp`: what tells it from another."""
    found = settings(content(file), str(file), Site, NEEDS, OTHER)
    known = {**catalogue(), **found.models}
    told = f"no such model is known; known are {', '.join(known)}"
    wrong: list[tuple[Loc, str]] = [
        (("licences_met", at), told) for at, name in enumerate(found.licences_met) if name not in known
    ]
    empty = "no host is there by `regions`, so that nothing could be asked"
    wrong += [(("region", at), empty) for at, name in enumerate(found.region) if name not in found.regions.values()]
    twice = "another pattern means the same hosts, and says that they lie elsewhere"
    where = {pattern(text): region for text, region in found.regions.items()}
    wrong += [(("regions", text), twice) for text, region in found.regions.items() if where[pattern(text)] != region]
    if wrong:
        raise BadJob(str(file), [problem(file, place, why) for place, why in wrong])
    if amiss := Rules(tuple(found.mask.items())).amiss():
        raise BadJob(str(file), [problem(file, ("mask", name), why) for name, why in amiss.items()])
    return found
