"""The experiment runner for preemptive accelerator scheduling with XSched."""

from pathlib import Path

#: What people type: ``python -m runner.compare`` is `runner.commands.compare`.
__path__.append(str(Path(__file__).parent / "commands"))
