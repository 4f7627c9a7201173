"""What a person, or whoever reads the log, sees while something takes its time. All of it on stderr."""

from pipelines.console.stage import Stage
from pipelines.console.watch import Watch

__all__ = ["Stage", "Watch"]
