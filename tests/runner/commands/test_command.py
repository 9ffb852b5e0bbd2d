"""How commands end: exit codes, and one message for wrong input."""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.commands.command import end_well
from runner.config.errors import UserError
from tests.conftest import ROOT, environment


def refuse() -> None:
    raise UserError("a.key", 7, "out of range", "1 to 3")


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_command_that_does_its_work_just_returns() -> None:
    end_well(lambda: None)
    end_well(lambda: 0)


@pytest.mark.parametrize(
    ("work", "code"), [(refuse, 2), (interrupt, 130), (lambda: 1, 1)], ids=["input", "Ctrl-C", "1"]
)
def test_other_endings_have_their_codes(work: Callable[[], int | None], code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        end_well(work)
    assert ended.value.code == code


def test_wrong_input_is_one_message(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        end_well(refuse)
    assert capsys.readouterr().err == "error: a.key=7: out of range\n  allowed: 1 to 3\n"


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        end_well(lambda: 1 // 0)


@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", [["runner", "--help"], ["runner", "--version"]])
def test_a_reader_who_has_seen_enough_is_no_error(arguments: list[str], buffered: bool) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    variables = environment() | {"PYTHONUNBUFFERED": "" if buffered else "1"}
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=variables,
        cwd=ROOT,
        text=True,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "closed", "code"),
    [
        (["runner.compare", "/nowhere"], ">&-", 2),
        (["runner.compare", "/nowhere"], ">&- 2>&-", 2),
        (["runner", "--version"], ">&-", 0),
        (["runner", "--version"], ">/dev/full", 1),
        (["runner.compare", "docs/results/two_gpus/one_threads.zip"], ">/dev/full", 1),
    ],
)
def test_streams_that_are_closed_or_full_are_no_fault_of_ours(
    arguments: list[str], closed: str, code: int
) -> None:
    line = f"{shlex.join([sys.executable, '-m', *arguments])} {closed}"
    done = subprocess.run(
        ["bash", "-c", line], env=environment(), cwd=ROOT, text=True, capture_output=True
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert ("No space left" in done.stderr) is (closed == ">/dev/full")


def test_a_path_that_cannot_be_used_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        end_well(lambda: Path("a" * 300).write_text(""))
    assert ended.value.code == 2
    assert f"error: {'a' * 300}: File name too long" in capsys.readouterr().err
