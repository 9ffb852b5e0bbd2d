"""What can go wrong with MLflow: kills at every call, stores that are away, locked, half made or
damaged, names and places that it does not like. Nothing may be lost, doubled or left RUNNING."""

import os
import signal
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy.engine import make_url

from runner.commands import log as log_command
from runner.config.errors import UserError
from runner.config.names import MOST_CHARACTERS, check_names
from runner.config.schema import ArrivalConfig, Config, TaskConfig
from runner.runs import files, store
from runner.runs import tracking as tracked
from runner.runs.load import load
from runner.runs.run import read_run
from runner.runs.tracking import Tracking, log_missing
from tests.conftest import Run
from tests.faults import started
from tests.runner.run_folders import MadeTask, write_run
from tests.runner.stores import by_id, sweep_of

CALLS = (
    "get_experiment_by_name",
    "create_experiment",
    "search_runs",
    "create_run",
    "log_batch",
    "log_artifact",
    "log_artifacts",
    "set_tag",
    "set_terminated",
    "delete_run",
)


class Killed(BaseException):
    """A process that is killed: of what it still tries, nothing happens."""


class Faulty:
    """MLflow's client with a fault at the call of a number: there, or once it has had its effect,
    the process is killed; or the call fails, and those after it do not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arm(sys.maxsize)
        for name in CALLS:
            monkeypatch.setattr(MlflowClient, name, self._wrap(getattr(MlflowClient, name)))

    def arm(self, at: int, after: bool = False, fail: Callable[[], object] | None = None) -> None:
        self._calls, self._at, self._after, self._fail = 0, at, after, fail

    def disarm(self) -> None:
        self.arm(sys.maxsize)

    def _wrap(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*given: Any, **named: Any) -> Any:
            self._calls += 1
            if self._calls == self._at and self._fail:
                self._fail()
                raise MlflowException("a call that failed")
            if self._calls >= self._at and not self._fail:
                if self._calls == self._at and self._after:
                    call(*given, **named)
                raise Killed
            return call(*given, **named)

        return wrapped


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Faulty:
    return Faulty(monkeypatch)


def states(uri: str) -> list[tuple[str, str]]:
    """Names and states of all runs, deleted ones without a name."""
    active = by_id(uri)
    return sorted(
        (str(run.info.run_name) if run_id in active else "deleted", run.info.status)
        for run_id, run in by_id(uri, ViewType.ALL).items()
    )


# --- kills ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_leaves_one_run(
    uri: str, faulty: Faulty, tmp_path: Path, after: bool
) -> None:
    """Logging a run is killed at every call in turn, and repeated."""
    killed = True
    for at in count(1):
        (run,) = sweep_of(tmp_path / str(at), 1)
        faulty.arm(at, after)
        killed = is_killed(Tracking(uri).log, run)
        faulty.disarm()
        assert log_missing(load(tmp_path / str(at)), Tracking(uri)) == []
        found = states(uri)
        assert [each for each in found if each[0] != "deleted"] == [("r0", "FINISHED")] * at
        assert "RUNNING" not in {state for _, state in found}
        logged = files.read_logged(run.folder)
        assert logged
        assert logged.run_id in by_id(uri)
        if not killed:
            break
    assert at > 7


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_leaves_one_parent(
    uri: str, faulty: Faulty, tmp_path: Path, after: bool
) -> None:
    """Every other time it is made anew, else it is told anew."""
    sweep = sweep_of(tmp_path / "sweep", 3)
    assert [Tracking(uri).log(run) for run in sweep] == [""] * 3
    for at in count(1):
        (tmp_path / "sweep" / files.LOGGED).unlink(missing_ok=True)
        faulty.arm(at, after)
        killed = is_killed(Tracking(uri).log_sweep, sweep)
        faulty.disarm()
        assert log_missing(sweep, Tracking(uri)) == []
        found = states(uri)
        names = [name for name, state in found if name != "deleted" and state == "FINISHED"]
        assert names == ["r0", "r1", "r2", "sweep"]
        assert "RUNNING" not in {state for _, state in found}
        parent = files.read_logged(tmp_path / "sweep")
        assert parent
        tagged = {run.data.tags.get("mlflow.parentRunId") for run in by_id(uri).values()}
        assert tagged == {None, parent.run_id}
        if not killed:
            break
        if at % 2:
            MlflowClient(uri).delete_run(parent.run_id)
    assert at > 6


def is_killed(log: Callable[[Any], str], what: Any) -> bool:
    try:
        assert log(what) == ""
    except Killed:
        return True
    return False


def test_a_call_that_fails_leaves_nothing_unfinished(
    uri: str, faulty: Faulty, tmp_path: Path
) -> None:
    for at in count(1):
        run = read_run(write_run(tmp_path / f"r{at}", "solo", {"a": MadeTask([1.0])}))
        faulty.arm(at, fail=lambda: None)
        store = Tracking(uri)
        problem = store.log(run)
        faulty.disarm()
        if not problem:
            break
        assert (problem, store.trouble) == ("a call that failed", "")
        assert files.read_logged(run.folder) is None
        assert "RUNNING" not in {state for _, state in states(uri)}
        assert store.log(run) == ""
        assert (f"r{at}", "FINISHED") in states(uri)
    assert at > 5


def test_a_parent_that_cannot_be_told_anew_stays_and_is_told_later(
    uri: str, faulty: Faulty, tmp_path: Path
) -> None:
    sweep, tracking = sweep_of(tmp_path / "sweep", 3), Tracking(uri)
    assert log_missing(sweep, tracking) == []
    before = states(uri)
    parent = files.read_logged(tmp_path / "sweep")
    (tmp_path / "sweep" / files.CONCLUDED).write_text("{}")
    faulty.arm(3, fail=lambda: None)
    assert log_missing(sweep, tracking) == ["a call that failed"]
    assert states(uri) == before
    assert log_missing(sweep, tracking) == []
    assert files.read_logged(tmp_path / "sweep") == parent
    assert parent
    artifacts = {each.path for each in MlflowClient(uri).list_artifacts(parent.run_id)}
    assert files.CONCLUDED in artifacts


def test_a_damaged_folder_costs_itself_alone(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    (sweep[1].folder / files.REQUESTS).write_text("damaged")
    (problem,) = log_missing(sweep, Tracking(uri))
    assert problem.startswith("r1: ")
    assert "requests.parquet cannot be read" in problem
    whole = [("r0", "FINISHED"), ("r2", "FINISHED"), ("sweep", "FINISHED")]
    assert states(uri) == whole


def test_what_an_earlier_attempt_left_running_ends(
    uri: str, faulty: Faulty, tmp_path: Path
) -> None:
    """A run that failed, was killed while it was logged, and then ran again in the same folder."""
    sweep_of(tmp_path / "sweep", 1)
    folder = tmp_path / "sweep" / "r0"
    faulty.arm(5)
    with pytest.raises(Killed):
        Tracking(uri).log(read_run(folder))
    faulty.disarm()
    assert ("r0", "RUNNING") in states(uri)
    (folder / files.SUMMARY).write_bytes((folder / files.SUMMARY).read_bytes() + b"\n")
    assert Tracking(uri).log(read_run(folder)) == ""
    assert states(uri) == [("deleted", "KILLED"), ("r0", "FINISHED")]


def test_an_earlier_result_stays(uri: str, tmp_path: Path) -> None:
    sweep_of(tmp_path / "sweep", 1)
    folder = tmp_path / "sweep" / "r0"
    assert Tracking(uri).log(read_run(folder)) == ""
    (folder / files.LOGGED).unlink()
    (folder / files.SUMMARY).write_bytes((folder / files.SUMMARY).read_bytes() + b"\n")
    assert Tracking(uri).log(read_run(folder)) == ""
    assert states(uri) == [("r0", "FINISHED")] * 2


def test_two_that_log_at_once_log_once(uri: str, tmp_path: Path) -> None:
    sweep = sweep_of(tmp_path / "sweep", 2)
    problems: list[str] = []

    def log() -> None:
        problems.extend(log_missing(sweep, Tracking(uri)))

    threads = [threading.Thread(target=log) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert states(uri) == [("r0", "FINISHED"), ("r1", "FINISHED"), ("sweep", "FINISHED")]


# --- stores that cannot be used ------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that takes connections and never answers: its URI, and who connected."""
    came: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    came.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", came
        server.shutdown(socket.SHUT_RDWR)


def test_a_server_that_is_away_is_found_at_once_and_the_runs_are_logged_later(
    uri: str, tmp_path: Path
) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    start = time.monotonic()
    for away in ("http://127.0.0.1:9", "postgresql://me:secret@127.0.0.1:9/db"):
        store = Tracking(away)
        (problem,) = log_missing(sweep, store)
        assert "Connection refused" in problem
        assert "secret" not in problem
        assert store.prepare() == store.trouble == problem
    assert time.monotonic() - start < 3
    assert log_missing(sweep, Tracking(uri)) == []
    assert len(by_id(uri)) == 4


def test_a_silent_server_costs_one_time_out(
    silent: tuple[str, list[socket.socket]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "ANSWER_S", 0.2)
    place, came = silent
    sweep, tracking = sweep_of(tmp_path / "sweep", 3), Tracking(place)
    assert "does not answer" in tracking.reach()
    for run in sweep:
        assert tracking.log(run) == tracking.trouble
    assert len(came) == 1
    assert len(log_missing(sweep, tracking)) == 1
    assert len(came) == 1
    monkeypatch.setattr(tracked, "AGAIN_S", 0.0)
    assert len(log_missing(sweep, tracking)) == 1
    assert len(came) == 2, "after a longer sweep it may have come back"


def test_what_answers_is_no_store(tmp_path: Path) -> None:
    """It speaks no HTTP, or breaks off."""
    for answer in (b"220 mail.example ESMTP\r\n", b""):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve(server: socket.socket = server, answer: bytes = answer) -> None:
                connection = server.accept()[0]
                connection.recv(1000)
                connection.sendall(answer)
                connection.close()

            threading.Thread(target=serve, daemon=True).start()
            problem = Tracking(f"http://127.0.0.1:{server.getsockname()[1]}").reach()
            assert "does not answer" in problem


def test_a_locked_database_costs_the_log_and_not_the_run(
    uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(store, "ANSWER_S", 0.1)
    sweep = sweep_of(tmp_path / "sweep", 1)
    tracking = Tracking(uri)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as other:
        other.execute("BEGIN IMMEDIATE")
        (problem,) = log_missing(sweep, tracking)
        assert "database is locked" in problem
        assert "mv " not in problem
    assert log_missing(sweep, tracking) == []


def test_a_store_that_goes_while_it_is_used(uri: str, faulty: Faulty, tmp_path: Path) -> None:
    """It is told no more, and what it was told there the next logging finds."""
    sweep, tracking = sweep_of(tmp_path / "sweep", 2), Tracking(uri)
    database = tmp_path / "mlflow.db"
    kept: list[bytes] = []

    def lose() -> None:
        kept.append(database.read_bytes())
        database.write_bytes(b"no database")

    faulty.arm(5, fail=lose)
    (problem,) = log_missing(sweep, tracking)
    assert "file is not a database" in problem
    database.write_bytes(kept[0])
    assert states(uri) == [("r0", "RUNNING")]
    assert log_missing(sweep, tracking) == []
    logged = [(name, "FINISHED") for name in ("r0", "r1", "sweep")]
    assert states(uri) == [("deleted", "KILLED"), *logged]


@pytest.mark.parametrize("whole", ["text", "sqlite", "half"])
def test_a_damaged_database_is_said_at_the_start_with_a_remedy(tmp_path: Path, whole: str) -> None:
    file = tmp_path / "mlflow.db"
    if whole == "text":
        file.write_text("this is no database")
    else:
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE webhooks (id int)")
            if whole == "half":
                database.execute("CREATE TABLE alembic_version (version_num text)")
            database.commit()
    problem = Tracking(store.sqlite_uri(file)).reach()
    assert "\n" not in problem
    assert f"mv '{file}' '{file}.old'" in problem
    file.rename(f"{file}.old")
    assert Tracking(store.sqlite_uri(file)).reach() == ""


def test_a_database_that_a_kill_left_between_two_migrations(uri: str, tmp_path: Path) -> None:
    """As runners left it that made it in place: it has a version, and a later one's tables."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.execute("DROP TABLE secrets")
        database.commit()
    problem = Tracking(uri).prepare()
    assert "already exists" in problem
    assert "\n" not in problem
    assert "mv " in problem


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "mlflow.db", Path("/proc/mlflow.db")):
        problem = Tracking(store.sqlite_uri(place)).reach()
        assert "cannot be used" in problem, place


@pytest.mark.parametrize(
    "kind", ["foo", "ftp://x", "./mlruns", "file:///tmp/mlruns", "sqlit:///a", "uc:x"]
)
def test_an_unknown_kind_of_store_is_refused_before_anything_runs(
    run_here: Run, tmp_path: Path, kind: str
) -> None:
    done = run_here("task_set=smoke", f"tracking.uri='{kind}'")
    assert done.returncode == 2
    assert f"tracking.uri={kind}: MLflow knows no tracking store of that kind" in done.stderr
    assert not (tmp_path / "out").exists()


def test_kinds_that_mlflow_knows_are_taken() -> None:
    for kind in ("http://a:1", "https://a", "databricks", "databricks://profile", "sqlite:///a.db"):
        store.check(kind)
    for kind in ("postgresql+psycopg://u:p@h/d", "mysql+pymysql://h/d", "mssql+pyodbc://h/d"):
        store.check(kind)


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("sqlite:x.db", "SQLite takes sqlite:/// and a file"),
        ("sqlite://x.db", "SQLite takes sqlite:/// and a file"),
        ("http://", "names no host"),
        ("http:/a:5000", "names no host"),
        ("http://user:secret@:5000", r"tracking\.uri=http://:5000: it names no host"),
        ("http://a:b", "no address"),
        ("localhost:5000", "no tracking store of that kind"),
        ("mlruns", "no tracking store of that kind"),
    ],
)
def test_what_is_no_address_of_a_store_is_refused(
    uri: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(UserError, match=says):
        store.check(uri)


# --- the database --------------------------------------------------------------------------------


def connecting(uri: str, log: Path) -> started.Started:
    """In a process of its own."""
    return started.start([], log, command=lambda: store.connect(uri))


def test_a_kill_while_the_database_is_made_leaves_no_half_of_it(tmp_path: Path) -> None:
    file, partial = tmp_path / "mlflow.db", tmp_path / "mlflow.db.partial"
    uri = store.sqlite_uri(file)
    process = connecting(uri, tmp_path / "log")
    deadline = time.monotonic() + 60
    while not (partial.exists() and partial.stat().st_size > 50_000):
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait().code == -signal.SIGKILL
    (tmp_path / "log").unlink()
    assert not file.exists()
    tracking = Tracking(uri)
    assert tracking.prepare() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mlflow.db"]
    assert tracking.log(read_run(write_run(tmp_path / "r", "solo", {"a": MadeTask([1.0])}))) == ""


def test_two_processes_may_make_the_database_at_once(tmp_path: Path) -> None:
    uri = store.sqlite_uri(tmp_path / "mlflow.db")
    processes = [connecting(uri, tmp_path / f"log{number}") for number in range(2)]
    assert [process.wait() for process in processes] == [started.Ended(0, "")] * 2
    assert Tracking(uri).prepare() == ""
    assert "mlflow.db.partial" not in {path.name for path in tmp_path.iterdir()}


def test_a_disk_that_is_full_leaves_no_half_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.tracking import sqlalchemy_store

    file = tmp_path / "mlflow.db"

    def full(*_: object) -> None:
        (tmp_path / "mlflow.db.partial").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    tracking = Tracking(store.sqlite_uri(file))
    with monkeypatch.context() as patch:
        patch.setattr(sqlalchemy_store, "SqlAlchemyStore", full)
        assert "No space left on device" in tracking.prepare()
    assert not file.exists()
    assert not (tmp_path / "mlflow.db.partial").exists()


# --- places and names ----------------------------------------------------------------------------

ODD = ["a%20b", "a?b", "a#b", "a b", "a\\b", "a[b]c", "a[/b]", "äöü", "it's", 'a"b', "%", "a&b=c;d"]


@pytest.mark.parametrize("odd", ODD)
def test_sqlalchemy_reads_the_place_that_is_meant(tmp_path: Path, odd: str) -> None:
    file = tmp_path / odd / "mlflow.db"
    uri = store.sqlite_uri(file)
    assert make_url(uri).database == str(file)
    assert store.sqlite_file(uri) == file
    assert store.uri(None, file.parent) == store.uri(uri, tmp_path) == uri


@pytest.mark.parametrize("odd", ["a%20b?c", "d#e f\\g[h]'i ü"])
def test_database_and_artifacts_lie_in_an_odd_output_root(
    database: Path, tmp_path: Path, odd: str
) -> None:
    root = tmp_path / odd
    sweep = sweep_of(root / "sweep", 2)
    (root / "mlflow.db").write_bytes(database.read_bytes())
    uri = store.uri(None, root)
    assert log_missing(sweep, Tracking(uri)) == []
    assert [path.name for path in tmp_path.iterdir()] == [odd]
    assert sorted(path.name for path in root.iterdir()) == ["artifacts", "mlflow.db", "sweep"]
    for run in sweep:
        logged = files.read_logged(run.folder)
        assert logged
        (back,) = load(logged.run_id, uri=logged.uri)
        assert back.summary == run.summary
        assert (root / "artifacts" / logged.run_id / "artifacts" / files.SUMMARY).is_file()


def test_a_store_is_the_configured_one_else_the_environments_else_sqlite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert store.uri(None, tmp_path) == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    assert store.uri(None, tmp_path) == "http://server"
    assert store.uri("http://mine", tmp_path) == "http://mine"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "odd")
    with pytest.raises(UserError, match="MLFLOW_TRACKING_URI=odd"):
        store.check(store.uri(None, tmp_path))


def refused(name: str) -> bool:
    """Whether a task may not be called that."""
    config = Config()
    config.task_set.tasks = {name: TaskConfig()}
    try:
        check_names(config)
    except UserError:
        return True
    return False


REFUSED = [
    "..",
    ".",
    "/x",
    "x/",
    "a//b",
    "a/../b",
    "it's",
    '"',
    "a,b",
    "a\nb",
    "a\n",
    "🙂",
    "=",
    "",
]


@pytest.mark.parametrize("name", [*REFUSED, "x" * (MOST_CHARACTERS + 1)])
def test_names_that_mlflow_does_not_take(name: str) -> None:
    assert refused(name)


@given(st.text(st.sampled_from("aZ0é_-.: /"), min_size=1, max_size=8))
def test_names_that_are_not_refused_are_taken(name: str) -> None:
    from mlflow.utils.validation import _validate_metric_name

    if not refused(name):
        _validate_metric_name(f"p99_ms/{name}")
        _validate_metric_name(f"task_set.tasks.{name}.priority")


def test_the_longest_names_are_logged(uri: str, tmp_path: Path) -> None:
    names = ["x" * MOST_CHARACTERS, "é a_b-c.d"]
    tasks = {name: MadeTask([1.0], configured=longest()) for name in names}
    assert not any(map(refused, names))
    folder = write_run(tmp_path / "run", "solo", tasks)
    assert Tracking(uri).log(read_run(folder)) == ""
    (run,) = by_id(uri).values()
    assert {f"cdf/{name}" for name in names} <= run.data.metrics.keys()


def longest() -> dict[str, Any]:
    """What of a task has the longest keys."""
    return {"arrival": dict.fromkeys(vars(ArrivalConfig()), 1), "model": vars(Config().model)}


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """``python -m runner.log``; returns its exit code."""

    def run_command(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["runner.log", *map(str, arguments)])
        try:
            log_command.main()
        except SystemExit as end:
            return int(end.code or 0)
        return 0

    return run_command


def test_runner_log_logs_what_is_missing(
    command: Callable[..., int], uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = sweep_of(tmp_path / "sweep", 3)
    for _ in range(2):
        assert command(tmp_path / "sweep") == 0
        said = capsys.readouterr()
        first, second = said.out.splitlines()
        assert first == "3 of 3 runs have ended, and MLflow has them"
        assert second.startswith("in MLflow: http://127.0.0.1:5000/#/experiments/")
        assert said.err == ""
        assert len(by_id(uri)) == 4
    assert {run.folder.name for run in sweep} == {"r0", "r1", "r2"}


def test_runner_log_says_what_cannot_be_logged(
    command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep_of(tmp_path / "sweep", 3)
    assert command(tmp_path / "sweep", "--uri", "http://127.0.0.1:9") == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("not logged: http://127.0.0.1:9 does not answer")
    assert command(tmp_path / "sweep", "--uri", "foo") == 2
    assert command(tmp_path / "nowhere") == 2
    assert command(tmp_path) == 2
    assert "Traceback" not in capsys.readouterr().err
