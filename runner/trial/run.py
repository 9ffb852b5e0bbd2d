"""One trial from start to end, seen from the parent: start its processes, follow them, keep what
they leave. The parent sleeps while the window lasts and survives whatever happens to them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from models import ModelSpec
from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.platforms.contract import (
    Observations,
    Platform,
    PlatformError,
    Standstill,
    last_words,
)
from runner.platforms.hints import pure_policy
from runner.proof.checks import Interception, Proof, Verdict
from runner.proof.marks import Marks
from runner.proof.window import Judged, judge
from runner.trial.crew import Crew, Lost, Progress
from runner.trial.measured import read, window_s
from runner.trial.messages import Outcome
from runner.trial.others import OtherLoad, Others
from runner.trial.recording import Recording
from runner.trial.status import Status
from runner.trial.stolen import Stolen
from xsched_bindings.policies import Policy


@dataclass
class TrialResult:
    """What a trial left. status: FINISHED, FAILED or KILLED, with the reason for the latter two.
    solo: solo seconds of a request, newly measured ones included. preemptions, against_policy,
    no_effect: see `runner.proof.window.Judged`. stolen: share of a CPU core's time that a
    hypervisor took in the window. other_load: what else ran in it, None where nobody tells.
    pace_us: CPU time of the platform's fixed work in it. stood_still: who else did, for no
    scheduling. observations: what the parent saw of the device."""

    status: Status
    reason: str
    requests: list[TaskRequests]
    solo: dict[ModelSpec, float]
    proof: Proof = field(default_factory=Proof)
    cut: bool = False
    unsteady: tuple[str, ...] = ()
    saturation: float = math.nan
    preemptions: int | None = None
    against_policy: float | None = None
    no_effect: bool = False
    stolen: float = 0.0
    other_load: OtherLoad | None = None
    pace_us: float | None = None
    stood_still: tuple[Standstill, ...] = ()
    timing_s: dict[str, float] = field(default_factory=dict)
    marks: tuple[Marks, ...] = ()
    events: dict[str, list[Any]] = field(
        default_factory=lambda: {"at_ns": [], "event": [], "task": [], "completed": []}
    )
    observations: Observations = field(default_factory=Observations)


def run_trial(
    trial: TrialSpec,
    platform: Platform,
    solo: dict[ModelSpec, float],
    folder: Path,
    progress: Progress,
    before_window: Callable[[], None],
) -> TrialResult:
    """Run one trial; the logs of its processes go to `folder`.

    before_window: work of the parent that must not fall into the window. Ctrl-C (KeyboardInterrupt)
    while it runs ends the trial as KILLED, with what was measured until then.
    """
    recording = Recording.create(len(trial.tasks))
    known = dict(solo)
    outcome, observations = None, Observations()
    status, reason = Status.FAILED, ""
    window: tuple[Stolen, Others] | None = None
    stolen, other_load = 0.0, None
    try:
        platform.open(trial, folder, progress.say)
        with Crew(trial, platform, recording, folder, known, progress) as crew:

            def begin() -> None:
                nonlocal window
                before_window()
                platform.begin_window(crew.pids)
                window = Stolen(), Others(platform.device_cores)

            try:
                outcome = crew.run(begin)
            finally:
                if window is not None:
                    stolen, other_load = window[0].share(), window[1].load()
                    observations = _observed(platform, folder)
    except KeyboardInterrupt as asked:  # without a word in a launcher's own process
        status, reason = Status.KILLED, f"killed by {str(asked) or 'Ctrl-C'}"
    except (Lost, PlatformError) as error:
        reason = str(error)
    finally:
        platform.end_trial()
    if outcome is not None:
        reason = outcome.error
        if outcome.error and outcome.proof.verdict is not Verdict.FAILED:
            reason += "".join(last_words(log) for log in platform.last_words(folder))
        status = Status.FAILED if outcome.error else Status.FINISHED
    requests = read(trial, recording)
    recording.close()
    judged = Judged()
    if outcome is not None and not outcome.error:
        judged = _judge(trial, outcome, requests, known)
        outcome = replace(outcome, proof=outcome.proof.also(*outcome.found.checks, *judged.checks))
        if outcome.proof.verdict is Verdict.FAILED:
            status, reason = Status.FAILED, outcome.proof.failure
    result = TrialResult(
        status,
        reason,
        requests,
        known,
        stolen=stolen,
        other_load=other_load,
        observations=observations,
    )
    if outcome is not None:
        result.proof, result.cut = outcome.proof, outcome.cut
        result.saturation = outcome.found.saturation
        if math.isnan(result.saturation):
            result.saturation = _busy(trial, outcome.proof.alone, requests)
        result.pace_us = outcome.found.pace_us
        result.stood_still = outcome.found.stood_still
        result.preemptions, result.against_policy = judged.preemptions, judged.against_policy
        result.no_effect = judged.no_effect
        result.marks = outcome.found.marks
        result.timing_s, result.unsteady = outcome.timing_s, outcome.unsteady
        result.events = outcome.found.events or result.events
    return result


def _judge(
    trial: TrialSpec,
    outcome: Outcome,
    requests: Sequence[TaskRequests],
    solo: Mapping[ModelSpec, float],
) -> Judged:
    def policy(of: TrialSpec) -> Policy:
        return pure_policy(of, dict(enumerate(of.tasks)))

    return judge(trial, policy, requests, outcome.found.marks, outcome.proof.alone, solo)


def _busy(
    trial: TrialSpec, alone: Sequence[Interception], requests: Sequence[TaskRequests]
) -> float:
    """Device time of the requests that completed in the window, alone, by its length; kernels that
    overlap can bring it over 1. nan where no witness tells device times."""
    device_s = {each.task: each.device_s for each in alone}
    span_s = sum(window_s(trial, requests, group) for group in trial.groups)
    busy_s = sum(
        device_s.get(each.name, 0.0) * int((each.completed <= span_s * 1e9).sum())
        for each in requests
    )
    return busy_s / span_s if busy_s and span_s else math.nan


def _observed(platform: Platform, folder: Path) -> Observations:
    """An error here costs what the parent saw, and not what was measured."""
    try:
        return platform.end_window(folder)
    except Exception as error:
        return Observations([f"what the parent saw of the device was lost: {error!r}"])
