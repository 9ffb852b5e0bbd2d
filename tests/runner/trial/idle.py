"""A process of a trial, as it is, over a platform whose requests only sleep."""

import select
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from models import ModelSpec
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.contract import Peers, WindowFindings
from runner.proof.checks import Check, Proof

REQUEST_S = 0.002
SOLO_S = 0.5
#: What can go wrong.
OPEN, PROOF, DEVICE = "it does not open", "the proof fails", "the device dies in the window"


class IdleLane:
    def request(self) -> None:
        time.sleep(REQUEST_S)


class IdleSession:
    def __init__(self, tasks: list[int], fault: str) -> None:
        self.lanes = [IdleLane() for _ in tasks]
        self._fault, self._window = fault, False

    def open(self) -> None:
        if self._fault == OPEN:
            raise RuntimeError("out of memory")

    def calibrate(self, models: Sequence[ModelSpec]) -> dict[ModelSpec, float]:
        return dict.fromkeys(models, SOLO_S)

    def prove(self, peers: Peers) -> Proof:
        return Proof((Check("level", self._fault != PROOF, "nothing was suspended", "Look"),))

    def begin_window(self) -> None:
        self._window = True

    def end_window(self, requests: Sequence[TaskRequests], window_s: float) -> WindowFindings:
        return WindowFindings(Proof((Check("window", True, "as it should be"),)), saturation=0.5)

    def watch(self, stop_fd: int | None, timeout_s: float) -> str:
        if self._window and self._fault == DEVICE:
            return "the device was lost"
        select.select([] if stop_fd is None else [stop_fd], [], [], timeout_s)
        return ""


def open_session(
    trial: TrialSpec, tasks: list[int], start: dict[str, Any], say: Callable[[str], None]
) -> IdleSession:
    return IdleSession(tasks, start["details"].get("fault", ""))


if __name__ == "__main__":
    from runner.platforms.kinds import host
    from runner.trial import child

    host.open_session = open_session  # type: ignore[assignment]
    child.main(sys.argv[1])
