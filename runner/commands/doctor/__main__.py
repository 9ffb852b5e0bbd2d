"""``python -m runner.doctor``: look at this machine before anything is measured on it."""

import json
import os
import sys
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from runner.commands.command import end_well, parser
from runner.commands.doctor import bundle
from runner.commands.doctor.checks import look
from runner.commands.doctor.lines import Printer, verdict
from runner.commands.doctor.machine import Machine

#: Of `runner.config.schema.Config`, which a machine without omegaconf or numpy cannot import.
OUTPUT_ROOT = Path("outputs")


def main() -> None:
    options = parser(
        "doctor",
        "What this machine can run, what disturbs it, and what to do about it.",
        "0 all is well, 1 there are warnings, 2 something is wrong",
    )
    add = options.add_argument
    add("--json", action="store_true", help="one JSON object, with all details")
    add("--home", metavar="PATH", help="the XSched installation (xsched.home)")
    add("--device", default="0", metavar="N", help="number or UUID of the GPU (platform.device)")
    add("--uri", help="the tracking store (tracking.uri)")
    add("--bundle", type=Path, metavar="FILE", help="pack all that others need to know into a zip")
    asked = options.parse_args()
    end_well(lambda: _run(asked))


def _run(asked: Namespace) -> int:
    if asked.bundle is not None and not os.access(asked.bundle.absolute().parent, os.W_OK):
        remedy = "name a file in a folder that is there and may be written"
        print(f"error: --bundle {asked.bundle}: cannot be written\n  {remedy}", file=sys.stderr)
        return 2
    with suppress(AttributeError):  # where something else is in its place, as under a test
        sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a TextIO has none
    machine = Machine(asked.home, asked.device, asked.uri, OUTPUT_ROOT)
    printer = Printer(sys.stdout)
    lines = []
    for line in look(machine):
        lines.append(line)
        if not asked.json:
            printer.show(line)
    if asked.json:
        report = {"verdict": verdict(lines), "lines": [asdict(line) for line in lines]}
        print(json.dumps(report, indent=2, ensure_ascii=False, default=str))
    else:
        printer.conclude(lines)
    if asked.bundle is not None:
        try:
            bundle.write(asked.bundle, lines)
        except OSError as error:
            print(f"error: --bundle {asked.bundle}: {error.strerror}", file=sys.stderr)
            return 2
        print(f"{asked.bundle} is packed: look at it, then it can be sent", file=sys.stderr)
    return verdict(lines).exit_code


if __name__ == "__main__":
    main()
