"""What a launch costs its caller by the companion of XSched's HIP shim, against the shim's own
path, over the fake HIP runtime of the tests. Needs gcc and an XSched with a HIP shim (XSCHED_HOME),
and no GPU; not part of `make bench` without a name."""

import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.report import Figure, at_most, report
from tests.xsched_bindings import fake_hip
from xsched_bindings import companion
from xsched_bindings.shim import APP_MANAGED_SCHEDULER, hip_environment

TITLE = "A launch through the companion of XSched's HIP shim"
LAUNCHES = 5000
KINDS = {
    "buffer": "hipExtModuleLaunchKernel, arguments in a buffer",
    "params": "hipExtModuleLaunchKernel, pointers to arguments",
    "fill": "hipMemset2DAsync",
}


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        hip = fake_hip.build(Path(folder))
        if not hip.real:
            raise SystemExit("XSCHED_HOME names no XSched with a HIP shim; the double says nothing")
        variables = hip_environment(hip.xsched, hip.runtime, os.environ, companion.build())
        command = [str(hip.client), "cost", str(LAUNCHES)]
        environment = variables | APP_MANAGED_SCHEDULER
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    pairs = (line.split() for line in done.stdout.splitlines())
    us = {name: int(value) / 1000 for name, value, *others in pairs if not others}
    return [
        report("hipLaunchKernel, by the shim", us["shim"], " µs"),
        *(
            at_most(f"{what}: more than that", us[kind] - us["shim"], 1, " µs")
            for kind, what in KINDS.items()
        ),
    ]
