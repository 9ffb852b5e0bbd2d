"""Whole sweeps, run as a user runs them, for the benchmarks that read their folders."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

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


def summaries(root: Path) -> dict[str, dict[str, Any]]:
    """The summaries of all runs below an output folder, by name, in order of time."""
    paths = sorted(root.glob("*/*/summary.json"), key=lambda path: path.stat().st_mtime)
    runs = [json.loads(path.read_text()) for path in paths]
    return {run["name"]: run for run in runs}


def folder() -> "tempfile.TemporaryDirectory[str]":
    return tempfile.TemporaryDirectory(prefix="xsched-bench-")
