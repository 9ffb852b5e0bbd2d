"""An AMD GPU; all of it is in `runner.gpus`."""

from runner.gpus.gpu import open_platform

__all__ = ["open_platform"]
