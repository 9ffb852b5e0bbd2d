"""The same sweep again: which folder it has, and what of it is still to be run."""

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from runner.config.errors import UserError
from runner.platforms.contract import Platform
from runner.runs import files, provenance
from runner.runs.record import Entry, Summary
from runner.sweep.plan import Point
from runner.trial.status import Status


def identity(points: list[Point], platform: Platform) -> str:
    """What makes two sweeps the same: the measurements, the code and the environment, whatever the
    order. Twelve hexadecimal digits."""
    environment = provenance.environment()
    same = {
        "trials": sorted(each.trial.config_hash for each in points),
        "code": asdict(provenance.code()),
        "libraries": environment.libraries,
        "python": environment.python,
        "machine": platform.fingerprint(),
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


def missing(points: list[Point], folder: Path) -> list[Point]:
    """What has no result yet. With repeats a repeat that lacks one lacks all: its runs are compared
    with each other and must have run close together."""
    lacking = [each for each in points if not _done(folder / each.folder)]
    if points[0].config.sweep.repeats > 1:
        incomplete = {each.repeat for each in lacking}
        lacking = [each for each in points if each.repeat in incomplete]
    return lacking


def _done(run_folder: Path) -> bool:
    summary = files.read_summary(run_folder)
    return summary is not None and summary.as_expected


def set_aside(points: list[Point], folder: Path) -> None:
    """Move what earlier attempts at these points left out of the way; nothing is deleted."""
    for each in points:
        old = folder / each.folder
        if old.exists():
            aside = folder / files.SUPERSEDED
            aside.mkdir(exist_ok=True)
            number = sum(1 for _ in aside.glob(f"{each.folder}*"))
            shutil.move(old, aside / f"{each.folder}-{number}")


def entry(each: Point, summary: Summary | None) -> Entry:
    """A run in sweep.json; without a summary it is pending."""
    return Entry(
        name=each.name,
        folder=each.folder,
        arm=each.trial.arm,
        repeat=each.repeat,
        values=each.values,
        overrides=tuple(each.overrides),
        status=summary.status if summary else Status.PENDING,
        reason=summary.reason if summary else "",
    )
