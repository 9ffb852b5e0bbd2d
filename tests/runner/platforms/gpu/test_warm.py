"""The life of a warm parent and of what it forks."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import psutil
import pytest

from models import ModelSpec
from runner.platforms.gpu import warm
from runner.platforms.gpu.warm import WarmParent, WarmTrial
from runner.platforms.start import Process, Start
from tests.runner.platforms.gpu import forked
from xsched_bindings.errors import DeviceLost

MODELS = {ModelSpec("synthetic"), ModelSpec("bert_mini")}
#: pytest says in it what it is doing.
ENVIRONMENT = {name: text for name, text in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


def silent(text: str) -> None: ...


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[WarmParent]:
    with WarmParent(ENVIRONMENT, tmp_path, f"{forked.__name__}:load") as started:
        yield started


@pytest.fixture
def trial(parent: WarmParent) -> Iterator[WarmTrial]:
    with parent.open_trial(MODELS, silent) as opened:
        yield opened


class Child:
    """A process that a warm parent has forked, and what it tells of itself."""

    def __init__(self, trial: WarmTrial, folder: Path, **variables: str) -> None:
        self.connection, theirs = Pipe()
        self.log = folder / "stderr.log"
        high = fcntl.fcntl(theirs.fileno(), fcntl.F_DUPFD, 900)
        #: In another order than the warm parent's own numbers, and up to 900.
        self.fds = [theirs.fileno(), high, os.dup(theirs.fileno())]
        with self.log.open("wb") as stderr:
            environment = {"PATH": "/bin"} | variables
            start = Start(forked.__name__, self.fds[0], self.fds, environment, stderr)
            self.process: Process = trial.fork(start)
        theirs.close()
        for fd in self.fds[1:]:
            os.close(fd)

    def tells(self) -> dict[str, Any]:
        assert self.connection.poll(20)
        told: dict[str, Any] = self.connection.recv()
        return told

    def do(self, what: Any) -> int:
        self.connection.send(what)
        return self.process.wait(20)


def test_a_fork_has_the_models_its_descriptors_and_its_variables_and_no_others(
    trial: WarmTrial, tmp_path: Path
) -> None:
    child = Child(trial, tmp_path, CUDA_VISIBLE_DEVICES="GPU-7")
    told = child.tells()
    assert told["parent"] == trial.pid
    assert sorted(told["loaded"]) == sorted(model.name for model in MODELS)
    listing = 1  # the listing's own descriptor
    assert set(told["fds"]) >= {0, 1, 2, *child.fds}
    assert len(told["fds"]) <= 3 + len(child.fds) + listing
    assert told["environment"] == {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "GPU-7"}
    assert told["of_libraries"] == b"GPU-7", "also as C's getenv sees it"
    other = Child(trial, tmp_path).tells()
    assert other["environment"] == {"PATH": "/bin"}, "nothing is carried from one to the next"


def test_models_are_built_once(parent: WarmParent, tmp_path: Path) -> None:
    said: list[str] = []
    for _ in range(2):
        with parent.open_trial(MODELS, said.append) as trial:
            assert len(Child(trial, tmp_path).tells()["loaded"]) == len(MODELS)
    assert sorted(said) == ["loading bert_mini", "loading synthetic"]


ENDINGS = {
    "a code": (7, 7, "its last words\n"),
    "an exception": ("raise", 1, "RuntimeError: its last words\n"),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_exit_code_and_last_words_are_relayed(trial: WarmTrial, tmp_path: Path, case: str) -> None:
    told_to, code, words = ENDINGS[case]
    child = Child(trial, tmp_path)
    child.tells()
    assert child.do(told_to) == code
    assert child.log.read_text().endswith(words)
    assert child.process.wait() == code, "as often as one asks"
    child.process.kill()  # harms nobody


def test_a_fork_can_be_killed_and_waited_for(trial: WarmTrial, tmp_path: Path) -> None:
    child = Child(trial, tmp_path)
    child.tells()
    with pytest.raises(subprocess.TimeoutExpired):
        child.process.wait(0.1)
    child.process.kill()
    assert child.process.wait(20) == -signal.SIGKILL


def test_forks_end_with_their_trial(parent: WarmParent, tmp_path: Path) -> None:
    with parent.open_trial(MODELS, silent) as trial:
        child = Child(trial, tmp_path)
        child.tells()
        process = psutil.Process(child.process.pid)
    process.wait(20)
    assert parent.alive
    with parent.open_trial(MODELS, silent) as trial:
        assert Child(trial, tmp_path).tells()["parent"] == parent.process.pid


def test_forks_die_with_their_warm_parent(
    trial: WarmTrial, parent: WarmParent, tmp_path: Path
) -> None:
    child = Child(trial, tmp_path)
    child.tells()
    assert trial.trouble() == ""
    parent.process.kill()
    assert child.process.wait(20) == -signal.SIGKILL
    parent.process.wait()
    assert trial.trouble() == "the warm parent was killed by SIGKILL"
    with pytest.raises(DeviceLost):
        parent.open_trial(MODELS, silent)


UNFIT = {
    "raises": "no room for 20 GiB",
    "thread": "it has 2 threads",
    "device": "a library has started the GPU",
    "dies": "the warm parent ended",
}


@pytest.mark.parametrize("name", forked.ODD)
def test_a_parent_that_is_not_fit_says_why(parent: WarmParent, name: str) -> None:
    with pytest.raises(RuntimeError, match=UNFIT[name]) as raised:
        parent.open_trial({ModelSpec(name)}, silent)
    assert isinstance(raised.value, DeviceLost) is (name == "dies")


def test_what_makes_it_unfit_later_is_seen_at_the_fork(trial: WarmTrial, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        trial.ask({"do": "load", "spec": ModelSpec("thread").as_dict()})
    with pytest.raises(OSError, match="it has 2 threads"):
        Child(trial, tmp_path)


def test_too_many_descriptors_are_refused(trial: WarmTrial, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as stderr:
        start = Start(forked.__name__, 3, range(3, 300), {}, stderr)
        with pytest.raises(OSError, match="298 descriptors"):
            trial.fork(start)


def test_who_goes_on_serving(parent: WarmParent, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = ENVIRONMENT
    with parent.open_trial(MODELS, silent):
        assert parent.serves(environment, MODELS)
    assert parent.serves(environment | {"CUDA_VISIBLE_DEVICES": "1"}, MODELS), "is read later"
    assert not parent.serves(environment | {"LD_LIBRARY_PATH": "/shim"}, MODELS)
    with monkeypatch.context() as patched:
        patched.setattr(warm, "GROWTH_BYTES", -(1 << 40))
        assert not parent.serves(environment, MODELS), "it has grown"
    more = MODELS | {ModelSpec("gpt2")}
    assert parent.serves(environment, more)
    with monkeypatch.context() as patched:
        little = psutil.virtual_memory()._replace(available=1 << 20)
        patched.setattr(psutil, "virtual_memory", lambda: little)
        assert not parent.serves(environment, more), "its models would be in the way"
        assert parent.serves(environment, MODELS)
    parent.close()
    assert not parent.serves(environment, MODELS)


def test_many_forks_leave_nothing_behind(parent: WarmParent, tmp_path: Path) -> None:
    """One in five is killed, one in five ends by an error; the others do what they should."""
    endings: list[Any] = [0, 0, "hang", 0, "raise"]
    ours, theirs = psutil.Process(), psutil.Process(parent.process.pid)
    before = None
    for number in range(60):
        with parent.open_trial(MODELS, silent) as trial:
            child = Child(trial, tmp_path)
            assert len(child.tells()["loaded"]) == len(MODELS)
            what = endings[number % len(endings)]
            if what == "hang":
                child.process.kill()
                assert child.process.wait(20) == -signal.SIGKILL
            else:
                assert child.do(what) == (1 if what == "raise" else 0)
            child.connection.close()
            del child
        if number == 10:
            before = ours.num_fds(), theirs.num_fds(), theirs.memory_info().rss
    assert before is not None
    give_up = time.monotonic() + 10
    while theirs.num_fds() > before[1] and time.monotonic() < give_up:
        time.sleep(0.01)  # it ends a session when it next looks
    assert theirs.children() == []
    assert ours.num_fds() <= before[0]
    assert theirs.num_fds() <= before[1]
    assert theirs.memory_info().rss - before[2] < 4 << 20
