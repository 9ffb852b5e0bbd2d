"""XSched's C library: where it is, how to call it, its process-wide functions. Needs no torch.

A platform adds its own library and with it the creation of queues (`xsched_bindings.cuda`,
`xsched_bindings.hip`); the queue itself is `xsched_bindings.library_queue.LibraryQueue`.
"""

import hashlib
import os
import shutil
import subprocess
import traceback
from collections.abc import Callable, Iterator
from ctypes import CDLL, RTLD_GLOBAL
from pathlib import Path
from typing import Any

from xsched_bindings.errors import LibraryNotFound, WrongLibrary, XSchedError
from xsched_bindings.functions import FUNCTIONS, LAUNCH_CALLBACK, Function, Signature
from xsched_bindings.library_queue import LibraryQueue
from xsched_bindings.types import PolicyType, PreemptLevel, Result, SchedulerType

PREEMPT = "libpreempt.so"
ALL = ("libpreempt*.so*", "libhal*.so*", "libshim*.so*")

#: Policies of a local scheduler with which the C library falls back to the app-managed one and
#: returns success, or ends the process.
REFUSED = {
    PolicyType.unknown: (Result.invalid_value, "a local scheduler needs a policy"),
    PolicyType.spup: (
        Result.not_supported,
        "XSched declares it but has none (the C library ends the process here)",
    ),
}
#: Stream pointers that name a default stream: null, legacy and per-thread, in CUDA and in HIP.
DEFAULT_STREAMS = (0, 1, 2)


def find(home: str | None = None) -> Path:
    """The folder that holds XSched's libraries, absolute.

    home: where XSched is installed or was built. If given, nothing else is looked at. Otherwise:
    ``XSCHED_HOME``, then ``LD_LIBRARY_PATH``, then the loader's cache. Nothing is loaded, because
    loading XSched starts its scheduler. Raises `LibraryNotFound`."""
    looked_in: list[Path | str] = []
    for place in _installed_below(home) if home else _usual_places():
        if isinstance(place, Path) and (place / PREEMPT).is_file():
            return place.absolute()
        looked_in.append(place)
    raise LibraryNotFound(PREEMPT, looked_in)


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of XSched's libraries by file name; links are listed by what they lead to once."""
    found = (path for pattern in ALL for path in folder.glob(pattern))
    files = sorted({path.resolve() for path in found})
    return {path.name: digest(path) for path in files}


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _usual_places() -> Iterator[Path | str]:
    """Folders in the order of `find`; a text says of a whole source that it has none."""
    xsched_home = os.environ.get("XSCHED_HOME")
    if xsched_home:
        yield from _installed_below(xsched_home)
    else:
        yield "XSCHED_HOME (not set)"
    for entry in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        yield Path(entry) if entry else "LD_LIBRARY_PATH (an empty entry)"
    yield from _folders_in_loader_cache()
    yield "the loader's cache (ldconfig -p)"


def _installed_below(home: str) -> list[Path]:
    """XSched's own Makefile installs to ``output/`` below its source."""
    root = Path(home).expanduser()
    return [root / "lib", root / "output" / "lib", root]


def _folders_in_loader_cache() -> list[Path]:
    # ctypes.util.find_library reads the cache too, but answers with a bare name.
    ldconfig = shutil.which("ldconfig", path="/sbin:/usr/sbin:/bin:/usr/bin")
    if ldconfig is None:
        return []
    cache = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, check=False).stdout
    lines = (line.strip() for line in cache.splitlines())
    return [Path(line.split(" => ")[1]).parent for line in lines if line.startswith(PREEMPT + " ")]


class Library:
    """XSched in this process (`xsched_bindings.interface.ControlPlane`, without creating queues).

    folder: what `find` returns. Raises `LibraryNotFound` and `WrongLibrary`.

    One instance a process: the C library keeps its scheduler and its queues there, and an instance
    knows as its own only queues that it made. Loading starts a scheduler by the variables
    ``XSCHED_SCHEDULER`` and ``XSCHED_POLICY``; ``GLB`` without a running server and ``SPUP`` end
    the process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.functions: dict[str, Function] = {}
        self._queues: dict[int, LibraryQueue] = {}
        self._callbacks: dict[int, object] = {}
        # By its full path and before a platform's library: what depends on it then finds it
        # loaded, wherever it was built to look.
        self.load(PREEMPT, FUNCTIONS)

    def load(self, name: str, functions: dict[str, Signature]) -> None:
        """Load a further library of the folder and make `functions` of it callable."""
        path = self.folder / name
        if not path.is_file():
            raise LibraryNotFound(
                name, [self.folder], "Build XSched for this platform by its own README."
            )
        try:
            library = CDLL(str(path), mode=RTLD_GLOBAL)
        except OSError as error:
            raise WrongLibrary(path, None, str(error)) from error
        for function, signature in functions.items():
            if not hasattr(library, function):
                raise WrongLibrary(path, function)
            self.functions[function] = Function(library, function, signature)

    def call(self, function: str, **arguments: Any) -> int:
        """Call a C function by name, see `Function`."""
        return self.functions[function](**arguments)

    # --- the control plane --------------------------------------------------------------------

    def set_scheduler(self, scheduler: SchedulerType, policy: PolicyType) -> None:
        """See `ControlPlane`. `policy` counts for the local scheduler only.

        The C library makes a local scheduler of every valid policy, whatever scheduler is asked
        for, so the others are passed "unknown". ``global_`` needs a running ``xserver``: without
        one the C library ends the process."""
        if scheduler != SchedulerType.local:
            policy = PolicyType.unknown
        elif policy in REFUSED:
            shown = {"scheduler": scheduler, "policy": policy}
            raise XSchedError("XHintSetScheduler", shown, *REFUSED[policy])
        self.call("XHintSetScheduler", scheduler=scheduler, policy=policy)

    def set_timeslice(self, microseconds: int) -> None:
        self.call("XHintTimeslice", ts_us=microseconds)

    def set_k_deadline(self, k: int) -> None:
        self.call("XHintKDeadline", k=k)

    # --- queues: for the platforms ------------------------------------------------------------

    def create_queue_by(self, function: str, stream: int, level: PreemptLevel) -> LibraryQueue:
        """A queue over the hardware queue that the platform's `function` makes of `stream`.

        A stream takes one queue: if it has one, this returns that one, as the library does."""
        hwq = self.hw_queue_by(function, stream)
        try:
            return self.queue_on(hwq)
        except XSchedError as error:
            if error.result is not Result.not_found:
                raise
        try:
            xq = self.call("XQueueCreate", hwq=hwq, level=level, flags=0)
        except XSchedError:
            self.destroy_hw_queue(hwq)
            raise
        self._queues[xq] = LibraryQueue(self.call, xq, hwq, PreemptLevel(level), owned=True)
        return self._queues[xq]

    def hw_queue_by(self, function: str, stream: int) -> int:
        """The hardware queue handle that the platform's `function` gives for `stream`.

        Raises `XSchedError` not_supported for a default stream: the shim schedules none of them."""
        if stream in DEFAULT_STREAMS:
            detail = "the default stream is never scheduled; give the task a stream of its own"
            raise XSchedError(function, {"stream": stream}, Result.not_supported, detail)
        return self.call(function, stream=stream)

    def queue_on(self, hwq: int) -> LibraryQueue:
        """``XQueueGet``: the queue that `hwq` has, not_found if none. If it was not made here, it
        is one that ``XSCHED_AUTO_XQUEUE`` made: not owned, its level read from the environment."""
        xq = self.call("XQueueGet", hwq=hwq)
        queue = self._queues.get(xq)
        if queue is None or queue.closed:
            level = int(os.environ.get("XSCHED_AUTO_XQUEUE_LEVEL") or PreemptLevel.block)
            queue = LibraryQueue(self.call, xq, hwq, PreemptLevel(level), owned=False)
            self._queues[xq] = queue
        return queue

    # --- hardware queues and commands by handle -----------------------------------------------

    def destroy_hw_queue(self, hwq: int) -> None:
        """``HwQueueDestroy``; not_allowed while it has an XQueue."""
        self.call("HwQueueDestroy", hwq=hwq)

    def synchronize_hw_queue(self, hwq: int) -> None:
        """``HwQueueSynchronize``: until everything launched has completed."""
        self.call("HwQueueSynchronize", hwq=hwq)

    def create_command(self, launch: Callable[[int], object]) -> int:
        """``HwCommandCreateCallback``: a command that calls ``launch(hwq)`` when it is launched.

        It is called on a queue's launch thread. What it raises is printed and dropped: a result
        other than success would end the process."""

        def launch_safely(hwq: int, _data: int | None) -> int:
            try:
                launch(hwq)
            except BaseException:
                traceback.print_exc()
            return Result.success

        callback = LAUNCH_CALLBACK(launch_safely)
        command = self.call("HwCommandCreateCallback", launch=callback, data=None)
        # Kept until the library gives the handle away again, because it may still be running when
        # its command is done.
        self._callbacks[command] = callback
        return command

    def destroy_command(self, command: int) -> None:
        """``HwCommandDestroy``: of a command that was not submitted or launched."""
        self.call("HwCommandDestroy", hw_cmd=command)
        del self._callbacks[command]

    def submit(self, queue: LibraryQueue, command: int) -> None:
        """``XQueueSubmit``. The library takes the command over: its handle is then unknown."""
        queue.call("XQueueSubmit", hw_cmd=command)

    def wait(self, queue: LibraryQueue, command: int) -> None:
        """``XQueueWait``. In XSched 1.2.0 a submitted command's handle is unknown, so this answers
        not_found, and it blocks for ever on one not submitted: use `LibraryQueue.wait_all`."""
        queue.call("XQueueWait", hw_cmd=command)

    def launch(self, hwq: int, command: int) -> None:
        """``HwQueueLaunch``: past any queue. The library takes the command over."""
        self.call("HwQueueLaunch", hwq=hwq, hw_cmd=command)
