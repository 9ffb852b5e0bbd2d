"""Runs that have ended, read back from what they left: a sweep's folder, runs' folders, MLflow."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from runner.config.errors import UserError
from runner.runs import archive, repeats
from runner.runs.files import SUMMARY
from runner.runs.mlflow_records import Store
from runner.runs.record import FINISHED, SWEEP, RunRecord, entries_of, record_of

MLFLOW = "mlflow:"
RUN_ID = re.compile(r"[0-9a-f]{32}")


# ------------------------------------------------------------------------------ loading


def load(paths: Sequence[str | Path], uri: str | None = None) -> list[RunRecord]:
    """The runs at `paths`: folders of sweeps or of runs, exported zips, ids of MLflow runs, and
    ``mlflow:<experiment>``; uri: the tracking store, else MLFLOW_TRACKING_URI, else the default.

    A point that occurs again is a further repeat. Raises `UserError` for what is no run, and if
    runs of different platforms or placements have results."""
    batches: list[list[RunRecord]] = []
    loose: list[RunRecord] = []
    store = Store(uri)
    for path in dict.fromkeys(map(str, paths)):
        if path.startswith(MLFLOW):
            batches += store.experiment(path.removeprefix(MLFLOW))
        elif (Path(path) / SWEEP).is_file():
            batches.append(_sweep(Path(path)))
        elif (Path(path) / SUMMARY).is_file():
            loose.append(_run(Path(path)))
        elif Path(path).is_file():
            folder, held = archive.unpack(Path(path))
            batches.append([replace(each, held=held) for each in _sweep(folder)])
        elif RUN_ID.fullmatch(path):
            loose += store.runs(path)
        else:
            raise _no_run(path)
    batches += [loose] if loose else []
    records = repeats.number(repeats.with_values(_once(batches)))
    _check_places(records)
    return records


def _once(batches: list[list[RunRecord]]) -> list[list[RunRecord]]:
    """Without runs that were named twice, as by their own folder and by their sweep's: counted
    twice they would be repeats that agree to the nanosecond."""
    seen: set[Path] = set()
    kept = []
    for batch in batches:
        new = [each for each in batch if each.folder.resolve() not in seen]
        seen |= {each.folder.resolve() for each in new}
        kept.append(new)
    return kept


def _no_run(path: str) -> UserError:
    problem = "holds no run" if Path(path).exists() else "is not there"
    allowed = "a sweep's folder or exported zip, runs' folders, MLflow run ids, mlflow:<experiment>"
    return UserError("", "", f"{path} {problem}", allowed)


def _sweep(folder: Path) -> list[RunRecord]:
    """The runs that sweep.json lists."""
    return [record_of(folder / name, entry) for name, entry in entries_of(folder).items()]


def _run(folder: Path) -> RunRecord:
    """A run named by its own folder; what was swept is in the sweep's folder above, if there."""
    above, name = folder.absolute().parent, folder.absolute().name
    entries = entries_of(above) if (above / SWEEP).is_file() else {}
    return record_of(folder, entries.get(name, {}))


def _check_places(records: list[RunRecord]) -> None:
    """Baselines differ between platforms, and between placements on one."""
    ran = [each for each in records if each.status == FINISHED]
    for key in ("platform", "placement"):
        names = {str(getattr(each, key)): each.name for each in ran}
        if len(names) > 1:
            runs = ", ".join(f"{place} ({run})" for place, run in sorted(names.items()))
            raise UserError(
                "",
                "",
                f"runs of different {key}s cannot be compared, their baselines differ: {runs}",
                remedy=f"compare the runs of one {key}",
            )
