"""``python -m runner.replay RUN [key=value …]``: a logged run again, and what is not as it was."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.commands import run as runner
from runner.commands.command import end_well, parser
from runner.config.errors import UserError
from runner.config.limits import check_limits
from runner.config.schema import Config, all_keys
from runner.platforms.choose import get
from runner.platforms.device import DeviceOrigin
from runner.results.console import console, table
from runner.runs import files, provenance
from runner.runs.load import RUN_ID, load
from runner.runs.provenance import facts, word
from runner.runs.record import Summary
from runner.runs.run import Run
from runner.sweep.run import Ended

#: One run, not the repeats of its sweep nor what they were meant to show; its own number stays.
OVERRIDES = ("sweep.resume=false", "sweep.repeats=1", "expect=[]")
OUTPUT_ROOT = "output_root="
LEAD_IN = "task_set.lead_in_s"
FIGURES, WHEN = ("p50", "p99"), ("then", "now", "ratio")
#: Of a summary, what a reader of two columns must know if it differs.
REMARKED = {
    "status": "status",
    "reason": "reason",
    "valid": "valid",
    "proof": "proof",
    "level": "level in effect",
    "config_hash": "not the same measurement, config hash",
}
#: Schedules are spaced by it, so a difference beyond noise is told.
SOLO_TOLERANCE = 0.05


def main() -> None:
    options = parser(
        "replay",
        "A logged run again, with a line for each difference in its environment.",
        "0 it finished, 1 it failed, 2 the input was wrong",
    )
    add = options.add_argument
    add("run", metavar="RUN", help="a run's folder, or the id of an MLflow run")
    add("overrides", nargs="*", metavar="KEY=VALUE", help="what is to be otherwise this time")
    add("-m", "--multirun", action="store_true", help="understood, as several values always are")
    add("--uri", help="the tracking store (MLFLOW_TRACKING_URI, else SQLite below outputs/)")
    add("--dry", action="store_true", help="show the differences and run nothing")
    asked = options.parse_intermixed_args()

    def work() -> int:
        original = found(asked.run, asked.uri)
        _show_differences(original)
        return 0 if asked.dry else _again(original, asked.overrides)

    end_well(work)


# ---------------------------------------------------------------------- the run that was


def found(run: str, uri: str | None) -> Run:
    """The run in a folder or of an MLflow id. Raises `UserError` for what is none."""
    folder = Path(run)
    if (folder / files.CONFIG).is_file():
        check_limits(folder / files.CONFIG)
    elif not RUN_ID.fullmatch(run):
        problem, allowed = _why_no_run(folder), "a run's folder, the id of an MLflow run"
        remedy = "a zip is unpacked first; then a run is a folder in it"
        raise UserError("", "", f"{folder} {problem}", allowed, remedy)
    (original, *others) = load(run, uri=uri)
    if others:
        names = ", ".join(each.name for each in (original, *others))
        raise UserError("", "", f"{run} is a sweep, and its runs are {names}", "the id of a run")
    if not original.parameters:
        raise UserError("", "", f"{original.folder / files.CONFIG} is no configuration")
    return original


def _why_no_run(folder: Path) -> str:
    if not folder.is_dir():
        return "is no folder" if folder.exists() else "is not there"
    runs = sorted(path.parent.name for path in folder.glob(f"*/{files.CONFIG}"))
    if runs:
        return f"holds several runs: {', '.join(runs)}"
    return f"is no run: it has no {files.CONFIG}"


# --------------------------------------------------------------- what is not as it was


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line for each fact that is not as it was."""
    names = dict.fromkeys([*then, *now])
    return [
        f"{name}: was {then.get(name) or 'none'}, is {now.get(name) or 'none'}"
        for name in names
        if then.get(name, "") != now.get(name, "")
    ]


def _show_differences(original: Run) -> None:
    if not original.provenance.is_known:
        console.print(f"nothing is known of the run's environment: it has no {files.PROVENANCE}")
        return
    present = provenance.present(_device(original.parameters))
    lines = differences(facts(original.provenance), facts(present))
    if not lines:
        console.print("environment: as it was then")
        return
    console.print(f"environment: {len(lines)} difference{'s' * (len(lines) > 1)}")
    for line in lines:
        console.print(f"  {line}", style="yellow", soft_wrap=True, markup=False)


def _device(parameters: Mapping[str, Any]) -> DeviceOrigin:
    """What the run's platform would say of itself here; nothing where it cannot be had. The runner
    says why, if the run is run."""
    wanted = Config()
    for key, value in parameters.items():
        group, _, name = key.partition(".")
        if group == "platform":
            setattr(wanted.platform, name, value)
    wanted.xsched.home = parameters.get("xsched.home")
    try:
        return get(wanted).provenance()
    except Exception:  # whatever a configuration may say that is wrong
        return DeviceOrigin()


# ----------------------------------------------------------------------------- again


def _again(original: Run, overrides: list[str]) -> int:
    """Run it; returns the runner's exit code."""
    _check_overrides(overrides)
    place = str(_output_root(original.parameters, overrides))
    quoted = place.replace("\\", "\\\\").replace("'", "\\'")  # for Hydra's override grammar
    logged = ("--config-path", str(original.folder.absolute()), "--config-name", "config")
    # The file of an old run does not say it, and today's default is another.
    as_then = [f"{key}={value}" for key, value in original.parameters.items() if key == LEAD_IN]
    if original.parameters.get("platform.devices"):  # it ran on one of them
        as_then.append(f"platform.devices=['{original.parameters.get('platform.device')}']")
    given = {each.partition("=")[0].lstrip("+") for each in overrides}
    ours = [*OVERRIDES, *as_then, f"{OUTPUT_ROOT}'{quoted}'"]
    kept = [each for each in ours if each.partition("=")[0] not in given]
    try:
        runner.run([*logged, *kept, *overrides])
    except Ended as end:
        for run in load(end.folder) if end.folder else ():
            _compare(original.summary, run.summary)
        return end.exit_code
    return 0


def _check_overrides(overrides: list[str]) -> None:
    """Raises `UserError` for the choice of a file of conf/: a logged configuration is values."""
    for override in overrides:
        group, _, value = override.partition("=")
        keys = [key for key in all_keys() if key.startswith(f"{group}.")]
        if keys and not value.startswith("{"):
            problem = "a logged configuration has values, and no files to choose from"
            raise UserError(group, value, problem, keys)


def _output_root(parameters: Mapping[str, Any], overrides: list[str]) -> Path:
    """As asked, else as it was if that place exists here, else the default."""
    asked = [each.removeprefix(OUTPUT_ROOT) for each in overrides if each.startswith(OUTPUT_ROOT)]
    if asked:
        return Path(asked[-1].strip("'\""))
    root = Path(str(parameters.get("output_root", "outputs")))
    below = not root.is_absolute() and ".." not in root.parts
    return root if below or root.is_dir() else Path("outputs")


# ------------------------------------------------------------------------ then and now


def _compare(then: Summary, now: Summary) -> None:
    """p50 and p99 of each priority, and what makes the two runs differ by themselves."""
    rows = table("priority", *(f"{figure} ms\n{when}" for figure in FIGURES for when in WHEN))
    priorities = sorted({*then.priorities, *now.priorities}, reverse=True)
    for priority in priorities:
        rows.add_row(str(priority), *_cells(then, now, priority))
    console.print(f"\n{now.name or 'the run'}: then and now")
    if priorities:
        console.print(rows)
    for line in remarks(then, now):
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _cells(then: Summary, now: Summary, priority: int) -> Iterator[str]:
    for figure in FIGURES:
        old, new = (run.value(f"{figure}_ms/priority_{priority}") for run in (then, now))
        yield from ("–" if value is None else f"{value:.1f}" for value in (old, new))
        yield f"{new / old:.2f}" if old and new is not None else "–"


def remarks(then: Summary, now: Summary) -> list[str]:
    """What a reader of the two columns must know: what differs of the runs, and solo times."""
    told = [
        {label: word(getattr(run, key)) for key, label in REMARKED.items()} for run in (then, now)
    ]
    lines = differences(*told)
    for name, task in now.tasks.items():
        old = then.tasks[name].solo_ms if name in then.tasks else None
        spaced, new = task.offered_rps is not None, task.solo_ms
        if spaced and old and new and abs(new / old - 1) > SOLO_TOLERANCE:
            took = f"{name} alone took {old:.2f} ms, takes {new:.2f} ms"
            lines.append(f"{took}: arrivals by load are spaced by it")
    return lines


if __name__ == "__main__":
    main()
