"""Templates of a job: branch, title and body of its merge requests."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import ImmutableSandboxedEnvironment


class BadTemplate(ValueError):
    """A template of the job does not work; the message says why."""


def render(template: str, **facts: Any) -> str:
    """Fill in a job's template; a name that is not known is an error. Raises BadTemplate."""
    from jinja2 import TemplateError

    try:
        return _templates().from_string(template).render(facts)
    except TemplateError as error:
        raise BadTemplate(f"{template!r}: {error}") from None


@lru_cache(maxsize=1)
def _templates() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
