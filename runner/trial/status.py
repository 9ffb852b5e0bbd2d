"""How a trial ends."""

from enum import StrEnum


class Status(StrEnum):
    """How a run ended, or that it has not been run."""

    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"
    PENDING = "pending"

    @property
    def has_figures(self) -> bool:
        """Whether what was measured may be shown: all of it, or of a killed run what there is."""
        return self in (Status.FINISHED, Status.KILLED)
