"""``python -m runner.list``: what there is to choose from, and the sweeps that there are."""

import re
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from runner.commands.command import end_well, parser
from runner.commands.project import CONF, GROUPS
from runner.config.errors import UserError

SWEEPS = "sweeps"
#: What a comment of a configuration opens with that is not about it.
HEADER = re.compile(r"@package|python -m runner")
SENTENCE = re.compile(r".*?[.](?=\s|$)")


def main() -> None:
    options = parser(
        "list",
        "What there is to choose from, with what each file says of itself, and the sweeps below "
        "the output folder, the latest first.",
        "0 it is listed, 2 the input was wrong",
    )
    add = options.add_argument
    add(
        "what",
        nargs="*",
        metavar="WHAT",
        help=f"a group ({', '.join(GROUPS)}) or {SWEEPS}; all if left out",
    )
    add("--config-dir", type=Path, metavar="FOLDER", help="list the choices in FOLDER, too")
    add(
        "--output-root",
        type=Path,
        default=Path("outputs"),
        metavar="FOLDER",
        help="where the sweeps are (outputs)",
    )
    asked = options.parse_intermixed_args()
    end_well(lambda: _list(asked))


def _list(asked: Namespace) -> None:
    for what in asked.what:
        if what not in (*GROUPS, SWEEPS):
            raise UserError("WHAT", what, "there is no such list", (*GROUPS, SWEEPS))
    folders = [CONF]
    if asked.config_dir is not None:
        from runner.config.command_line import check_folder

        check_folder(asked.config_dir, CONF)
        folders.append(asked.config_dir)
    for group in GROUPS:
        if not asked.what or group in asked.what:
            _show_group(group, folders)
    if not asked.what or SWEEPS in asked.what:
        _show_sweeps(asked.output_root)


# --- choices -------------------------------------------------------------------------------------


def _show_group(group: str, folders: list[Path]) -> None:
    rows = [
        (path.stem, about(path) + (f" ({path})" if folder != CONF else ""))
        for folder in folders
        for path in sorted((folder / group).glob("*.yaml"))
    ]
    _show(group, rows)


def about(path: Path) -> str:
    """The first sentence of what a configuration's first comment says about it; "" if it says
    nothing, or cannot be read."""
    said: list[str] = []
    try:
        for line in path.read_text().splitlines():
            text = line.removeprefix("#").strip()
            if not line.startswith("#") or (said and not text):
                break
            if text and not HEADER.match(text):
                said.append(text)
    except (OSError, UnicodeDecodeError):
        return ""
    whole = " ".join(said)
    sentence = SENTENCE.match(whole)
    return sentence[0] if sentence else whole


def _show(title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Names, and beside them what is about them; on a narrow terminal in several lines."""
    from rich.table import Table

    from runner.results.console import console

    lines = Table.grid(padding=(0, 2), pad_edge=True)
    for _ in range(2):
        lines.add_column(overflow="fold")
    for row in rows:
        lines.add_row(*row)
    console.print(title, style="bold")
    console.print(lines if lines.rows else "  none")


# --- sweeps --------------------------------------------------------------------------------------


def _show_sweeps(root: Path) -> None:
    from runner.runs import files

    found = [_told(path.parent) for path in root.glob(f"*/{files.SWEEP}")]
    latest_first = sorted(found, key=lambda told: told[1], reverse=True)
    _show(f"{SWEEPS} in {root}", [(name, "\n".join(lines)) for name, *lines in latest_first])


def _told(folder: Path) -> list[str]:
    """Of a sweep its name; when it ran and how its runs ended; what it comes to."""
    from runner import load
    from runner.results.comparison import compare
    from runner.results.expectations import MET, read_findings
    from runner.results.wording import treatment_name, verdict

    try:
        sweep = load(folder)
    except (UserError, OSError) as error:
        return [folder.name, str(error).partition("\n")[0]]
    began = min((run.provenance.time for run in sweep if run.provenance.time), default="")
    ended = Counter(run.status.lower() for run in sweep)
    ended["to be run"] = len(sweep.record.runs) - len(sweep)
    when = began[:16].replace("T", " ") or "time not known"
    lines = [", ".join([when, *_counted(ended)])]
    lines += _counted(Counter(f"proof {run.summary.proof}" for run in sweep if run.summary.proof))
    with suppress(UserError):  # there is nothing to compare
        primary = compare(sweep.runs).primary
        lines += [f"{treatment_name(row)} {verdict(row)} in {row.figure}" for row in primary]
    if findings := read_findings(folder):
        met = sum(finding.verdict == MET for finding in findings)
        lines.append(f"{met} of {len(findings)} expectations met")
    return [sweep.name, *lines]


def _counted(counts: Counter[str]) -> list[str]:
    return [f"{count} {what}" for what, count in counts.items() if count]


if __name__ == "__main__":
    main()
