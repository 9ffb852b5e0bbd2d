"""Where results go: the output folder, and the tracking store. Nothing is created here.

A store that is away costs a run its place in MLflow, not its folder, so it is never an error.
"""

import os
import re
import shutil
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from pathlib import Path

from runner.commands.doctor.host import MIB, in_units
from runner.commands.doctor.lines import Line, error, ok, warning
from runner.commands.doctor.machine import Machine
from runner.runs.store import sqlite_file, uri

STORE = "tracking store"
ANSWER_S = 3.0
ROOM_MIB = 1024
WITHOUT = "or tracking=none: the runs' folders are complete without it"
ELSEWHERE = f"another place as tracking.uri, {WITHOUT}"


def output_folder(machine: Machine) -> list[Line]:
    """Without it there is no run."""
    name, folder = "output folder", machine.output_root.absolute()
    if trouble := _cannot_write_below(folder):
        return [error(name, trouble, "start in a folder of your own, or set output_root")]
    free = shutil.disk_usage(_existing(folder)).free // MIB
    found = f"{folder}, {in_units(free)} free"
    if free < ROOM_MIB:
        return [warning(name, found, "make room, or set output_root", free_mib=free)]
    return [ok(name, found, free_mib=free)]


def tracking(machine: Machine) -> list[Line]:
    """Whether runs can be logged."""
    where = uri(machine.uri, machine.output_root)
    shown = re.sub(r"//[^/@]*@", "//…@", where)
    if where.startswith(("http://", "https://")):
        return [_server(re.sub(r"//[^/@]*@", "//", where).rstrip("/"), shown)]
    if file := sqlite_file(where):
        return [_sqlite(file, shown)]
    if where.startswith("file:") or "://" not in where:
        folder = Path(where.removeprefix("file://").removeprefix("file:")).absolute()
        if trouble := _cannot_write_below(folder):
            return [warning(STORE, f"{shown}: {trouble}", ELSEWHERE)]
        return [ok(STORE, f"{shown} can be written")]
    remedy = "a run shows it: python -m runner task_set=smoke platform=host"
    return [warning(STORE, f"{shown} cannot be looked at from here", remedy)]


def _server(base: str, shown: str) -> Line:
    """MLflow says OK at /health and its version at /version."""
    for path, expected in (("/health", r"OK\b"), ("/version", r"\d+\.\d+")):
        try:
            with urllib.request.urlopen(base + path, timeout=ANSWER_S) as answer:
                said = answer.read(100).decode(errors="replace").strip()
        except urllib.error.HTTPError as failure:
            if failure.code in (401, 403):
                remedy = "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
                return warning(STORE, f"{shown} asks for a login", remedy)
            continue
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            remedy = f"start the server, {WITHOUT}"
            return warning(STORE, f"{shown} does not answer: {reason}", remedy)
        if re.match(expected, said):
            return ok(STORE, f"{shown} answers; whether it lets us write is seen at the first run")
    return warning(STORE, f"something answers at {shown}, but not as MLflow", f"its URL, {WITHOUT}")


def _sqlite(path: Path, shown: str) -> Line:
    path = path.absolute()
    if trouble := _cannot_write_below(path.parent):
        return warning(STORE, f"{shown}: {trouble}", ELSEWHERE)
    if not path.exists():
        return ok(STORE, f"{shown}, made by the first run")
    if not os.access(path, os.W_OK):
        return warning(STORE, f"{shown} cannot be written", f"make it writable, {WITHOUT}")
    try:
        # Immutable: the reader makes neither a lock nor the files of write-ahead logging.
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            database.execute("PRAGMA schema_version")
    except sqlite3.Error as failure:
        return warning(STORE, f"{shown} cannot be opened: {failure}", f"move it away, {WITHOUT}")
    return ok(STORE, f"{shown} is there and can be written")


def _cannot_write_below(folder: Path) -> str:
    """Why `folder`, or what would have to be created for it, cannot be; "" if it can."""
    nearest = _existing(folder)
    if not nearest.is_dir():
        return f"{nearest} is no folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{nearest} cannot be written"
    return ""


def _existing(path: Path) -> Path:
    # Where a folder above may not be entered, `exists` raises.
    return next(each for each in (path, *path.parents) if os.access(each, os.F_OK))
