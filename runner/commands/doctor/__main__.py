"""``python -m runner.doctor [--json]``: look at this machine before anything is measured on it.

Exit codes: 0 all is well, 1 there are warnings, 2 something is wrong, 130 interrupted.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from runner.commands.doctor.checks import look
from runner.commands.doctor.lines import Line, verdict
from runner.commands.doctor.machine import Machine
from runner.commands.doctor.text import Printer

#: Of `runner.config.schema.Config`, which a machine without omegaconf or numpy cannot import.
OUTPUT_ROOT = Path("outputs")


def main() -> None:
    """The command."""
    asked = _arguments()
    machine = Machine(asked.home, asked.device, asked.uri, OUTPUT_ROOT)
    try:
        lines = _as_json(machine) if asked.json else _as_text(machine)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(verdict(lines).exit_code)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runner.doctor",
        description="What this machine can run, what disturbs it, and what to do about it.",
        epilog="exit code: 0 all is well, 1 there are warnings, 2 something is wrong",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object, with all details")
    parser.add_argument("--home", metavar="PATH", help="the XSched installation (xsched.home)")
    parser.add_argument(
        "--device", type=int, default=0, metavar="N", help="number of the GPU (platform.device)"
    )
    parser.add_argument("--uri", help="the tracking store (tracking.uri)")
    return parser.parse_args()


def _as_json(machine: Machine) -> list[Line]:
    lines = list(look(machine))
    report = {"verdict": verdict(lines), "lines": [asdict(line) for line in lines]}
    print(json.dumps(report, indent=2, ensure_ascii=False, default=str))
    return lines


def _as_text(machine: Machine) -> list[Line]:
    printer = Printer(sys.stdout)
    lines = []
    for line in look(machine):
        printer.show(line)
        lines.append(line)
    printer.conclude(lines)
    return lines


if __name__ == "__main__":
    main()
