"""``make faults``: faults by the hundred, as the table of docs/reliability.md.

``python -m tests.faults.campaign [--quick] [PART …]``. Parts: writer, operations, growing, disks,
twice, terminals, names, users, folders, damage, judgement, code, cost, and with real trials kills.
Only root can run disks and users. Exit code: 0 nothing was lost, half true or unsaid, else 1.
"""

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import psutil
import pyarrow.parquet as pq
from hydra.core.override_parser.types import Quote, QuotedString

from runner.commands import compare, judge, report
from runner.runs import files, provenance
from runner.runs.load import load
from runner.trial.status import Status
from tests.conftest import ROOT, environment
from tests.faults import instant, sweeps, whole, writer
from tests.faults.faults import Fault, Injected
from tests.faults.started import Ended, run, start
from tests.faults.sweeps import SMOKE, again, into

NOBODY = 65534
SIZES_KIB = (4, 8, 12, 16, 20, 28, 40, 56, 80, 120, 180, 300, 700, 1400, 3072)
INODES = (2, 3, 4, 6, 8, 12, 16, 24)


@dataclass
class Row:
    """One line of the table. found: how often each thing happened; wrong: what must not be."""

    fault: str
    found: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @contextmanager
    def case(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever it was, it is to be seen in the table
            self.wrong.append(f"{what}: {type(error).__name__}: {error}")
            self.count("WRONG")

    def count(self, what: str) -> None:
        self.found[what] = self.found.get(what, 0) + 1

    def __str__(self) -> str:
        outcome = ", ".join(f"{times} {what}" for what, times in self.found.items())
        return f"| {self.fault} | {sum(self.found.values())} | {outcome} |"


@dataclass(frozen=True)
class Campaign:
    """Where it works, and how much of it is done."""

    work: Path
    quick: bool
    seed: int
    times: int | None

    def folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.work))

    def some(self, everything: Sequence[object], quick: int) -> list[object]:
        step = max(1, len(everything) // quick) if self.quick else 1
        return list(everything)[::step]


def outcome(ended: Ended) -> str:
    return "killed, completed by the same command" if ended.code < 0 else f"exit code {ended.code}"


# --- the writer and the operations ---------------------------------------------------------------


def each_write(campaign: Campaign) -> Iterator[Row]:
    for fault in (Fault.killed, Fault.no_space, Fault.disk_full):
        row = Row(f"a run's writer at every file operation: {fault.value}")
        for at in range(1, writer.changes(campaign.folder()) + 1):
            with row.case(f"at {at}"):
                row.count(writer.broken_at(campaign.folder(), fault, at))
        yield row


def each_operation(campaign: Campaign) -> Iterator[Row]:
    changes = sweeps.changes(campaign.folder())
    for fault in (Fault.killed, Fault.no_space, Fault.disk_full):
        row = Row(f"a sweep of two runs at every file operation: {fault.value}")
        for at in campaign.some(range(1, len(changes) + 1), 10):
            assert isinstance(at, int)
            folder = campaign.folder()
            with row.case(f"{at} ({changes[at - 1]})"):
                row.count(outcome(sweeps.broken_at(folder, fault, at)))
            shutil.rmtree(folder, ignore_errors=True)
        yield row


GROWN_FROM, GROWN_TO = (*SMOKE, "arm=native"), (*SMOKE, "arm=native,urgent_only")


def growing(campaign: Campaign) -> Iterator[Row]:
    """A run is added to a sweep of one, in a copy of it for each operation."""
    base, listed = campaign.folder(), campaign.folder() / "changes"
    assert run(into(base, GROWN_FROM), base / "log").code == 0

    def grow(folder: Path, fault: Fault, at: int, tell: Path | None = None) -> Ended:
        shutil.copytree(base / "out", folder / "out")

        def prepare() -> None:
            Injected(folder / "out", fault, at).install().tell = tell

        return run(into(folder, GROWN_TO), folder / "log", prepare)

    assert grow(campaign.folder(), Fault.none, 0, listed).code == 0
    operations = listed.read_text().splitlines()
    row = Row(f"a sweep that grows by a run at every file operation: {Fault.killed.value}")
    for at in campaign.some(range(1, len(operations) + 1), 10):
        assert isinstance(at, int)
        folder = campaign.folder()
        with row.case(f"{at} ({operations[at - 1]})"):
            ended = grow(folder, Fault.killed, at)
            (kept,) = (path for path in whole.results(folder / "out") if "native" in path.name)
            original = next(base.glob(f"out/*/{kept.name}/{files.SUMMARY}"))
            assert (kept / files.SUMMARY).read_bytes() == original.read_bytes()
            again(folder, GROWN_TO, 2)
            row.count(outcome(ended))
        shutil.rmtree(folder, ignore_errors=True)
    yield row


# --- real trials ---------------------------------------------------------------------------------


def random_kills(campaign: Campaign) -> Iterator[Row]:
    """Of real sweeps, at any moment: the command itself, or one of the processes below it."""
    chance = random.Random(campaign.seed)
    rows = {"parent": Row("a real sweep's command"), "other": Row("a process of a real sweep")}
    arguments = (*SMOKE, "arm=xsched")
    for number in range(campaign.times or (4 if campaign.quick else 40)):
        whom = "parent" if number % 2 else "other"
        folder, row = campaign.folder(), rows[whom]
        with row.case(f"number {number}"):
            ended = _killed(folder, arguments, whom, chance)
            results = whole.results(folder / "out")
            assert "Traceback" not in ended.said, ended.said
            assert ended.code != 0 or len(results) == 1, ended.said
            if ended.code > 0:
                assert "FAILED" in ended.said, ended.said
            done = _real(folder, arguments).wait()
            assert done == 0, (folder / "log").read_text()
            whole.all_whole(folder / "out", 1)
            assert not results or results == whole.results(folder / "out")
            row.count(outcome(ended))
        shutil.rmtree(folder, ignore_errors=True)
    for row in rows.values():
        row.fault = f"SIGKILL at a random moment to {row.fault}"
        yield row


def _real(folder: Path, arguments: Sequence[str]) -> "subprocess.Popen[bytes]":
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "runner", *into(folder, arguments)]
        return subprocess.Popen(command, env=environment(), stdout=log, stderr=log, cwd=folder)


def _killed(folder: Path, arguments: Sequence[str], whom: str, chance: random.Random) -> Ended:
    process = _real(folder, arguments)
    command = psutil.Process(process.pid)

    def below() -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            return command.children(recursive=True)
        return []

    if whom == "other":
        until(lambda: below() or process.poll() is not None)
    time.sleep(chance.uniform(0.0, 3.0))
    with suppress(psutil.NoSuchProcess, IndexError):  # it may have ended before
        chance.choice(below() if whom == "other" else [command]).kill()
    return Ended(process.wait(120), (folder / "log").read_text(errors="replace"))


# --- disks ---------------------------------------------------------------------------------------


def full_disks(campaign: Campaign) -> Iterator[Row]:
    if os.getuid():
        print("disks: left out, only root can mount a small one", file=sys.stderr)
        return
    for what, options in (
        ("a disk of {} KiB", [(f"size={size}k", size) for size in SIZES_KIB]),
        ("a disk of {} inodes", [(f"size=8m,nr_inodes={count}", count) for count in INODES]),
    ):
        sizes = [size for _, size in options]
        row = Row(what.format(f"{sizes[0]} to {sizes[-1]}"))
        for option, size in options[:: 5 if campaign.quick else 1]:
            folder = campaign.folder()
            with row.case(what.format(size)), _disk(folder / "out", option) as grow:
                ended = run(into(folder), folder / "log")
                sweeps.check_end(ended, folder / "out", 2)
                grow()
                again(folder)
                row.count(outcome(ended))
        yield row


@contextmanager
def _disk(place: Path, options: str) -> Iterator[Callable[[], object]]:
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    subprocess.run(mount, check=True)
    try:
        bigger = ["mount", "-o", "remount,size=64m,nr_inodes=10000", str(place)]
        yield lambda: subprocess.run(bigger, check=True)
    finally:
        subprocess.run(["umount", str(place)], check=True)


# --- two at once ---------------------------------------------------------------------------------


def twice(campaign: Campaign) -> Iterator[Row]:
    chance = random.Random(campaign.seed)
    for kill in (False, True):
        row = Row("two identical commands at once" + (", one of them killed" if kill else ""))
        for number in range(campaign.times or (2 if campaign.quick else 20)):
            folder = campaign.folder()
            with row.case(f"number {number}"):
                check_two(folder, chance, kill)
                row.count("nothing lost, nothing measured twice" if not kill else "nothing lost")
        yield row
    row = Row("two identical commands at once, sweep.wait=false")
    with row.case(""):
        refused(campaign.folder())
        row.count("the second refused, exit code 2, naming the first")
    yield row


def check_two(folder: Path, chance: random.Random, kill: bool) -> None:
    """Two at once, and the same command again. Raises AssertionError if anything is lost."""
    ended = _two(folder, chance, kill)
    for each in ended:
        sweeps.check_end(each, folder / "out", 2)
    codes = [each.code for each in ended if each.code >= 0]
    assert codes in ([[0, 0]] if not kill else [[0], [0, 0]]), ended  # one may have ended before
    assert kill or not list((folder / "out").glob("*/superseded"))
    again(folder)


def refused(folder: Path) -> None:
    """Of two at once the second does not wait."""
    told = folder / "told"
    first = start(into(folder), folder / "first", lambda: lasting_until(told))
    until(lambda: list((folder / "out").glob("*/*/config.yaml")))
    second = run([*into(folder), "sweep.wait=false"], folder / "second")
    told.touch()
    assert second.code == 2, second.said
    assert f"this sweep is being run by process {first.pid} on " in second.said
    assert first.wait().code == 0
    again(folder)


def _two(folder: Path, chance: random.Random, kill: bool) -> list[Ended]:
    both = []
    for name in ("first", "second"):
        both.append(start(into(folder), folder / name, lambda: lasting(0.3)))
        time.sleep(chance.uniform(0, 3.0))
    if kill:
        with suppress(ProcessLookupError):
            os.kill(chance.choice(both).pid, signal.SIGKILL)
    return [each.wait() for each in both]


def lasting(seconds: float) -> None:
    os.environ[instant.WINDOW] = str(seconds)


def lasting_until(told: Path) -> None:
    """On a busy machine, too, the other thing comes before the window has ended."""
    os.environ[instant.UNTIL] = str(told)


def until(seen: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


# --- terminals and environments ------------------------------------------------------------------

#: (what, how the command is written, {exit codes}); $RUN is the command.
TERMINALS = (
    ("PYTHONIOENCODING=ascii", "PYTHONIOENCODING=ascii $RUN", {0}),
    ("LANG=C, LC_ALL=C", "LANG=C LC_ALL=C PYTHONUTF8=0 $RUN", {0}),
    ("\\| head -1", "$RUN | head -1", {0, 1}),
    ("\\| head -c 0", "$RUN | head -c 0", {0, 1}),
    ("> /dev/full", "$RUN > /dev/full", {1}),
    (">&-", "$RUN >&-", {0}),
    ("2>&-", "$RUN 2>&-", {0}),
    ("2> /dev/full", "$RUN 2> /dev/full", {0}),
    ("<&- >&- 2>&-", "$RUN <&- >&- 2>&-", {0}),
    ("no HOME", "env -u HOME $RUN", {0}),
    ("a HOME that is not there", "HOME=/dev/null/x XDG_CACHE_HOME=/dev/null/x $RUN", {0}),
    ("TERM=dumb, 10 columns", "TERM=dumb COLUMNS=10 $RUN", {0}),
    ("one core", "taskset -c 0 $RUN", {0}),
    ("a working directory that was deleted", "mkdir d && cd d && rmdir ../d && $RUN", {2}),
)


def terminals(campaign: Campaign) -> Iterator[Row]:
    for what, written, codes in campaign.some(TERMINALS, 5):  # type: ignore[misc]
        row = Row(f"`{what}`")
        with row.case(what):
            code = in_shell(campaign.folder(), written, codes)
            row.count(f"exit code {code}, {'refused at once' if code == 2 else 'the result whole'}")
        yield row


def in_shell(folder: Path, written: str, codes: set[int]) -> int:
    """Run the command as it is written; returns its exit code. A refusal (2) must leave nothing,
    everything else a whole result that the same command finds."""
    script = f"set -o pipefail\n{written.replace('$RUN', _written(folder))}\n"
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment(), capture_output=True, timeout=120
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode in codes, f"exit code {done.returncode}: {said}"
    assert "Traceback" not in said, said
    if done.returncode == 2:
        assert not whole.results(folder / "out")
        assert len(said.splitlines()) <= 3, said
    else:
        assert len(whole.results(folder / "out")) == 1, said
        assert "1 of 1 runs are there already" in again(folder, SMOKE, 1).said
    return done.returncode


def _written(folder: Path) -> str:
    return " ".join([sys.executable, "-m", "tests.faults.instant", *into(folder, SMOKE)])


NAMES = (
    *("%20", "a?b", "a#b", "a\\b", "a\\", "[]", "a[b]", "m[/b]", "a b", " a ", "ä€", "😀", "a;b&c"),
    *(":smile:", "a'b", 'a"b', "$HOME", "a{b}", "a=b", "a,b", "~", "-m", "*", "a:b", "a@b"),
)


def names(campaign: Campaign) -> Iterator[Row]:
    row = Row(f"`output_root` with {' '.join(repr(name).strip(chr(39)) for name in NAMES)}")
    row.fault = row.fault.replace("|", "\\|")
    for name in campaign.some(NAMES, 8):
        assert isinstance(name, str)
        with row.case(repr(name)):
            named(campaign.folder(), name)
            row.count("the result there, and found again")
    yield row


def named(folder: Path, name: str) -> None:
    place = folder / name
    quoted = QuotedString(str(place), Quote.single).with_quotes()
    for said in ("results: ", "1 of 1 runs are there already"):
        done = run([*SMOKE, f"output_root={quoted}"], folder / "log", lambda: os.chdir(folder))
        assert done.code == 0, done.said
        assert said in done.said, done.said
    assert len(whole.results(place)) == 1
    assert f"results: {place}/smoke-" in done.said, done.said
    assert {path.name for path in folder.iterdir()} == {Path(name).parts[0], "log"}


# --- other users ---------------------------------------------------------------------------------


def users(campaign: Campaign) -> Iterator[Row]:
    if os.getuid():
        print("users: left out, only root can become somebody else", file=sys.stderr)
        return
    for what, by_root, mode, codes in (
        ("another user, for whom the checkout is read-only", (), 0o755, {0}),
        ("another user, `.cache` made by root", (".cache",), 0o755, {1}),
        ("another user, `.locks` made by root for all", (".locks",), 0o1777, {0}),
        ("another user, `.locks` made by root for itself", (".locks",), 0o755, {2}),
        ("another user, an output folder of root's", ("",), 0o755, {2}),
    ):
        row = Row(what)
        with row.case(what):
            row.count(_as_nobody(campaign.folder(), by_root, mode, codes))
        yield row


def _as_nobody(folder: Path, by_root: Sequence[str], mode: int, codes: set[int]) -> str:
    """As another user, whose folder has things that root made; the checkout is root's, too, so
    that nothing can be written into it."""
    out = folder / "out"
    out.mkdir()
    for path in chain(reversed(folder.parents), [folder]):
        with suppress(OSError):
            if path.stat().st_uid == 0 and not path.stat().st_mode & 0o001:
                path.chmod(path.stat().st_mode | 0o111)
    os.chown(folder, NOBODY, NOBODY)
    os.chown(out, NOBODY, NOBODY)
    for name in by_root:
        (out / name).mkdir(exist_ok=True)
        (out / name).chmod(mode)
        os.chown(out / name, 0, 0)
    log = folder / "log"
    log.touch()
    os.chown(log, NOBODY, NOBODY)
    ended = run(into(folder, SMOKE), log, lambda: _become_nobody(folder.parent))
    assert ended.code in codes, f"exit code {ended.code}: {ended.said}"
    assert "Traceback" not in ended.said, ended.said
    results = len(whole.results(out))
    assert results == (ended.code != 2), ended.said
    if ended.code:
        assert "Permission denied" in ended.said, ended.said
    return f"exit code {ended.code}, {'the result whole' if results else 'refused at once'}"


def _become_nobody(elsewhere: Path) -> None:
    """After a run as root: what it imports may be in a folder that is root's alone."""
    arguments = sys.argv
    sys.argv = ["runner", *into(Path(tempfile.mkdtemp(dir=elsewhere)), SMOKE)]
    with suppress(SystemExit):
        instant.command()
    sys.argv = arguments
    provenance.code.cache_clear()
    os.environ["HOME"] = "/nonexistent"
    os.setgid(NOBODY)
    os.setuid(NOBODY)


# --- folders and figures -------------------------------------------------------------------------


def _delete(place: Path) -> None:
    shutil.rmtree(place)


def _move(place: Path) -> None:
    place.rename(place.parent.parent / "moved")


def _in_the_way(place: Path) -> None:
    (place / "latency_cdf.png").mkdir()


def folders(campaign: Campaign) -> Iterator[Row]:
    for what, happens, level, said in (
        ("a run's folder deleted while it runs", _delete, 0, "FAILED "),
        ("a run's folder moved while it runs", _move, 0, "FAILED "),
        ("the sweep's folder deleted while it runs", _delete, 1, "FAILED "),
        ("the sweep's folder moved while it runs", _move, 1, "FAILED "),
        ("a figure that cannot be written", _in_the_way, 0, "latency_cdf.png: Is a directory"),
    ):
        row = Row(what)
        with row.case(what):
            disturbed(campaign.folder(), happens, level, said)
            row.count("exit code 1, said; completed by the same command")
        yield row
    row = Row("a figure that cannot be drawn (`MPLBACKEND=nonsense`)")
    with row.case(""):
        folder = campaign.folder()
        code = in_shell(folder, "MPLBACKEND=nonsense $RUN", {0, 1})
        row.count(f"exit code {code}, the result whole, drawn by the same command")
    yield row


def disturbed(folder: Path, happens: Callable[[Path], None], level: int, said: str) -> None:
    """Something happens to the folder of a run in its window, or to the one above it."""
    told = folder / "told"
    process = start(into(folder, SMOKE), folder / "log", lambda: lasting_until(told))
    until(lambda: list((folder / "out").glob("*/*/config.yaml")))
    (place,) = (path.parent for path in (folder / "out").glob("*/*/config.yaml"))
    happens(place if not level else place.parent)
    told.touch()
    ended = process.wait()
    assert ended.code == 1, ended.said
    assert said in ended.said, ended.said
    assert "Traceback" not in ended.said, ended.said
    shutil.rmtree(place / "latency_cdf.png", ignore_errors=True)
    again(folder, SMOKE, 1)


# --- damaged records -----------------------------------------------------------------------------


def _without_tasks(path: Path) -> None:
    pq.write_table(pq.read_table(path).drop_columns(["task"]), path)


def _of_another_run(path: Path) -> None:
    (other,) = (each for each in path.parent.parent.glob(f"*/{path.name}") if each != path)
    path.write_bytes(other.read_bytes())


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: path.unlink(),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a list": lambda path: path.write_text("[1]"),
    "text": lambda path: path.write_text('"text"'),
    "null": lambda path: path.write_text("null"),
    "nested 100,000 deep": lambda path: path.write_text("[" * 100_000),
    "of another run": _of_another_run,
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
}


def damage(campaign: Campaign) -> Iterator[Row]:
    base = campaign.folder()
    assert run(into(base), base / "log").code == 0
    for name in (files.SUMMARY, *files.OF_A_RUN[1:]):
        row = Row(f"`{name}` {', '.join(DAMAGES)}")
        damages = dict(DAMAGES)
        if name == files.REQUESTS:
            damages["without column task"] = _without_tasks
            row.fault += ", without column task"
        for what in campaign.some(list(damages), 3):
            assert isinstance(what, str)
            folder = campaign.folder()
            with row.case(what):
                shutil.copytree(base / "out", folder / "out")
                damaged(folder, name, damages[what])
                row.count("named, left out, and run again by the same command")
        yield row


def damaged(folder: Path, name: str, damage: Callable[[Path], object]) -> None:
    """compare and report leave the run out and name it; the same command runs it again."""
    (sweep,) = (path.parent for path in (folder / "out").glob("*/sweep.json"))
    broken = next(path for path in sorted(sweep.iterdir()) if path.name.startswith("native"))
    damage(broken / name)
    (run_,) = (each for each in load(sweep) if each.folder == broken)
    assert run_.status is Status.FAILED, run_.summary
    for command in (compare.main, report.main):
        ended = run([str(sweep)], folder / "log", command=command)
        assert "Traceback" not in ended.said, ended.said
        assert ended.code in (0, 2), ended.said
    page = (sweep / "report" / "report.html").read_text()
    assert "FAILED" in page or "failed" in page
    done = again(folder)
    assert "1 of 2 runs are there already" in done.said, done.said


# --- judgement -----------------------------------------------------------------------------------

EXPERIMENT = """# @package _global_
hydra: {{sweeper: {{params: {{arm: "native,xsched"}}}}}}
defaults: [{{override /task_set: smoke}}]
sweep: {{repeats: 3}}
expect:
  - {{what: quick enough, metric: p99_ms/urgent, of: arm=native, at_most: {bound}}}
"""


def judgement(campaign: Campaign) -> Iterator[Row]:
    row = Row("`expect:` or `sweep.primary` changed, and the same command")
    with row.case(""):
        rejudged(campaign.folder())
        row.count("judged anew; nothing run, the commands of runs as they were")
    yield row


def rejudged(folder: Path) -> None:
    mine = folder / "mine" / "experiment"
    mine.mkdir(parents=True)
    arguments = ["--config-dir", str(folder / "mine"), "experiment=bound", *SMOKE[1:]]

    def judged(bound: float, *more: str) -> tuple[str, str]:
        (mine / "bound.yaml").write_text(EXPERIMENT.format(bound=bound))
        done = run([*into(folder, arguments), *more], folder / "log")
        assert done.code == 0, done.said
        (sweep,) = (path.parent for path in (folder / "out").glob("*/sweep.json"))
        found = json.loads((sweep / "expectations.json").read_text())
        entries = json.loads((sweep / "sweep.json").read_text())["runs"]
        return found[0]["verdict"], str([entry["command"] for entry in entries])

    before = judged(20)
    records = whole.results(folder / "out")
    assert judged(20) == before
    after = judged(5)
    assert before[0] != after[0], "the corrected expectation was not judged"
    assert judged(5, "sweep.primary=p50_ms/urgent") == after
    assert before[1] == after[1], "the recorded commands changed"
    assert whole.results(folder / "out") == records
    (sweep,) = (path.parent for path in (folder / "out").glob("*/sweep.json"))
    done = run([str(sweep)], folder / "log", command=judge.main)
    assert done.code == 0, done.said
    assert json.loads((sweep / "expectations.json").read_text())[0]["verdict"] == before[0]


# --- code without git ----------------------------------------------------------------------------


def without_git(campaign: Campaign) -> Iterator[Row]:
    row = Row("a module edited in a copy without git, and the same command")
    with row.case(""):
        edited(campaign.folder())
        row.count("not resumed: another sweep")
    yield row


def edited(folder: Path) -> None:
    copy = folder / "copy"
    for name in ("runner", "models", "conf", "hydra_plugins", "xsched_bindings", "tests/faults"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/__init__.py", "tests/conftest.py"):
        shutil.copy(ROOT / name, copy / name)
    for sweeps_then in (1, 1, 2):
        command = [sys.executable, "-m", "tests.faults.instant", *into(folder, SMOKE)]
        if sweeps_then == 2:
            with (copy / "runner" / "sweep" / "caveats.py").open("a") as module:
                module.write("\n# edited\n")
        done = subprocess.run(
            command, cwd=copy, env=environment() | {"PYTHONPATH": str(copy)}, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()
        assert len(list((folder / "out").glob("*/sweep.json"))) == sweeps_then


# --- what it costs -------------------------------------------------------------------------------


def cost(campaign: Campaign) -> Iterator[Row]:
    times = 10 if campaign.quick else 50
    durable, plain = writer.seconds(campaign.folder(), times)
    more = 1e3 * (statistics.median(durable) - statistics.median(plain))
    row = Row("what durable writing costs a run (at most 50 ms)")
    if more > 50:
        row.wrong.append(f"{more:.1f} ms")
    row.found = {
        f"runs written: median {1e3 * statistics.median(durable):.1f} ms, plain "
        f"{1e3 * statistics.median(plain):.1f} ms": times
    }
    yield row


PARTS: dict[str, Callable[[Campaign], Iterator[Row]]] = {
    "writer": each_write,
    "operations": each_operation,
    "growing": growing,
    "disks": full_disks,
    "twice": twice,
    "terminals": terminals,
    "names": names,
    "users": users,
    "folders": folders,
    "damage": damage,
    "judgement": judgement,
    "code": without_git,
    "cost": cost,
    "kills": random_kills,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; else all")
    parser.add_argument("--quick", action="store_true", help="a few cases of everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--times", type=int, help="how many random kills, and starts of two")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}")
    wrong = []
    print("| what was injected | times | what happened |\n|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="faults-") as work:
        campaign = Campaign(Path(work), asked.quick, asked.seed, asked.times)
        for part in asked.parts or PARTS:
            for row in PARTS[part](campaign):
                print(row, flush=True)
                wrong += [f"{row.fault}: {each}" for each in row.wrong]
    for each in wrong:
        print(f"WRONG {each}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
