"""``python -m runner.report PATH…``: one HTML page and the figures of a sweep."""

from argparse import Namespace
from pathlib import Path

from runner.commands.command import RUNS, end_well, parser
from runner.config.errors import UserError

FOLDER = "report"


def main() -> None:
    options = parser(
        "report",
        "One page that opens offline, and figures as PDF and PNG.",
        "0 the report is written, 2 the input was wrong",
    )
    add = options.add_argument
    add("paths", nargs="+", metavar="PATH", help=RUNS)
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
        help="as of runner.compare (sweep.primary, else p99_ms of the highest priority, p90_ms "
        "below 200 requests)",
    )
    add("--uri", help="the tracking store (tracking.uri)")
    asked = options.parse_args()
    end_well(lambda: print(_report(asked)))


def _report(asked: Namespace) -> Path:
    from runner.runs.load import load

    runs = load(*asked.paths, uri=asked.uri)
    source = Path(asked.paths[0]).absolute() if len(asked.paths) == 1 else None
    folder = asked.output or _folder(source)
    from runner.results.expectations import read_findings
    from runner.results.outcome import Outcome
    from runner.results.report.build import build

    title = source.stem if source and source.is_file() else ""
    must = bool(asked.baseline or asked.primary)
    found = read_findings(runs.folder)
    primary = asked.primary or runs.concluded_by
    return build(Outcome.of(runs, found, asked.baseline, primary, must), folder, title)


def _folder(source: Path | None) -> Path:
    """Where a report goes that nobody gave a place: with what it is about."""
    if source and source.is_dir():
        return source / FOLDER
    if source and source.is_file():
        return source.with_name(f"{source.stem}-{FOLDER}")
    raise UserError("", "", "these runs have no folder of their own: give --output")


if __name__ == "__main__":
    main()
