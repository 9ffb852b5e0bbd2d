"""``python -m runner.compare PATH…``: the arms of a sweep against one of them."""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from runner.commands.command import RUNS, end_well, parser
from runner.config.errors import UserError


def main() -> None:
    options = parser(
        "compare",
        "Arms against a baseline: ratios with 95 % intervals, and verdicts.",
        "0 there is a comparison, 2 the input was wrong",
    )
    add = options.add_argument
    add("paths", nargs="+", metavar="PATH", help=RUNS)
    add(
        "--baseline",
        metavar="ARM",
        help="what the others are compared with, as arm or arm,key=value (native, else the first)",
    )
    add(
        "--primary",
        metavar="METRIC/SCOPE",
        help="the one figure that decides, like p99_ms/priority_3, p50_ms/<task>, stp "
        "(sweep.primary, else p99_ms of the highest priority, p90_ms below 200 requests)",
    )
    add(
        "--metric",
        action="append",
        metavar="METRIC",
        help="a secondary figure, may be given again; 'all' for all (a choice that fits)",
    )
    add(
        "--invalid",
        action="store_true",
        help="compare runs that are marked not valid, or whose slowest requests are lacking, too",
    )
    add("--all", action="store_true", help="show secondary figures, too, here and in --latex")
    add("--csv", type=Path, metavar="FILE", help="write the rows as CSV")
    add("--latex", type=Path, metavar="FILE", help="write them as a LaTeX table (booktabs)")
    add("--json", type=Path, metavar="FILE", help="write all that is known about them as JSON")
    add("--uri", help="the tracking store (tracking.uri)")
    asked = options.parse_intermixed_args()  # paths may stand behind options
    end_well(lambda: _run(asked))


def _run(asked: Namespace) -> None:
    from runner.metrics import METRICS
    from runner.results import tables
    from runner.results.comparison import compare
    from runner.results.console import console
    from runner.results.outcome import Outcome
    from runner.runs.files import as_json
    from runner.runs.load import load

    runs = load(*asked.paths, uri=asked.uri)
    metrics = list(METRICS) if "all" in (asked.metric or ()) else asked.metric
    primary = asked.primary or runs.concluded_by
    comparison = compare(runs.runs, asked.baseline, primary, metrics, asked.invalid)
    everything = asked.all or bool(asked.metric)
    tables.show(Outcome(runs, comparison))
    tables.show_comparison(comparison, everything)
    _write(asked.csv, lambda path: path.write_text(tables.as_csv(comparison)))
    _write(asked.latex, lambda path: path.write_text(tables.as_latex(comparison, everything)))
    _write(asked.json, lambda path: path.write_bytes(as_json(tables.as_plain(comparison))))
    console.finish()


def _write(path: Path | None, write: Callable[[Path], object]) -> None:
    if path is None:
        return
    try:
        write(path)
    except OSError as error:
        raise UserError("", "", f"{path} cannot be written: {error.strerror}") from error


if __name__ == "__main__":
    main()
