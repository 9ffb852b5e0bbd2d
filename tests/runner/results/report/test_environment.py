import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.results.report.environment import environment
from runner.runs.load import load
from tests.runner.results.report import made_up


def told(folder: Path, *origins: dict[str, Any]) -> dict[str, str]:
    """The environment of a sweep with these differences between its runs."""
    records = load([folder])
    for record, changes in zip(records, origins, strict=True):
        made_up.edit(record.folder / "provenance.json", **changes)
    return dict(environment(records))


def test_what_runs_share_is_said_once_and_what_differs_side_by_side(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, requests=5)
    machine = {**made_up.MACHINE, "python": "3.12.0"}
    other = {
        "environment": machine,
        "load_before": {"load_1min": 2.0},
        "time": "2026-03-01T10:30:00+00:00",
        "code": {"commit": "fedcba9876543210"},
    }
    assert told(folder, {}, other) == {
        "platform": "host, threads",
        "GPU": "",
        "throttled": "",
        "CPU": "A processor & more, 8 cores, governor performance",
        "memory": "32.0 GiB",
        "system": "Linux-6.1",
        "Python": "3.11.7 | 3.12.0",
        "libraries": "torch 2.13.0+cpu, numpy 2.4.6",
        "XSched": "",
        "variables": "",
        "code": "0123456789ab and local changes | fedcba987654",
        "load before": "0.5 to 2.0",
        "time": "2026-03-01 10:00 to 2026-03-01 10:30 UTC",
    }


def test_a_gpu_and_its_xsched_are_named(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native"]}, requests=5)
    device = {
        "gpu": {"name": "A GPU", "driver": "550.1"},
        "xsched_libraries": {"libpreempt.so": "ab" * 32},
    }
    facts = told(folder, {"device": device, "xsched_variables": {"XSCHED_POLICY": "GBL"}})
    assert facts["GPU"] == "A GPU, driver 550.1"
    assert facts["XSched"] == "libpreempt.so abababababab"
    assert facts["variables"] == "XSCHED_POLICY=GBL"


def test_a_throttled_run_is_not_hidden_among_others(tmp_path: Path) -> None:
    records = load([made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, requests=5)])
    hot = records[1].summary | {"device": {"throttled": ["power cap"]}}
    facts = dict(environment([records[0], replace(records[1], summary=hot)]))
    assert facts["throttled"] == "power cap"


def test_runs_without_their_origin_say_nothing(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native"]}, requests=5)
    records = load([folder])
    (records[0].folder / "provenance.json").write_text(json.dumps([1]))
    assert {value for _, value in environment(records)} == {"host, threads", ""}
