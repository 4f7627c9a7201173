"""What ends a command with a message instead of a traceback."""

from __future__ import annotations


class Refused(Exception):
    """The command cannot be carried out; the message says why and what to do."""

    code = 2
    """The exit code."""
