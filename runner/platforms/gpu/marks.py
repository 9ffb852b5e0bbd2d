"""Marks in a stream: the kernel, how it is launched, and where it writes.

A mark is an ordinary command. An event record would be one that XSched can synchronise on, so it
would change the launch rule that is measured.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import (
    Structure,
    addressof,
    byref,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_void_p,
    create_string_buffer,
    sizeof,
)
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor

from runner.platforms.gpu.driver import call, check, function
from runner.platforms.gpu.ring import HostRing

SOURCE = Path(__file__).with_name("mark.cu")
#: As the kernel numbers them.
TYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
#: Those that add up a result.
THREADS = 512
ROWS = 1 << 16


class MarkRing(HostRing):
    """One task's marks in its stream, whose commands the device runs one after another: so it can
    count without atomics. stream: the driver's handle. rows: how many marks are kept.

    On AMD nobody with a card has tried this."""

    def __init__(self, stream: int, rows: int = ROWS) -> None:
        # Unified addressing gives page-locked memory the same address on host and device.
        self._memory = torch.zeros((rows + 1, 2), dtype=torch.int64, pin_memory=True)
        super().__init__(self._memory.numpy())
        self._next = torch.zeros(1, dtype=torch.int64).cuda()  # which returns when it is there
        where = (self._memory.data_ptr(), rows, self._next.data_ptr())
        self._result = _Arguments(*where)
        self._stream = c_void_p(stream)
        self._own = _Arguments(*where)
        self._plain = _Launch(self._stream, 1, self._own)
        self._last = _Launch(self._stream, THREADS, self._result)

    @contextmanager
    def on(self, stream: int) -> Iterator[None]:
        """Marks go to this stream meanwhile, which is being captured: they become parts of graphs
        that are launched on the task's own."""
        own, self._stream.value = self._stream.value, stream
        try:
            yield
        finally:
            self._stream.value = own

    def mark(self, work: int = 0) -> None:
        """Enqueue one. work: ticks of the device's clock that it takes."""
        self._own.work = work
        self._plain()

    def mark_result(self, result: Tensor) -> None:
        """Enqueue one that tells the fingerprint of a result besides, which must stay alive until
        then."""
        assert result.is_contiguous()
        self._result.result = result.data_ptr()
        self._result.length = result.numel()
        self._result.type = TYPES[result.dtype]
        self._last()


_thread = threading.local()


def _enter_context() -> None:
    """Give this thread the device's context, as its first call of the runtime does: without one
    XSched ends the process at a launch."""
    if not hasattr(_thread, "entered"):
        torch.cuda.mem_get_info()
        _thread.entered = True


class _Arguments(Structure):
    """The kernel's parameters, as it has them."""

    _fields_ = (
        ("memory", c_void_p),
        ("rows", c_int64),
        ("next", c_void_p),
        ("result", c_void_p),
        ("length", c_int64),
        ("type", c_int),
        ("work", c_int64),
    )


class _Launch:
    """A launch of the kernel with arguments that are made once; what they hold may change between
    two launches, which copy it. It takes the host 4 µs; PyTorch's launcher, which makes them anew,
    takes 95."""

    def __init__(self, stream: c_void_p, threads: int, arguments: _Arguments) -> None:
        self._arguments, self._size = arguments, c_size_t(sizeof(arguments))
        self._launch = partial(
            function("cuLaunchKernel"),
            _kernel(),
            *(1, 1, 1),
            *(threads, 1, 1),
            8 * threads if threads > 1 else 0,  # shared memory: a double for each
            stream,
            *self._passed(),
        )

    def _passed(self) -> tuple[object, object]:
        """The arguments as a launch takes them: pointers to each on CUDA; on HIP all in a buffer of
        known size, for pointers would hold whoever launches until a suspended queue goes on
        (`xsched_bindings.companion`)."""
        begin, fields = addressof(self._arguments), [name for name, _ in _Arguments._fields_]
        if torch.version.hip:  # HIP_LAUNCH_PARAM_BUFFER_POINTER, _SIZE, _END
            return None, (c_void_p * 5)(1, begin, 2, addressof(self._size), 3)
        offsets = [getattr(_Arguments, name).offset for name in fields]
        return (c_void_p * len(fields))(*(begin + offset for offset in offsets)), None

    def __call__(self) -> None:
        _enter_context()
        check("cuLaunchKernel", self._launch())


@cache
def _kernel() -> c_void_p:
    """The kernel, in this thread's context."""
    module, kernel = c_void_p(), c_void_p()
    call("cuModuleLoadData", byref(module), _compiled())
    call("cuModuleGetFunction", byref(kernel), module, b"mark")
    return kernel


def _compiled() -> bytes:
    """The kernel for this device. `torch.cuda._compile_kernel` would do where there is one, but it
    imports setuptools first, for 0.3 s in each process of a trial."""
    device = torch.cuda.get_device_properties()
    if torch.version.hip:
        option = f"--offload-arch={device.gcnArchName}"
    else:
        option = f"--gpu-architecture=sm_{device.major}{device.minor}"
    program, size = c_void_p(), c_size_t()
    call("nvrtcCreateProgram", byref(program), SOURCE.read_bytes(), b"mark.cu", 0, None, None)
    if function("nvrtcCompileProgram")(program, 1, (c_char_p * 1)(option.encode())):
        call("nvrtcGetProgramLogSize", program, byref(size))
        log = create_string_buffer(size.value)
        call("nvrtcGetProgramLog", program, log)
        raise RuntimeError(f"{SOURCE.name}: {log.value.decode()}")
    call("nvrtcGetCUBINSize", program, byref(size))
    code = create_string_buffer(size.value)
    call("nvrtcGetCUBIN", program, code)
    call("nvrtcDestroyProgram", byref(program))
    return code.raw
