"""The functions of XSched's C API: their signatures, and how one is called.

Source: ``include/xsched/xqueue.h`` and ``include/xsched/hint.h``, XSched 1.2.0.
"""

from ctypes import CDLL, CFUNCTYPE, POINTER, byref, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from typing import Any

from xsched_bindings.errors import XSchedError
from xsched_bindings.types import Result

#: Parameters of a function by the header's names, in order; the one that is a pointer is the
#: out-parameter. Every function returns ``XResult``. C enumerations are 32 bits wide.
Signature = dict[str, type[Any]]

HANDLE = c_uint64
OUT_HANDLE, OUT_STATE, OUT_COUNT = POINTER(c_uint64), POINTER(c_int32), POINTER(c_int64)
LAUNCH_CALLBACK = CFUNCTYPE(c_int32, HANDLE, c_void_p)

#: ``include/xsched/xqueue.h`` and ``include/xsched/hint.h``, complete.
FUNCTIONS: dict[str, Signature] = {
    "XQueueCreate": {"xq": OUT_HANDLE, "hwq": HANDLE, "level": c_int64, "flags": c_int64},
    "XQueueDestroy": {"xq": HANDLE},
    "XQueueGet": {"xq": OUT_HANDLE, "hwq": HANDLE},
    "XQueueSetPreemptLevel": {"xq": HANDLE, "level": c_int32},
    "XQueueSetLaunchConfig": {"xq": HANDLE, "threshold": c_int64, "batch_size": c_int64},
    "XQueueSubmit": {"xq": HANDLE, "hw_cmd": HANDLE},
    "XQueueWait": {"xq": HANDLE, "hw_cmd": HANDLE},
    "XQueueWaitAll": {"xq": HANDLE},
    "XQueueQuery": {"xq": HANDLE, "state": OUT_STATE},
    "XQueueSuspend": {"xq": HANDLE, "flags": c_int64},
    "XQueueResume": {"xq": HANDLE, "flags": c_int64},
    "XQueueProfileHwCommandCount": {"xq": HANDLE, "count": OUT_COUNT},
    "HwQueueDestroy": {"hwq": HANDLE},
    "HwQueueLaunch": {"hwq": HANDLE, "hw_cmd": HANDLE},
    "HwQueueSynchronize": {"hwq": HANDLE},
    "HwCommandCreateCallback": {"hw_cmd": OUT_HANDLE, "launch": LAUNCH_CALLBACK, "data": c_void_p},
    "HwCommandDestroy": {"hw_cmd": HANDLE},
    "XHintSetScheduler": {"scheduler": c_int32, "policy": c_int32},
    "XHintPriority": {"xq": HANDLE, "prio": c_int32},
    "XHintUtilization": {"xq": HANDLE, "util": c_int32},
    "XHintTimeslice": {"ts_us": c_int64},
    "XHintLaxity": {"xq": HANDLE, "lax_us": c_int64, "lax_prio": c_int32, "crit_prio": c_int32},
    "XHintDeadline": {"xq": HANDLE, "ddl_us": c_int64},
    "XHintKDeadline": {"k": c_size_t},
}


class Function:
    """One C function, which `library` must have."""

    def __init__(self, library: CDLL, name: str, signature: Signature) -> None:
        self.name = name
        self.signature = signature
        self.c_function = library[name]
        self.c_function.restype = c_int32
        self.c_function.argtypes = list(signature.values())

    def __call__(self, **arguments: Any) -> int:
        """Call it; arguments by the header's names, without the out-parameter, whose value is
        returned (0 if there is none).

        Raises `XSchedError` for every result but success, and instead of the call if a number does
        not fit its C type, where ctypes would cut it."""
        out: Any = None
        values: list[Any] = []
        for name, c_type in self.signature.items():
            if c_type in (OUT_HANDLE, OUT_STATE, OUT_COUNT):
                out = c_type._type_()
                values.append(byref(out))
                continue
            value = arguments[name]
            if isinstance(value, int) and c_type(value).value != value:
                detail = f"{name} does not fit the C type {c_type.__name__}"
                raise XSchedError(self.name, arguments, Result.invalid_value, detail)
            values.append(value)
        code = self.c_function(*values)
        if code not in list(Result):
            detail = f"the library returned {code}, which XSched 1.2.0 does not define"
            raise XSchedError(self.name, arguments, Result.unknown, detail)
        if code != Result.success:
            raise XSchedError(self.name, arguments, Result(code))
        return 0 if out is None else int(out.value)
