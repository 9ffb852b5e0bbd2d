"""A process of a trial, as it is, over a platform whose requests only sleep."""

import struct
import sys
import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from models import ModelSpec
from runner.config.spec import TrialSpec
from runner.platforms.contract import Peers, Wait, WindowFindings
from runner.proof.checks import Check, Interception, Proof
from runner.proof.marks import Marks
from xsched_bindings.host.processes import readable

REQUEST_S = 0.002
SOLO_S = 0.5
#: What can go wrong.
PROOF, DEVICE = "the proof fails", "the device dies in the window"
#: Of other kinds than are expected; some are no `Exception`.
KINDS = {
    kind.__name__: kind
    for kind in (
        RuntimeError,
        OSError,
        MemoryError,
        KeyError,
        struct.error,
        SystemExit,
        KeyboardInterrupt,
        GeneratorExit,
    )
}


def raises(phase: str, kind: type[BaseException]) -> str:
    """The fault that this phase ends with an error of this kind, "out of luck"."""
    return f"{phase} {kind.__name__}"


class IdleSession:
    """Phases: open, warm_up, calibrate, prove, begin, request, watch, end, send."""

    def __init__(self, trial: TrialSpec, tasks: list[int], fault: str) -> None:
        self.lanes = [IdleLane(self.phase) for _ in tasks]
        self._names = [trial.tasks[task].name for task in tasks]
        self._fault, self._window = fault, False

    def phase(self, name: str) -> None:
        phase, _, kind = self._fault.partition(" ")
        if phase == name and kind in KINDS:
            raise KINDS[kind]("out of luck")

    def open(self) -> None:
        self.phase("open")

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        self.phase("calibrate")
        return dict.fromkeys(models, SOLO_S)

    def prove(self, peers: Peers) -> Proof:
        self.phase("prove")
        level = Check("level", self._fault != PROOF, "nothing was suspended", "Look")
        alone = peers.in_turn(lambda: [Interception(name, 1, 0) for name in self._names])
        return Proof((level,), alone=tuple(chain(*alone)))

    def begin_window(self) -> None:
        self.phase("begin")
        self._window = True
        for lane in self.lanes:
            lane.name, lane.ended_ns = "request", []

    def end_window(self) -> WindowFindings:
        """There being no device to make them, its marks are the lanes' own."""
        self.phase("end")
        marks = tuple(
            Marks(name, 1, 1, np.array(lane.ended_ns), np.array([]))
            for name, lane in zip(self._names, self.lanes, strict=True)
        )
        checks = (Check("server", True, "as before"),)
        unsent = {"at_ns": [Unsendable(self.phase)]} if self._fault.startswith("send ") else None
        return WindowFindings(checks=checks, saturation=0.5, events=unsent, marks=marks)

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        self.phase("watch")
        if self._window and self._fault == DEVICE:
            return "the device was lost"
        readable([] if stop_fd is None else [stop_fd], timeout_s)
        return ""


class IdleLane:
    def __init__(self, phase: Callable[[str], None]) -> None:
        self.name = "warm_up"
        self.ended_ns: list[int] = []
        self._phase = phase

    def submit(self) -> Wait:
        return self.request

    def request(self) -> None:
        self._phase(self.name)
        time.sleep(REQUEST_S)
        self.ended_ns.append(time.monotonic_ns())


class Unsendable:
    """Ends the attempt to send it."""

    def __init__(self, phase: Callable[[str], None]) -> None:
        self._phase = phase

    def __reduce__(self) -> str:
        self._phase("send")
        return ""


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> IdleSession:
    session = IdleSession(trial, tasks, start["details"].get("fault", ""))
    session.phase("start")
    return session


def main(argument: str) -> None:
    from runner.platforms.kinds import host
    from runner.trial import child

    host.open_session = open_session  # type: ignore[assignment]
    child.main(argument)


if __name__ == "__main__":
    main(sys.argv[1])
