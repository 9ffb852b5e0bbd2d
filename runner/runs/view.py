"""The page of a sweep in MLflow's UI: its runs by arm, with what was swept and the figure that
decides as columns. MLflow opens a page as a tag of the experiment describes it, if the link names
the tag (``viewStateShareKey``; mlflow/server/js/src/experiment-tracking/constants.ts); without,
its columns are whatever the browser showed last."""

import json
import shlex
from collections.abc import Sequence

from runner.runs import files, store
from runner.runs.record import Logged
from runner.runs.sweep import Sweep

#: Before the key, in the name of the tag that has a page's description.
SHARED = "mlflow.sharedViewState."
UI = "http://127.0.0.1:5000"
#: Without it the UI takes an experiment for one of language models, and opens a page without runs.
WORKFLOW = "workflowType=machine_learning"
#: Pixels: of a head a character, and what is beside it.
CHARACTER, BESIDE = 8, 40
#: What a window of 1,300 has for our columns: up to the figure they are to fit.
ROOM = 630
ARM, FIGURE, WIDEST_FIGURE, NARROWEST = 100, 200, 260, 90


def described(parent: str, swept: Sequence[str], primary: str) -> str:
    """What the tag says of the page of the runs that have this parent: a group a point, with the
    means of its repeats. swept: keys other than the arm. primary: the figure that decides, "" for
    none."""
    widths = _widths(swept, primary)
    columns = [*widths]
    groups = [("tag", "arm"), *(("param", key) for key in swept)]
    return json.dumps(
        {
            "searchFilter": f"tags.`mlflow.parentRunId` = '{parent}'",
            "orderByKey": f"metrics.`{primary}`" if primary else "attributes.start_time",
            "orderByAsc": True,
            "selectedColumns": columns,
            "columnOrder": columns,
            "columnWidths": widths,
            "groupBy": {
                "aggregateFunction": "average",
                "groupByKeys": [{"mode": mode, "groupByData": name} for mode, name in groups],
            },
            "runsHiddenMode": "SHOWALL",
        }
    )


def _widths(swept: Sequence[str], primary: str) -> dict[str, int]:
    """The columns in their order, with widths. A swept key's head may be cut, for its values are
    short: nobody is to scroll for the figure."""
    figure = min(max(FIGURE, _head(primary)), WIDEST_FIGURE) if primary else 0
    share = max(NARROWEST, (ROOM - ARM - figure) // max(len(swept), 1))
    widths = {"tags.`arm`": ARM}
    widths |= {f"params.`{key}`": min(_head(key), share) for key in swept}
    if primary:
        widths[f"metrics.`{primary}`"] = figure
    return widths | {f"tags.`{tag}`": _head(tag) for tag in ("repeat", "proof", "valid")}


def _head(name: str) -> int:
    return CHARACTER * len(name) + BESIDE


def link(sweep: Sweep) -> str:
    """Opens the page of a sweep or, of a single run, the run's, in the server's UI or in one that
    `served_by` starts; "" if MLflow does not have it."""
    if sweep.folder and (parent := files.read_logged(sweep.folder)):
        page = f"runs?{WORKFLOW}&viewStateShareKey={parent.run_id}"
        return f"{_base(parent)}/{page}"
    logged = [each for run in sweep if (each := files.read_logged(run.folder))]
    return f"{_base(logged[0])}/runs/{logged[0].run_id}" if len(logged) == 1 else ""


def _base(logged: Logged) -> str:
    server = logged.uri.rstrip("/") if logged.uri.startswith(store.SERVERS) else UI
    return f"{server}/#/experiments/{logged.experiment}"


def served_by(sweep: Sweep) -> str:
    """The command that serves the UI of a sweep's store; "" if a server does so already."""
    folders = [*([sweep.folder] if sweep.folder else []), *(run.folder for run in sweep)]
    uris = [logged.uri for folder in folders if (logged := files.read_logged(folder))]
    if not uris or uris[0].startswith(store.SERVERS):
        return ""
    return shlex.join(["python", "-m", "mlflow", "ui", "--backend-store-uri", uris[0]])
