"""What the checks look at: the options of the command, and what several checks need once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.platforms.gpu.management.base import Management, NoManagement
    from runner.platforms.gpu.platform import GpuPlatform


@dataclass(frozen=True)
class Machine:
    """This machine. home: the XSched installation, None for the usual places. device: number or
    UUID of the GPU. uri: the tracking store, None for the default.

    Imports nothing of the runner before it is asked, because a library may be missing."""

    home: str | None
    device: str
    uri: str | None
    output_root: Path

    @cached_property
    def platform(self) -> "GpuPlatform | None":
        """What platform=auto means here, None for host."""
        from runner.platforms.choose import choose
        from runner.platforms.gpu.platform import GpuPlatform

        name = choose()
        return None if name == "host" else GpuPlatform(name, self.device, self.home)

    @property
    def gpu(self) -> "Management | None":
        """The GPU's management, None if there is none."""
        return None if isinstance(self._opened, Exception) else self._opened

    @property
    def no_gpu(self) -> "NoManagement | None":
        """Why there is no management of the GPU that is there."""
        return self._opened if isinstance(self._opened, Exception) else None

    @cached_property
    def _opened(self) -> "Management | NoManagement | None":
        """Once: without persistence mode the driver starts anew at every opening."""
        from runner.platforms.gpu.management.base import NoManagement
        from runner.platforms.gpu.management.open import open_management

        if self.platform is None:
            return None
        try:
            return open_management(self.platform.vendor.key, self.device)
        except NoManagement as error:
            return error

    @property
    def usable(self) -> bool:
        """Whether there is a GPU that a trial could run on."""
        from runner.platforms.gpu.management.base import NoGpu

        if self.platform is None or isinstance(self.no_gpu, NoGpu):
            return False
        return self.no_gpu is None or not self.platform.vendor.needs_management

    @cached_property
    def library_folder(self) -> Path:
        """Where XSched's libraries are. Raises `LibraryNotFound`."""
        from xsched_bindings.library import find

        return find(self.home)
