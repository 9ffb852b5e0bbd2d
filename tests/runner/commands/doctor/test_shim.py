"""What the doctor makes of its probes, with other commands in their place; and the probe's count,
over the double of XSched's library."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from runner.commands.doctor import probe, shim
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine
from runner.platforms.device import TorchBuild
from runner.platforms.gpu import platform as gpu
from runner.sweep.job import device_lock
from tests.xsched_bindings.double import DoubleStream, build
from xsched_bindings.cuda import CudaXSched

#: Counts where XSched's folder is on the loader's path, which is what the shim is to the loader.
HONEST = """
import json, os, sys
platform, folder = sys.argv[1:]
assert platform == "cuda"
assert os.path.isdir(os.path.join(os.environ["PYTHONPATH"].split(":")[0], "runner"))
seen = folder in os.environ.get("LD_LIBRARY_PATH", "").split(":")
print("[XSCHED INFO] not JSON")
print(json.dumps({"launched": 1, "counted": int(seen)}))
"""


def stub(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(shim, "PROBE", (sys.executable, "-c", program))


def interception(machine: Machine) -> dict[str, Line]:
    return {line.name: line for line in shim.interception(machine)}


def test_a_shim_that_works(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, HONEST)
    lines = interception(with_gpu)
    assert {name: line.state for name, line in lines.items()} == {
        "shim": State.ok,
        "without the shim": State.ok,
    }
    assert lines["shim"].found == "kernels pass through the queue: 1 of 1"
    assert lines["without the shim"].found == "kernels pass through the queue: 0 of 1"


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


def test_a_shim_that_intercepts_nothing_is_an_error(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, 'print(\'{"launched": 1, "counted": 0}\')')
    lines = interception(with_gpu)
    assert lines["shim"].state is State.error
    assert lines["shim"].found.endswith("0 of 1")
    assert lines["without the shim"].state is State.ok


def test_a_shim_that_is_always_there_is_an_error(
    with_gpu: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, 'print(\'{"launched": 1, "counted": 1}\')')
    lines = interception(with_gpu)
    assert lines["shim"].state is State.ok
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
    assert (lines["shim"].state, lines["shim"].found) == (State.error, f"the probe {said}")
    assert lines["without the shim"].state is State.warning


def test_a_probe_that_hangs_is_ended(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "PATIENCE_S", 1.0)
    waiting = "import sys, time; print('waiting', file=sys.stderr, flush=True); time.sleep(60)"
    stub(monkeypatch, waiting)
    assert interception(with_gpu)["shim"].found == "the probe did not end within 1 s: waiting"


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
    monkeypatch.setattr(gpu, "torch_build", lambda: TorchBuild("2"))
    [line] = shim.interception(with_gpu)
    assert (line.state, "PyTorch" in line.found) == (State.warning, True)


def test_no_probe_disturbs_a_trial(with_gpu: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    stub(monkeypatch, "raise AssertionError")
    assert with_gpu.platform is not None
    with device_lock(with_gpu.platform.lock, wait=False, say=print):
        [line] = shim.interception(with_gpu)
    assert (line.state, line.found) == (State.warning, "not tried: a trial runs on this GPU")


@pytest.mark.parametrize(("flags", "seen"), [((), 3), (("-DINERT",), 0)])
def test_the_probe_counts_what_its_queue_sees(
    tmp_path: Path, flags: tuple[str, ...], seen: int
) -> None:
    folder = build(tmp_path, *flags)
    with DoubleStream(folder) as stream:

        def launch() -> None:
            stream.submit(3)
            stream.synchronize()

        counted = probe.count(CudaXSched(folder), stream.pointer, launch)
        assert stream.completed() == 3
    assert counted == seen
