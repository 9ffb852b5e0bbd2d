"""The writer of a run's files alone, broken at each of its file operations."""

import os
import time
from pathlib import Path

import numpy as np

from runner.metrics.requests import TaskRequests
from runner.proof.checks import Proof
from runner.proof.marks import Marks
from runner.runs import durable, files
from runner.runs.record import Provenance, Summary, TaskSummary
from runner.runs.run import read_run
from runner.trial.status import Status
from tests.faults.faults import Fault, Injected

AT = np.arange(20, dtype=np.int64)
REQUESTS = [
    TaskRequests(name, 1, 20, AT, AT + 1, AT + 2, np.zeros((0, 3), np.int64)) for name in "ab"
]
LEAD_IN = {"a": 0, "b": 0}
MARKS = [Marks("a", 2, 4, np.arange(40), AT / 2), Marks("b", 1, 2, np.arange(20), AT[:0] / 2)]
EVENTS: dict[str, list[object]] = {
    "at_ns": list(range(500)),
    "event": ["suspend"] * 500,
    "task": ["a"] * 500,
    "completed": [1] * 500,
}
SUMMARY = Summary(
    name="made",
    status=Status.FINISHED,
    as_expected=True,
    tasks={name: TaskSummary(priority=1, requests=20, wanted=20) for name in "ab"},
)


def write(folder: Path) -> Summary:
    """A made-up result into a folder that has its configuration."""
    (folder / files.CONFIG).write_text("arm: {name: native}\n")
    return files.keep(folder, SUMMARY, Proof(), REQUESTS, MARKS, EVENTS, Provenance(time="now"))


def changes(folder: Path) -> int:
    """How many file operations it takes."""
    injected = folder / "changes"

    def prepare() -> None:
        Injected(folder / "run").install().tell = injected

    (folder / "run").mkdir()
    assert _in_a_process(folder / "run", prepare) == 0
    return len(injected.read_text().splitlines())


def broken_at(folder: Path, fault: Fault, at: int) -> str:
    """What happened. Raises AssertionError for a result that is not whole."""
    run = folder / "run"
    run.mkdir()
    code = _in_a_process(run, Injected(run, fault, at).install)
    if (read := read_run(run)).status is Status.FINISHED:
        _check(run)
    else:
        assert code != 0, f"it ended as if nothing were wrong: {read.summary.reason}"
    write(run)
    assert read_run(run).status is Status.FINISHED, "it cannot be written again"
    _check(run)
    return "no result" if read.status is Status.FAILED else "the result whole"


def _check(run: Path) -> None:
    """By their content, and not by the seals."""
    read = read_run(run)
    assert read.requests().to_pylist() == files.request_table(REQUESTS).to_pylist()
    assert read.marks().to_pylist() == files.mark_table(MARKS, LEAD_IN).to_pylist()
    assert read.events().to_pydict() == EVENTS
    assert files.read_json(run / files.PROOF, Proof) == Proof()
    assert read.provenance == Provenance(time="now")
    assert read.parameters == {"arm.name": "native"}


def _in_a_process(run: Path, prepare: object) -> int:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            prepare()  # type: ignore[operator]
            write(run)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def seconds(folder: Path, times: int) -> tuple[list[float], list[float]]:
    """How long writing a result took, as it is done and without flushing and renaming."""
    durably = [_timed(folder / f"durable-{number}") for number in range(times)]
    write_, sync_ = durable.write, durable.sync
    durable.write = lambda path, content: path.write_bytes(content)  # type: ignore[assignment,return-value]
    durable.sync = lambda path: None  # type: ignore[assignment]
    try:
        return durably, [_timed(folder / f"plain-{number}") for number in range(times)]
    finally:
        durable.write, durable.sync = write_, sync_


def _timed(run: Path) -> float:
    run.mkdir()
    begun = time.perf_counter()
    write(run)
    return time.perf_counter() - begun
