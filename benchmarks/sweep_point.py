"""What a sweep point costs beyond its measured window, warm-up and proof."""

from pathlib import Path

import numpy as np

from benchmarks import command
from benchmarks.report import Figure, at_most, report

TITLE = "The cost of a sweep point, six_bert on host"
POINTS = (4, 8, 12, 16, 20)
WORK = ("warm_up", "calibrate", "prove", "window")


def run() -> list[Figure]:
    short = ("task_set=six_bert", "task_set.requests=2", "warmup=1")
    with command.folder() as place:
        first = command.run(*short, "xsched.threshold=4", root=Path(place))
        thresholds = ",".join(map(str, POINTS))
        anew = ("sweep.resume=false", "-m", f"xsched.threshold={thresholds}")
        whole = command.run(*short, *anew, root=Path(place))
        runs = list(command.runs(Path(place)).values())[-len(POINTS) :]
    timings = [run.summary.timing_s for run in runs]
    work = [sum(timing[step] for step in WORK) for timing in timings]
    # The first point pays for importing torch and building the model; the others are what counts.
    start = float(np.median([timing["load"] for timing in timings]))
    setup = timings[0]["load"] - start
    each = (whole - setup - sum(work)) / len(POINTS)
    return [
        at_most(
            f"a point of {len(POINTS)}: wall time of the sweep less model building, warm-up, proof "
            "and window, the start of Python, Hydra and MLflow included",
            each,
            2.0,
            " s",
        ),
        report("of this, opening six streams on the device", start, " s"),
        report(
            "building the model once a sweep (import torch, transformers; build; export)",
            setup,
            " s",
        ),
        report("a sweep of one point, everything included", first, " s"),
    ]
