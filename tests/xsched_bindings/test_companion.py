"""The companion of XSched's HIP shim, over a fake HIP runtime: over the double of XSched's library,
and the same over a real shim where XSCHED_HOME names an installation with one."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.xsched_bindings import fake_hip
from tests.xsched_bindings.fake_hip import FakeHip
from xsched_bindings import companion
from xsched_bindings.companion import Calls
from xsched_bindings.errors import LibraryNotFound
from xsched_bindings.shim import HIP_SHIM, hip_environment

#: Where a kernel's parameters are found in ROCm up to 6.3, and in later ones.
OLD_LAYOUT, LAYOUTS = "136", ("136", "72", "40")
ROUNDS = 1000

QUEUED = """
    hipModuleLaunchKernel hipExtModuleLaunchKernel hipHccModuleLaunchKernel hipExtLaunchKernel
    hipLaunchCooperativeKernel hipModuleLaunchCooperativeKernel hipLaunchHostFunc
    hipStreamAddCallback hipMemset2DAsync hipMemset3DAsync hipMemcpy2DAsync hipMemcpyPeerAsync
    hipFreeAsync hipMemPrefetchAsync hipStreamAttachMemAsync hipStreamWaitValue32
    hipStreamWaitValue64 hipStreamWriteValue32 hipStreamWriteValue64
""".split()
HELD = """
    hipLaunchKernelExC hipDrvLaunchKernelEx hipGraphLaunch hipGraphUpload hipMemcpy2DToArrayAsync
    hipMemcpy2DFromArrayAsync hipMemcpyParam2DAsync hipMemcpy3DAsync hipDrvMemcpy3DAsync
    hipMemcpyAtoHAsync hipMemcpyHtoAAsync hipMemcpyToSymbolAsync hipMemcpyFromSymbolAsync
    hipMallocAsync hipMallocFromPoolAsync hipMemMapArrayAsync hipStreamBatchMemOp
    hipSignalExternalSemaphoresAsync hipWaitExternalSemaphoresAsync
""".split()
PASSED = """
    hipLaunchCooperativeKernelMultiDevice hipExtLaunchMultiKernelMultiDevice
    hipModuleLaunchCooperativeKernelMultiDevice
""".split()
#: What the shim queues, and what it makes directly once the stream has nothing left.
SHIMS_QUEUED = """
    hipLaunchKernel hipMemcpyHtoDAsync hipMemcpyDtoHAsync hipMemcpyDtoDAsync hipMemsetD8Async
    hipMemsetD16Async hipMemsetD32Async
""".split()
SHIMS_DIRECT = ["hipMemcpyAsync", "hipMemcpyWithStream"]


@pytest.fixture(scope="module")
def hip(tmp_path_factory: pytest.TempPathFactory) -> FakeHip:
    return fake_hip.build(tmp_path_factory.mktemp("hip"))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return companion.build(tmp_path_factory.mktemp("cache"))


def environment(hip: FakeHip, library: Path | None) -> dict[str, str]:
    return hip_environment(hip.xsched, hip.runtime, os.environ, library) | {
        "XSCHED_SCHEDULER": "APP",
        "FAKE_HIP_KERNEL_OFFSET": "72",
    }


@dataclass(frozen=True)
class Outcome:
    """One call on a suspended queue, see ``client.c``."""

    result: int
    counted: int
    early: int
    returned: bool
    order: str


def outcomes(output: str) -> dict[str, Outcome]:
    lines = [line.split() for line in output.splitlines() if line.startswith("hip")]
    return {
        name: Outcome(*map(int, numbers[:3]), bool(int(numbers[3])), order)
        for name, *numbers, order in lines
    }


def counts(output: str) -> dict[str, Calls]:
    lines = (line.split() for line in output.splitlines() if line.startswith("counts"))
    return {name: Calls(*map(int, numbers)) for _, name, *numbers in lines}


def ran(hip: FakeHip, variables: Mapping[str, str], *arguments: str) -> str:
    done = fake_hip.run(hip, variables, *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


# --- what becomes of calls -----------------------------------------------------------------------


def test_every_call_is_queued_in_order_or_known_to_have_passed(hip: FakeHip, library: Path) -> None:
    output = ran(hip, environment(hip, library), "calls")
    queued = Outcome(0, counted=1, early=0, returned=True, order="bna")
    expected = dict.fromkeys(QUEUED, queued)
    expected |= dict.fromkeys(HELD, replace(queued, returned=False))
    expected |= dict.fromkeys(PASSED, replace(queued, counted=0, returned=False))
    # The shim's own are left to it; the double of the shim has one of them.
    expected |= dict.fromkeys(SHIMS_QUEUED if hip.real else SHIMS_QUEUED[:1], queued)
    if hip.real:
        expected |= dict.fromkeys(SHIMS_DIRECT, replace(queued, counted=0, returned=False))
    found = outcomes(output)
    assert {name: found[name] for name in expected} == expected
    assert {*found} == {*QUEUED, *HELD, *PASSED, *SHIMS_QUEUED, *SHIMS_DIRECT}
    assert counts(output) == {
        **dict.fromkeys(QUEUED, Calls(queued=1)),
        **dict.fromkeys(HELD, Calls(held=1)),
        **dict.fromkeys(PASSED, Calls(passed=1)),
    }
    _, before, after = output.splitlines()[-1].split()
    assert before == after, "no file stays open"


def test_without_the_companion_a_matrix_product_overtakes(hip: FakeHip) -> None:
    """XSched exports C++'s name of what hipBLASLt calls by C's."""
    output = ran(hip, environment(hip, None), "calls", "hipExtModuleLaunchKernel")
    found = outcomes(output)["hipExtModuleLaunchKernel"]
    assert (found.counted, found.early, found.order[0]) == (0, 1, "n")
    assert counts(output) == {}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", ["extra", "params"])
def test_where_the_shim_alone_dies_the_companion_is_right(
    hip: FakeHip, library: Path, layout: str, way: str
) -> None:
    """XSched looks for a kernel's parameters where ROCm had them up to 6.3, and there it keeps
    pointers to the caller's stack (kernel_param.cpp, hip_command.cpp)."""
    if not hip.real:
        pytest.skip("needs XSched's shim")
    asked = "lifetime", "20", f"hipModuleLaunchKernel-{way}"
    chosen = {"FAKE_HIP_KERNEL_OFFSET": layout}
    alone = fake_hip.run(hip, environment(hip, None) | chosen, *asked)
    right = "20 20" in alone.stdout
    assert right == (layout == OLD_LAYOUT and way == "extra")
    assert lifetimes(ran(hip, environment(hip, library) | chosen, *asked)) == {asked[2]: 20}


# --- arguments -----------------------------------------------------------------------------------


def lifetimes(output: str) -> dict[str, int]:
    """By way to give arguments, how many results were right."""
    lines = (line.split() for line in output.splitlines() if line.startswith("hip"))
    return {way: int(right) for way, right, _ in lines}


def test_arguments_may_be_overwritten_while_the_queue_is_suspended(
    hip: FakeHip, library: Path
) -> None:
    output = ran(hip, environment(hip, library), "lifetime", str(ROUNDS))
    assert {*lifetimes(output).values()} == {ROUNDS}
    assert len(lifetimes(output)) == 8
    assert counts(output)["hipModuleLaunchKernel"] == Calls(queued=2 * ROUNDS)
    assert counts(output)["hipMemcpy2DAsync"] == Calls(held=ROUNDS)


def test_arguments_of_unknown_size_hold_their_caller(
    hip: FakeHip, library: Path, tmp_path: Path
) -> None:
    """As in runtimes that do not tell a kernel's parameters."""
    older = replace(hip, runtime=fake_hip.build_runtime(tmp_path, "-DWITHOUT_PARAM_INFO"))
    variables = environment(older, library)
    variables["LD_LIBRARY_PATH"] = f"{tmp_path}:{variables['LD_LIBRARY_PATH']}"
    output = ran(older, variables, "lifetime", "100")
    assert {*lifetimes(output).values()} == {100}
    assert counts(output)["hipModuleLaunchKernel"] == Calls(queued=100, held=100)
    assert counts(output)["hipExtLaunchKernel"] == Calls(held=100)


# --- the bindings' contract ----------------------------------------------------------------------


def test_the_bindings_keep_their_contract_on_hip(hip: FakeHip, library: Path) -> None:
    """In a process with shim and companion preloaded; what is submitted goes through the latter."""
    if not hip.real:
        pytest.skip("needs XSched: the double keeps it on streams of its own")
    file = str(Path(__file__).with_name("test_hip_contract.py"))
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", file]
    variables = environment(hip, library) | {"FAKE_HIP_DELAY_US": "3000"}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


# --- who is found, and where there is nothing to queue ------------------------------------------


def test_whoever_looks_a_function_up_finds_the_companions(hip: FakeHip, library: Path) -> None:
    output = ran(hip, environment(hip, library), "lookup")
    lines = [line.split() for line in output.splitlines() if line.startswith("hip")]
    found = {(name, how): where for name, how, where in lines}
    for how in ("linked", "dlsym", "hipGetProcAddress"):
        assert found["hipModuleLaunchKernel", how] == companion.NAME
    assert found["hipMemsetAsync", "linked"] == HIP_SHIM
    assert found["hipMemsetAsync", "hipGetProcAddress"] == HIP_SHIM


def test_a_stream_without_a_queue_or_in_a_capture_is_left_alone(
    hip: FakeHip, library: Path
) -> None:
    output = ran(hip, environment(hip, library), "unqueued")
    # Results, and what was executed or counted.
    assert "none 0 1\n" in output
    assert "captured 0 0\n" in output
    assert "closed 0 2\n" in output
    assert counts(output) == {}


def test_of_two_runtimes_the_one_that_is_named_gets_all_calls(
    hip: FakeHip, library: Path, tmp_path: Path
) -> None:
    """A stream of one runtime is unknown to the other (error 709). The client is linked to the
    first; XSched and the companion are given a copy."""
    other = replace(hip, runtime=fake_hip.build_runtime(tmp_path))
    names = ["hipExtModuleLaunchKernel", "hipGraphLaunch", "hipMemset2DAsync"]
    output = ran(other, environment(other, library), "calls", *names)
    assert [outcomes(output)[name].order for name in names] == ["bna"] * 3


def test_a_missing_runtime_is_named(hip: FakeHip, library: Path) -> None:
    variables = environment(hip, library) | {"XSCHED_HIP_LIB": "/nowhere/libamdhip64.so"}
    done = fake_hip.run(hip, variables, "calls")
    assert done.returncode
    assert "/nowhere/libamdhip64.so" in done.stderr


# --- compiling -----------------------------------------------------------------------------------


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another source, that is compiled faster."""
    path = tmp_path / "companion.c"
    path.write_text("int first;\n")
    monkeypatch.setattr(companion, "SOURCE", path)
    return path


def test_it_is_compiled_once_and_again_for_another_source(tmp_path: Path, source: Path) -> None:
    first = companion.build(tmp_path)
    assert first.name == companion.NAME
    made = first.stat().st_ino
    assert companion.build(tmp_path) == first
    assert first.stat().st_ino == made
    source.write_text("int second;\n")
    assert companion.build(tmp_path) != first


def test_without_a_compiler_there_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LibraryNotFound, match=r"cc, gcc, clang(.|\n)*xsched\.companion=false"):
        companion.build(tmp_path)


def test_what_the_compiler_says_is_told(tmp_path: Path, source: Path) -> None:
    source.write_text("this is no C\n")
    with pytest.raises(LibraryNotFound, match=r"companion\.c(.|\n)*error(.|\n)*companion=false"):
        companion.build(tmp_path)
    assert not list(tmp_path.rglob(companion.NAME))


@pytest.mark.parametrize("writable", [True, False])
def test_the_cache_is_below_the_users_own(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, writable: bool
) -> None:
    home = tmp_path / "cache"
    home.mkdir()
    if not writable:
        home = home / "file"
        home.write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    below = home if writable else tmp_path / f"xsched-runner-{os.getuid()}"
    assert companion.build().is_relative_to(below)


def test_a_process_without_it_has_no_calls() -> None:
    assert companion.calls() is None
    assert companion.since({}) == {}


def test_a_process_with_it_tells_them(hip: FakeHip, library: Path) -> None:
    code = "from xsched_bindings import companion; print(companion.calls(), companion.since({}))"
    variables = environment(hip, library) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    assert done.stdout == "{} {}\n"
