"""``python -m benchmarks.results docs/results/NAME SWEEP…``: keep of every run what a page of
results rests on, summary.json, proof.json and provenance.json, with the places of the machine that
it ran on taken out, and print one table a sweep."""

import json
import sys
from pathlib import Path
from typing import Any

KEPT = ("summary.json", "proof.json", "provenance.json")
#: What a figure cannot depend on, or what another machine's reader has no use for.
LEFT_OUT = {"folder", "mlflow_run_id", "diff", "xsched_variables"}


def keep(target: Path, sweep: Path) -> None:
    """Copy the three files of every run of a sweep below `target`."""
    root = str(sweep.parent)
    for summary in sorted(sweep.glob("*/summary.json")):
        folder = target / sweep.name / summary.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        places = [root, json.loads(summary.read_text())["folder"].rpartition(f"/{sweep.name}/")[0]]
        for name in KEPT:
            content = _without_places(json.loads((summary.parent / name).read_text()), places)
            (folder / name).write_text(json.dumps(content, indent=1) + "\n")


def _without_places(value: Any, places: list[str]) -> Any:
    match value:
        case dict():
            return {k: _without_places(v, places) for k, v in value.items() if k not in LEFT_OUT}
        case list():
            kept = [_without_places(item, places) for item in value]
            return [item for item in kept if not str(item).startswith("hydra.")]
        case str():
            for place in filter(None, places):
                value = value.replace(place, "outputs")
            return value
        case _:
            return value


def table(sweep: Path) -> str:
    """The runs of a kept sweep in Markdown: p50 and p99 of each priority, throughput, proof."""
    runs = [json.loads(path.read_text()) for path in sorted(sweep.glob("*/summary.json"))]
    priorities = sorted({int(p) for run in runs for p in run["priorities"]}, reverse=True)
    heads = [f"priority {p}: p50, p99 ms" for p in priorities]
    columns = ["run", *heads, "req/s", "saturation", "preemptions", "proof"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for run in runs:
        cells = [run["name"]]
        for priority in priorities:
            latency = run["priorities"].get(str(priority), {}).get("latency_ms", {})
            cells.append(f"{latency['p50']:.1f}, {latency['p99']:.1f}" if latency else "–")
        total = sum(task["throughput_rps"] for task in run["tasks"].values())
        cells += [f"{total:.2f}" if run["tasks"] else "–", f"{run['saturation'] or 0:.2f}"]
        cells += [str(run["preemptions"]), run["proof"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    target = Path(arguments[0])
    for sweep in map(Path, arguments[1:]):
        keep(target, sweep)
        print(f"\n{sweep.name}\n\n{table(target / sweep.name)}")


if __name__ == "__main__":
    main(sys.argv[1:])
