"""A small sweep with made-up measurements, broken in one way each, and what must be true then."""

from collections.abc import Sequence
from pathlib import Path

from tests.faults import whole
from tests.faults.faults import Fault, Injected
from tests.faults.started import Ended, run

#: No check of this machine, which would run each time.
SMOKE = (
    *("task_set=smoke", "task_set.check=false", "task_set.requests=3", "warmup=1"),
    "tracking=none",
)
TWO = (*SMOKE, "-m", "arm=native,xsched")
DISK = "No space left on device"


def into(folder: Path, arguments: Sequence[str] = TWO) -> list[str]:
    return [*arguments, f"output_root={folder / 'out'}"]


def changes(folder: Path, arguments: Sequence[str] = TWO, runs: int = 2) -> list[str]:
    """What an undisturbed sweep changes, one by one."""
    listed = folder / "changes"

    def prepare() -> None:
        injected = Injected(folder / "out").install()
        injected.tell = listed

    (folder / "out").mkdir(parents=True)
    done = run(into(folder, arguments), folder / "log", prepare)
    assert done.code == 0, done.said
    whole.all_whole(folder / "out", runs)
    return listed.read_text().splitlines()


def broken_at(
    folder: Path, fault: Fault, at: int, arguments: Sequence[str] = TWO, runs: int = 2
) -> Ended:
    """The sweep with a fault at its n-th change, and then the same command again. Raises
    AssertionError if anything was lost, is half true or is not said."""
    out = folder / "out"
    out.mkdir(parents=True)
    broken = run(into(folder, arguments), folder / "log", Injected(out, fault, at).install)
    check_end(broken, out, runs)
    if fault is Fault.killed:
        assert broken.code == -9, broken.said
    again(folder, arguments, runs)
    return broken


def check_end(ended: Ended, out: Path, runs: int) -> None:
    """Exit code 0 means that all is there; anything else says why not, without a traceback."""
    whole.results(out)
    assert "Traceback" not in ended.said, ended.said
    if ended.code == 0:
        whole.all_whole(out, runs)
    elif ended.code > 0:
        assert DISK in ended.said, f"{ended.code}, and the disk is not named: {ended.said}"


def again(folder: Path, arguments: Sequence[str] = TWO, runs: int = 2) -> Ended:
    """The same command without a fault: it completes the sweep and loses nothing."""
    before = whole.results(folder / "out")
    done = run(into(folder, arguments), folder / "log2")
    assert done.code == 0, done.said
    whole.all_whole(folder / "out", runs)
    after = whole.results(folder / "out")
    kept = {place: record for place, record in after.items() if place in before}
    assert kept == before, "a result was lost or changed"
    return done
