"""``python -m runner.replay RUN [key=value …]``: a logged run again, and what is not as it was.

Exit codes are the runner's: 0 it finished, 1 it failed, 2 the input was wrong, 130 interrupted.
"""

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.commands.ending import end_well
from runner.config.errors import UserError
from runner.runs.provenance import facts, word

CONFIG, PROVENANCE, SUMMARY, SWEEP = "config.yaml", "provenance.json", "summary.json", "sweep.json"
RUN_ID = re.compile(r"[0-9a-f]{32}")
#: One run, not the repeats of its sweep nor what they were meant to show; its own number stays.
OVERRIDES = ("sweep.resume=false", "sweep.repeats=1", "expect=[]")
OUTPUT_ROOT = "output_root="
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
    """The command."""
    asked = _arguments()

    def work() -> int:
        with found(asked.run, asked.uri) as original:
            _show_differences(original)
            return 0 if asked.dry else _again(original, asked.overrides)

    end_well(work)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runner.replay",
        description="A logged run again, with a line for each difference in its environment.",
        epilog="exit code: 0 it finished, 1 it failed, 2 the input was wrong",
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="a run's folder, or the id of an MLflow run")
    add("overrides", nargs="*", metavar="KEY=VALUE", help="what is to be otherwise this time")
    add("-m", "--multirun", action="store_true", help="understood, as several values always are")
    add("--uri", help="the tracking store (MLFLOW_TRACKING_URI, else SQLite below outputs/)")
    add("--dry", action="store_true", help="show the differences and run nothing")
    return parser.parse_intermixed_args()


# ---------------------------------------------------------------------- the run that was


@dataclass
class Original:
    """What a run left. folder: holds its config.yaml."""

    folder: Path
    config: dict[str, Any]
    origin: dict[str, Any]
    summary: dict[str, Any]


@contextmanager
def found(run: str, uri: str | None) -> Iterator[Original]:
    """The run in a folder or of an MLflow id. Raises `UserError` for what is none."""
    folder = Path(run)
    if folder.is_dir() or not RUN_ID.fullmatch(run):
        yield _read(folder)
        return
    with tempfile.TemporaryDirectory(prefix="xsched-runner-") as downloaded:
        _download(run, uri, Path(downloaded))
        yield _read(Path(downloaded))


def _read(folder: Path) -> Original:
    if not (folder / CONFIG).is_file():
        raise UserError(
            "",
            "",
            f"{folder} {_why_no_run(folder)}",
            "a run's folder, the id of an MLflow run",
            remedy="a zip is unpacked first; then a run is a folder in it",
        )
    return Original(
        folder.absolute(),
        _yaml(folder / CONFIG),
        _json(folder / PROVENANCE),
        _json(folder / SUMMARY),
    )


def _why_no_run(folder: Path) -> str:
    if not folder.is_dir():
        return "is no folder" if folder.exists() else "is not there"
    runs = sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}"))
    return f"holds several runs: {', '.join(runs)}" if runs else f"is no run: it has no {CONFIG}"


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError("", "", f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError("", "", f"{path} is no configuration")
    return content


def _json(path: Path) -> dict[str, Any]:
    """{} for what is not there: the run ended before it was written."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError("", "", f"{path} cannot be read: {error}") from error
    return content if isinstance(content, dict) else {}


def _download(run_id: str, uri: str | None, folder: Path) -> None:
    """The artifacts that a replay needs."""
    client, where = _client(uri)
    for name in (CONFIG, PROVENANCE, SUMMARY):
        try:
            client.download_artifacts(run_id, name, str(folder))
        except Exception as error:  # any of MLflow's, its database's and its HTTP client's
            if name == CONFIG:
                said = str(error).partition("\n")[0]
                raise UserError(
                    "", "", f"MLflow run {run_id} cannot be read: {said}", remedy=where
                ) from error


def _client(uri: str | None) -> tuple[Any, str]:
    """The tracking store, and where it is in words."""
    from runner.runs import tracking

    place = tracking.uri(uri, Path("outputs"))
    file = place.removeprefix("sqlite:///")
    if file != place and not Path(file).exists():  # MLflow would make an empty one
        raise UserError("", "", f"there is no tracking store at {place}", remedy="give --uri")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=place), f"tracking store: {place}"


# --------------------------------------------------------------- what is not as it was


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """A line for each fact that is not as it was."""
    names = dict.fromkeys([*then, *now])
    return [
        f"{name}: was {then.get(name) or 'none'}, is {now.get(name) or 'none'}"
        for name in names
        if then.get(name, "") != now.get(name, "")
    ]


def _show_differences(original: Original) -> None:
    from runner.results.console import console

    if not original.origin:
        console.print(f"nothing is known of the run's environment: it has no {PROVENANCE}")
        return
    lines = differences(facts(original.origin), facts(_present(original.config)))
    if not lines:
        console.print("environment: as it was then")
        return
    console.print(f"environment: {len(lines)} difference{'s' * (len(lines) > 1)}")
    for line in lines:
        console.print(f"  {line}", style="yellow", soft_wrap=True, markup=False)


def _present(config: Mapping[str, Any]) -> dict[str, Any]:
    from runner.runs import provenance

    return provenance.present() | {"device": _device(config)}


def _device(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the run's platform would say of itself here; {} where it cannot be had. The runner says
    why, if the run is run."""
    from runner.config.schema import Config
    from runner.platforms import choose as platforms

    wanted = Config()
    for key, value in (config.get("platform") or {}).items():
        setattr(wanted.platform, key, value)
    wanted.xsched.home = (config.get("xsched") or {}).get("home")
    try:
        return platforms.get(wanted).provenance()
    except Exception:  # whatever a configuration may say that is wrong
        return {}


# ----------------------------------------------------------------------------- again


def _again(original: Original, overrides: list[str]) -> int:
    """Run it; returns the runner's exit code."""
    from runner.commands import run as runner

    _check_overrides(overrides)
    place = _output_root(original.config, overrides)
    before = _sweeps(place)
    sys.argv[1:] = [
        *("--config-path", str(original.folder), "--config-name", "config"),
        *OVERRIDES,
        f"{OUTPUT_ROOT}{_quoted(str(place))}",
        *overrides,
    ]
    code = _exit_code(runner.main)
    command = shlex.join(["python", "-m", "runner", *sys.argv[1:]])
    for folder in sorted(_sweeps(place) - before):
        sweep = _json(folder / SWEEP)
        for run in sweep.get("runs", []) if sweep.get("command") == command else []:
            _compare(original.summary, _json(folder / run["folder"] / SUMMARY))
    return code


def _check_overrides(overrides: list[str]) -> None:
    """Raises `UserError` for the choice of a file of conf/: a logged configuration is values."""
    from runner.config.schema import all_keys

    for override in overrides:
        group, _, value = override.partition("=")
        keys = [key for key in all_keys() if key.startswith(f"{group}.")]
        if keys and not value.startswith("{"):
            problem = "a logged configuration has values, and no files to choose from"
            raise UserError(group, value, problem, keys)


def _exit_code(command: Any) -> int:
    try:
        command()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _output_root(config: Mapping[str, Any], overrides: list[str]) -> Path:
    """As asked, else as it was if that place exists here, else the default."""
    asked = [each.removeprefix(OUTPUT_ROOT) for each in overrides if each.startswith(OUTPUT_ROOT)]
    if asked:
        return Path(asked[-1].strip("'\""))
    root = Path(str(config.get("output_root", "outputs")))
    return root if root.is_dir() or not root.is_absolute() else Path("outputs")


def _quoted(text: str) -> str:
    """A string for Hydra's override grammar."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _sweeps(root: Path) -> set[Path]:
    return {path.parent for path in root.glob(f"*/{SWEEP}")}


# ------------------------------------------------------------------------ then and now


def _compare(then: dict[str, Any], now: dict[str, Any]) -> None:
    """p50 and p99 of each priority, and what makes the two runs differ by themselves."""
    from runner.results.console import console, table

    rows = table("priority", *(f"{figure} ms\n{when}" for figure in FIGURES for when in WHEN))
    priorities = {int(each) for run in (then, now) for each in run.get("priorities", {})}
    for priority in sorted(priorities, reverse=True):
        rows.add_row(str(priority), *_cells(then, now, str(priority)))
    console.print(f"\n{now.get('name', 'the run')}: then and now")
    if priorities:
        console.print(rows)
    for line in remarks(then, now):
        console.print(f"  {line}", soft_wrap=True, markup=False)


def _cells(then: dict[str, Any], now: dict[str, Any], priority: str) -> Iterator[str]:
    for figure in FIGURES:
        values = [
            run.get("priorities", {}).get(priority, {}).get("latency_ms", {}).get(figure)
            for run in (then, now)
        ]
        yield from ("–" if value is None else f"{value:.1f}" for value in values)
        old, new = values
        yield f"{new / old:.2f}" if old and new is not None else "–"


def remarks(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a reader of the two columns must know: what differs of the runs, and solo times."""
    lines = [
        f"{label}: was {word(then.get(key)) or 'none'}, is {word(now.get(key)) or 'none'}"
        for key, label in REMARKED.items()
        if then.get(key) != now.get(key)
    ]
    return lines + [
        f"{name} alone took {old:.2f} ms, takes {new:.2f} ms: arrivals by load are spaced by it"
        for name, old, new in _solo_times(then, now)
        if abs(new / old - 1) > SOLO_TOLERANCE
    ]


def _solo_times(
    then: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, float, float]]:
    """Of tasks that arrive by load or rate, in both runs."""
    for name, task in now.get("tasks", {}).items():
        old = then.get("tasks", {}).get(name, {}).get("solo_ms")
        if task.get("offered_rps") is not None and old and task.get("solo_ms"):
            yield name, old, task["solo_ms"]


if __name__ == "__main__":
    main()
