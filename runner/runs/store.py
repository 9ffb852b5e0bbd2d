"""An MLflow store: where it is, whether it can be used, and a client of it. Needs no more than
mlflow-skinny, sqlalchemy and alembic; imported late, because importing it takes a second."""

import fcntl
import logging
import os
import re
import socket
import sqlite3
import ssl
import tempfile
import urllib.error
import urllib.request
import warnings
from contextlib import closing
from http.client import HTTPException
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from runner.config.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from runner.config.schema import Config

VARIABLE = "MLFLOW_TRACKING_URI"
DATABASE = "mlflow.db"
ANSWER_S = 3.0
SERVERS = ("http", "https")
#: Databases that MLflow knows, and where they listen unless a URI says so.
PORTS = {"sqlite": None, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
HOSTED = "databricks"
ALLOWED = "sqlite:///FILE, http://HOST:PORT, postgresql://…, mysql://…, mssql://…, databricks"
#: A database's file: a URI without options of SQLite's own.
SQLITE = re.compile(r"sqlite(?:\+pysqlite)?:///([^?]+)")
#: What databases say that were left half made by a kill, or that the disk has lost parts of.
DAMAGED = re.compile("already exists|no such|malformed|not a database")


def uri(configured: str | None, output_root: Path) -> str:
    """The store: as configured, else MLFLOW_TRACKING_URI, else SQLite below the output folder. The
    variable may also have the password of what is configured, which no record has."""
    said = os.environ.get(VARIABLE)
    if said and configured in (None, shown(said)):
        configured = said
    if not (chosen := configured):
        return sqlite_uri((output_root / DATABASE).absolute())
    file = sqlite_file(chosen)
    return sqlite_uri(file) if file else chosen


def configured(config: "Config") -> str | None:
    """Where a configuration logs to; None for folders alone. Raises `UserError` for a kind of store
    that MLflow does not know."""
    if config.tracking.backend == "none":
        return None
    chosen = uri(config.tracking.uri, Path(config.output_root))
    check(chosen)
    return chosen


def check(uri: str) -> None:
    """Raises `UserError` for what is no store of a kind that MLflow knows, or no address of one."""
    kind = uri.partition(":")[0].partition("+")[0]
    if kind in (*SERVERS, *PORTS):
        problem = _no_address(kind, uri)
    elif kind == HOSTED or (
        (kind == "file" or ":" not in uri) and os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    ):
        problem = ""
    else:
        known = kind in entry_points(group="mlflow.tracking_store").names
        problem = "" if known else "MLflow knows no tracking store of that kind"
    if problem:
        key = VARIABLE if os.environ.get(VARIABLE) == uri else "tracking.uri"
        remedy = "or tracking=none for folders alone"
        raise UserError(key, shown(uri), problem, ALLOWED, remedy)


def _no_address(kind: str, uri: str) -> str:
    """Why nothing can be where the URI says; "" if something may be."""
    if kind == "sqlite":
        return "" if SQLITE.match(uri) else "SQLite takes sqlite:/// and a file"
    try:
        parts = urlsplit(uri)
        named = bool(parts.hostname) or kind not in SERVERS
        return "" if named and (parts.port or 0) >= 0 else "it names no host"
    except ValueError as error:  # of a port that is no number
        return f"it is no address: {error}"


def sqlite_uri(file: Path) -> str:
    """Everything but what SQLAlchemy would read otherwise stands for itself: MLflow creates the
    folder that it reads in ``sqlite:///``, without unquoting it."""
    quoted = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{file}" if quoted == str(file) else f"sqlite+pysqlite:///{quoted}"


def sqlite_file(uri: str) -> Path | None:
    """The database's file; None for other stores."""
    found = SQLITE.fullmatch(uri)
    return Path(unquote(found[1])).absolute() if found and found[1] != ":memory:" else None


def is_server(uri: str) -> bool:
    return urlsplit(uri).scheme in SERVERS


def artifacts(uri: str) -> str | None:
    """Beside the database for SQLite; a server keeps them where it likes."""
    file = sqlite_file(uri)
    return (file.parent / "artifacts").as_uri() if file else None


def local_path(artifact_uri: str) -> Path | None:
    """Where artifacts are if that is a folder of this machine."""
    parts = urlsplit(artifact_uri)
    local = parts.scheme in ("", "file") and parts.netloc in ("", "localhost")
    return Path(unquote(parts.path)) if local else None


def shown(text: str) -> str:
    """A URI, or a text with some, without user and password."""
    return re.sub(r"//[^\s/@]*@", "//", text)


# --- can it be used? -----------------------------------------------------------------------------


def trouble(uri: str) -> str:
    """Why the store cannot be used, as far as that is seen within `ANSWER_S` and without importing
    MLflow; "" if nothing is against it."""
    try:
        found = _trouble(uri)
    except OSError as error:
        found = f"cannot be used: {error.strerror or error}"
    except ValueError as error:
        found = f"is no URI: {error}"
    return f"{shown(uri)} {found}" if found else ""


def _trouble(uri: str) -> str:
    if file := sqlite_file(uri):
        return _trouble_of(file)
    parts = urlsplit(uri)
    if is_server(uri):
        return _trouble_at(f"{shown(uri).rstrip('/')}/health")
    port = parts.port or PORTS.get(parts.scheme.partition("+")[0])
    if parts.hostname and port:
        socket.create_connection((parts.hostname, port), ANSWER_S).close()
    return ""


def _trouble_at(url: str) -> str:
    """Of a server. Whatever it answers, it is there; MLflow knows certificates and logins."""
    try:
        urllib.request.urlopen(url, timeout=ANSWER_S).close()
    except urllib.error.HTTPError:
        return ""
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        return "" if isinstance(reason, ssl.SSLError) else f"does not answer: {reason}"
    return ""


def _trouble_of(file: Path) -> str:
    """Of a database's file. A lock for writing is taken and given back."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=file.parent):
        pass  # SQLite writes there, too
    if not _is_made(file):
        return ""
    try:
        with closing(sqlite3.connect(file, timeout=ANSWER_S)) as database:
            database.execute("BEGIN IMMEDIATE")
            tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            # A migration writes its version last.
            made = "SELECT * FROM alembic_version"
            if tables and not ("alembic_version" in tables and database.execute(made).fetchone()):
                return f"is half made: {_remedy(file)}"
    except sqlite3.Error as error:
        return f"cannot be used: {_said(error, file)}"
    return ""


def _is_made(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def explained(uri: str, error: Exception) -> str:
    """Why MLflow could not open the store, in a line."""
    return f"{shown(uri)} cannot be used: {_said(error, sqlite_file(uri))}"


def _said(error: Exception, file: Path | None) -> str:
    said = first_line(error)
    return f"{said}; {_remedy(file)}" if file and DAMAGED.search(said) else said


def _remedy(file: Path) -> str:
    return f"move it away, and a new one is made (mv '{file}' '{file}.old')"


def first_line(error: Exception) -> str:
    """Of messages with statements and their parameters."""
    return shown(str(error).partition("\n")[0]) or type(error).__name__


# --- a client ------------------------------------------------------------------------------------


def connect(uri: str) -> "MlflowClient":
    """Import MLflow, make the database if there is none, and see that the store answers. Raises
    whatever MLflow, its database and its HTTP client raise."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    # A server that is away: say so within seconds, not after minutes of retries.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    warnings.filterwarnings("ignore", module="mlflow|alembic")
    from mlflow import MlflowClient

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    if file := sqlite_file(uri):
        from sqlalchemy.engine import make_url

        # SQLAlchemy unquotes paths since 2.1.
        if Path(make_url(uri).database or "").absolute() != file:
            raise ValueError(f"it takes SQLAlchemy 2.1 to open a database at {file}")
        if not _is_made(file):
            _make(file)
    client = MlflowClient(tracking_uri=uri)
    client.search_experiments(max_results=1)
    return client


def _make(file: Path) -> None:
    """A database that is whole or not there: made under another name, by one process at a time."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    partial = file.with_name(f"{file.name}.partial")
    lock = file.with_name(f"{file.name}.lock")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if _is_made(file):
            return
        _remove(partial)
        try:
            made = SqlAlchemyStore(  # type: ignore[no-untyped-call]  # MLflow's
                sqlite_uri(partial), artifacts(sqlite_uri(file))
            )
            made.engine.dispose()
            partial.replace(file)
        finally:
            _remove(partial)
        lock.unlink(missing_ok=True)


def _remove(partial: Path) -> None:
    """With what SQLite puts beside it, which must not meet another database of its name."""
    for end in ("", "-journal", "-wal", "-shm"):
        partial.with_name(f"{partial.name}{end}").unlink(missing_ok=True)
