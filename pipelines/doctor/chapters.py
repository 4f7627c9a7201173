"""What `umbau doctor` looks at, in the order in which it is told."""

from __future__ import annotations

from pathlib import Path

from pipelines.doctor import account, content, machine, network
from pipelines.doctor.line import Chapter, Look, looked


def chapters(home: Path) -> list[Chapter]:
    """Look at everything. Nothing is changed, since what is tried is taken back, and nobody outside of this machine is
    talked to but the database that holds the store."""
    return [Chapter(title, tuple(looked(looks))) for title, looks in _looks(home).items()]


def _looks(home: Path) -> dict[str, dict[str, Look]]:
    return {
        "This machine": {
            "programs": machine.programs,
            "the sandbox": machine.sandbox,
            "what is kept": lambda: machine.private(home),
        },
        "The network": {
            "hosts": network.hosts,
            "strangers": network.strangers,
            "regions": network.region,
            "parsing": network.parsers,
            "telemetry": network.telemetry,
        },
        "Code, and what is said in it": {
            "secrets": content.secrets,
            "masks": content.masked,
            "edits": content.added,
            "orders": content.orders,
            "other repositories": content.shared,
        },
        "Who answers for it": {
            "evidence": lambda: account.evidence(home),
            "its key": account.key,
            "a model's work": account.marked,
            "foreign passages": account.foreign,
            "licences": account.licences,
            "the store": lambda: account.store(home),
        },
    }
