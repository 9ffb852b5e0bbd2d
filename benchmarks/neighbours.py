"""``python -m benchmarks.neighbours IDLE BUSY``: what trials on one GPU do to those on the next.

Two sweeps of the same command, IDLE on one GPU of a host and BUSY on several at once. Of each arm
it prints how much longer times are beside a busy neighbour: the ratio of the geometric means over
the runs, with a 95 % interval (Welch's, of logarithms: no run of one sweep is paired with one of
the other).
"""

import math
from argparse import ArgumentParser
from collections.abc import Sequence
from statistics import fmean, variance

from runner.commands.command import end_well
from runner.metrics.intervals import Interval, t_interval
from runner.runs.load import load
from runner.runs.run import Run

FIGURES = ("p50_ms/priority_1", "p90_ms/priority_1", "throughput_rps/system")


def main(idle: str, busy: str) -> None:
    alone, beside = list(load(idle)), list(load(busy))
    (measured_on,) = {run.summary.where.device for run in alone}
    by_device = sorted(
        {run.summary.where.device for run in beside}, key=lambda it: it != measured_on
    )
    for device in by_device:
        for arm in sorted({run.arm for run in alone}):
            quiet = [run for run in alone if run.arm == arm]
            mine = [r for r in beside if (r.arm, r.summary.where.device) == (arm, device)]
            print(f"{device}, {arm}, {len(mine)} runs ÷ {len(quiet)} on {measured_on}:")
            for figure in FIGURES:
                found, within = ratio(values(mine, figure), values(quiet, figure))
                print(f"  {figure} {found:.3f} [{within.low:.3f}, {within.high:.3f}]")


def values(runs: Sequence[Run], figure: str) -> list[float]:
    """Of the runs with a result that have the figure."""
    found = [run.figure(figure) for run in runs if run.summary.valid]
    return [one.value for one in found if one is not None]


def ratio(busy: Sequence[float], idle: Sequence[float]) -> tuple[float, Interval]:
    """Of positive values, at least two on each side."""
    sides = [[math.log(value) for value in side] for side in (busy, idle)]
    difference = fmean(sides[0]) - fmean(sides[1])
    parts = [variance(side) / len(side) for side in sides]
    error = math.sqrt(sum(parts))
    each = (part * part / (len(side) - 1) for part, side in zip(parts, sides, strict=True))
    return math.exp(difference), t_interval(difference, error, error**4 / sum(each), math.exp)


if __name__ == "__main__":
    options = ArgumentParser(prog="python -m benchmarks.neighbours", description=__doc__)
    options.add_argument("idle", metavar="IDLE")
    options.add_argument("busy", metavar="BUSY")
    asked = options.parse_args()
    end_well(lambda: main(asked.idle, asked.busy))
