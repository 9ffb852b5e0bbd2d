"""A sweep has one writer: who wants to add to a folder that somebody is at waits for the end."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner.config.errors import UserError
from runner.config.schema import Config
from runner.results.console import console
from runner.runs import files, locks
from runner.sweep import resume
from runner.sweep.plan import Planned

#: Below output_root: who is at which sweep, and who is looking for one.
LOCKS, LOOKING = ".locks", "looking"


@dataclass(frozen=True)
class Place:
    """The folder of a sweep, whose sweep.json says what it will have. identity: see
    `runner.sweep.resume`. is_new: whether nothing was there."""

    folder: Path
    identity: str
    is_new: bool


@contextmanager
def one_writer(points: Sequence[Planned], identity: str) -> Iterator[Place]:
    """The folder that has some of these runs already, else a new one, with nobody else at it.

    Raises `UserError` for a folder that cannot be written, and with ``sweep.wait=false`` if
    somebody is at the sweep."""
    with ExitStack() as held:
        place = None
        while place is None:
            place = _take(points, identity, held)
        yield place


def _take(points: Sequence[Planned], identity: str, held: ExitStack) -> Place | None:
    """The folder, with its lock; None if that had to be waited for: it may be another one now.

    Commands look one after another, and each tells in sweep.json what it will run before the next
    one looks: so two that begin at once, alike or not, come to one folder."""
    config = points[0].config
    with _lock(config, LOOKING, wait=True):
        with writing(config.output_root):
            there = resume.find(points, identity)
            folder = there or create_folder(points[0])
        if taken := _taken(config, folder, held):
            if not config.sweep.wait:
                problem = f"this sweep is being run by {taken}"
                raise UserError("sweep.wait", "false", problem, remedy="wait for its end")
        else:
            if there:
                resume.adopt(points, files.read_sweep(folder))
            with writing(config.output_root):
                resume.write(points, (), {}, folder, identity)
            return Place(folder, identity, is_new=there is None)
    with _lock(config, folder.name, wait=True):
        return None


def _taken(config: Config, folder: Path, held: ExitStack) -> locks.Owner | None:
    """Who is at the folder; None if nobody was and we are now, for as long as `held` is."""
    try:
        held.enter_context(_lock(config, folder.name, wait=False))
    except locks.Taken as taken:
        return taken.owner
    return None


@contextmanager
def _lock(config: Config, name: str, wait: bool) -> Iterator[None]:
    """Raises `runner.runs.locks.Taken` if somebody has it and nobody is to wait."""

    def say(owner: locks.Owner) -> None:
        if name != LOOKING:  # that takes no time
            console.print(f"this sweep is being run by {owner}: waiting for its end")

    folder = Path(config.output_root) / LOCKS
    with ExitStack() as stack:
        with writing(config.output_root):
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):
                folder.chmod(0o1777)  # for all users of the machine, as the locks in it
            stack.enter_context(locks.held(folder / f"{name}.lock", wait, say))
        yield


def check(root: str) -> None:
    """What can be seen of an output folder without writing. Raises `UserError` as who writes."""
    with writing(root):
        there = Path(root).absolute()
        while not there.exists():
            there = there.parent
        if not there.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(there))
        if not os.access(there, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(there))


@contextmanager
def writing(root: str) -> Iterator[None]:
    """Whoever gave a place that cannot be written learns it before anything runs."""
    try:
        yield
    except OSError as error:
        problem = f"cannot be written: {said(error, root)}"
        raise UserError("output_root", root, problem, remedy="choose another folder") from error


def said(error: OSError, place: object) -> str:
    return f"{error.strerror}: {error.filename or place}"


def create_folder(first: Planned) -> Path:
    """The sweep's folder, its name the task set's and the time's. Raises OSError."""
    root = Path(first.config.output_root)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = root / f"{first.trial.task_set}-{stamp}"
    attempt = 1
    while True:
        try:
            folder.mkdir(parents=True)
            return folder.absolute()
        except FileExistsError:
            if not folder.is_dir():
                raise
            attempt += 1
            folder = root / f"{first.trial.task_set}-{stamp}-{attempt}"
