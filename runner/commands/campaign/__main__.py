"""``python -m runner.campaign FILE``: the experiments of a paper, as far as the time goes.

Exit codes: as the runner's. What is left out for want of time is no failure.
"""

import math
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runner.commands.command import end_well, parser
from runner.config.errors import UserError

if TYPE_CHECKING:
    from runner.commands.campaign.file import Campaign
    from runner.commands.campaign.run import Ending

#: What a call takes beside an entry that was left out: to find out that the others are there.
BESIDE_MIN = 1.0


def main() -> None:
    options = parser(
        "campaign",
        "Experiments of a file, the most telling first, as far as the time goes; one page and one "
        "zip of all. The same command goes on with what is missing.",
        "0 what fitted into the time has run, 1 an entry failed, 2 the input was wrong, "
        "130 interrupted",
    )
    add = options.add_argument
    add("file", type=Path, metavar="FILE", help="YAML: experiments, minutes, common")
    add("words", nargs="*", metavar="KEY=VALUE", help="what all of them have besides")
    add("--minutes", type=float, metavar="N", help="how long it may take (minutes of the file)")
    add(
        "--output-root",
        type=Path,
        default=Path("outputs"),
        metavar="FOLDER",
        help="where results go: FOLDER/<name of the file>/ (outputs)",
    )
    add("--dry", action="store_true", help="check all, tell what it takes, and run nothing")
    asked = options.parse_intermixed_args()
    from runner.trial import interruption

    interruption.listen()
    try:
        end_well(lambda: _campaign(asked))
    finally:
        interruption.end()


def _campaign(asked: Namespace) -> int:
    """Returns the exit code. Raises `UserError` before anything has run."""
    from runner.commands.campaign import run
    from runner.commands.campaign.file import read
    from runner.commands.campaign.run import State
    from runner.results.console import console
    from runner.trial import interruption

    campaign = read(asked.file, asked.words, asked.minutes)
    root: Path = (asked.output_root / campaign.name).absolute()
    outlooks = run.check(campaign, root)
    run.show(campaign, outlooks)
    if asked.dry:
        console.print("nothing was run")
        return 0
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("--output-root", asked.output_root, f"{error.strerror}") from error
    endings = run.run(campaign, root, outlooks)
    with interruption.deferred():
        _conclude(campaign, root, endings)
    states = [each.state for each in endings]
    if State.INTERRUPTED in states:
        return 130
    return 1 if State.FAILED in states else 0


def _conclude(campaign: "Campaign", root: Path, endings: Sequence["Ending"]) -> None:
    """Page and zip, and in the last line how to go on. Raises `UserError` for a folder that cannot
    be written."""
    from runner.commands.campaign import bundle, page
    from runner.commands.campaign.run import State
    from runner.results.console import console
    from runner.results.tables import show_table

    told = page.page_of(campaign.name, endings)
    show_table(told.overview)
    written, target = told.write(root), root / f"{campaign.name}.zip"
    console.print(f"page: {written}", soft_wrap=True)
    if bundle.write(campaign, told, written, target):
        console.print(f"bundle: {target}", soft_wrap=True)
    left = [each for each in endings if each.state is not State.DONE]
    if left:
        words = ["python", "-m", "runner.campaign", *sys.argv[1:]]
        needs = max((each.needs + BESIDE_MIN for each in left if each.needs), default=0.0)
        if campaign.minutes is not None and needs > campaign.minutes:
            words += ["--minutes", str(math.ceil(needs))]
        done = f"{len(endings) - len(left)} of {len(endings)} entries are done"
        console.print(f"{done}; to go on: {shlex.join(words)}", soft_wrap=True)


if __name__ == "__main__":
    main()
