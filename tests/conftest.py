"""Fixtures shared by all tests: a device, and the command run as a user runs it."""

import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import settings

from runner.platforms.kinds.host import LOADER, HostPlatform
from xsched_bindings.host import Device, DeviceSession

ROOT = Path(__file__).parents[1]
# How long an example takes is the machine's business: a busy one needs more than the usual 200 ms.
settings.register_profile("on any machine", deadline=None)
settings.load_profile("on any machine")
# Torch would have a thread a core in each worker: on tensors as small as here they only wait for
# each other, and each operator takes milliseconds. Trials have one thread by themselves.
THREADS = "OMP_NUM_THREADS"
os.environ[THREADS] = "1"
# Each look for cycles goes through all that torch and its like have made: a look less often.
gc.set_threshold(50_000)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays: no look for cycles goes through it again."""
    gc.freeze()


@pytest.fixture(scope="session")
def device() -> Iterator[Device]:
    with Device(LOADER, HostPlatform(device_cores=1).device_cores) as started:
        yield started


@pytest.fixture
def session(device: Device) -> Iterator[DeviceSession]:
    with device.connect() as connected:
        yield connected


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "runner", *arguments]


def environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("MLFLOW_TRACKING_URI", THREADS)}
    return clean | {"PYTHONPATH": str(ROOT)}


def undisturbed(run: Run, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Beside other work a machine may share its device otherwise than asked, and that is refused:
    three times, then it is no accident."""
    for _ in range(3):
        done = run(*arguments)
        if done.returncode == 0:
            break
    return done


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """``python -m runner`` with these arguments, everything below `tmp_path`/out."""

    def run_command(*arguments: str, timeout: float = 120, **variables: str) -> object:
        return subprocess.run(
            command(*arguments, f"output_root={tmp_path / 'out'}"),
            cwd=tmp_path,
            env=environment() | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run_command  # type: ignore[return-value]  # text=True makes it one of str


def forked_run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """As `run` within `folder`, without an interpreter of its own, and with blank figures: for what
    is about neither."""
    from runner.commands.run import main
    from tests import forked

    def command() -> None:
        with blank():
            main()

    given = (*arguments, f"output_root={folder / 'out'}")
    return forked.run(command, *given, cwd=folder, environment=environment())


@pytest.fixture
def run_forked(tmp_path: Path) -> Run:
    return partial(forked_run, tmp_path)


@pytest.fixture
def signals_as_before() -> Iterator[None]:
    """What signals do is as before when the test is over; it calls `interruption.listen` itself."""
    from runner.trial import interruption

    handlers = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    for number in interruption.SIGNALS:
        signal.signal(number, signal.SIG_DFL)  # under nohup one is ignored
    yield
    interruption.listen()  # forgets
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def run_here(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    signals_as_before: None,
) -> Run:
    """`run` without a process of its own: for what ends before a trial starts."""
    from runner.commands.run import main

    def run_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        given = ["runner", *arguments, f"output_root={tmp_path / 'out'}"]
        monkeypatch.setattr(sys, "argv", given)
        with pytest.raises(SystemExit) as ended:
            main()
        assert isinstance(ended.value.code, int)
        return subprocess.CompletedProcess(given, ended.value.code, *capsys.readouterr())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # main sets it; here it is taken back
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return run_command


@contextmanager
def blank() -> Iterator[None]:
    """Figures are plotted, and their files are blank: drawing takes longer than all around it."""
    from matplotlib.figure import Figure

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", lambda _, file, **__: file.write(b"drawn"))
        yield


@pytest.fixture
def blank_figures() -> Iterator[None]:
    with blank():
        yield


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Making one takes a second."""
    from runner.runs import store

    file = tmp_path_factory.mktemp("store") / "mlflow.db"
    store.connect(store.sqlite_uri(file))
    return file


@pytest.fixture
def uri(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"
