"""The C library's bindings, with the double in XSched's place: what the contract does not say."""

import _ctypes
import gc
import shutil
import time
from collections.abc import Callable, Iterator
from ctypes import CDLL, CFUNCTYPE, POINTER, c_int32, c_int64, c_size_t, c_uint64, c_void_p
from pathlib import Path

import pytest

from tests.xsched_bindings.double import DoubleStream, build, scheduler
from xsched_bindings.cuda import CudaXSched
from xsched_bindings.errors import LibraryNotFound, WrongLibrary, XSchedError
from xsched_bindings.functions import Function
from xsched_bindings.hip import HipXSched
from xsched_bindings.library import Library, checksums, find
from xsched_bindings.library_queue import LibraryQueue
from xsched_bindings.types import PolicyType, PreemptLevel, QueueState, Result, SchedulerType

BLOCK = PreemptLevel.block


@pytest.fixture(scope="module")
def library_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("xsched"))


@pytest.fixture
def xsched(library_folder: Path) -> CudaXSched:
    library = CudaXSched(library_folder)
    library.set_scheduler(SchedulerType.app_managed, PolicyType.unknown)
    return library


@pytest.fixture
def stream(library_folder: Path) -> Iterator[DoubleStream]:
    with DoubleStream(library_folder) as stream:
        yield stream


@pytest.fixture
def queue(xsched: CudaXSched, stream: DoubleStream) -> Iterator[LibraryQueue]:
    with xsched.create_queue(stream.pointer, BLOCK) as queue:
        yield queue


# --- finding ----------------------------------------------------------------------------------


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without XSched."""
    monkeypatch.delenv("XSCHED_HOME", raising=False)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.setattr("xsched_bindings.library._folders_in_loader_cache", list)
    return monkeypatch


def installed(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "libpreempt.so").touch()
    return folder


@pytest.mark.parametrize("below", ["lib", "output/lib", "."])
def test_a_home_is_an_installation_a_build_or_the_folder_itself(
    nowhere: pytest.MonkeyPatch, tmp_path: Path, below: str
) -> None:
    home = tmp_path / "home"
    folder = installed(home / below)
    assert find(str(home)) == folder
    nowhere.setenv("XSCHED_HOME", str(home))
    assert find() == folder


def test_places_are_looked_at_in_order(nowhere: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given, home, on_path, cached = (
        installed(tmp_path / name / "lib") for name in ("given", "home", "on_path", "cached")
    )
    nowhere.setattr("xsched_bindings.library._folders_in_loader_cache", lambda: [cached])
    assert find() == cached
    nowhere.setenv("LD_LIBRARY_PATH", f"{tmp_path}::{on_path}")
    assert find() == on_path
    nowhere.setenv("XSCHED_HOME", str(home.parent))
    assert find() == home
    assert find(str(given.parent)) == given


def test_a_given_home_without_the_library_is_an_error_whatever_else_there_is(
    nowhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere.setenv("XSCHED_HOME", str(installed(tmp_path / "other" / "lib").parent))
    with pytest.raises(LibraryNotFound) as error:
        find(str(tmp_path / "given"))
    for part in ("libpreempt.so", "given/lib\n", "given/output/lib\n", "given\n", "XSCHED_HOME"):
        assert part in str(error.value)
    assert "other" not in str(error.value)


def test_what_is_nowhere_is_reported_with_every_place(
    nowhere: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere.setenv("XSCHED_HOME", str(tmp_path / "home"))
    nowhere.setenv("LD_LIBRARY_PATH", str(tmp_path / "on_path"))
    with pytest.raises(LibraryNotFound) as error:
        find()
    for part in ("home/lib", "home/output/lib", "on_path", "loader's cache", "xsched.home"):
        assert part in str(error.value)


def test_the_loaders_cache_is_asked_for_the_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XSCHED_HOME", raising=False)
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    folder = installed(tmp_path / "lib")
    ldconfig = tmp_path / "ldconfig"
    ldconfig.write_text(f"#!/bin/sh\necho '\tlibpreempt.so (libc6) => {folder}/libpreempt.so'\n")
    ldconfig.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name, path: str(ldconfig))
    assert find() == folder


# --- loading ----------------------------------------------------------------------------------


def test_a_file_that_is_no_library_is_the_wrong_one(tmp_path: Path) -> None:
    installed(tmp_path / "lib")
    with pytest.raises(WrongLibrary, match=r"lib/libpreempt\.so could not be loaded: .*too short"):
        Library(tmp_path / "lib")


def test_another_library_is_the_wrong_one(tmp_path: Path) -> None:
    installed(tmp_path / "lib").joinpath("libpreempt.so").write_bytes(
        Path(_ctypes.__file__).read_bytes()
    )
    with pytest.raises(WrongLibrary, match="no function XQueueCreate"):
        Library(tmp_path / "lib")


def test_another_version_is_the_wrong_one(tmp_path: Path) -> None:
    folder = build(tmp_path, "-DLACKS_SYMBOL")
    with pytest.raises(WrongLibrary, match=r"no function XHintKDeadline.*another version") as error:
        CudaXSched(folder)
    assert (error.value.path, error.value.symbol) == (folder / "libpreempt.so", "XHintKDeadline")


@pytest.mark.parametrize(
    ("platform", "file"), [(CudaXSched, "libhalcuda.so"), (HipXSched, "libhalhip.so")]
)
def test_a_build_without_the_platform_says_so(
    tmp_path: Path, platform: type[CudaXSched | HipXSched], file: str
) -> None:
    folder = build(tmp_path)
    (folder / file).unlink()
    with pytest.raises(LibraryNotFound, match=rf"{file} was not found(.|\n)*this platform"):
        platform(folder)


U64, I64, I32 = c_uint64, c_int64, c_int32
CALLBACK = CFUNCTYPE(I32, U64, c_void_p)
SIGNATURES = {
    "XQueueCreate": [POINTER(U64), U64, I64, I64],
    "XQueueDestroy": [U64],
    "XQueueGet": [POINTER(U64), U64],
    "XQueueSetPreemptLevel": [U64, I32],
    "XQueueSetLaunchConfig": [U64, I64, I64],
    "XQueueSubmit": [U64, U64],
    "XQueueWait": [U64, U64],
    "XQueueWaitAll": [U64],
    "XQueueQuery": [U64, POINTER(I32)],
    "XQueueSuspend": [U64, I64],
    "XQueueResume": [U64, I64],
    "XQueueProfileHwCommandCount": [U64, POINTER(I64)],
    "HwQueueDestroy": [U64],
    "HwQueueLaunch": [U64, U64],
    "HwQueueSynchronize": [U64],
    "HwCommandCreateCallback": [POINTER(U64), CALLBACK, c_void_p],
    "HwCommandDestroy": [U64],
    "XHintSetScheduler": [I32, I32],
    "XHintPriority": [U64, I32],
    "XHintUtilization": [U64, I32],
    "XHintTimeslice": [I64],
    "XHintLaxity": [U64, I64, I32, I32],
    "XHintDeadline": [U64, I64],
    "XHintKDeadline": [c_size_t],
}


def declared(library: Library) -> dict[str, list[type]]:
    assert {function.c_function.restype for function in library.functions.values()} == {I32}
    return {name: list(f.c_function.argtypes) for name, f in library.functions.items()}


def test_every_function_of_the_headers_has_its_types(library_folder: Path) -> None:
    hal = [POINTER(U64), c_void_p]
    assert declared(Library(library_folder)) == SIGNATURES
    assert declared(CudaXSched(library_folder)) == (
        SIGNATURES | {"CudaQueueCreate": hal, "CudaQueueGet": hal}
    )
    assert declared(HipXSched(library_folder)) == SIGNATURES | {"HipQueueCreate": hal}


# --- errors -----------------------------------------------------------------------------------


def test_an_error_names_the_function_its_arguments_and_the_meaning(xsched: CudaXSched) -> None:
    with pytest.raises(XSchedError) as error:
        xsched.call("XQueueSetPreemptLevel", xq=77, level=PreemptLevel.interrupt)
    assert str(error.value) == (
        "XQueueSetPreemptLevel(xq=77, level=interrupt) failed with error 3 (not_found): "
        "no such queue, command or library"
    )
    assert error.value.arguments == {"xq": 77, "level": PreemptLevel.interrupt}


def test_a_result_that_xsched_does_not_define_is_unknown() -> None:
    returns_its_argument = Function(CDLL(None), "abs", {"code": c_int32})
    assert returns_its_argument(code=0) == 0
    with pytest.raises(XSchedError) as error:
        returns_its_argument(code=2)
    assert error.value.result is Result.invalid_value
    with pytest.raises(XSchedError, match="the library returned 42") as error:
        returns_its_argument(code=42)
    assert error.value.result is Result.unknown


def test_a_number_is_never_cut_to_its_c_type(xsched: CudaXSched, queue: LibraryQueue) -> None:
    calls: list[tuple[Callable[[int], None], int]] = [
        (queue.hint_priority, 2**31),
        (queue.hint_deadline, 2**63),
        (xsched.set_k_deadline, -1),
    ]
    for call, value in calls:
        with pytest.raises(XSchedError, match="does not fit the C type") as error:
            call(value)
        assert error.value.result is Result.invalid_value


def test_a_hint_that_xsched_does_not_have_is_not_supported(queue: LibraryQueue) -> None:
    with pytest.raises(XSchedError, match="hint_weight") as error:
        queue.hint("weight", 1)
    assert error.value.result is Result.not_supported


# --- queues -----------------------------------------------------------------------------------


@pytest.mark.parametrize("default", [0, 1, 2])
def test_a_default_stream_is_refused(xsched: CudaXSched, default: int) -> None:
    with pytest.raises(XSchedError, match="default stream is never scheduled") as error:
        xsched.create_queue(default, BLOCK)
    assert error.value.result is Result.not_supported
    with pytest.raises(XSchedError, match=r"CudaQueueGet.*default stream"):
        xsched.get_queue(default)


def test_a_queue_that_cannot_be_created_leaves_no_hardware_queue(
    xsched: CudaXSched, stream: DoubleStream
) -> None:
    with pytest.raises(XSchedError) as error:
        xsched.create_queue(stream.pointer, 7)  # type: ignore[arg-type]
    assert error.value.function == "XQueueCreate"
    assert error.value.result is Result.invalid_value
    with pytest.raises(XSchedError) as error:
        xsched.get_queue(stream.pointer)
    assert error.value.function == "CudaQueueGet"
    assert error.value.result is Result.not_found


def test_closing_destroys_the_queue_before_the_hardware_queue(
    xsched: CudaXSched, stream: DoubleStream
) -> None:
    calls: list[str] = []

    def call(function: str, **arguments: object) -> int:
        calls.append(function)
        return xsched.call(function, **arguments)

    made = xsched.create_queue(stream.pointer, BLOCK)
    with (
        pytest.raises(ZeroDivisionError),
        LibraryQueue(call, made.handle, made.hwq, BLOCK, owned=True) as queue,
    ):
        1 / 0  # noqa: B018
    queue.close()
    assert calls == ["XQueueDestroy", "HwQueueDestroy"]
    with pytest.raises(XSchedError, match="the queue was closed"):
        queue.hint_priority(1)
    assert len(calls) == 2, "the library may have given the handle to another queue"


def test_a_queue_that_is_gone_already_does_not_keep_its_hardware_queue(
    xsched: CudaXSched, stream: DoubleStream
) -> None:
    queue = xsched.create_queue(stream.pointer, BLOCK)
    xsched.call("XQueueDestroy", xq=queue.handle)
    with pytest.raises(XSchedError, match="not_found"):
        queue.close()
    with pytest.raises(XSchedError) as error:
        xsched.destroy_hw_queue(queue.hwq)
    assert error.value.result is Result.not_found


def test_a_stream_takes_one_queue(
    xsched: CudaXSched, stream: DoubleStream, queue: LibraryQueue
) -> None:
    assert xsched.create_queue(stream.pointer, PreemptLevel.interrupt) is queue
    assert xsched.get_queue(stream.pointer) is queue
    assert queue.level is BLOCK
    queue.close()
    with xsched.create_queue(stream.pointer, PreemptLevel.interrupt) as another:
        assert another is not queue
        assert another.level is PreemptLevel.interrupt


def test_a_queue_made_elsewhere_is_left_to_its_maker(
    library_folder: Path,
    stream: DoubleStream,
    queue: LibraryQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XSCHED_AUTO_XQUEUE_LEVEL", "2")
    with CudaXSched(library_folder).get_queue(stream.pointer) as found:
        assert found.handle == queue.handle
        assert found.level is PreemptLevel.deactivate
        for threshold, batch_size in ((32, 0), (0, 2)):
            with pytest.raises(XSchedError, match="give both") as error:
                found.set_launch_config(threshold, batch_size)
            assert error.value.result is Result.not_allowed
        found.set_launch_config(4, 4)
        found.set_launch_config(8, -1)
    assert queue.query() is QueueState.idle
    with pytest.raises(XSchedError, match="closed"):
        found.query()


def test_a_level_can_be_changed(queue: LibraryQueue, stream: DoubleStream) -> None:
    queue.set_preempt_level(PreemptLevel.interrupt)
    assert queue.level is PreemptLevel.interrupt
    stream.submit(40)
    time.sleep(0.01)
    queue.suspend()
    completed = stream.completed()
    time.sleep(0.02)
    assert stream.completed() == completed < 40
    queue.resume()


# --- where the C library would end the process ------------------------------------------------


def test_one_of_threshold_and_batch_size_is_compared_with_what_the_other_is(
    queue: LibraryQueue,
) -> None:
    for threshold, batch_size in ((7, 0), (-1, 17), (8, 9)):
        with pytest.raises(XSchedError, match="must not exceed threshold") as error:
            queue.set_launch_config(threshold, batch_size)
        assert error.value.result is Result.invalid_value
    queue.set_launch_config(64, 0)
    queue.set_launch_config(0, 17)
    with pytest.raises(XSchedError):
        queue.set_launch_config(16, 0)


def test_a_local_scheduler_needs_a_policy_that_there_is(xsched: CudaXSched) -> None:
    for policy, result in (
        (PolicyType.unknown, Result.invalid_value),
        (PolicyType.spup, Result.not_supported),
    ):
        with pytest.raises(XSchedError, match="XHintSetScheduler") as error:
            xsched.set_scheduler(SchedulerType.local, policy)
        assert error.value.result is result
        assert error.value.arguments["policy"] is policy
    with pytest.raises(XSchedError) as error:
        xsched.set_scheduler(SchedulerType.unknown, PolicyType.hpf)
    assert error.value.result is Result.invalid_value


@pytest.mark.parametrize("policy", [PolicyType.unknown, PolicyType.hpf, PolicyType.spup])
@pytest.mark.parametrize("wanted", [SchedulerType.global_, SchedulerType.app_managed])
def test_the_scheduler_is_the_one_asked_for_whatever_the_policy(
    xsched: CudaXSched, library_folder: Path, wanted: SchedulerType, policy: PolicyType
) -> None:
    xsched.set_scheduler(SchedulerType.local, PolicyType.hpf)
    assert scheduler(library_folder) == SchedulerType.local
    xsched.set_scheduler(wanted, policy)
    assert scheduler(library_folder) == wanted


# --- commands by handle -----------------------------------------------------------------------


def test_a_submitted_callback_is_called_with_the_hardware_queue(
    xsched: CudaXSched, queue: LibraryQueue
) -> None:
    launched: list[int] = []
    queue.suspend()
    command = xsched.create_command(launched.append)
    xsched.submit(queue, command)
    gc.collect()
    assert launched == []
    queue.resume()
    queue.wait_all()
    assert launched == [queue.hwq]
    assert queue.count() == 1
    for act in (xsched.submit, xsched.wait):
        with pytest.raises(XSchedError) as error:
            act(queue, command)
        assert error.value.result is Result.not_found


def test_what_a_callback_raises_is_printed_and_ends_nothing(
    xsched: CudaXSched, queue: LibraryQueue, capsys: pytest.CaptureFixture[str]
) -> None:
    xsched.submit(queue, xsched.create_command(lambda hwq: 1 // 0))
    queue.wait_all()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_command_can_be_launched_past_the_queue_or_destroyed(
    xsched: CudaXSched, queue: LibraryQueue
) -> None:
    launched: list[int] = []
    xsched.launch(queue.hwq, xsched.create_command(launched.append))
    xsched.synchronize_hw_queue(queue.hwq)
    assert launched == [queue.hwq]
    assert queue.count() == 0
    unused = xsched.create_command(launched.append)
    xsched.destroy_command(unused)
    with pytest.raises(XSchedError, match="HwCommandDestroy"):
        xsched.destroy_command(unused)


def test_a_hardware_queue_cannot_go_before_its_queue(
    xsched: CudaXSched, queue: LibraryQueue
) -> None:
    with pytest.raises(XSchedError) as error:
        xsched.destroy_hw_queue(queue.hwq)
    assert error.value.result is Result.not_allowed


# --- what the double itself promises to other tests -------------------------------------------


def test_an_event_counts_in_the_queue_but_is_no_command(
    queue: LibraryQueue, stream: DoubleStream
) -> None:
    stream.submit(3)
    stream.record_event()
    stream.synchronize()
    assert (queue.count(), stream.completed()) == (4, 3)


@pytest.mark.parametrize(
    ("flag", "counted"), [("-DINERT", 0), ("-DCOUNTS_EVENTS_ONLY", 1), ("-DNEVER_SUSPENDS", 6)]
)
def test_a_lying_library_succeeds_and_stops_no_command(
    tmp_path: Path, flag: str, counted: int
) -> None:
    folder = build(tmp_path, flag)
    with (
        DoubleStream(folder) as stream,
        CudaXSched(folder).create_queue(stream.pointer, PreemptLevel.interrupt) as queue,
    ):
        queue.suspend()
        stream.submit(5)
        stream.record_event()
        assert queue.count() == counted
        time.sleep(0.05)
        assert stream.completed() == 5
        queue.resume()
        stream.synchronize()


def test_checksums_name_xscheds_libraries_alone(library_folder: Path) -> None:
    sums = checksums(library_folder)
    assert set(sums) == {"libpreempt.so"}, "links count once"
    assert len(sums["libpreempt.so"]) == 64
