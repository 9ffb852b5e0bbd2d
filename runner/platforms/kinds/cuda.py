"""An NVIDIA GPU; all of it is in `runner.platforms.gpu`."""

from runner.platforms.gpu.platform import devices, open_platform, open_session, server

__all__ = ["devices", "open_platform", "open_session", "server"]
