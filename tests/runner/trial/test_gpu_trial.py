"""Trials on a GPU from end to end, in processes of their own, over the double of XSched."""

import json
import os
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.platforms.contract import PlatformError
from runner.platforms.device import Spread
from runner.platforms.gpu import mps as mps_module
from runner.platforms.gpu import xserver
from runner.platforms.gpu.management.base import GpuProcess
from runner.platforms.gpu.warm import WarmParent
from runner.proof.checks import Verdict
from runner.runs.files import read_proof, read_summary
from runner.runs.summary import summarise
from runner.trial.run import TrialResult, run_trial
from runner.trial.status import Status
from tests.runner.gpu_double import FAULT, QUEUES, DoublePlatform, solo, trial
from tests.runner.platforms.gpu import forked
from tests.runner.platforms.gpu.fake_mps import FakeMps, mps
from tests.runner.run_folders import keep
from tests.xsched_bindings.double import build
from tests.xsched_bindings.fake_hip import build_runtime
from xsched_bindings.companion import NAME
from xsched_bindings.shim import HIP_SHIM

__all__ = ["mps"]


class Silent:
    def say(self, text: str) -> None: ...

    def show(self, recording: Any) -> None: ...


def run(platform: DoublePlatform, folder: Path, **changes: Any) -> TrialResult:
    before = psutil.Process().children(recursive=True)
    result = tried(platform, folder, **changes)
    platform.close()
    assert psutil.Process().children(recursive=True) == before, "nothing is left behind"
    return result


def tried(
    platform: DoublePlatform, folder: Path, calibrated: bool = True, **changes: Any
) -> TrialResult:
    """The platform is left open, for the next trial. calibrated: solo times are known."""
    folder.mkdir(exist_ok=True)
    spec = trial(platform, **changes)
    known = solo(spec) if calibrated else {}
    result = run_trial(spec, platform, known, folder, Silent(), lambda: None)
    summary = summarise(spec, result, "made")  # every outcome can be summarised
    assert summary.status is result.status
    kept = keep(folder, summary, result.proof, result.requests, result.marks, result.events)
    assert read_summary(folder) == kept, "and kept"
    assert read_proof(folder) == result.proof
    return result


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xsched"))


# --- threads -------------------------------------------------------------------------------------


def test_xsched_is_proven_and_preempts(double: Path, tmp_path: Path) -> None:
    result = run(DoublePlatform(double), tmp_path / "run", calibrated=False, warmup=1)
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert result.proof.verdict is Verdict.PROVEN
    assert [check.name for check in result.proof.checks] == [
        "level",
        "intercepted",
        "outputs",
        "intercepted in the window",
        "window",
    ]
    assert result.preemptions is not None
    assert result.preemptions >= 5
    assert result.saturation > 0.3
    assert (tmp_path / "run" / "telemetry.parquet").exists()
    assert any("throttled: hw_slowdown" in note for note in result.observations.notes)
    assert len(result.proof.suspensions) == result.proof.checks[0].evidence["suspensions"] > 0
    facts = result.observations.facts
    assert facts.throttled == ("hw_slowdown",)
    assert facts.telemetry is not None
    assert facts.telemetry.sm_clock_mhz == Spread(1000, 1000, 1000)


@pytest.fixture(scope="module")
def companion(double: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """That of HIP's shim, as a trial finds it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        environment = DoublePlatform(double, name="hip").environment(xsched=True)
        beside, shim = environment["LD_PRELOAD"].split(":")
        assert (Path(beside).name, shim) == (NAME, str(double / HIP_SHIM))
        yield Path(beside)


def on_hip(double: Path, companion: Path, adversary: str = "", **variables: str) -> DoublePlatform:
    """With the companion, and without a shim: the double's commands need none."""
    platform = DoublePlatform(double, name="hip", adversary=adversary)
    made = {**os.environ, "LD_PRELOAD": str(companion), **variables}
    platform.environment = lambda *_, **__: made  # type: ignore[method-assign]
    return platform


def test_hip_differs_in_the_environment_and_the_queues_constructor(
    double: Path, companion: Path, tmp_path: Path
) -> None:
    platform = on_hip(double, companion)
    assert NAME in platform.provenance().xsched_libraries
    untouched = DoublePlatform(double, name="hip")
    environment = untouched.environment(xsched=True)
    assert environment["HIP_VISIBLE_DEVICES"] == "0"
    assert environment["XSCHED_HIP_LIB"] == str(untouched.variables.rocm.runtime)
    assert environment["XSCHED_HIP_COMGR_LIB"] == str(untouched.variables.rocm.comgr)
    result = run(platform, tmp_path)
    assert (result.status, result.proof.verdict) == (Status.FINISHED, Verdict.PROVEN)
    assert "calls in the window" in {check.name for check in result.proof.checks}


@pytest.mark.parametrize("moment", ["", "@window"])
def test_a_call_that_no_queue_holds_is_refused_by_its_name(
    double: Path, companion: Path, tmp_path: Path, moment: str
) -> None:
    runtime = build_runtime(tmp_path / "rocm")
    hip = on_hip(double, companion, f"several-devices{moment}", XSCHED_HIP_LIB=str(runtime))
    result = run(hip, tmp_path, requests=3)
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert "hipExtLaunchMultiKernelMultiDevice (" in result.reason
    failed = [check.name for check in result.proof.checks if not check.passed]
    assert failed[0] == ("calls in the window" if moment else "intercepted")


def test_a_wrong_library_is_one_failed_run_that_names_it(tmp_path: Path) -> None:
    lacking = build(tmp_path / "old", "-DLACKS_SYMBOL")
    result = run(DoublePlatform(lacking), tmp_path / "run")
    assert result.status is Status.FAILED
    assert "XHintKDeadline" in result.reason
    other = build(tmp_path / "other")
    (other / "libpreempt.so").write_bytes(b"no library at all")
    result = run(DoublePlatform(other), tmp_path / "run-2")
    assert result.status is Status.FAILED
    assert "libpreempt.so" in result.reason


@pytest.mark.parametrize("arm", ["native", "urgent_only", "default_stream", "solo"])
def test_other_arms_claim_nothing(double: Path, tmp_path: Path, arm: str) -> None:
    result = run(DoublePlatform(double), tmp_path, arm=arm)
    assert (result.status, result.proof.verdict) == (Status.FINISHED, Verdict.NOT_CLAIMED)
    assert len(result.requests[0].completed) >= 10
    assert (len(result.requests[1].completed) > 0) is (arm != "urgent_only")


def test_the_null_control_is_proven_to_suspend_nothing(double: Path, tmp_path: Path) -> None:
    result = run(DoublePlatform(double), tmp_path, arm="xsched_null")
    assert (result.status, result.proof.verdict) == (Status.FINISHED, Verdict.PROVEN)
    assert "would hold tasks back, they stopped in 0" in result.proof.checks[-1].finding


INERT = {
    # Every call returns success and does nothing.
    "-DINERT": ["level: ", "intercepted: ", "urgent: 0 of 120 commands"],
    # Counts submissions and executes them, but never suspends.
    "-DNEVER_SUSPENDS": ["level: ", "commands completed after a suspension"],
    # Commands bypass the queue, as without the shim: the original report's set-up. Events count.
    "-DCOUNTS_EVENTS_ONLY": ["intercepted: ", "urgent: 0 of 120 commands"],
}


@pytest.mark.parametrize("flag", INERT)
def test_an_inert_library_is_refused(tmp_path: Path, flag: str) -> None:
    platform = DoublePlatform(build(tmp_path / "xsched", flag))
    result = run(platform, tmp_path / "run")
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert len(result.requests[0].completed) == 0, "nothing was measured"
    for finding in INERT[flag]:
        assert finding in result.reason


def test_processes_that_are_not_ours_are_named(double: Path, tmp_path: Path) -> None:
    ours = GpuProcess(os.getpid(), "python", 1)
    platform = DoublePlatform(double, others=[ours, GpuProcess(1, "somebody", 400)])
    result = run(platform, tmp_path, arm="native", requests=3)
    assert result.observations.facts.foreign_processes == ("somebody (1)",)
    assert "the GPU was not ours alone: somebody (1)" in result.observations.notes


# --- warm parents --------------------------------------------------------------------------------


def test_trials_of_a_sweep_are_forked_from_one_parent_a_loader_environment(
    double: Path, tmp_path: Path
) -> None:
    platform = DoublePlatform(double)
    spec = trial(platform, requests=3)
    bare = trial(platform, requests=3, arm="native")
    others = psutil.Process().children()
    parents = []
    for each in (bare, spec, bare):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        result = run_trial(each, platform, solo(each), folder, Silent(), lambda: None)
        assert result.requests[0].completed.size >= 3, result.reason
        assert not any("started afresh" in note for note in result.observations.notes)
        parents.append([p.pid for p in psutil.Process().children() if p not in others])
    first, both, again = parents
    assert len(first) == 1
    assert both == again
    assert len(both) == 2
    psutil.Process(first[0]).kill()
    result = run_trial(bare, platform, solo(bare), tmp_path / "run", Silent(), lambda: None)
    assert result.status is Status.FINISHED, "a dead one is replaced"
    platform.close()
    assert psutil.Process().children() == others


def test_a_warm_parent_that_dies_in_mid_trial_fails_the_run(double: Path, tmp_path: Path) -> None:
    platform = DoublePlatform(double)
    begin = platform.begin_window

    def begin_and_kill(pids: list[int]) -> None:
        begin(pids)
        parent = psutil.Process(pids[0]).parent()
        assert parent is not None
        parent.kill()

    platform.begin_window = begin_and_kill  # type: ignore[assignment,method-assign]
    result = run(platform, tmp_path, arm="native", requests=2000)
    assert result.status is Status.FAILED
    assert "the warm parent was killed by SIGKILL" in result.reason


@pytest.mark.parametrize("name", ["raises", "thread"])
def test_where_no_parent_can_be_had_trials_start_afresh_and_say_so(
    double: Path, tmp_path: Path, name: str
) -> None:
    started = []

    class Unfit(DoublePlatform):
        def warm_parent(self, environment: Mapping[str, str], folder: Path) -> WarmParent:
            started.append(WarmParent(environment, folder, f"{forked.__name__}:load_{name}"))
            return started[-1]

    platform = Unfit(double)
    others = psutil.Process().children()
    for _ in range(2):
        spec = trial(platform, arm="native", requests=3)
        result = run_trial(spec, platform, solo(spec), tmp_path, Silent(), lambda: None)
        assert result.status is Status.FINISHED, result.reason
        assert "the trial's processes were started afresh: " in result.observations.notes[0]
    assert len(started) == 1, "it would be no better the second time"
    assert psutil.Process().children() == others


# --- processes -----------------------------------------------------------------------------------

SERVER = """#!{python}
import http.server, json, os, pathlib, signal, sys, time
policy, port = sys.argv[1:]
signal.signal(signal.SIGINT, lambda *_: sys.exit())  # as it does, also where it was ignored
print("serving", policy, flush=True)
if os.environ.get("DOUBLE_SERVER") == "silent":
    time.sleep(60)
if os.environ.get("DOUBLE_SERVER") == "refuses":
    sys.exit("[XSCHED ERRO] the port is taken")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        told = [p for p in pathlib.Path(os.environ["DOUBLE_QUEUES"]).iterdir()]
        queues = [json.loads(path.read_text()) for path in told]
        answer = {{"/policy": {{"policy": 1}}, "/xqueues": {{"xqueues": queues}}}}[self.path]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())
    def log_message(self, *arguments): pass
http.server.HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation of the double with a stand-in for xserver; what the server does when started
    is told by variables."""
    folder = build(tmp_path / "xsched")
    # One of a machine's tests is nobody else's server; the kernel cuts names at 15 characters.
    monkeypatch.setattr(xserver, "NAME", f"xserver-{os.getpid()}")
    binary = folder.parent / "bin" / xserver.NAME
    binary.parent.mkdir()
    binary.write_text(SERVER.format(python=sys.executable))
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "queues").mkdir()
    monkeypatch.setenv(QUEUES, str(tmp_path / "queues"))
    monkeypatch.setattr(xserver, "RECORD", tmp_path / "record.json")
    return folder


def test_every_task_has_a_process_and_all_start_at_one_instant(
    server: Path, tmp_path: Path
) -> None:
    result = run(DoublePlatform(server), tmp_path, arm="native", placement="processes")
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert {path.name for path in tmp_path.glob("stderr-*.log")} == {
        "stderr-urgent.log",
        "stderr-low-1.log",
        "stderr-low-2.log",
    }
    firsts = [int(task.started[0]) for task in result.requests[1:]]
    assert all(0 <= first < 5_000_000 for first in firsts), firsts
    assert all(len(task.completed) >= 10 for task in result.requests)


def test_processes_share_the_gpu_through_a_daemon_of_the_trials_own(
    server: Path, tmp_path: Path, mps: FakeMps
) -> None:
    served = [GpuProcess(1, "nvidia-cuda-mps-server", 1), GpuProcess(2, "somebody", 1)]
    platform = DoublePlatform(server, others=served)
    result = run(platform, tmp_path / "run", arm="native", placement="processes")
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert result.observations.facts.foreign_processes == ("somebody (2)",)
    daemons = (tmp_path / "run" / "mps" / "environment").read_text()
    assert "XSCHED" not in daemons, "the server must not load the shim"
    assert "'CUDA_VISIBLE_DEVICES': 'GPU-double'" in daemons
    mps.runs()
    result = run(platform, tmp_path / "given", arm="native", placement="processes")
    assert result.status is Status.FINISHED
    assert not (tmp_path / "given" / "mps").exists(), "one that is there is used"


@pytest.mark.parametrize(
    ("arm", "variable", "told"),
    [
        ("mps_priority", mps_module.PRIORITY, {"urgent": 0, "low-1": 1, "low-2": 1}),
        ("mps_share", mps_module.SHARE, {"urgent": 100, "low-1": 30, "low-2": 100}),
    ],
)
def test_clients_of_mps_are_told_of_their_task_and_of_nothing_else(
    server: Path,
    tmp_path: Path,
    mps: FakeMps,
    monkeypatch: pytest.MonkeyPatch,
    arm: str,
    variable: str,
    told: dict[str, int],
) -> None:
    for name in mps_module.CLIENTS:
        monkeypatch.setenv(name, "7")  # of the shell, which is nobody's
    platform = DoublePlatform(server)
    shares = {"low-1": {"utilization": 30}}
    spec = trial(platform, arm=arm, placement="processes", hints=shares)
    setups = [each.environment for each in platform.children(spec)]
    assert [each.get(variable) for each in setups] == [str(each) for each in told.values()]
    (other,) = set(mps_module.CLIENTS) - {variable}
    assert all(other not in each for each in setups)
    result = run_trial(spec, platform, solo(spec), tmp_path, Silent(), lambda: None)
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert result.proof.verdict is Verdict.IN_PLACE
    assert result.proof.checks[0].evidence == {"asked": told, "found": told}
    assert result.no_effect, "the double heeds nobody"
    assert not any(mps_module.SHARE in each for each in [platform.environment(xsched=False)])
    platform.close()


def test_a_warm_parent_outlives_the_daemons_of_trials(
    server: Path, tmp_path: Path, mps: FakeMps
) -> None:
    platform = DoublePlatform(server)
    others = psutil.Process().children()
    parents = []
    for _ in range(2):
        spec = trial(platform, arm="native", placement="processes", requests=2)
        assert spec.mps
        result = run_trial(spec, platform, solo(spec), tmp_path, Silent(), lambda: None)
        assert result.status is Status.FINISHED, result.reason
        parents.append([p for p in psutil.Process().children() if p not in others])
    assert parents[0] == parents[1]
    assert len(parents[0]) == 1
    platform.close()


def test_a_daemon_that_cannot_be_had_fails_the_run(
    server: Path, tmp_path: Path, mps: FakeMps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_MPS", "refuses")
    result = run(DoublePlatform(server), tmp_path, arm="native", placement="processes")
    assert result.status is Status.FAILED
    assert "no permission for /dev/nvidia0" in result.reason


def test_the_server_schedules_the_null_control(server: Path, tmp_path: Path) -> None:
    result = run(DoublePlatform(server), tmp_path, arm="xsched_null", placement="processes")
    assert (result.status, result.reason) == (Status.FINISHED, "")
    assert "server" in [check.name for check in result.proof.checks]
    assert "serving HPF" in (tmp_path / "xserver.log").read_text()
    assert not xserver.RECORD.exists()


def test_queues_that_the_server_does_not_schedule_are_refused(server: Path, tmp_path: Path) -> None:
    """The double's processes know nothing of each other, as with a server that nobody hears."""
    result = run(DoublePlatform(server), tmp_path, placement="processes")
    assert (result.status, result.proof.verdict) == (Status.FAILED, Verdict.FAILED)
    assert "window: low-1 went on" in result.reason


def test_a_server_that_knows_other_queues_is_found_out(server: Path, tmp_path: Path) -> None:
    stranger = {"pid": 1, "level": 1, "threshold": 8, "batch_size": 4, "device": 1}
    (tmp_path / "queues" / "1").write_text(json.dumps(stranger))
    platform = DoublePlatform(server, **{QUEUES: ""})  # its own processes tell nothing
    result = run(platform, tmp_path / "run", arm="xsched_null", placement="processes")
    assert result.status is Status.FAILED
    assert "urgent: the server knows 0 queues of its process" in result.reason


def test_a_server_that_ends_at_once_fails_the_run(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUBLE_SERVER", "refuses")
    result = run(DoublePlatform(server), tmp_path, placement="processes")
    assert result.status is Status.FAILED
    assert "the xserver ended with" in result.reason
    assert "the port is taken" in result.reason


def test_a_server_that_never_answers_fails_the_run(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOUBLE_SERVER", "silent")
    monkeypatch.setattr(xserver, "ANSWER_S", 1.0)
    result = run(DoublePlatform(server), tmp_path, placement="processes")
    assert result.status is Status.FAILED
    assert "does not answer" in result.reason


def test_a_server_that_dies_in_mid_run_fails_the_run(server: Path, tmp_path: Path) -> None:
    platform = DoublePlatform(server)
    begin = platform.begin_window

    def begin_and_kill(pids: Any) -> None:
        begin(pids)
        assert platform._server is not None
        platform._server._process.kill()

    platform.begin_window = begin_and_kill  # type: ignore[method-assign]
    began = time.monotonic()
    result = run(platform, tmp_path, arm="xsched_null", placement="processes", requests=2000)
    assert result.status is Status.FAILED
    assert "the xserver was killed by SIGKILL (serving HPF)" in result.reason
    assert time.monotonic() - began < 15


def test_a_second_server_is_refused(server: Path, tmp_path: Path) -> None:
    first = xserver.XServer(xserver.binary(server), "hpf", tmp_path)
    try:
        with pytest.raises(PlatformError, match=r"another xserver-\d+ runs on this machine"):
            xserver.XServer(xserver.binary(server), "hpf", tmp_path)
        platform = DoublePlatform(server)
        platform._server_address = first.address
        given = run(platform, tmp_path, arm="xsched_null", placement="processes")
        assert given.status is Status.FINISHED, given.reason
        assert not first.trouble(), "a server that was given is left running"
        with pytest.raises(PlatformError, match="has policy hpf, and up was asked for"):
            xserver.check_policy(first.address, "up")
    finally:
        first.stop()


def test_shared_memory_of_a_killed_runner_is_cleared_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xserver, "RECORD", tmp_path / "record.json")
    monkeypatch.setattr(xserver, "SHARED_MEMORY", tmp_path / "shared")
    (tmp_path / "shared").mkdir()
    ours, other, elsewhere = (tmp_path / each for each in ("shared/ours", "shared/other", "mine"))
    for path in (ours, other, elsewhere):
        path.write_text("")
    noted = [str(ours), str(elsewhere)]
    alive = {"runner": os.getpid(), "began": psutil.Process().create_time(), "shared": noted}
    xserver.RECORD.write_text(json.dumps(alive))
    xserver.clear_stale()
    assert ours.exists(), "its runner is alive"
    xserver.RECORD.write_text(json.dumps(alive | {"began": 1.0}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "getuid", lambda: 65534)
        xserver.clear_stale()
    assert ours.exists(), "another user wrote that"
    xserver.clear_stale()
    assert not ours.exists()
    assert other.exists()
    assert elsewhere.exists()
    assert not xserver.RECORD.exists()


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"runner": "x"}'])
def test_what_is_no_record_is_left_alone(
    content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xserver, "RECORD", tmp_path / "record.json")
    xserver.RECORD.write_text(content)
    xserver.clear_stale()
    assert xserver.RECORD.read_text() == content


# --- faults --------------------------------------------------------------------------------------

# No closing bracket: two queues that meet the fault at once write one behind the other.
FAULTS = {
    "exit": "ended with code 1 ([XSCHED ERRO @ T 1] Assertion failed: the driver said 709",
    "memory": "CUDA out of memory",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("placement", ["threads", "processes"])
def test_a_worker_that_dies_is_one_failed_run_with_its_last_words(
    server: Path, tmp_path: Path, fault: str, placement: str
) -> None:
    platform = DoublePlatform(server, **{FAULT: fault})
    result = run(platform, tmp_path / "run", arm="native", placement=placement, requests=50)
    assert result.status is Status.FAILED
    assert FAULTS[fault] in result.reason


def test_a_killed_process_names_its_task(server: Path, tmp_path: Path) -> None:
    platform = DoublePlatform(server)
    begin = platform.begin_window

    def begin_and_kill(pids: list[int]) -> None:
        begin(pids)
        psutil.Process(pids[1]).kill()

    platform.begin_window = begin_and_kill  # type: ignore[method-assign]
    result = run(platform, tmp_path, arm="native", placement="processes", requests=500)
    assert result.status is Status.FAILED
    assert "the process of task low-1 was killed by SIGKILL" in result.reason
