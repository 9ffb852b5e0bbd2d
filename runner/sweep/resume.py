"""Sweeps that are there already: in whose folder a command goes on, and what of it is still to be
run. A folder grows: with more repeats, another arm, more values. What it has is kept and counts."""

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from runner.config.errors import UserError
from runner.config.settings import depends, flat, setting
from runner.platforms.contract import Platform
from runner.proof.checks import Verdict
from runner.runs import durable, files, provenance
from runner.runs.record import Entry, Summary, SweepRecord
from runner.runs.repeats import Configured, differing
from runner.runs.store import shown
from runner.sweep.display import show_warnings
from runner.sweep.plan import Planned, name
from runner.trial.status import Status


def identity(points: Sequence[Planned], platform: Platform) -> str:
    """Of the code and the machine, which all runs of a sweep have in common. Twelve hexadecimal
    digits."""
    environment = provenance.environment()
    # How workers share the device is part of each trial, and of its hash.
    alike = replace(points[0].trial, placement="threads", mps=False)
    same = {
        "code": asdict(provenance.code()),
        "libraries": environment.libraries,
        "python": environment.python,
        "machine": platform.fingerprint(alike),
    }
    return hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:12]


# --- which folder --------------------------------------------------------------------------------


def find(points: Sequence[Planned], wanted: str) -> Path | None:
    """The latest sweep below their output folder that has one of these measurements and can take
    the others; None if there is none, or all are to be run anew, as what is a check of the machine
    of today. wanted: its identity."""
    config = points[0].config
    if not config.sweep.resume or (config.task_set.check and len(points) == 1):
        return None
    output_root = Path(config.output_root)
    measurements = {each.measurement for each in points}
    sweeps = [
        (path.stat().st_mtime_ns, path.parent) for path in output_root.glob(f"*/{files.SWEEP}")
    ]
    for _, folder in sorted(sweeps, reverse=True):
        try:
            record = files.read_sweep(folder)
        except UserError as error:
            if any((folder / each.folder).is_dir() for each in points):
                show_warnings([f"{folder} has runs of this sweep, and cannot go on: {error}"])
            continue
        has_one = any(entry.measurement in measurements for entry in record.runs)
        if record.identity == wanted and has_one and _takes(record, folder, points):
            return folder.absolute()
    return None


def _takes(record: SweepRecord, folder: Path, points: Sequence[Planned]) -> bool:
    """Whether all runs would be told apart by the keys that are swept over: of two that are told
    the same in all of them, nothing else may differ that both depend on."""
    here = {entry.measurement for entry in record.runs}
    new = list({id(e.config): e for e in points if e.measurement not in here}.values())
    if not new:
        return True
    kept = [_Kept(entry, folder) for entry in record.runs]
    keys = [*record.swept, *points[0].values]
    unsaid = [key for key in differing([*kept, *new]) if key not in keys]
    return not any(
        _told_the_same(one, other, keys) and _differ(one, other, unsaid)
        for one in kept
        for other in new
    )


def _told_the_same(one: "Told", other: "Told", keys: Sequence[str]) -> bool:
    """But for the arm, in which runs are compared."""
    if one.task_set != other.task_set:
        return False
    values = ((told(one, key), told(other, key)) for key in keys if key != "arm")
    return all(None in both or both[0] == both[1] for both in values)


def _differ(one: Configured, other: Configured, keys: Iterable[str]) -> bool:
    return any(
        str(one.parameters.get(key)) != str(other.parameters.get(key))
        for key in keys
        if one.parameters and depends(one.arm, key) and depends(other.arm, key)
    )


class HasFolder(Protocol):
    """A run of a sweep. folder: within the sweep's."""

    @property
    def folder(self) -> str: ...


class Told(Configured, Protocol):
    """A run of which is said what was swept."""

    @property
    def values(self) -> Mapping[str, str | None]: ...


def told(of: Told, key: str) -> str | None:
    """The value of a key that is swept over, whether or not it was when the run was planned; None
    where the run does not depend on it."""
    if key not in of.values and not depends(of.arm, key):
        return None
    return setting(key, of.arm, of.values, of.parameters)


@dataclass(frozen=True)
class _Kept:
    """A run that a folder has. parameters: {} if it never began."""

    entry: Entry
    folder: Path

    @property
    def arm(self) -> str:
        return self.entry.arm

    @property
    def task_set(self) -> str:
        return str(self.parameters.get("task_set.name"))

    @property
    def values(self) -> Mapping[str, str | None]:
        return self.entry.values or {}

    @cached_property
    def parameters(self) -> dict[str, Any]:
        return flat(files.read_config(self.folder / self.entry.folder))


# --- what of it is there -------------------------------------------------------------------------


def adopt(points: Sequence[Planned], record: SweepRecord) -> None:
    """Let points be in the folder of that record: with the places that they have there already,
    and told apart by what is swept over there, too."""
    keys = dict.fromkeys([*record.swept, *points[0].values])
    there = {entry.measurement: entry for entry in record.runs}
    for each in points:
        said = (there[each.measurement].values or {}) if each.measurement in there else {}
        serves_all = [key for key, value in said.items() if value is None]
        each.values = {key: None if key in serves_all else told(each, key) for key in keys}
    for each in points:
        if entry := there.get(each.measurement):
            each.name, each.folder = entry.name, entry.folder
    new = [each for each in points if each.measurement not in there]
    name(new, {entry.folder for entry in record.runs})


def missing(points: Iterable[Planned], folder: Path) -> list[Planned]:
    """What has no result yet, in the order of the points, which is balanced also where some are
    left out."""
    return [each for each in points if result(folder / each.folder, each.config.outcome) is None]


def result(run_folder: Path, outcome: str) -> Summary | None:
    """The run's summary, if it is what was to be measured, and whole. outcome: that is asked for
    now, and may have been another then."""
    summary = files.read_summary(run_folder)
    if not summary or not (summary.as_expected and as_expected(outcome, summary)):
        return None
    return None if files.broken(run_folder, summary) else summary


def as_expected(outcome: str, summary: Summary) -> bool:
    """Whether the run ended as it was meant to; a refusal is a run whose proof failed."""
    if outcome == "refusal":
        return summary.status is Status.FAILED and summary.proof is Verdict.FAILED
    return summary.status is Status.FINISHED


def set_aside(runs: Iterable[HasFolder], folder: Path) -> None:
    """Move what earlier attempts at these runs left out of the way; nothing is deleted."""
    for each in runs:
        old = folder / each.folder
        if old.exists():
            aside = folder / files.SUPERSEDED
            aside.mkdir(exist_ok=True)
            places = (aside / f"{each.folder}-{number}" for number in count())
            shutil.move(old, next(place for place in places if not place.exists()))


def write(
    points: Sequence[Planned],
    todo: Sequence[Planned],
    found: Mapping[Planned, Summary],
    folder: Path,
    wanted: str,
) -> None:
    """sweep.json: before the first run, so that a killed sweep can be resumed, and at the end. What
    is new or still to be run is pending, until its result is found. Runs that are there already
    keep their entry and their command. Raises OSError."""
    command = shlex.join(provenance.typed())
    try:
        before = files.read_sweep(folder)
    except UserError:
        before = SweepRecord(runs=(), command=command)
    swept = tuple(points[0].values)
    entries = {each.measurement: _also_told(each, folder, swept) for each in before.runs}
    for point in points:
        entry = entries.get(point.measurement)
        if entry is None or point in todo:
            entry = _entry(point, command)
        entry = replace(entry, values=point.values)
        if summary := found.get(point):
            entry = replace(entry, status=summary.status, reason=summary.reason)
        entries[point.measurement] = entry
    files.write_json(
        folder / files.SWEEP,
        SweepRecord(
            identity=wanted,
            command=before.command,
            swept=swept,
            repeats=max(before.repeats, points[0].config.sweep.repeats),
            points=len(entries),
            runs=tuple(entries.values()),
        ),
    )
    for place in (folder, folder.parent):
        durable.sync(place)


def _entry(point: Planned, command: str) -> Entry:
    return Entry(
        name=point.name,
        folder=point.folder,
        arm=point.arm,
        repeat=point.repeat,
        overrides=tuple(map(shown, point.overrides)),
        command=command,
        status=Status.PENDING,
        config_hash=point.trial.config_hash,
    )


def _also_told(entry: Entry, folder: Path, swept: Sequence[str]) -> Entry:
    """The entry of a run with its values of keys that are swept over since; one that never began
    has none to tell."""
    kept = _Kept(entry, folder)
    new = [key for key in swept if key not in kept.values]
    if not new or not kept.parameters:
        return entry
    return replace(entry, values={**kept.values, **{key: told(kept, key) for key in new}})
