"""What the doctor makes of its probes, with other commands in their place; and the probe's count,
over the double of XSched's library."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from runner.commands.doctor import probe, shim
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine
from runner.platforms.device import TorchBuild
from runner.platforms.gpu import installed_torch
from runner.sweep.turns import device_lock
from tests.xsched_bindings.double import DoubleStream, build
from xsched_bindings.cuda import CudaXSched

#: Counts where XSched's folder is on the loader's path, which is what the shim is to the loader.
HONEST = """
import json, os, sys
platform, folder, work = sys.argv[1:]
assert platform == "cuda"
assert os.path.isdir(os.path.join(os.environ["PYTHONPATH"].split(":")[0], "runner"))
seen = folder in os.environ.get("LD_LIBRARY_PATH", "").split(":")
print("[XSCHED INFO] not JSON")
print(json.dumps({"launched": 3, "counted": 3 * seen, "right": True, "pci": "", "libraries": []}))
"""
SHIM_LINES = [f"shim: {work}" for work in ("add", "matmul", "attention", "convolution")]


def says(launched: int = 3, counted: int = 3, right: bool = True) -> str:
    """A probe that says so, whatever is in place."""
    seen = {"launched": launched, "counted": counted, "right": right, "pci": "", "libraries": []}
    return f"print({json.dumps(seen)!r})"


def of_one_work(work: str, otherwise: str) -> str:
    """A probe that is honest about all work but that."""
    return f"import sys\nif sys.argv[3] == {work!r}:\n    {otherwise}\nelse:\n    exec({HONEST!r})"


def stub(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(shim, "PROBE", (sys.executable, "-c", program))


def interception(machine: Machine) -> dict[str, Line]:
    return {line.name: line for line in shim.interception(machine)}


def test_a_shim_that_works(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, HONEST)
    lines = interception(with_gpu)
    assert list(lines) == [*SHIM_LINES, "without the shim"]
    assert {line.state for line in lines.values()} == {State.ok}
    found = "3 of 3 commands pass through the queue, the result is right"
    assert {lines[name].found for name in SHIM_LINES} == {found}
    assert lines["without the shim"].found == "0 of 3 commands pass through the queue"


def test_each_kind_of_work_has_its_own_verdict(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, of_one_work("matmul", "import os; os.kill(os.getpid(), 11)"))
    lines = interception(with_gpu)
    states = {name for name, line in lines.items() if line.state is not State.ok}
    assert states == {"shim: matmul"}
    assert lines["shim: matmul"].found == "the probe was killed by SIGSEGV"


def test_probes_have_the_environment_of_a_trial(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XSCHED_POLICY", "HPF")
    program = """
import os, sys
wanted = {"XSCHED_SCHEDULER": "APP", "CUDA_VISIBLE_DEVICES": "GPU-1234"}
assert wanted.items() <= os.environ.items(), "variables"
assert "XSCHED_POLICY" not in os.environ, "the shell's own"
import runner.commands.doctor
sys.exit("as wanted")
"""
    stub(monkeypatch, program)
    for line in interception(with_gpu).values():
        assert line.found == "the probe ended with code 1: as wanted"


@pytest.mark.parametrize(
    ("program", "found"),
    [
        (says(counted=0), "0 of 3 commands pass through the queue"),
        (says(counted=2), "2 of 3 commands pass through the queue"),
        (says(right=False), "3 of 3 commands pass through the queue, and the result is another"),
        (says(launched=0), "the vendor's tracing library saw no command"),
    ],
)
def test_a_shim_that_does_not_do_is_an_error(
    program: str, found: str, with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, program)
    for name, line in interception(with_gpu).items():
        if name in SHIM_LINES:
            assert (line.state, line.found[: len(found)]) == (State.error, found)
            assert line.remedy


def test_a_shim_that_is_always_there_is_an_error(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, says())
    lines = interception(with_gpu)
    assert {lines[name].state for name in SHIM_LINES} == {State.ok}
    assert lines["without the shim"].state is State.error


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (
            "import sys; print('first', file=sys.stderr); sys.exit('[ERRO] no driver')",
            "ended with code 1: [ERRO] no driver",
        ),
        (
            "import sys; print('why\\n[XSCHED INFO @ T 1] closed', file=sys.stderr); sys.exit(1)",
            "ended with code 1: why",
        ),
        ("import sys; sys.exit(3)", "ended with code 3"),
        ("import os; os.kill(os.getpid(), 11)", "was killed by SIGSEGV"),
        ("", "ended without a result"),
        ("print('{}')", "ended without a result"),
        ("print('done')", "ended without a result"),
    ],
)
def test_a_probe_that_dies_says_its_last_words(
    program: str, said: str, with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, program)
    lines = interception(with_gpu)
    line = lines["shim: attention"]
    assert (line.state, line.found) == (State.error, f"the probe {said}")
    assert lines["without the shim"].state is State.warning


def test_a_probe_that_hangs_is_ended(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "PATIENCE_S", 1.0)
    waiting = "import sys, time; print('waiting', file=sys.stderr, flush=True); time.sleep(60)"
    stub(monkeypatch, of_one_work("add", waiting.replace("\n", "; ")))
    line = interception(with_gpu)["shim: add"]
    assert line.found == "the probe did not end within 1 s: waiting"
    assert line.details["log"] == "waiting\n"


def test_an_installation_without_the_shim_is_an_error(with_gpu: Machine, xsched: Path) -> None:
    (xsched / "lib" / "libcuda.so.1").unlink()
    [line] = shim.interception(with_gpu)
    assert line.state is State.error
    assert "libcuda.so.1" in line.found
    assert "SHIM_SOFTLINK" in line.remedy


def test_nothing_is_tried_where_there_is_nothing_to_try(
    bare: Machine, with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, "raise AssertionError")
    assert shim.interception(replace(with_gpu, home=None)) == []
    monkeypatch.setattr(installed_torch, "build", lambda: TorchBuild("2"))
    [line] = shim.interception(with_gpu)
    assert (line.state, "PyTorch" in line.found) == (State.warning, True)


def test_no_probe_disturbs_a_trial(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, "raise AssertionError")
    assert with_gpu.platform is not None
    with device_lock(with_gpu.platform.lock, wait=False, say=print):
        [line] = shim.interception(with_gpu)
    assert (line.state, line.found) == (State.warning, "not tried: a trial runs on this GPU")


@pytest.mark.parametrize(("flags", "seen"), [((), 3), (("-DINERT",), 0)])
def test_the_probe_counts_what_its_queue_sees_while_it_is_suspended(
    tmp_path: Path, flags: tuple[str, ...], seen: int
) -> None:
    folder = build(tmp_path, *flags)
    held = []
    with DoubleStream(folder) as stream:

        def launch() -> None:
            stream.submit(3)
            time.sleep(probe.SUSPENDED_S / 4)
            held.append(stream.completed())
            stream.synchronize()

        counted = probe.count(CudaXSched(folder), stream.pointer, launch)
        assert stream.completed() == 3
    assert counted == seen
    assert held == [0 if seen else 3]


def test_a_crash_while_the_interpreter_ends_is_no_dead_probe(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As ROCm's libraries do when they unload: exit code 139."""
    program = (
        "import atexit, os, sys\n"
        "from runner.commands.doctor import probe\n"
        "atexit.register(os.abort)\n"
        "probe.look = lambda platform, folder, work: probe.Seen(1, 1, True, '', [])\n"
        "probe.main()"
    )
    stub(monkeypatch, of_one_work("add", f"exec({program!r})"))
    assert interception(with_gpu)["shim: add"].state is State.ok


def test_a_probe_that_fails_says_why_and_does_not_crash(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import atexit, os\n"
        "from runner.commands.doctor import probe\n"
        "atexit.register(os.abort)\n"
        "def look(*_): raise RuntimeError('HIP error: invalid device function')\n"
        "probe.look = look\n"
        "probe.main()"
    )
    stub(monkeypatch, of_one_work("add", f"exec({program!r})"))
    said = "the probe ended with code 1: RuntimeError: HIP error: invalid device function"
    assert interception(with_gpu)["shim: add"].found == said
