"""Runs that have ended, read back from what they left: the one way to them, for the commands of
this project as for a notebook."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.config.errors import UserError
from runner.runs import archive, files, repeats
from runner.runs.download import Reader
from runner.runs.record import SweepRecord
from runner.runs.run import Run, read_run
from runner.runs.sweep import Sweep
from runner.trial.status import Status

MLFLOW = "mlflow:"
ALLOWED = "a sweep's folder or exported zip, runs' folders, MLflow run ids, mlflow:<experiment>"
RUN_ID = re.compile(r"[0-9a-f]{32}")


def load(*paths: str | Path, uri: str | None = None) -> Sweep:
    """The runs at `paths`: folders of sweeps or of runs, exported zips, ids of MLflow runs, and
    ``mlflow:<experiment>``; uri: the tracking store, else MLFLOW_TRACKING_URI, else the default.

    A point that occurs again is a further repeat. Raises `UserError` for what is no run, and if
    runs of different platforms have results."""
    batches: list[list[Run]] = []
    loose: list[Run] = []
    known: list[Sweep] = []
    store = Reader(uri)
    for path in dict.fromkeys(map(str, paths)):
        there = _exists(path)
        if path.startswith(MLFLOW):
            batches += store.experiment(path.removeprefix(MLFLOW))
        elif (Path(path) / files.SWEEP).is_file():
            known.append(sweep_in(Path(path)))
            batches.append(list(known[-1].runs))
        elif (Path(path) / files.CONFIG).is_file() or (Path(path) / files.SUMMARY).is_file():
            loose.append(run_in(Path(path)))
        elif Path(path).is_file():
            folder, held = archive.unpack(Path(path))
            known.append(sweep_in(folder, held))
            batches.append(list(known[-1].runs))
        elif RUN_ID.fullmatch(path):
            loose += store.runs(path)
        else:
            problem = "holds no run" if there else "is not there"
            raise UserError("", "", f"{path} {problem}", ALLOWED)
    batches += [loose] if loose else []
    runs = repeats.number(repeats.with_values(_once(batches)))
    _check_places(runs)
    if len(known) == 1 and len(batches) == 1:
        return replace(known[0], runs=tuple(runs))
    above = {run.folder.absolute().parent for run in runs}
    return Sweep(tuple(runs), SweepRecord(runs=()), above.pop() if len(above) == 1 else None)


def _exists(path: str) -> bool:
    """Raises `UserError` for what no file can be called."""
    try:
        return Path(path).exists()
    except OSError as error:
        raise UserError("", "", f"{path[:80]}…: {error.strerror}", ALLOWED) from error


def _once(batches: list[list[Run]]) -> list[list[Run]]:
    """Without runs that were given twice, as by their own folder and by their sweep's, or by a copy
    of it: counted twice they would be repeats that agree to the nanosecond."""
    seen: set[object] = set()
    kept: list[list[Run]] = []
    for batch in batches:
        kept.append([])
        for each in batch:
            names = {*_names(each)}
            if not seen & names:
                kept[-1].append(each)
            seen |= names
    return kept


def _names(run: Run) -> Iterator[object]:
    """What tells a run from all others: its place, and for its copies where it ran and what was
    measured."""
    yield run.folder.resolve()
    if measured := (run.summary.files or {}).get(files.REQUESTS):
        yield run.summary.folder, run.summary.config_hash, measured.sha256


def sweep_in(folder: Path, held: Any = None) -> Sweep:
    """The runs that sweep.json lists, without those that are still to be run; whether they can be
    compared or not."""
    record = files.read_sweep(folder)
    # Of a sweep that was killed, runs have ended that it did not come to write down.
    ended = [
        entry
        for entry in record.runs
        if entry.status is not Status.PENDING or (folder / entry.folder / files.SUMMARY).is_file()
    ]
    runs = tuple(read_run(folder / entry.folder, entry, held) for entry in ended)
    return Sweep(runs, record, folder)


def run_in(folder: Path) -> Run:
    """A run named by its own folder; what was swept is in the sweep's folder above, if there.
    Raises `UserError` if that cannot be read."""
    above, name = folder.absolute().parent, folder.absolute().name
    entries = files.read_sweep(above).runs if (above / files.SWEEP).is_file() else ()
    return read_run(folder, next((entry for entry in entries if entry.folder == name), None))


def _check_places(runs: Sequence[Run]) -> None:
    """Baselines differ between platforms, and between placements; arms in different placements are
    compared, and that is said, but repeats of one arm are in one."""
    ran = [each for each in runs if each.status is Status.FINISHED]
    points: dict[object, dict[str, Run]] = {"": {run.summary.platform: run for run in ran}}
    for run in ran:
        points.setdefault(run.point, {}).setdefault(run.summary.place, run)
    for point, by_place in points.items():
        if len(by_place) > 1:
            said = ", ".join(f"{place} ({run.name})" for place, run in sorted(by_place.items()))
            what = "placements of one arm" if point else "platforms"
            raise UserError(
                "",
                "",
                f"runs of different {what} cannot be compared, their baselines differ: {said}",
                remedy="compare the runs of one; or sweep over platform.placement",
            )
