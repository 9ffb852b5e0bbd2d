"""What the scheduler is for: the urgent tasks' latency, against their floor and against native."""

from pathlib import Path
from typing import Any

from benchmarks import command
from benchmarks.report import Figure, at_least, at_most, report

TITLE = "Latency of urgent tasks under load"
URGENT = "urgent"


def run() -> list[Figure]:
    with command.folder() as place:
        return [*six_bert(Path(place) / "six"), *urgent_vs_background(Path(place) / "urgent")]


def six_bert(root: Path) -> list[Figure]:
    command.run(
        "task_set=six_bert",
        "task_set.requests=100",
        "-m",
        "arm=urgent_only,native,xsched",
        root=root,
    )
    runs = command.summaries(root)
    p99 = {name: run["priorities"]["3"]["latency_ms"]["p99"] for name, run in runs.items()}
    what = "six_bert, 100 requests a task, p99 of priority 3 ÷ urgent_only"
    return [
        at_most(f"{what}: xsched 8/4", p99["xsched"] / p99["urgent_only"], 1.20),
        report(f"{what}: native", p99["native"] / p99["urgent_only"]),
    ]


def urgent_vs_background(root: Path) -> list[Figure]:
    base = ("task_set=urgent_vs_background",)
    command.run(*base, "-m", "arm=solo,native", root=root)
    command.run(*base, "-m", "xsched.threshold=4,8", root=root)
    command.run(*base, "xsched.level=interrupt", root=root)
    runs = command.summaries(root)
    native = throughput(runs["native"])
    figures = [
        report(f"urgent_vs_background, native: {p} ÷ solo", ratio(runs, "native", p))
        for p in ("p50", "p99")
    ]
    for name, label, limits in (
        ("block-t4", "block 4/4", (1.15, 1.25)),
        ("block-t8", "block 8/4", (1.15, 1.25)),
        ("interrupt", "interrupt 8/4", (1.08, 1.15)),
    ):
        for p, limit in zip(("p50", "p99"), limits, strict=True):
            what = f"urgent_vs_background, {label}: {p} ÷ solo"
            figures.append(at_most(what, ratio(runs, name, p), limit))
        what = f"urgent_vs_background, {label}: background throughput ÷ native"
        figures.append(at_least(what, throughput(runs[name]) / native, 0.95))
    return figures


def ratio(runs: dict[str, Any], name: str, figure: str) -> float:
    value: float = runs[name]["tasks"][URGENT]["latency_ms"][figure]
    return value / runs["solo"]["tasks"][URGENT]["latency_ms"][figure]


def throughput(run: dict[str, Any]) -> float:
    """Of the background tasks together, requests a second."""
    return sum(task["throughput_rps"] for name, task in run["tasks"].items() if name != URGENT)
