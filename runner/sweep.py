"""The points of a sweep: expanded, checked all together before the first starts, run, compared."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, open_dict

from runner import outputs, platforms, point, tracking
from runner.config import Config
from runner.display import console, show_sweep
from runner.errors import UserError
from runner.resolve import resolve
from runner.spec import TrialSpec
from runner.trial import FAILED, FINISHED

SHORT = {"xsched.threshold": "t", "xsched.batch_size": "b", "xsched.timeslice_us": "slice"}
#: Swept keys whose value alone makes a readable name.
BARE = ("task_set", "model", "arm", "platform", "arrival", "xsched", "xsched.policy")

Compose = Callable[[list[str]], DictConfig]
Launch = Callable[[Path, list[list[str]]], None]


class Point:
    """One combination of swept values: its overrides, the trial they give, and where it goes."""

    def __init__(self, overrides: list[str], values: dict[str, str]) -> None:
        self.overrides, self.values = overrides, values
        self.config = Config()
        self.trial: TrialSpec
        self.name = ""

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.trial.config_hash[:8]}"


def run(arguments: list[str], compose: Compose, launch: Launch) -> int:
    """Run a sweep; returns the exit code: 0, 1 if a run failed, 130 after Ctrl-C.

    Raises `UserError` before anything is started or written if any point is wrong.
    """
    points = expand(arguments)
    check(points, compose)
    folder = create_folder(points[0])
    interrupted = False
    try:
        launch(folder, [_job_overrides(each, folder) for each in points])
    except KeyboardInterrupt:
        interrupted = True
    finished = _collect(points, folder)
    _report(points, finished, folder)
    if interrupted:
        console.print("interrupted: what was measured until then is kept")
        return 130
    return 0 if all(run["summary"]["as_expected"] for run in finished) else 1


def expand(arguments: list[str]) -> list[Point]:
    """Every combination of the swept values, the last key varying fastest."""
    overrides = OverridesParser.create().parse_overrides(arguments)
    points = [Point([], {})]
    for override in overrides:
        choices = _choices(override)
        points = [
            Point(
                [*each.overrides, choice],
                each.values | ({override.key_or_group: value} if len(choices) > 1 else {}),
            )
            for each in points
            for choice, value in choices
        ]
    return points


def _choices(override: Override) -> list[tuple[str, str]]:
    """(override, value) of every value that this argument sweeps over, or of its only one."""
    if not override.is_sweep_override():
        return [(override.input_line or "", "")]
    if override.is_discrete_sweep():
        key = override.get_key_element()
        return [(f"{key}={value}", str(value)) for value in override.sweep_string_iterator()]
    raise UserError(
        override.key_or_group,
        override.value(),
        "an interval cannot be swept over",
        "a list (4,8,16), choice(), range()",
    )


def check(points: list[Point], compose: Compose) -> None:
    """Compose and validate all points, decide `auto` for all of them, and name them."""
    platform = platforms.choose()
    for number, each in enumerate(points, start=1):
        try:
            each.config = point.as_config(compose(each.overrides))
            if each.config.platform.name == "auto":
                each.config.platform.name = platform
            each.trial = resolve(each.config)
        except UserError as error:
            if len(points) == 1:
                raise
            raise UserError(
                "", "", f"{error}\n  in point {number} of {len(points)}: {each.values}"
            ) from error
    placement = _placement(points)
    names: set[str] = set()
    for each in points:
        each.config.platform.placement = placement
        each.trial = platforms.settle(
            each.config,
            replace(each.trial, placement=placement),
            point.open_platform(each.config),
        )
        each.name = run_name(each)
        if each.folder in names:
            each.name = f"{each.name}-{len(names)}"
        names.add(each.folder)


def _placement(points: list[Point]) -> str:
    """The one placement of a sweep: a GPU that processes share by turns is another baseline than
    one whose streams belong to a single process."""
    asked = {each.trial.placement for each in points}
    if len(asked) > 1:
        raise UserError(
            "platform.placement",
            ",".join(sorted(asked)),
            "runs in different placements cannot be compared: their baselines differ",
            remedy="run a sweep for each placement",
        )
    if asked != {"auto"}:
        return asked.pop()
    first = points[0]
    return platforms.choose_placement(
        [each.trial for each in points], point.open_platform(first.config)
    )


def run_name(each: Point) -> str:
    """Short, as MLflow's tables cut names at 15 characters: ``block-t4``, ``native``."""
    trial, values = each.trial, each.values
    levels = "+".join(sorted({task.level.name for task in trial.tasks}))
    parts = [{"xsched": levels, "xsched_null": "null"}.get(trial.arm, trial.arm)]
    if trial.arm == "xsched" and "arm" in values:
        parts = ["xsched", *([levels] if "xsched.level" in values else [])]
    for key, value in values.items():
        if key in ("arm", "xsched.level"):
            continue
        label = "" if key in BARE else SHORT.get(key, f"{key.rpartition('.')[2]}=")
        parts.append(f"{label}{value}")
    return "".join(c if c.isalnum() or c in "-_=.+" else "_" for c in "-".join(parts))


def create_folder(first: Point) -> Path:
    """The sweep's folder, its name the task set's and the time's; made now, so that a place that
    cannot be written is found before anything runs."""
    root = Path(first.config.output_root)
    stamp = f"{datetime.now():%Y%m%d-%H%M%S}"
    folder = root / f"{first.trial.task_set}-{stamp}"
    try:
        attempt = 1
        while True:
            try:
                folder.mkdir(parents=True)
                return folder.absolute()
            except FileExistsError:
                if not folder.is_dir():
                    raise
                attempt += 1
                folder = root / f"{first.trial.task_set}-{stamp}-{attempt}"
    except OSError as error:
        raise UserError(
            "output_root",
            root,
            f"cannot be written: {error.strerror}",
            remedy="choose another folder",
        ) from error


def _job_overrides(each: Point, folder: Path) -> list[str]:
    """The point's own overrides and what was decided for the sweep."""
    return [
        *each.overrides,
        f"platform.name={each.trial.platform}",
        f"platform.placement={each.trial.placement}",
        f"hydra.sweep.dir={_quoted(str(folder))}",
        f"hydra.sweep.subdir={_quoted(each.folder)}",
        f"hydra.job.name={_quoted(each.name)}",
    ]


def _quoted(text: str) -> str:
    """A string for Hydra's override grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def set_sweep_folder(config: DictConfig, folder: Path) -> None:
    """Tell the launcher where the sweep writes."""
    with open_dict(config):
        config.hydra.sweep.dir = str(folder)


def _collect(points: list[Point], folder: Path) -> list[dict[str, Any]]:
    """What every started point left in its folder; a point that left nothing has failed."""
    finished = []
    for each in points:
        run_folder = folder / each.folder
        if not run_folder.exists():
            continue  # after Ctrl-C: never started
        summary = outputs.read_summary(run_folder) or {
            "name": each.name,
            "status": FAILED,
            "reason": "the run ended without a summary",
            "as_expected": False,
            "priorities": {},
            "folder": str(run_folder),
        }
        finished.append({"values": each.values, "overrides": each.overrides, "summary": summary})
    return finished


def _report(points: list[Point], finished: list[dict[str, Any]], folder: Path) -> None:
    """sweep.json, the comparison figure, the table over the swept values, failures, the link."""
    swept = list(points[0].values)
    outputs.write_json(
        folder / "sweep.json",
        {
            "schema": 1,
            "command": shlex.join(["python", "-m", "runner", *sys.argv[1:]]),
            "swept": swept,
            "points": len(points),
            "runs": [
                {
                    "name": run["summary"]["name"],
                    "folder": Path(run["summary"]["folder"]).name,
                    "values": run["values"],
                    "overrides": run["overrides"],
                    "status": run["summary"]["status"],
                    "reason": run["summary"]["reason"],
                    "mlflow_run_id": run["summary"].get("mlflow_run_id"),
                }
                for run in finished
            ],
        },
    )
    if len(points) > 1:
        _compare(swept, finished, folder)
    for run in finished:
        if run["summary"]["status"] == FAILED and not run["summary"]["as_expected"]:
            console.print(f"FAILED {run['summary']['name']}: {run['summary']['reason']}")
    console.print(f"results: {folder}", soft_wrap=True)
    ids = [id for run in finished if (id := run["summary"].get("mlflow_run_id"))]
    store = tracking.open_store(points[0].config)
    if len(ids) > 1 and (link := store.compare_link(ids)):
        console.print(f"compare: {link}", soft_wrap=True)
        if link.startswith(tracking.UI):
            console.print("         (served by: make ui)")


def _compare(swept: list[str], finished: list[dict[str, Any]], folder: Path) -> None:
    show_sweep(swept, finished)
    rows = [
        (", ".join(run["values"][key] for key in swept), run["summary"])
        for run in finished
        if run["summary"]["status"] == FINISHED
    ]
    if rows:
        from runner.figures import sweep_p99

        sweep_p99(folder / "comparison.png", folder.name, ", ".join(swept), rows)
