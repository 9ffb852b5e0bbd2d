"""The page of a campaign: what every entry came to, with links to the reports of the sweeps."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.commands.campaign.run import Ending, State
from runner.config.errors import UserError
from runner.results import sections
from runner.results.cells import BAD, GOOD, NEITHER, Cell, Line, Mark, Table, number
from runner.results.expectations import read_findings
from runner.results.outcome import Outcome
from runner.results.report.page import rendered
from runner.results.wording import UNKNOWN
from runner.runs import files
from runner.runs.load import load
from runner.runs.provenance import told

PAGE = "campaign.html"
KINDS = {State.DONE: GOOD, State.FAILED: BAD}


@dataclass(frozen=True)
class Told:
    """An entry as it is told. outcome: of its sweep, None if no run has ended."""

    number: int
    ending: Ending
    outcome: Outcome | None

    @property
    def command(self) -> str:
        return told(shlex.join(["python", "-m", "runner", *self.ending.entry.words]))

    @property
    def state(self) -> Mark:
        return Mark(self.ending.state, KINDS.get(self.ending.state, NEITHER))

    @property
    def expected(self) -> Table:
        return sections.expectations_table(self.outcome.findings) if self.outcome else ()

    @property
    def report(self) -> str:
        """The sweep's own page as a link from this one, "" if it has none."""
        folder, page = self.ending.folder, Path(files.REPORT) / files.REPORT_PAGE
        return f"{folder.name}/{page}" if folder and (folder / page).is_file() else ""


@dataclass(frozen=True)
class Page:
    """From top to bottom."""

    title: str
    entries: Sequence[Told]

    @property
    def overview(self) -> Table:
        """A row an entry, for the terminal, too."""
        return [_row(each) for each in self.entries]

    def write(self, folder: Path) -> Path:
        """Raises `UserError`."""
        path = folder / PAGE
        try:
            path.write_text(rendered(Path(__file__).with_name("page.html"), self))
        except OSError as error:
            raise UserError("", "", f"{path} cannot be written: {error.strerror}") from error
        return path


def page_of(name: str, endings: Sequence[Ending]) -> Page:
    """What the entries came to, read from the folders of their sweeps."""
    entries = [Told(at, each, _outcome(each.folder)) for at, each in enumerate(endings, 1)]
    return Page(name, entries)


def _outcome(folder: Path | None) -> Outcome | None:
    """None of a sweep of which no run has ended, or that cannot be read."""
    try:
        runs = load(folder) if folder else None
    except UserError:
        return None
    return Outcome.of(runs, read_findings(folder), primary=runs.concluded_by) if runs else None


def _row(each: Told) -> Line:
    runs = valid = expected = minutes = UNKNOWN
    if each.outcome:
        sweep, findings = each.outcome.runs, each.outcome.findings
        runs = f"{len(sweep)} of {len(sweep.record.runs)}"
        valid = "{} of {}".format(*sections.valid_of(sweep.runs))
        took_s = sum(sum(run.summary.timing_s.values()) for run in sweep)
        minutes = f"{took_s / 60:.1f}"
        counts = Counter(finding.verdict for finding in findings)
        expected = ", ".join(f"{count} {verdict}" for verdict, count in counts.items()) or UNKNOWN
    cells = (
        number("", str(each.number)),
        Cell("entry", each.ending.entry.run, "text"),
        Cell("", each.state),
        number("runs", runs),
        number("valid", valid, minor=True),
        Cell("expectations", expected, minor=True),
        number("minutes", minutes, minor=True),
    )
    return Line(cells, each.ending.note)
