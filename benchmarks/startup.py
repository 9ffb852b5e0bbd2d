"""How soon the command answers, against the smallest Hydra application."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.command import ROOT, folder
from benchmarks.report import Figure, at_most

TITLE = "Start-up"
ROUNDS = 15
MINIMAL = """
import hydra
@hydra.main(version_base="1.3", config_path=None)
def main(cfg): pass
main()
"""


def run() -> list[Figure]:
    with folder() as place:
        minimal = Path(place) / "minimal.py"
        minimal.write_text(MINIMAL)
        runner = [sys.executable, "-m", "runner"]
        cases = {
            "--help": ([*runner, "--help"], [sys.executable, str(minimal), "--help"]),
            "a config error": (
                [*runner, "xsched.level=blok"],
                [sys.executable, str(minimal), "blok=1"],
            ),
        }
        return [
            at_most(
                f"{name} ÷ the same of a minimal Hydra application (median of {ROUNDS} pairs)",
                float(np.median([seconds(ours) / seconds(theirs) for _ in range(ROUNDS)])),
                1.5,
            )
            for name, (ours, theirs) in cases.items()
        ]


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(
        arguments, cwd=ROOT, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return time.perf_counter() - start
