"""Real trials from end to end, through the command that users type."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq
import pytest

from models import ModelSpec
from runner.commands.run import main as runner
from runner.config.arms import Arm
from runner.config.resolve import resolve
from runner.config.schema import Config, ModelOverride, TaskConfig
from runner.platforms.host.session import HostLane, HostSession
from runner.platforms.machine import available_cores
from runner.proof.checks import Verdict
from runner.runs import files
from runner.runs.load import load
from runner.runs.run import Run
from runner.trial.peers import Peers
from runner.trial.recording import Recording
from runner.trial.status import Status
from tests import forked
from tests.conftest import Run as Command
from tests.conftest import blank, environment, forked_run, undisturbed
from tests.faults import instant
from xsched_bindings.host import Device, HostQueue
from xsched_bindings.types import PreemptLevel

#: A quick real model, and an urgent task that comes and goes.
QUICK = (
    "task_set=two_bert",
    "model=bert_mini",
    "task_set.requests=10",
    "task_set.lead_in_s=0.2",
    "warmup=1",
)
SMOKE = ("task_set=smoke", "tracking=none", "warmup=1")
SHORT = "task_set.requests=10"


OF_THE_WINDOW = ("outputs", "intercepted in the window", "window")


def runs(root: Path) -> dict[str, Run]:
    """By name, of all sweeps below an output folder; in order of time."""
    found = sorted(root.glob("*/*/summary.json"), key=lambda path: path.stat().st_mtime_ns)
    return {run.name: run for path in found for run in load(path.parent)}


def the_run(root: Path) -> Run:
    (only,) = runs(root).values()
    return only


def ok(done: "subprocess.CompletedProcess[str]") -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_sweep_over_a_real_model_leaves_everything_behind(run: Command, tmp_path: Path) -> None:
    done = run(*QUICK, "xsched.level=block", "-m", "xsched.threshold=4,8")
    ok(done)
    found = runs(tmp_path / "out")
    assert list(found) == ["block-t4", "block-t8"]
    for name, each in found.items():
        folder, summary = each.folder, each.summary
        assert summary.folder == str(folder)
        assert folder.name == f"{name}-{summary.config_hash[:8]}"
        assert {path.name for path in folder.iterdir()} >= {
            "requests.parquet",
            "marks.parquet",
            "summary.json",
            "proof.json",
            "config.yaml",
            "provenance.json",
            "events.parquet",
            "latency_cdf.png",
        }
        assert (summary.status, summary.proof) == (Status.FINISHED, Verdict.PROVEN)
        assert summary.preemptions is not None
        assert summary.preemptions >= 5
        assert summary.tasks["first"].requests == 10
        checks = [check.name for check in each.proof.checks]
        assert checks == ["level", "intercepted", *OF_THE_WINDOW]
        assert {probe.task for probe in each.proof.suspensions} == {"first", "second"}
        assert summary.preemption_ms.keys() == {"p50", "p90", "p99", "max", "mean"}
        for of, figure in summary.figures.items():
            computed = each.figure(of)
            assert computed is not None, of
            assert computed.value == pytest.approx(figure.value, rel=1e-6), of
        rows = pq.read_table(folder / "requests.parquet").to_pandas()
        assert list(rows.columns)[:6] == (
            "task request scheduled_ns started_ns completed_ns warmup".split()
        )
        counted = rows[(rows.task == "first") & ~rows.warmup & ~rows.extra]
        assert counted.request.tolist() == list(range(10))
        assert (rows[rows.warmup].request < 0).all()
        lead_in = rows[rows.lead_in]
        assert "second" in set(lead_in.task)
        assert lead_in.warmup.all()
        assert lead_in.scheduled_ns.between(-0.2e9, 0, inclusive="left").all()
        assert (rows[~rows.warmup].scheduled_ns >= 0).all()
        marks = each.marks().to_pandas()
        for task, mine in marks.groupby("task", observed=True):
            ran = rows[(rows.task == task) & (rows.lead_in | ~rows.warmup)]
            assert mine.request.unique().tolist() == ran.request.tolist()
        of_first = marks[marks.task == "first"]
        assert len(of_first) % (of_first.part.max() + 1) == 0
        assert of_first.at_ns.is_monotonic_increasing
        results = of_first.result.dropna()
        assert len(results) == of_first.request.nunique()
        assert results.nunique() == 2, "of two inputs in turn"
        events = pq.read_table(folder / "events.parquet").to_pandas()
        assert (events.event == "suspend").sum() >= summary.preemptions
        assert each.provenance.overrides[0] == "task_set=two_bert"
        assert each.provenance.device.device_cores
        assert (summary.pace_us is not None) is (len(available_cores()) > 1)
        logged = files.read_logged(folder)
        assert logged
        assert logged.uri == f"sqlite:///{tmp_path}/out/mlflow.db"
    sweep_folder = found["block-t4"].folder.parent
    sweep = load(sweep_folder)
    assert sweep.record.swept == ("xsched.threshold",)
    assert [entry.values for entry in sweep.record.runs] == [each.values for each in sweep]
    assert [each.values for each in sweep] == [
        {"xsched.threshold": "4"},
        {"xsched.threshold": "8"},
    ]
    assert (sweep_folder / files.REPORT / files.REPORT_PAGE).stat().st_size > 10_000
    assert (tmp_path / "out" / "mlflow.db").exists()
    parent = files.read_logged(sweep_folder)
    assert parent
    assert f"viewStateShareKey={parent.run_id}" in done.stdout
    assert f"mlflow ui --backend-store-uri {parent.uri}" in done.stdout
    logged = ("--config-path", str(found["block-t8"].folder), "--config-name", "config")
    given = (*logged, "sweep.resume=false", f"output_root={tmp_path / 'out'}")
    ok(forked.run(instant.command, *given, cwd=tmp_path, environment=environment()))
    hashes = [path.name for path in (tmp_path / "out").glob("*/*-*") if path.is_dir()]
    assert sum(found["block-t8"].summary.config_hash[:8] in name for name in hashes) == 2


#: Those that host has.
ARMS = [arm for arm in Arm if not arm.needs_mps]


@pytest.fixture(scope="module")
def all_arms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """A run of every arm, at the level block."""
    folder = tmp_path_factory.mktemp("arms")
    ok(forked_run(folder, *SMOKE, "-m", f"arm={','.join(ARMS)}"))
    return {each.arm: each for each in runs(folder / "out").values()}


def test_every_arm_runs_and_claims_what_it_can(all_arms: dict[str, Run]) -> None:
    found = {arm: each.summary for arm, each in all_arms.items()}
    assert set(found) == set(ARMS)
    claims = dict.fromkeys(ARMS, Verdict.NOT_CLAIMED) | {Arm.stream_priority: Verdict.IN_PLACE}
    claims |= dict.fromkeys((Arm.xsched, Arm.xsched_null), Verdict.PROVEN)
    for arm, summary in found.items():
        assert summary.proof is claims[Arm[arm]], arm
        together = arm not in ("solo", "urgent_only")
        assert (summary.preemptions is not None) is together
        assert (summary.against_policy is not None) is together
        assert ("background" in summary.tasks) is (arm != "urgent_only")
        assert summary.tasks["urgent"].requests == 20
        assert ("preemptions" in summary.figures) is together
    unscheduled = ("native", "default_stream", "xsched_null")
    kept = {arm: summary.against_policy or 0 for arm, summary in found.items()}
    assert kept["xsched"] < 0.1 < 0.2 < min(kept[arm] for arm in unscheduled)
    counted = {arm: summary.preemptions or 0 for arm, summary in found.items()}
    assert counted["xsched"] > 5
    # An operating system takes turns, too, and stops a request now and then.
    assert max(counted[arm] for arm in unscheduled) < 10


def test_all_arms_share_one_schedule(all_arms: dict[str, Run]) -> None:
    scheduled = []
    for each in all_arms.values():
        rows = each.requests().to_pandas()
        urgent = rows[rows.task == "urgent"]
        lead_in = urgent[urgent.lead_in].scheduled_ns.tolist()
        scheduled.append((lead_in, urgent[~urgent.warmup & ~urgent.extra].scheduled_ns.tolist()))
    assert len(scheduled) == len(ARMS)
    thrown_away, counted = scheduled[0]
    assert len(thrown_away) >= 1
    assert len(counted) == 20
    assert all(each == scheduled[0] for each in scheduled)


def test_tasks_that_run_one_after_another_have_a_lead_in_each(all_arms: dict[str, Run]) -> None:
    requests = all_arms["solo"].requests()
    rows, starts = requests.to_pandas(), files.starts_of(requests)
    for task in ("urgent", "background"):
        lead_in = rows[(rows.task == task) & rows.lead_in]
        assert -0.2e9 <= lead_in.scheduled_ns.min() < 0, task
    ended_ns = starts["urgent"] + rows[rows.task == "urgent"].completed_ns.max()
    assert starts["background"] - 0.2e9 > ended_ns, "its lead-in follows the other's window"


@pytest.fixture(scope="module")
def levels(all_arms: dict[str, Run], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("levels")
    ok(forked_run(folder, *SMOKE, SHORT, "-m", "xsched.level=deactivate,interrupt"))
    others = runs(folder / "out").values()
    return {each.summary.level: each for each in (all_arms["xsched"], *others)}


@pytest.mark.parametrize("level", ["block", "deactivate", "interrupt"])
def test_every_level_is_proven(levels: dict[str, Run], level: str) -> None:
    ran = levels[level]
    assert (ran.summary.proof, ran.summary.level) == (Verdict.PROVEN, level)
    limit = {"block": 8, "deactivate": 1, "interrupt": 0}[level]
    assert {probe.level.name for probe in ran.proof.suspensions} == {level}
    assert all(probe.passed <= limit for probe in ran.proof.suspensions)
    window = ran.proof.checks[-1].evidence
    assert window["late"] <= window["at_stake"] / 10
    assert window["preemptions"] == ran.summary.preemptions
    assert window["preemptions"] > 0


def test_the_utilization_policy_shares_the_device(run_forked: Command, tmp_path: Path) -> None:
    ok(
        run_forked(
            "task_set=two_bert",
            "xsched=up",
            "model=synthetic",
            "model.size=20",
            "model.work_us=300",
            "task_set.tasks.first.arrival.process=closed",
            # A queue that runs dry gives its turn away, and on a busy machine all of them do.
            "task_set.tasks.first.arrival.in_flight=2",
            "task_set.tasks.second.arrival.in_flight=2",
            "xsched.timeslice_us=40000",
            "task_set.requests=100",
            "task_set.lead_in_s=0",
            "tracking=none",
        )
    )
    summary = the_run(tmp_path / "out").summary
    assert (summary.proof, summary.policy) == (Verdict.PROVEN, "up")
    rate = {name: summary.figures[f"throughput_rps/{name}"].value for name in summary.tasks}
    # Natively a half, entitled to three quarters.
    assert 0.65 < rate["first"] / (rate["first"] + rate["second"]) < 0.85


OTHERS = ("kedf", "lax", "cfs", "mlfq")


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("policies")
    small = ("model=synthetic", "model.size=150", "model.work_us=300", "task_set.requests=8")
    asked = ("task_set=two_bert", *small, "task_set.lead_in_s=0", "tracking=none", "warmup=0")
    ok(undisturbed(partial(forked_run, folder), *asked, "-m", f"xsched={','.join(OTHERS)}"))
    return {each.summary.policy: each for each in runs(folder / "out").values()}


@pytest.mark.parametrize("policy", OTHERS)
def test_every_other_policy_is_proven_where_it_can_be(
    policies: dict[str, Run], policy: str
) -> None:
    ran = policies[policy]
    shown = Verdict.UNDECIDED if policy == "cfs" else Verdict.PROVEN
    assert (ran.summary.proof, ran.summary.policy) == (shown, policy)
    if policy in ("kedf", "lax"):
        assert (ran.summary.preemptions or 0) >= 3
        return
    window = ran.proof.checks[-1].evidence
    assert window["share"].keys() == {"first", "second"}
    if policy == "cfs":  # turns of a millisecond in even shares: as if nobody scheduled
        assert not ran.summary.valid
        assert any("no result about scheduling" in note for note in ran.summary.notes)
    else:
        assert window["turn_ms"] > 10


def test_closed_loops_at_the_top_say_that_they_hide_the_levels(
    run_forked: Command, tmp_path: Path
) -> None:
    small = ("model=synthetic", "model.size=20", "model.work_us=500", "task_set.requests=10")
    ok(undisturbed(run_forked, "task_set=six_bert_closed", *small, "tracking=none", "warmup=0"))
    summary = the_run(tmp_path / "out").summary
    assert summary.proof is Verdict.PROVEN
    assert any("about levels or thresholds" in note for note in summary.notes)
    assert summary.priorities == [3, 2, 1]
    latency = {p: summary.figures[f"p99_ms/priority_{p}"].value for p in summary.priorities}
    assert latency[3] < latency[1]


def test_a_window_that_hits_its_limit_says_so(run_forked: Command, tmp_path: Path) -> None:
    ok(run_forked(*SMOKE, "task_set.requests=100000", "limit_s=1.5"))
    summary = the_run(tmp_path / "out").summary
    assert summary.cut
    assert any("cut at limit_s=1.5" in note for note in summary.notes)
    assert 0 < summary.tasks["urgent"].requests < 1000


def refused(make: type[HostSession], **xsched: Any) -> str:
    """Why the proof of a trial over such a session fails."""
    config = Config()
    config.xsched = replace(config.xsched, scheduler="local", **xsched)
    model = ModelOverride(name="synthetic", size=10, work_us=100)
    config.task_set.tasks = {
        n: TaskConfig(priority=p, model=model) for n, p in (("a", 2), ("b", 1))
    }
    with Device("runner.platforms.host.programs:load") as device, device.connect() as connected:
        session = make(resolve(config), connected, lambda text: None)
        session.open()
        assert session.calibrate([ModelSpec("synthetic", size=10, work_us=100)])
        proof = session.prove(Peers(Pipe()[0], 0, 1))
    assert proof.verdict is Verdict.FAILED
    return proof.failure


def test_an_uninterceptable_trial_is_refused() -> None:
    """The original report's set-up: every call succeeds, no command goes through the queue."""

    class Bypassed(HostSession):
        def schedule(self) -> None:
            super().schedule()
            for lane in self.lanes:
                lane.stream.interceptor = None

    failure = refused(Bypassed)
    assert "a: 0 of 10 commands" in failure


def test_a_threshold_lower_than_asked_is_refused() -> None:
    class Tighter(HostSession):
        def _open_queue(self, lane: HostLane) -> HostQueue:
            queue = super()._open_queue(lane)
            queue.set_launch_config(16, 8)
            return queue

    failure = refused(Tighter, threshold=64, batch_size=32)
    assert "level: a: at most 1" in failure  # of the 16 that it may
    assert "at level block, 64/32, some let 31 or more" in failure


def test_a_level_higher_than_asked_is_refused() -> None:
    class Stronger(HostSession):
        def _open_queue(self, lane: HostLane) -> HostQueue:
            queue = super()._open_queue(lane)
            queue.set_preempt_level(PreemptLevel.interrupt)
            return queue

    failure = refused(Stronger)
    assert "level: a: at most 0 commands completed" in failure
    assert "held to less than was asked" in failure


# --- faults ------------------------------------------------------------------------------------


class Process:
    """A command that runs."""

    def __init__(self, pid: int, out: Path, err: Path) -> None:
        self.pid, self.handle = pid, psutil.Process(pid)
        self._out, self._err = out, err

    def ended(self, timeout_s: float = 60) -> tuple[int, str, str]:
        """Its exit code, and what it has said."""
        code = self.handle.wait(timeout_s)
        assert code is not None
        return code, self._out.read_text(), self._err.read_text()


@contextmanager
def started(tmp_path: Path, *arguments: str) -> Iterator[Process]:
    """The command, which outlives nobody, without an interpreter of its own and with blank
    figures."""

    def main() -> None:
        os.chdir(tmp_path)
        os.environ.clear()
        os.environ.update(environment())
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup, these tests' own is ignored
        with blank():
            runner()

    out, err = tmp_path / "stdout", tmp_path / "stderr"
    given = ["runner", *arguments, f"output_root={tmp_path / 'out'}"]
    process = Process(forked.fork(given, main, (out, err)), out, err)
    try:
        yield process
    finally:
        with suppress(psutil.NoSuchProcess):  # it has ended, and was waited for
            process.handle.kill()
            process.handle.wait()


def descendants(process: Process, module: str) -> list[psutil.Process]:
    """Processes below the command that run this module."""
    try:
        below = process.handle.children(recursive=True)
        return [child for child in below if module in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def wait_for(condition: Any, timeout_s: float = 90) -> Any:
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")


def memories(process: int) -> dict[int, Path]:
    """The memory of recordings that the process has open, by its inode."""
    found = {}
    for link in Path(f"/proc/{process}/fd").iterdir():
        with suppress(OSError):
            if "xsched-recording" in str(link.readlink()):
                found[link.stat().st_ino] = link
    return found


def recording_of(process: Process, tasks: int) -> Recording | None:
    """The memory that the trial's workers write to; None while there is none. When the process has
    just been forked it has what tests before have left open here."""
    ours = memories(os.getpid())
    for inode, link in memories(process.pid).items():
        if inode not in ours:
            with suppress(OSError, ValueError):
                return Recording(os.open(link, os.O_RDWR), tasks)
    return None


def measuring(process: Process) -> tuple[psutil.Process, list[psutil.Process]]:
    """The trial's process and the executors of its two tasks, once each has completed a request
    within the window."""

    def look() -> bool:
        recording = recording_of(process, 2)
        if recording is None:
            return False
        begun = [recording.start_ns(task) and recording.progress(task)[0] for task in range(2)]
        recording.close()
        return all(begun)

    wait_for(look)
    (device,) = descendants(process, "device_server")[:1]
    return descendants(process, "runner.trial.child")[0], device.children()


LONG = (*SMOKE, "task_set.requests=200")


def test_a_killed_trial_is_one_failed_run_and_the_sweep_goes_on(tmp_path: Path) -> None:
    with started(tmp_path, *SMOKE, "-m", "task_set.requests=200,5") as process:
        trial, _ = measuring(process)
        trial.kill()
        code, out, err = process.ended()
    assert code == 1, out + err
    first, second = runs(tmp_path / "out").values()
    assert (first.status, second.status) == (Status.FAILED, Status.FINISHED)
    assert "was killed by SIGKILL" in first.summary.reason
    assert (first.summary.tasks, first.summary.figures) == ({}, {}), "a failed run shows no figures"
    assert first.requests().num_rows > 2, "what was measured is kept as raw data"
    assert "FAILED block-requests=200" in out


def test_a_killed_executor_is_one_failed_run(tmp_path: Path) -> None:
    with started(tmp_path, *LONG) as process:
        _, executors = measuring(process)
        executors[0].kill()
        code, _, _ = process.ended()
    assert code == 1
    summary = the_run(tmp_path / "out").summary
    assert summary.status is Status.FAILED
    assert "the executor of task" in summary.reason
    assert "killed by SIGKILL" in summary.reason


def test_a_killed_device_is_replaced_for_the_next_point(tmp_path: Path) -> None:
    with started(tmp_path, *SMOKE, "-m", "task_set.requests=200,5") as process:
        measuring(process)
        descendants(process, "device_server")[0].kill()
        code, _, _ = process.ended()
    assert code == 1
    first, second = runs(tmp_path / "out").values()
    assert (first.status, second.status) == (Status.FAILED, Status.FINISHED)
    assert "device process was lost" in first.summary.reason
    assert ".py" not in first.summary.reason, "in words"


def test_a_trial_out_of_memory_is_one_failed_run_with_its_last_words(
    run: Command, tmp_path: Path
) -> None:
    """A batch whose activations do not fit under a limit of address space."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, limits[1]))
    try:
        big = ("model=bert_mini", "model.size=512", "model.batch_size=4096")
        done = run("task_set=two_bert", "task_set.requests=2", *big, "tracking=none")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
    assert done.returncode == 1, done.stdout + done.stderr
    summary = the_run(tmp_path / "out").summary
    assert summary.status is Status.FAILED
    assert "memory" in summary.reason


@pytest.mark.parametrize(
    ("number", "times"),
    [(signal.SIGINT, 1), (signal.SIGTERM, 1), (signal.SIGHUP, 1), (signal.SIGINT, 6)],
)
def test_an_interrupt_stops_at_once_and_keeps_what_was_measured(
    tmp_path: Path, number: signal.Signals, times: int
) -> None:
    """More of them fall into the writing of the folder."""
    with started(tmp_path, *SMOKE, "-m", "task_set.requests=200,5") as process:
        trial, executors = measuring(process)
        os.kill(process.pid, number)
        psutil.wait_procs([trial, *executors], timeout=2)
        assert not trial.is_running()
        assert not any(executor.is_running() for executor in executors)
        for _ in range(times - 1):
            os.kill(process.pid, number)
            time.sleep(0.2)
        code, out, err = process.ended(30)
    assert code == 130, out + err
    summary = the_run(tmp_path / "out").summary  # the second point never started
    assert (summary.status, summary.proof) == (Status.KILLED, Verdict.INCOMPLETE)
    assert summary.reason == "killed by " + ("Ctrl-C" if number == signal.SIGINT else number.name)
    assert summary.tasks["background"].requests > 0
    (sweep,) = (path.parent for path in (tmp_path / "out").glob("*/sweep.json"))
    entries = [entry.status for entry in load(sweep).record.runs]
    assert entries == [Status.KILLED, Status.PENDING]
    assert "KILLED" in out
    assert "Traceback" not in err


def test_a_killed_runner_leaves_no_process_behind(tmp_path: Path) -> None:
    with started(tmp_path, *LONG, "xsched.level=interrupt") as process:
        trial, executors = measuring(process)
        device = descendants(process, "device_server")[0]
        os.kill(process.pid, signal.SIGKILL)
        process.ended()
        _, alive = psutil.wait_procs([trial, device, *executors], timeout=3)
        assert not alive


def test_a_tracking_server_that_is_away_costs_no_result(
    run_forked: Command, tmp_path: Path
) -> None:
    once = ("task_set=smoke", "task_set.check=false", "warmup=1")
    arguments = (*once, "tracking.uri=http://127.0.0.1:9")
    done = run_forked(*arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    begun, _, ended = done.stdout.partition("results:")
    for said in (begun, ended):
        assert said.count("http://127.0.0.1:9 does not answer: [Errno 111]") == 1
        assert said.count("python -m runner.log") == 1
    first = the_run(tmp_path / "out")
    summary = first.summary
    assert (summary.status, summary.proof) == (Status.FINISHED, Verdict.PROVEN)
    assert files.read_logged(first.folder) is None
    again = run_forked(*once)
    ok(again)
    assert "nothing is left to run" in again.stdout
    assert files.read_logged(the_run(tmp_path / "out").folder)
    assert (tmp_path / "out" / "mlflow.db").is_file()
