"""What a site allows, once for all jobs: umbau.yaml in the current folder, or where UMBAU_SITE says."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from pipelines.catalogue import Model, catalogue
from pipelines.jobfile import BadJob, Problem, content, problem, settings
from pipelines.strict import Strict

NEEDS = "leave it out, or write what your site allows, such as `downloads: true`"
OTHER = "a site's settings are keys and values: licences_met, downloads, models"


class Site(Strict):
    """Nothing that is not stated is allowed."""

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
    """Read the site's settings; without a file nothing is allowed. Raises BadJob."""
    file = site_file()
    if not file.exists():
        if os.environ.get("UMBAU_SITE"):
            raise BadJob(str(file), [Problem("is not there, and UMBAU_SITE names it")])
        return Site()
    found = settings(content(file), str(file), Site, NEEDS, OTHER)
    known = {**catalogue(), **found.models}
    told = f"no such model is known; known are {', '.join(known)}"
    places = [("licences_met", at) for at, name in enumerate(found.licences_met) if name not in known]
    if places:
        raise BadJob(str(file), [problem(file, place, told) for place in places])
    return found
