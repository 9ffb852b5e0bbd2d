import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from runner.commands.doctor import store
from runner.commands.doctor.lines import Line, State
from runner.commands.doctor.machine import Machine

Serve = Callable[[dict[str, tuple[int, str]]], str]
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def tracking(machine: Machine, uri: str | None) -> Line:
    [line] = store.tracking(replace(machine, uri=uri))
    return line


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server that answers a path with a status and a text; returns its URL."""
    servers: list[HTTPServer] = []

    def start(answers: dict[str, tuple[int, str]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, text = answers.get(self.path, (404, "no such page"))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None: ...

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


# --- SQLite ---


def test_the_default_store_is_made_by_the_first_run_and_not_here(
    bare: Machine, tmp_path: Path
) -> None:
    before = everything(tmp_path)
    line = tracking(bare, None)
    assert line.state is State.ok
    assert str(tmp_path / "outputs" / "mlflow.db") in line.found
    assert "made by the first run" in line.found
    assert everything(tmp_path) == before


def test_the_environment_names_the_store(
    bare: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    assert "elsewhere.db" in tracking(bare, None).found


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_database_is_opened_and_left_as_it_was(
    bare: Machine, tmp_path: Path, journal: str
) -> None:
    path = tmp_path / "a b.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA journal_mode={journal}")
        database.execute("CREATE TABLE experiments (name TEXT)")
    before, content = everything(tmp_path), path.read_bytes()
    line = tracking(bare, f"sqlite:///{path}")
    assert (line.state, "can be written" in line.found) == (State.ok, True)
    assert (everything(tmp_path), path.read_bytes()) == (before, content)


def test_a_file_that_is_no_database_is_a_warning(bare: Machine, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.write_text("not a database, but long enough to be looked at as one" * 10)
    line = tracking(bare, f"sqlite:///{path}")
    assert (line.state, "not a database" in line.found) == (State.warning, True)


def test_a_place_that_cannot_be_written_is_a_warning(bare: Machine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    line = tracking(bare, f"sqlite:///{tmp_path}/file/below/mlflow.db")
    assert (line.state, f"{tmp_path}/file is no folder" in line.found) == (State.warning, True)
    assert "tracking=none" in line.remedy


@not_as_root
def test_a_database_that_cannot_be_written_is_a_warning(bare: Machine, tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch(mode=0o444)
    assert tracking(bare, f"sqlite:///{path}").state is State.warning


def test_rights_count(bare: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root no file of ours is out of reach, so the system's answer is changed."""
    path = tmp_path / "mlflow.db"
    path.touch()
    may = os.access
    refused = {path}
    monkeypatch.setattr(
        os, "access", lambda p, mode: may(p, mode) and not (mode & os.W_OK and Path(p) in refused)
    )
    assert tracking(bare, f"sqlite:///{path}").found.endswith("cannot be written")
    refused = {tmp_path}
    assert tracking(bare, f"sqlite:///{path}").found.endswith("cannot be written")
    assert store.output_folder(bare)[0].state is State.error


# --- servers ---


def test_a_server_that_answers(bare: Machine, serve: Serve) -> None:
    url = serve({"/health": (200, "OK")})
    assert (tracking(bare, url).state, url in tracking(bare, url).found) == (State.ok, True)


def test_a_server_below_a_path(bare: Machine, serve: Serve) -> None:
    url = serve({"/mlflow/health": (200, "OK")})
    for given in (f"{url}/mlflow", f"{url}/mlflow/"):
        assert tracking(bare, given).state is State.ok
    assert tracking(bare, url).state is State.warning


def test_the_version_does_where_health_is_not_served(bare: Machine, serve: Serve) -> None:
    assert tracking(bare, serve({"/version": (200, "3.10.1")})).state is State.ok


def test_another_server_is_not_taken_for_mlflow(bare: Machine, serve: Serve) -> None:
    page = (200, "<html>a page for every path</html>")
    line = tracking(bare, serve({"/health": page, "/version": page}))
    assert (line.state, "not as MLflow" in line.found) == (State.warning, True)
    assert tracking(bare, serve({})).state is State.warning


def test_a_server_that_wants_a_login(bare: Machine, serve: Serve) -> None:
    line = tracking(bare, serve({"/health": (401, "")}))
    assert (line.state, "MLFLOW_TRACKING_USERNAME" in line.remedy) == (State.warning, True)


def test_a_server_that_is_away(bare: Machine) -> None:
    line = tracking(bare, "http://127.0.0.1:9")
    assert (line.state, "Connection refused" in line.found) == (State.warning, True)


def test_a_password_is_used_nowhere_and_shown_nowhere(bare: Machine, serve: Serve) -> None:
    url = serve({"/health": (200, "OK")}).replace("//", "//me:secret@")
    for line in (tracking(bare, url), tracking(bare, "postgresql://me:secret@db/mlflow")):
        assert "secret" not in repr(line)
    assert tracking(bare, url).state is State.ok


def test_what_cannot_be_looked_at_is_not_called_ok(bare: Machine) -> None:
    assert tracking(bare, "databricks://profile").state is State.warning


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}"])
def test_a_folder(bare: Machine, tmp_path: Path, form: str) -> None:
    assert tracking(bare, form.format(tmp_path / "mlruns")).state is State.ok
    (tmp_path / "file").write_text("")
    assert tracking(bare, form.format(tmp_path / "file")).state is State.warning


# --- the output folder ---


def test_the_output_folder_is_not_made_here(bare: Machine, tmp_path: Path) -> None:
    assert store.output_folder(bare)[0].state is State.ok
    assert not bare.output_root.exists()


def test_a_file_in_place_of_the_output_folder_is_an_error(bare: Machine) -> None:
    bare.output_root.write_text("")
    [line] = store.output_folder(bare)
    assert (line.state, line.found) == (State.error, f"{bare.output_root} is no folder")
