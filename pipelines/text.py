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
    try:
        return _templates().from_string(template).render(facts)
    except Exception as error:  # a template is a program: it can divide by zero
        raise BadTemplate(f"{template!r}: {error or type(error).__name__}") from None


@lru_cache(maxsize=1)
def _templates() -> ImmutableSandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
