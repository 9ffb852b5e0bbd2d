"""``python -m runner.log SWEEP``: log to MLflow what could not be logged when it ran."""

import sys
from pathlib import Path

from runner.commands.command import end_well, parser
from runner.config.errors import UserError


def main() -> None:
    options = parser(
        "log",
        "Logs a sweep's runs that MLflow does not have; nothing is run.",
        "0 all is logged, 1 something could not be, 2 the input was wrong",
    )
    add = options.add_argument
    add("sweep", type=Path, metavar="SWEEP", help="the sweep's folder, or a run's")
    add("--uri", help="the tracking store (tracking.uri of the runs, else MLFLOW_TRACKING_URI)")
    asked = options.parse_args()
    end_well(lambda: _log(asked.sweep, asked.uri))


def _log(folder: Path, uri: str | None) -> int:
    from runner.runs import files, store, tracking, view
    from runner.runs.load import load, sweep_in

    if not folder.is_dir():
        allowed = "the folder that a sweep names at its end"
        raise UserError("", "", f"{folder} is no folder", allowed)
    runs = sweep_in(folder) if (folder / files.SWEEP).is_file() else load(folder)
    if not runs:
        raise UserError("", "", f"{folder}: none of its runs has ended")
    output_root = runs[0].folder.resolve().parents[1]
    said = next((run.parameters for run in runs if run.parameters), {})
    place = store.uri(uri or said.get("tracking.uri"), output_root)
    store.check(place)
    problems = tracking.log_missing(runs, tracking.Tracking(place))
    for problem in problems:
        print(f"not logged: {problem}", file=sys.stderr)
    if not problems:
        ended = sum((run.folder / files.SUMMARY).is_file() for run in runs)
        print(f"{ended} of {len(runs)} runs have ended, and MLflow has them")
    if link := view.link(runs):
        print(f"in MLflow: {link}")
    return 1 if problems else 0


if __name__ == "__main__":
    main()
