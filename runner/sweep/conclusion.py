"""What a sweep comes to: expectations, the comparison of its arms, the report."""

from pathlib import Path

from runner.config.errors import UserError
from runner.config.schema import Config, ExpectConfig
from runner.results.console import console
from runner.runs import files
from runner.runs.load import load
from runner.runs.repeats import MIN_REPEATS
from runner.runs.sweep import Sweep
from runner.sweep.display import show_expectations


def is_compared(config: Config, runs: int) -> bool:
    """A comparison takes repeats, so with fewer than three there is none; it can be asked for any
    time (runner.compare, runner.report)."""
    return config.sweep.repeats >= MIN_REPEATS and runs > 1


def is_concluded(config: Config, runs: int, folder: Path) -> bool:
    """Whether `conclude` has left all that it leaves of so many runs."""
    page = folder / files.REPORT / files.REPORT_PAGE
    judged = not config.expect or (folder / files.EXPECTATIONS).is_file()
    return judged and (not is_compared(config, runs) or page.is_file())


def conclude(config: Config, finished: int, folder: Path) -> None:
    """Judge what there is."""
    enough = is_compared(config, finished)
    if not (config.expect or enough):
        return
    runs = load(folder)
    if config.expect:
        _expectations(config.expect, runs, folder)
    if enough:
        _comparison(runs, folder)


def _expectations(expect: list[ExpectConfig], runs: Sweep, folder: Path) -> None:
    from runner.results import expectations

    findings = expectations.evaluate(expect, runs.runs)
    files.write_json(folder / files.EXPECTATIONS, findings)
    show_expectations(findings)


def _comparison(runs: Sweep, folder: Path) -> None:
    from runner.results import tables
    from runner.results.comparison import compare
    from runner.results.report.build import build

    try:
        found = compare(runs.runs)
    except UserError as error:  # one arm alone, or nothing that finished
        console.print(f"no comparison: {error}")
        return
    tables.show(found)
    (folder / f"{files.COMPARISON}.csv").write_text(tables.as_csv(found))
    (folder / f"{files.COMPARISON}.tex").write_text(tables.as_latex(found))
    files.write_json(folder / f"{files.COMPARISON}.json", tables.as_plain(found))
    console.print(f"report: {build(runs, folder / files.REPORT)}", soft_wrap=True)
