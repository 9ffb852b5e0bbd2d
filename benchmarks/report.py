"""What a benchmark finds, and the page that shows it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from runner.provenance import environment

RESULTS = Path("outputs") / "bench"
PAGE = Path("docs") / "performance.md"
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


def write_page(order: list[str]) -> None:
    facts = environment()
    parts = [HEADER.format(**facts, torch=facts["libraries"].get("torch", "–"))]
    for name in order:
        path = RESULTS / f"{name}.json"
        if not path.exists():
            continue
        content = json.loads(path.read_text())
        lines = ["| figure | measured | target | |", "|---|---|---|---|"]
        for figure in (Figure(**fields) for fields in content["figures"]):
            mark = {True: "met", False: "**not met**", None: ""}[figure.met]
            lines.append(f"| {figure.what} | {figure.measured} | {figure.target} | {mark} |")
        parts.append(
            f"## {content['title']}\n\n`python -m benchmarks {name}`\n\n" + "\n".join(lines)
        )
    PAGE.write_text("\n\n".join(part.strip() for part in parts) + "\n")
