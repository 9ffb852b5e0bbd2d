"""Errors of XSched as exceptions (result codes: ``include/xsched/types.h``)."""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
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
    above threshold, a policy that is declared but not implemented)."""

    def __init__(
        self, function: str, arguments: dict[str, Any], result: Result, detail: str = ""
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.result = result
        call = ", ".join(
            f"{name}={value.name if isinstance(value, Enum) else repr(value)}"
            for name, value in arguments.items()
        )
        super().__init__(
            f"{function}({call}) failed with error {int(result)} ({result.name}): "
            f"{detail or MEANING[result]}"
        )


class DeviceLost(RuntimeError):
    """The process behind a stream or device has ended; nothing submitted to it will complete."""


class LibraryNotFound(RuntimeError):
    """The file `name` of XSched is in none of `places`."""

    def __init__(
        self,
        name: str,
        places: Iterable[Path | str],
        remedy: str = "Build XSched by its own README, then set xsched.home or XSCHED_HOME to the "
        "folder that it was installed to (the one with lib/ in it).",
    ) -> None:
        self.name = name
        looked_in = "".join(f"\n  {place}" for place in places)
        super().__init__(f"{name} was not found. Looked in:{looked_in}\n{remedy}")


class WrongLibrary(RuntimeError):
    """The file at `path` is not what its name says: it lacks the function `symbol`, or could not
    be loaded at all (`symbol` is None and `detail` is the loader's own words)."""

    def __init__(self, path: Path, symbol: str | None, detail: str = "") -> None:
        self.path = path
        self.symbol = symbol
        trouble = f"has no function {symbol}" if symbol else f"could not be loaded: {detail}"
        super().__init__(
            f"{path} {trouble}. It is not XSched's library, or one of another version than 1.2.0."
        )
