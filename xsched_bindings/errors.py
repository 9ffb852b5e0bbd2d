"""Errors of XSched as exceptions (result codes: ``include/xsched/types.h``)."""

from typing import Any

from xsched_bindings.types import Result

MEANING = {
    Result.hardware: "the hardware or its driver failed",
    Result.invalid_value: "an argument is out of range",
    Result.not_found: "no such queue, command or library",
    Result.not_allowed: "the call is not allowed in this state",
    Result.not_supported: "this platform does not support it",
    Result.bad_response: "the scheduler's answer could not be understood",
    Result.unknown: "unknown error",
}


class XSchedError(RuntimeError):
    """A call that XSched refused: `function` with `arguments` gave `result`, a `Result`.

    It is also raised where the C library would end the process with ``exit(1)`` (batch size
    above threshold, a policy that is declared but not implemented).
    """

    def __init__(
        self, function: str, arguments: dict[str, Any], result: Result, detail: str = ""
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.result = result
        call = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        super().__init__(
            f"{function}({call}) failed with error {int(result)} ({result.name}): "
            f"{detail or MEANING[result]}"
        )


class DeviceLost(RuntimeError):
    """The process behind a stream or device has ended; nothing submitted to it will complete."""
