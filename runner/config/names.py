"""Names that somebody gives: of task sets and experiments, which become folders; of tasks, which
become keys, metrics of MLflow and scopes of figures; of places."""

import re
from pathlib import Path

from runner.config.errors import UserError
from runner.config.schema import Config

#: Scopes of figures that are no task: all that ran side by side, the highest and lowest priority.
#: TOTAL is what `SYSTEM` was called in expectations at first.
SYSTEM, HIGHEST, LOWEST, TOTAL = "system", "highest", "lowest", "total"
MOST_CHARACTERS = 100

PLAIN = re.compile(r"[\w+=-](?:[\w.+= -]*[\w.+=-])?")
TASK = re.compile(r"\w(?:[\w. -]*[\w.-])?")
ADDRESS = re.compile(r"[^\s:/]+:\d{1,5}")
SCOPE = re.compile(rf"{SYSTEM}|{HIGHEST}|{LOWEST}|{TOTAL}|priority_-?\d+")


def check_names(config: Config) -> None:
    """Raises `UserError` for a name that leads elsewhere, or that what comes later cannot carry."""
    places = {"output_root": config.output_root, "tracking.uri": config.tracking.uri}
    for key, place in places.items():
        if place is not None and not place.strip():
            raise UserError(
                key, repr(place), "it names no place", remedy="name one, or leave it out"
            )
    folder = str(Path(config.output_root).absolute())
    if not folder.isprintable():
        remedy = "choose a folder whose path a line of text can hold"
        raise UserError("output_root", ascii(folder)[1:-1], "not a plain path", remedy=remedy)
    server = config.platform.server
    if server is not None and not ADDRESS.fullmatch(server):
        raise UserError("platform.server", server, "it is no address", "host:port")
    _check("task_set.name", config.task_set.name, PLAIN, "- _ . + =")
    if config.tracking.experiment is not None:
        _check("tracking.experiment", config.tracking.experiment, PLAIN, "- _ . + =")
    for name in config.task_set.tasks:
        _check("task_set.tasks", name, TASK, "- _ .")
        if SCOPE.fullmatch(name):
            problem = f"p99_ms/{name} would be the figure of several tasks"
            remedy = "give the task another name"
            raise UserError("task_set.tasks", name, problem, remedy=remedy)


def _check(key: str, name: str, plain: re.Pattern[str], marks: str) -> None:
    if not plain.fullmatch(name) or len(name) > MOST_CHARACTERS:
        shown = name if name.isprintable() else ascii(name)
        allowed = f"up to {MOST_CHARACTERS} letters, digits, blanks and {marks}; no dot first"
        remedy = "give it another name"
        raise UserError(key, shown[: 2 * MOST_CHARACTERS], "not a plain name", allowed, remedy)
