"""``python -m runner [key=value …] [-m key=value,value …]``: run a sweep of one or more points.

Exit codes: 0 all runs finished, 1 a run failed, 2 the input was wrong, 130 interrupted.
"""

import os
import signal
import sys
from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"

#: Every invocation is a sweep through our own sweeper, and the terminal is ours.
HYDRA = (
    "hydra/sweeper=trials",
    "hydra/job_logging=disabled",
    "hydra/hydra_logging=disabled",
    "hydra.mode=MULTIRUN",
    "hydra.output_subdir=null",
    "hydra.job.chdir=false",
)
MULTIRUN_FLAGS = ("-m", "--multirun")
#: With these Hydra prints something and stops, and takes its arguments as they are.
PRINTING_FLAGS = ("--cfg", "-c", "--help", "-h", "--hydra-help", "--info", "-i", "--version")


def arguments(given: list[str]) -> list[str]:
    """What Hydra gets to see: -m may stand anywhere and is always meant."""
    if any(argument.split("=")[0] in PRINTING_FLAGS for argument in given):
        return given
    return [*(argument for argument in given if argument not in MULTIRUN_FLAGS), *HYDRA]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The command."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we say them in one message
    signal.signal(signal.SIGTERM, _interrupt)
    from runner.errors import UserError

    try:
        from runner import config_files

        config_files.check(CONF, sys.argv[1:])
        given, sys.argv[1:] = sys.argv[1:], arguments(sys.argv[1:])
        _compose_and_run(given)
    except KeyboardInterrupt:
        sys.exit(130)
    except UserError as error:
        _exit(error)
    except Exception as error:
        from runner.errors import from_hydra

        explained = from_hydra(error)
        if explained is None:
            raise
        _exit(explained)


def _compose_and_run(given: list[str]) -> None:
    import hydra
    from hydra.core.config_store import ConfigStore
    from omegaconf import DictConfig

    from runner.config import Config

    ConfigStore.instance().store(name="schema", node=Config)

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def job(composed: DictConfig) -> None:
        from runner import point

        point.run(composed)

    job()


def _exit(error: Exception) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
