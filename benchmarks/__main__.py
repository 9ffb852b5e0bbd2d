"""``python -m benchmarks [name …]``: measure, print, and write docs/performance.md."""

import importlib
import sys
from argparse import ArgumentParser

from benchmarks import report

ORDER = [
    "latency",
    "preemption_latency",
    "marks",
    "throughput",
    "worker",
    "sweep_point",
    "startup",
    "million",
    "sixty_runs",
]


def main(names: list[str]) -> None:
    options = ArgumentParser(prog="python -m benchmarks", description="Write docs/performance.md.")
    options.add_argument("name", nargs="*", help=", ".join(ORDER))
    asked = options.parse_args(names).name or ORDER
    if unknown := [name for name in asked if name not in ORDER]:
        options.error(f"{unknown[0]}: there is no such benchmark: {', '.join(ORDER)}")
    for name in asked:
        module = importlib.import_module(f"benchmarks.{name}")
        print(f"{name}: {module.TITLE}", flush=True)
        figures = module.run()
        report.save(name, module.TITLE, figures)
        report.write_page(ORDER)
        for figure in figures:
            mark = {True: "met", False: "NOT MET", None: ""}[figure.met]
            print(f"  {figure.what}: {figure.measured} ({figure.target}) {mark}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
