"""An AMD GPU; all of it is in `runner.platforms.gpu`."""

from runner.platforms.gpu.platform import open_platform, open_session

__all__ = ["open_platform", "open_session"]
