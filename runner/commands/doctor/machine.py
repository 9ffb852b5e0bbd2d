"""What the checks look at: the options of the command, and what several checks need once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runner.platforms.gpu.management.base import Management
    from runner.platforms.gpu.platform import GpuPlatform


@dataclass(frozen=True)
class Machine:
    """This machine. home: the XSched installation, None for the usual places. device: number of the
    GPU. uri: the tracking store, None for the default.

    Imports nothing of the runner before it is asked, because a library may be missing."""

    home: str | None
    device: int
    uri: str | None
    output_root: Path

    @cached_property
    def platform(self) -> "GpuPlatform | None":
        """What platform=auto means here, None for host."""
        from runner.platforms.choose import choose
        from runner.platforms.gpu.platform import GpuPlatform

        name = choose()
        return None if name == "host" else GpuPlatform(name, self.device, self.home)

    @cached_property
    def gpu(self) -> "Management | str":
        """The GPU's management, or why there is none. Opened once: without persistence mode the
        driver starts anew at every opening."""
        from runner.platforms.gpu.management.base import NoManagement
        from runner.platforms.gpu.management.open import open_management

        if self.platform is None:
            return "no GPU"
        try:
            return open_management(self.platform.vendor.key, self.device)
        except NoManagement as error:
            return str(error)

    @cached_property
    def library_folder(self) -> Path:
        """Where XSched's libraries are. Raises `LibraryNotFound`."""
        from xsched_bindings.library import find

        return find(self.home)
