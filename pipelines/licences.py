"""Under which licences models are used, and whether the site states that their conditions are met."""

from __future__ import annotations

import os
from dataclasses import dataclass

from pipelines.catalogue import Model, catalogue
from pipelines.site import Site


@dataclass(frozen=True, slots=True)
class Standing:
    """Of one model."""

    name: str
    entry: Model | None
    """None when neither the catalogue nor the site knows it."""
    stated: bool
    """Whether the site states that the condition is met, where there is one."""

    @property
    def met(self) -> bool:
        """Whether nothing is left to be stated."""
        return bool(self.entry and (self.stated or not self.entry.licence.condition))

    @property
    def said(self) -> str:
        """In words; what is a name stands between backticks."""
        if not self.entry:
            return "licence not known to Umbau: the site's file has no such entry in `models`"
        licence = self.entry.licence
        if not licence.condition:
            return f"licence `{licence.name}`, no condition known"
        states = "states" if self.stated else "does not state"
        return f"licence `{licence.name}`, with a condition that the site {states} to be met: {licence.condition}"


def standing(name: str, allowed: Site) -> Standing:
    """Return how it stands with a model. Raises BadJob."""
    return Standing(name, {**catalogue(), **allowed.models}.get(name), name in allowed.licences_met)


def named(allowed: Site) -> list[str]:
    """Return the models that the environment and the site name."""
    return list(dict.fromkeys(filter(None, (os.environ.get("UMBAU_MODEL", ""), *allowed.models))))
