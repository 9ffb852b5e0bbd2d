"""``python -m runner.judge SWEEP``: the conclusions of a sweep anew, from its runs.

Exit codes: 0 they are made, 1 one could not be, 2 the input was wrong, 130 interrupted.
"""

import argparse
from pathlib import Path

from runner.commands.ending import end_well


def main() -> None:
    """The command."""
    asked = _arguments()
    end_well(lambda: _judge(asked.sweep))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runner.judge",
        description="Expectations, comparison and report of a sweep, made anew from its runs by "
        "what their configurations declare. The same command that ran the sweep judges it by what "
        "the experiment says now.",
        epilog="exit code: 0 they are made, 1 one could not be, 2 the input was wrong",
    )
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="the sweep's folder")
    return parser.parse_args()


def _judge(folder: Path) -> int:
    from runner.runs import files
    from runner.runs.load import load
    from runner.sweep.conclusion import Judgement, conclude
    from runner.sweep.derive import derive

    runs = load(folder)
    for run in runs:
        derive(run.folder)
    (folder / files.CONCLUDED).unlink(missing_ok=True)
    return int(conclude(Judgement.declared(runs), folder))


if __name__ == "__main__":
    main()
