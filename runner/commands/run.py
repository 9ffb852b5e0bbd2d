"""``python -m runner [key=value …] [-m key=value,value …]``: run a sweep of one or more points.

Exit codes: 0 all runs finished, 1 a run failed or is not logged, with --strict also if one is not
valid or an expectation is not met, 2 the input was wrong, 130 interrupted.
"""

import os
import resource
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from runner.commands.command import end_well
from runner.commands.project import CONF, GROUPS, NAME, version

MULTIRUN_FLAGS = ("-m", "--multirun")
#: With these Hydra prints something and stops; nothing is run, so nothing is added.
PRINTING_FLAGS = ("--cfg", "-c", "--hydra-help", "--info", "-i")
HELP_FLAGS = ("--help", "-h")
HELP = Path(__file__).with_name("help.txt")
VERSION_FLAG = "--version"
#: Options of our own, which Hydra does not get to see.
QUIET, VERBOSE, JSON, STRICT = ("-q", "--quiet"), ("-v", "--verbose"), ("--json",), ("--strict",)
OURS = (*QUIET, *VERBOSE, *JSON, *STRICT)
#: Options of Hydra whose value is the next argument.
VALUE_FLAGS = ("--cfg", "-c", "--config-dir", "-cd", "--config-path", "-cp", "--config-name", "-cn")


def split(given: list[str]) -> tuple[list[str], list[str]]:
    """(options for Hydra, overrides): options may stand anywhere, and -m is always meant."""
    options: list[str] = []
    overrides: list[str] = []
    rest = iter(given)
    for argument in rest:
        if argument in VALUE_FLAGS:
            options += [argument, next(rest, "")]
        elif argument.startswith("-"):
            options += [] if argument in (*MULTIRUN_FLAGS, *OURS) else [argument]
        else:
            overrides.append(argument)
    return options, overrides


@dataclass(frozen=True)
class Told:
    """How much is told of a sweep, and to whom. quiet: nothing while it runs. verbose: all of it at
    the end. json: one JSON object on standard output, and all else on the other one. strict:
    whether a run that is not valid or an expectation that is not met is a failure."""

    quiet: bool
    verbose: bool
    json: bool
    strict: bool

    @classmethod
    def of(cls, given: list[str]) -> Self:
        return cls(
            *(any(flag in given for flag in each) for each in (QUIET, VERBOSE, JSON, STRICT))
        )

    def begin(self) -> None:
        from runner.results.console import console

        console.verbose, console.only_end = self.verbose, self.quiet
        if self.json:
            console.turn_to(sys.stderr)

    def end(self, end: SystemExit) -> SystemExit:
        """Tell it, and end like this. Raises `UserError` for a folder that vanished."""
        from runner.results.console import console
        from runner.runs.files import as_json
        from runner.sweep.result import result_of
        from runner.sweep.run import Ended

        if not isinstance(end, Ended) or not (self.json or self.strict):
            return end
        result = result_of(end.folder, end.exit_code, end.outlook)
        if self.strict and result.faults:
            for line in result.faults:
                console.print(line, soft_wrap=True)
            result = replace(result, exit_code=result.exit_code or 1)
        if self.json:
            sys.stdout.write(as_json(result).decode())
        return Ended(result.exit_code, end.folder)


def arguments(given: list[str]) -> list[str]:
    """What Hydra gets to see."""
    from runner.config.command_line import ADDED

    options, overrides = split(given)
    printing = any(option.split("=")[0] in PRINTING_FLAGS for option in options)
    return [*options, *overrides, *(() if printing else ADDED)]


def main() -> None:
    run(sys.argv[1:])


def run(given: list[str]) -> None:
    """Run a sweep as if these arguments had been typed. Raises SystemExit at its end."""
    if set(given) & set(HELP_FLAGS):
        return end_well(lambda: print(_help()))
    if VERSION_FLAG in sys.argv[1:]:
        return end_well(lambda: print(NAME, version()))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we say them in one message
    # Where OpenBLAS cannot start its threads (ulimit -v) it sends SIGINT; nothing here needs them.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from runner.trial import interruption

    interruption.listen()
    try:
        end_well(lambda: _run(given))
    finally:
        interruption.end()


def _run(given: list[str]) -> None:
    """Raises `UserError` for whatever the user can put right, also of Hydra's finding."""
    from runner.config.errors import UserError

    try:
        Path.cwd()  # Hydra asks for it
    except FileNotFoundError:
        problem = "the working directory is not there any more"
        raise UserError("", "", problem, remedy="change to one that is") from None
    try:
        from runner.config import command_line, files

        options, overrides = split(given)
        folder = command_line.own_folder(options, CONF)
        files.guard(CONF, folder)
        overrides = command_line.read(overrides, CONF, folder)
        sys.argv[1:] = arguments([*options, *overrides])  # where Hydra looks for them
        told = Told.of(given)
        told.begin()
        try:
            _compose_and_run()
        except SystemExit as end:
            raise told.end(end) from None
    except UserError:
        raise
    except (ImportError, MemoryError) as error:
        limit, _ = resource.getrlimit(resource.RLIMIT_AS)
        if limit == resource.RLIM_INFINITY:
            raise
        problem = f"that is too little memory ({error})"
        raise UserError("ulimit -v", limit >> 10, problem) from error
    except Exception as error:
        from runner.config.files import FileConfigSource
        from runner.config.hydra_errors import from_hydra

        explained = from_hydra(error, FileConfigSource.said)
        if explained is None:
            raise
        raise explained from error


def _help() -> str:
    """What there is to choose from, read from conf/ without Hydra, which takes half a second to
    list as much."""
    width = max(map(len, GROUPS))
    groups = [
        f"  {group:{width}} {', '.join(sorted(path.stem for path in folder.glob('*.yaml')))}"
        for group, folder in ((each, CONF / each) for each in GROUPS)
    ]
    return HELP.read_text().format(groups="\n".join(groups))


def _compose_and_run() -> None:
    import hydra
    from hydra._internal.hydra import Hydra
    from hydra.core.config_store import ConfigStore
    from hydra.types import RunMode
    from omegaconf import DictConfig

    from runner.config.schema import Config

    ConfigStore.instance().store(name="schema", node=Config)
    # Launchers of ours have the names of those that they set up, whose classes check them.
    warnings.filterwarnings("ignore", r"\s*'hydra/launcher/\w+' is validated against")

    # Hydra asks it for hydra.mode, which `ADDED` says: to find that, it would compose everything an
    # extra time, a fifth of a start.
    Hydra.get_mode = lambda *_, **__: RunMode.MULTIRUN  # type: ignore[method-assign]  # Hydra's

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def job(composed: DictConfig) -> None:
        from runner.sweep import job as its

        its.run()

    job()
