"""An NVIDIA GPU; all of it is in `runner.platforms.gpu`."""

from runner.platforms.gpu.platform import open_platform, open_session
from runner.platforms.gpu.several import devices, server

__all__ = ["devices", "open_platform", "open_session", "server"]
