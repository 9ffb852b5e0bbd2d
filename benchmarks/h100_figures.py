"""The figures of docs/results/h100.md from what is kept beside it: ``python -m
benchmarks.h100_figures``."""

import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from runner.runs import files
from runner.runs.record import Summary

FOLDER = Path("docs/results/h100")
CLOSED, OPEN = "six_bert_closed-20261122-205441", "six_bert-20261122-205737"
THRESHOLDS = "urgent_vs_background-20261122-210444"
BASELINES = "urgent_vs_background-20261122-210336"
ARMS = {
    "urgent_only": "urgent only",
    "xsched": "XSched",
    "stream_priority": "stream priority",
    "null": "XSched, equal hints",
    "native": "native",
    "default_stream": "default stream",
}
#: Okabe and Ito's colours, which the colour-blind tell apart.
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#888888"


def main() -> None:
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}
    arms()
    thresholds()


def arms() -> None:
    """p50 and p99 of the most urgent tasks by arm, closed loops and arrivals with gaps."""
    figure, panels = plt.subplots(1, 2, figsize=(7, 2.6), sharey=True, layout="constrained")
    for panel, sweep, title in zip(
        panels, (CLOSED, OPEN), ("six closed loops", "four tasks that come and go"), strict=True
    ):
        runs = summaries(sweep)
        for row, name in enumerate(reversed(ARMS)):
            figures = runs[name].figures
            p50, p99 = (figures[f"{each}_ms/priority_3"].value for each in ("p50", "p99"))
            panel.plot([p50, p99], [row, row], color=GREY, lw=1, zorder=1)
            panel.scatter(p50, row, color=BLUE, s=28, label="p50" if not row else None)
            panel.scatter(
                p99,
                row,
                color=ORANGE,
                marker="D",
                s=24,
                label="p99" if not row else None,
            )
        panel.set_yticks(range(len(ARMS)), reversed(ARMS.values()))
        panel.set_xlim(0)
        panel.set_title(title, fontsize=9, loc="left")
        panel.set_xlabel("response latency of priority 3, ms")
    panels[1].legend(*panels[0].get_legend_handles_labels(), frameon=False, loc="lower left")
    figure.savefig(FOLDER / "arms.png", dpi=200)


def thresholds() -> None:
    """The urgent task's latency against the threshold, between its floor and native."""
    store = json.loads((FOLDER / "tracking-store.json").read_text())
    swept = sorted(
        (int(run["params"]["xsched.threshold"]), run["metrics"])
        for run in store
        if run["tags"]["sweep"] == THRESHOLDS
    )
    levels = [threshold for threshold, _ in swept]
    figure, axes = plt.subplots(figsize=(4.2, 2.8), layout="constrained")
    for figure_name, colour, marker in (("p50", BLUE, "o"), ("p99", ORANGE, "D")):
        values = [metrics[f"{figure_name}_ms/priority_1"] for _, metrics in swept]
        axes.plot(levels, values, color=colour, marker=marker, ms=4, label=f"XSched, {figure_name}")
    for run in store:
        if run["tags"]["sweep"] == BASELINES:
            level = run["metrics"]["p50_ms/priority_1"]
            axes.axhline(level, color=GREY, lw=1, ls="--" if run["name"] == "solo" else ":")
            below = run["name"] == "solo"
            axes.annotate(
                f"{run['name']}, p50",
                (levels[0], level),
                xytext=(0, -11 if below else 3),
                textcoords="offset points",
                color=GREY,
                fontsize=8,
            )
    axes.set_xscale("log", base=2)
    axes.set_xticks(levels, [f"{level}/{level // 2}" for level in levels])
    axes.set_xlim(levels[0] / 1.2, levels[-1] * 1.2)
    axes.set_ylim(0, 115)
    axes.set_xlabel("threshold / batch size, commands")
    axes.set_ylabel("response latency, ms")
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(FOLDER / "thresholds.png", dpi=200)


def summaries(sweep: str) -> dict[str, Summary]:
    """By the run's name, which is its folder's without the hash."""
    return {
        path.parent.name.rpartition("-")[0]: files.read_json(path, Summary)
        for path in sorted((FOLDER / sweep).glob(f"*/{files.SUMMARY}"))
    }


if __name__ == "__main__":
    main()
