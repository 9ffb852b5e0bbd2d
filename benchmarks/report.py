"""What a benchmark finds, and the page that shows it."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.runs.provenance import environment

RESULTS = Path("outputs") / "bench"
PAGE = Path("docs") / "performance.md"
#: What a reader must know of a benchmark's figures, where a target was not met above all.
NOTES = {
    "latency": (
        "The linter, the type checker and tests without processes ran at times beside this one, "
        "mostly at low priority on the submitters' core; measure again on a quiet machine before "
        "quoting. "
        "A ratio to the floor below 1 means that the machine was slower while the floor was "
        "measured, so it meets nothing: the arms run a minute apart, and these figures are from "
        "before the device core was kept awake and ratios were made at equal pace. Medians of "
        "three repeats have no interval. For the same reason a background throughput scatters by "
        "about 10 % (two equal closed loops alone: 2.25 to 2.41 requests a second at native, 2.12 "
        "to 2.41 at "
        "8/4), so 0.94 cannot be told from 0.95 here. That of 4/4 has a reason of its own: with "
        "batch_size = threshold the executor runs dry at every synchronisation point, 78 times a "
        "request, which also adds to the urgent task's p50; 8/4 keeps four commands in flight."
    ),
    "preemption_latency": (
        "T is the CPU time of a command in the same stretch; what disturbs the device core in the "
        "meantime adds to the latency alone. A p99 of 100 suspensions is its second largest value, "
        "so one stall of the machine shows: of four runs on this one, two had a level 3 figure "
        "above the target (1.66 and 10.1 ms, both at T = 5 ms), the other ten lay between 0.17 and "
        "0.93 ms."
    ),
}

HEADER = """\
# Performance

Measured by `make bench` (single parts: `make bench BENCH=preemption_latency`). Ratios are of
two things measured in one run. The machine: {cpu}, {cores} cores, {memory_gib} GiB, Python
{python}, torch {torch}; it is shared and noisy, and its speed drifts by tens of percent within
minutes, so absolute times say little.
"""


@dataclass(frozen=True)
class Figure:
    """One line of the page. met: None where there is no target, only a report."""

    what: str
    measured: str
    target: str = "report"
    met: bool | None = None


def at_most(what: str, value: float, limit: float, unit: str = "") -> Figure:
    return Figure(what, f"{value:.3g}{unit}", f"≤ {limit:g}{unit}", bool(value <= limit))


def at_least(what: str, value: float, limit: float, unit: str = "") -> Figure:
    return Figure(what, f"{value:.3g}{unit}", f"≥ {limit:g}{unit}", bool(value >= limit))


def near(what: str, value: float, wanted: float, within: float) -> Figure:
    return Figure(
        what, f"{value:.3f}", f"{wanted:.3f} ± {within:g}", bool(abs(value - wanted) <= within)
    )


def report(what: str, value: float, unit: str = "") -> Figure:
    return Figure(what, f"{value:.3g}{unit}")


def save(name: str, title: str, figures: list[Figure]) -> None:
    """Keep a benchmark's figures and write the page anew from all that are kept."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {"title": title, "figures": [asdict(figure) for figure in figures]}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2))


def table(figures: Iterable[Figure]) -> str:
    """In Markdown, one line a figure."""
    lines = ["| figure | measured | target | |", "|---|---|---|---|"]
    for figure in figures:
        mark = {True: "met", False: "**not met**", None: ""}[figure.met]
        lines.append(f"| {figure.what} | {figure.measured} | {figure.target} | {mark} |")
    return "\n".join(lines)


def write_page(order: list[str]) -> None:
    machine = environment()
    parts = [HEADER.format(**vars(machine), torch=machine.libraries.get("torch", "–"))]
    for name in order:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        figures = [Figure(**fields) for fields in content["figures"]]
        parts.append(f"## {content['title']}\n\n`python -m benchmarks {name}`\n\n" + table(figures))
        if name in NOTES:
            parts.append(NOTES[name])
    PAGE.write_text("\n\n".join(part.strip() for part in parts) + "\n")
