"""What ends a command with a message instead of a traceback."""

from __future__ import annotations

UNSAFE = (
    "Nothing can be run in a sandbox: {}\n"
    "Or say `sandbox: none` in the job: then its commands, tests and builds run with your rights, and merge requests "
    "say so."
)


class Refused(Exception):
    """The command cannot be carried out; the message says why and what to do."""

    code = 2
    """The exit code."""
