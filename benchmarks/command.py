"""Whole sweeps, run as a user runs them, for the benchmarks that read their folders."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from runner.runs.files import SUMMARY
from runner.runs.run import Run, read_run

ROOT = Path(__file__).parents[1]


def run(*arguments: str, root: Path) -> float:
    """Run ``python -m runner`` with these arguments below the output folder `root`; seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "runner", *arguments, f"output_root={root}"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    return time.perf_counter() - start


def runs(root: Path) -> dict[str, Run]:
    """All runs below an output folder, by name, in order of time."""
    paths = sorted(root.glob(f"*/*/{SUMMARY}"), key=lambda path: path.stat().st_mtime)
    found = (read_run(path.parent) for path in paths)
    return {run.name: run for run in found}


def folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="xsched-bench-")
