from dataclasses import replace
from pathlib import Path

import pytest

from runner.platforms.device import DeviceFacts, DeviceOrigin, GpuInfo
from runner.results.report.environment import environment
from runner.runs import files
from runner.runs.load import load
from runner.runs.record import Code, Load, Provenance
from tests.runner.results.report import made_up
from tests.runner.results.report.made_up import ORIGIN


def told(folder: Path, *origins: Provenance) -> dict[str, str]:
    """The environment of a sweep whose runs come from these."""
    sweep = load(folder)
    for run, origin in zip(sweep, origins, strict=True):
        files.write_json(run.folder / files.PROVENANCE, origin)
    return dict(environment(sweep))


def test_what_runs_share_is_said_once_and_what_differs_side_by_side(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, requests=5)
    other = replace(
        ORIGIN,
        environment=replace(ORIGIN.environment, python="3.12.0"),
        load_before=Load(2.0),
        time="2026-03-01T10:30:00+00:00",
        code=Code("fedcba9876543210"),
    )
    assert told(folder, ORIGIN, other) == {
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
    device = DeviceOrigin(
        gpu=GpuInfo("nvidia", 0, "A GPU", "", "", "550.1", None, "", None),
        xsched_libraries={"libpreempt.so": "ab" * 32},
    )
    variables = {"XSCHED_POLICY": "GBL"}
    facts = told(folder, replace(ORIGIN, device=device, xsched_variables=variables))
    assert facts["GPU"] == "A GPU, driver 550.1"
    assert facts["XSched"] == "libpreempt.so abababababab"
    assert facts["variables"] == "XSCHED_POLICY=GBL"


def test_a_throttled_run_is_not_hidden_among_others(tmp_path: Path) -> None:
    cool, other = load(made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, requests=5))
    hot = replace(other.summary, device=DeviceFacts(throttled=("power cap",)))
    facts = dict(environment([cool, replace(other, summary=hot)]))
    assert facts["throttled"] == "power cap"


@pytest.mark.parametrize("text", ["[1]", "{", '{"environment": {"cores": "many"}}'])
def test_runs_without_their_origin_say_nothing(tmp_path: Path, text: str) -> None:
    sweep = load(made_up.sweep(tmp_path, {"arm": ["native"]}, requests=5))
    (sweep.runs[0].folder / files.PROVENANCE).write_text(text)
    assert {value for _, value in environment(sweep)} == {"host, threads", ""}
