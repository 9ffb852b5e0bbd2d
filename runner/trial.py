"""One trial from start to end, seen from the parent: start the process, follow it, keep what it
leaves. The parent sleeps while the window lasts and survives whatever happens to the child."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from models import ModelSpec
from runner.messages import Outcome, Ready, Saying, Solo
from runner.platforms import Platform
from runner.proof import Proof
from runner.recording import Recording
from runner.spec import TrialSpec
from runner.statistics import TaskRequests, read

FINISHED, FAILED, KILLED = "FINISHED", "FAILED", "KILLED"

ROOT = Path(__file__).parents[1]
LOOK_S = 1.0
#: Of a dead child's stderr, what goes into the reason.
LAST_WORDS = 3


class Progress(Protocol):
    """Whoever shows how the trial goes."""

    def say(self, text: str) -> None: ...

    def show(self, recording: Recording) -> None: ...


@dataclass
class TrialResult:
    """What a trial left. status: FINISHED, FAILED or KILLED, with the reason for the latter two.
    solo: solo seconds of a request, newly measured ones included. preemptions: None if the trial
    did not come to count them."""

    status: str
    reason: str
    requests: list[TaskRequests]
    solo: dict[ModelSpec, float]
    proof: Proof = field(default_factory=Proof)
    cut: bool = False
    saturation: float = math.nan
    preemptions: int | None = None
    timing_s: dict[str, float] = field(default_factory=dict)
    events: dict[str, list[Any]] = field(
        default_factory=lambda: {"at_ns": [], "event": [], "task": [], "completed": []}
    )


def run_trial(
    trial: TrialSpec,
    platform: Platform,
    solo: dict[ModelSpec, float],
    folder: Path,
    progress: Progress,
    before_window: Callable[[], None],
) -> TrialResult:
    """Run one trial; its processes' stderr goes to stderr.log and device.log in `folder`.

    before_window: work of the parent that must not fall into the window. Ctrl-C (KeyboardInterrupt)
    while it runs ends the trial as KILLED, with what was measured until then.
    """
    recording = Recording.create(len(trial.tasks))
    child: subprocess.Popen[bytes] | None = None
    known = dict(solo)
    outcome, status = None, FAILED
    device_log, child_log = folder / "device.log", folder / "stderr.log"
    reason = "killed by Ctrl-C"
    try:
        platform.open(device_log)
        child, messages = _start(platform, recording, child_log)
        try:
            messages.send((trial.as_dict(), known))
            outcome = _follow(messages, recording, known, progress, before_window)
        except (EOFError, ConnectionError):
            reason = f"the trial's process {_fate(child)}{_last_words(child_log)}"
    except KeyboardInterrupt:
        status = KILLED
    finally:
        if child is not None:
            _kill(child)
    if outcome is not None:
        reason = outcome.error + (_last_words(device_log) if outcome.error else "")
        status = FAILED if outcome.error else FINISHED
    requests = read(trial, recording)
    recording.close()
    result = TrialResult(status, reason, requests, known)
    if outcome is not None:
        result.proof, result.cut = outcome.proof, outcome.cut
        result.saturation, result.preemptions = outcome.saturation, outcome.preemptions
        result.timing_s = outcome.timing_s
        result.events = outcome.events or result.events
    return result


def _start(
    platform: Platform, recording: Recording, log: Path
) -> tuple["subprocess.Popen[bytes]", Connection]:
    ours, theirs = Pipe()
    setup = platform.set_up_child()
    fds = {"parent": theirs.fileno(), "recording": recording.fd, **setup.fds}
    with log.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "runner.child", json.dumps(fds | {"cores": setup.cores})],
            pass_fds=list(fds.values()),
            env=os.environ | {"PYTHONPATH": _python_path()} | setup.environment,
            stdin=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,  # Ctrl-C in the terminal is the parent's business alone
        )
    theirs.close()
    platform.release_child()
    return child, ours


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def _follow(
    messages: Connection,
    recording: Recording,
    known: dict[ModelSpec, float],
    progress: Progress,
    before_window: Callable[[], None],
) -> Outcome:
    while True:
        if not messages.poll(LOOK_S):
            progress.show(recording)
            continue
        match messages.recv():
            case Saying(text):
                progress.say(text)
            case Solo(seconds):
                known.update(seconds)
            case Ready():
                before_window()
                progress.say("measuring")
                messages.send("go")
            case Outcome() as outcome:
                return outcome


def _kill(child: "subprocess.Popen[bytes]") -> None:
    """End the trial's process and, with it, its session on the device."""
    child.kill()
    child.wait()


def _fate(child: "subprocess.Popen[bytes]") -> str:
    code = child.wait()
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _last_words(log: Path) -> str:
    """The end of a log, ready to follow a reason; "" if it is empty or not there."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f" ({' | '.join(lines[-LAST_WORDS:])})" if lines else ""
