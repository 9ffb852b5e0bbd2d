"""What names must be, so that everything that is made of them takes them."""

import posixpath
import re

#: What MLflow takes in the names of params and metrics.
TAKEN = re.compile(r"[\w.\- :/]+")
#: MLflow's 250, less what stands around a task's name: ``task_set.tasks.<name>.arrival.rate_rps``.
LONGEST = 200


def refused(name: str) -> str:
    """Why MLflow does not take a task's name in the names of params and metrics
    (``p99_ms/<name>``); "" if it does."""
    if not TAKEN.fullmatch(name):
        return "MLflow's names have letters, digits, blanks and _ - . : / alone"
    if posixpath.normpath(f"metric/{name}") != f"metric/{name}":
        return "MLflow's names are paths: no part of them is empty, '.' or '..'"
    if len(name) > LONGEST:
        return f"MLflow's names have a limit: {LONGEST} characters"
    return ""
