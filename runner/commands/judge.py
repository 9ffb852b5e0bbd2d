"""``python -m runner.judge SWEEP``: the conclusions of a sweep anew, from its runs."""

from contextlib import suppress
from pathlib import Path

from runner.commands.command import end_well, parser


def main() -> None:
    options = parser(
        "judge",
        "Expectations, comparison and report of a sweep, made anew from its runs by what their "
        "configurations declare. The same command that ran the sweep judges it by what the "
        "experiment says now.",
        "0 they are made, 1 one could not be, 2 the input was wrong",
    )
    options.add_argument("sweep", type=Path, metavar="SWEEP", help="the sweep's folder")
    asked = options.parse_args()
    end_well(lambda: _judge(asked.sweep))


def _judge(folder: Path) -> int:
    from runner.config.errors import UserError
    from runner.results.console import console
    from runner.runs import files
    from runner.runs.load import load
    from runner.sweep.conclusion import Judgement, conclude
    from runner.sweep.derive import derive, problems_of

    if not (folder / files.SWEEP).is_file():
        raise UserError("", "", f"{folder} is no sweep: it has no {files.SWEEP}")
    runs = load(folder)
    judgement = Judgement.declared(runs)
    for run in runs:
        derive(run.folder)
    with suppress(OSError):  # of a folder that cannot be written, which is said below
        (folder / files.CONCLUDED).unlink(missing_ok=True)
    trouble = conclude(judgement, folder)
    for run in runs:
        trouble += [f"{run.name}: {what}: {why}" for what, why in problems_of(run.folder).items()]
    for line in trouble:
        console.print(line, soft_wrap=True)
    if not trouble:
        made = (folder / files.CONCLUDED).is_file()
        nothing = "nothing to conclude: that takes several runs, or expect:"
        console.print(f"judged anew: {folder}" if made else nothing, soft_wrap=True)
    return 1 if trouble else 0


if __name__ == "__main__":
    main()
