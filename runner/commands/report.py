"""``python -m runner.report PATH…``: one HTML page and the figures of a sweep.

Exit codes: 0 the report is written, 2 the input was wrong, 130 interrupted.
"""

import argparse
from pathlib import Path

from runner.commands.ending import end_well
from runner.config.errors import UserError

FOLDER = "report"


def main() -> None:
    """The command."""
    asked = _arguments()
    end_well(lambda: print(_report(asked)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runner.report",
        description="One page that opens offline, and figures as PDF and PNG.",
        epilog="exit code: 0 the report is written, 2 the input was wrong",
    )
    add = parser.add_argument
    add(
        "paths",
        nargs="+",
        metavar="PATH",
        help="a sweep's folder or exported zip, runs' folders, ids of MLflow runs, or "
        "mlflow:EXPERIMENT; several sweeps of the same points are repeats of each other",
    )
    add(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=f"where to write ({FOLDER}/ in the sweep's folder; ZIP-{FOLDER}/ beside a zip)",
    )
    add("--baseline", metavar="ARM", help="as of runner.compare (native, else the first)")
    add(
        "--primary",
        metavar="METRIC/SCOPE",
        help="as of runner.compare (sweep.primary, else p99_ms of the highest priority)",
    )
    add("--uri", help="the tracking store (tracking.uri)")
    return parser.parse_args()


def _report(asked: argparse.Namespace) -> Path:
    from runner.runs.load import load

    runs = load(*asked.paths, uri=asked.uri)
    source = Path(asked.paths[0]).absolute() if len(asked.paths) == 1 else None
    folder = asked.output or _folder(source)
    from runner.results.report.build import build

    title = source.stem if source and source.is_file() else ""
    return build(runs, folder, title, asked.baseline, asked.primary)


def _folder(source: Path | None) -> Path:
    """Where a report goes that nobody gave a place: with what it is about."""
    if source and source.is_dir():
        return source / FOLDER
    if source and source.is_file():
        return source.with_name(f"{source.stem}-{FOLDER}")
    raise UserError("", "", "these runs have no folder of their own: give --output")


if __name__ == "__main__":
    main()
