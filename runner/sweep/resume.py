"""The same sweep again: which folder it has, and what of it is still to be run."""

import hashlib
import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path

from runner.config.errors import UserError
from runner.platforms.contract import Platform
from runner.runs import durable, files, provenance
from runner.runs.record import Entry, Summary, SweepRecord
from runner.sweep.plan import Planned
from runner.trial.status import Status


def identity(points: list[Planned], platform: Platform) -> str:
    """What makes two sweeps the same: the measurements, the code and the environment, whatever the
    order. Twelve hexadecimal digits."""
    environment = provenance.environment()
    same = {
        "trials": sorted(each.trial.config_hash for each in points),
        "code": asdict(provenance.code()),
        "libraries": environment.libraries,
        "python": environment.python,
        "machine": platform.fingerprint(points[0].trial),
    }
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:12]


def find(output_root: Path, wanted: str) -> Path | None:
    """The latest sweep of that identity below the output folder."""
    found = []
    for path in output_root.glob(f"*/{files.SWEEP}"):
        with suppress(UserError):
            if files.read_sweep(path.parent).identity == wanted:
                found.append(path)
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent.absolute() if found else None


def missing(points: list[Planned], folder: Path) -> list[Planned]:
    """What has no result yet. With repeats a repeat that lacks one lacks all: its runs are compared
    with each other and must have run close together."""
    lacking = [each for each in points if not _done(folder / each.folder)]
    if points[0].config.sweep.repeats > 1:
        incomplete = {each.repeat for each in lacking}
        lacking = [each for each in points if each.repeat in incomplete]
    return lacking


def _done(run_folder: Path) -> bool:
    summary = files.read_summary(run_folder)
    return bool(summary and summary.as_expected and not files.broken(run_folder, summary))


def set_aside(points: list[Planned], folder: Path) -> None:
    """Move what earlier attempts at these points left out of the way; nothing is deleted."""
    for each in points:
        old = folder / each.folder
        if old.exists():
            aside = folder / files.SUPERSEDED
            aside.mkdir(exist_ok=True)
            places = (aside / f"{each.folder}-{number}" for number in count())
            shutil.move(old, next(place for place in places if not place.exists()))


def write(
    points: list[Planned],
    todo: list[Planned],
    found: Mapping[Planned, Summary],
    folder: Path,
    wanted: str,
) -> None:
    """sweep.json: before the first run, so that a killed sweep can be resumed, and at the end. What
    has not been found is pending. Runs that are there already keep their command. Raises OSError.
    """
    command = shlex.join(["python", "-m", "runner", *sys.argv[1:]])
    try:
        before = files.read_sweep(folder)
    except UserError:
        before = SweepRecord(runs=(), command=command)
    kept = {entry.folder: entry.command for entry in before.runs}
    for point in todo:
        kept.pop(point.folder, None)
    runs = []
    for point in points:
        summary = found.get(point)
        runs.append(
            Entry(
                name=point.name,
                folder=point.folder,
                arm=point.trial.arm,
                repeat=point.repeat,
                values=point.values,
                overrides=tuple(point.overrides),
                command=kept.get(point.folder, command),
                status=summary.status if summary else Status.PENDING,
                reason=summary.reason if summary else "",
            )
        )
    files.write_json(
        folder / files.SWEEP,
        SweepRecord(
            identity=wanted,
            command=before.command,
            swept=tuple(points[0].values),
            repeats=points[0].config.sweep.repeats,
            points=len(points),
            runs=tuple(runs),
        ),
    )
    for place in (folder, folder.parent):
        durable.sync(place)
