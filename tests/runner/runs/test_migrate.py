"""Records of schema version 1: those that docs/results keeps, and what each kind of file held."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from runner.platforms.device import DeviceOrigin
from runner.proof.checks import Proof, Suspension, Verdict
from runner.runs import files
from runner.runs.load import load
from runner.runs.record import OLD, SCHEMA, Figure
from runner.runs.run import Run
from runner.trial.status import Status
from xsched_bindings.types import PreemptLevel

RESULTS = Path(__file__).parents[3] / "docs" / "results"
ZIPS = sorted(RESULTS.glob("**/*.zip"))
#: What was kept later was written by later versions.
FIRST = ("experiments_h100", "experiments_host")
OLD_ZIPS = [path for path in ZIPS if path.parent.name in FIRST]
#: Of the first runs on a GPU only the JSON was kept, and no sweep.json.
FOLDERS = sorted(path.parent for path in RESULTS.glob("h100/*/*/summary.json"))


def old(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / name).read_text())
    return content


def recorded(summary: dict[str, Any]) -> Iterator[tuple[str, float, list[float | None] | None]]:
    """(name, value, interval) of every figure in a summary of version 1."""
    scopes = dict(summary["tasks"])
    scopes |= {f"priority_{number}": each for number, each in summary["priorities"].items()}
    for scope, each in scopes.items():
        for kind, prefix in (("latency", ""), ("service", "service_")):
            intervals = each.get(f"{kind}_interval_ms", {})
            for name, value in each.get(f"{kind}_ms", {}).items():
                yield f"{prefix}{name}_ms/{scope}", value, intervals.get(name)
        yield f"throughput_rps/{scope}", each["throughput_rps"], each.get("throughput_interval_rps")


def check(run: Run) -> None:
    """The run is what its folder recorded."""
    before = old(run.folder, files.SUMMARY)
    assert before["schema"] == OLD
    figures = {
        name: Figure(value, (interval[0], interval[1]) if interval else None)
        for name, value, interval in recorded(before)
    }
    assert run.summary.figures == figures
    assert (len(figures) > 0) == run.status.has_figures
    assert run.summary.schema == OLD
    for key in (
        *("name", "status", "reason", "arm", "platform", "placement", "policy", "level"),
        *("asked_level", "priority", "config_hash", "proof", "saturation", "cut", "sweep"),
        *("timing_s", "as_expected", "preemptions", "window_s"),
    ):
        assert getattr(run.summary, key) == before[key], key
    assert run.summary.valid == before.get("valid", before["status"] == "FINISHED")
    assert list(run.summary.notes) == before["notes"]
    for name, task in before["tasks"].items():
        kept = run.summary.tasks[name]
        for key in ("priority", "requests", "wanted", "extra", "late_starts", "solo_ms"):
            assert getattr(kept, key) == task[key], key
        for key in ("window_s", "offered_rps", "achieved_rps", "open"):
            assert getattr(kept, key) == task.get(key), key
    check_proof(run)
    check_origin(run)
    check_device(run, before["device"])


def check_proof(run: Run) -> None:
    proof = old(run.folder, files.PROOF)
    known = [(each.name, each.passed, each.finding) for each in run.proof.checks]
    assert known == [(each["name"], each["passed"], each["finding"]) for each in proof["checks"]]
    assert run.proof.verdict == proof["verdict"]
    level = [each for each in proof["checks"] if each["name"] == "level"]
    probes = [probe for each in level for probe in each["evidence"]["suspensions"]]
    assert [dict(each.evidence) for each in run.proof.checks if each.name == "level"] == [
        each["evidence"] for each in level
    ]
    assert [(s.task, s.level.name, s.quiet_ms, s.passed) for s in run.proof.suspensions] == [
        (each["task"], each["level"], each["quiet_ms"], each["passed"])
        for each in probes
        if "quiet_ms" in each  # not yet in the first runs
    ]


def check_origin(run: Run) -> None:
    if not (run.folder / files.PROVENANCE).exists():
        return
    before, origin = old(run.folder, files.PROVENANCE), run.provenance
    assert (origin.time, list(origin.command)) == (before["time"], before["command"])
    assert list(origin.overrides) == before["overrides"]
    unknown = {"diff": "", "diff_sha256": "", "source_sha256": ""}
    assert asdict(origin.code) == unknown | before["code"]
    assert asdict(origin.environment) == before["environment"]
    assert asdict(origin.load_before) == before["load_before"]
    device = before["device"]
    assert list(origin.device.device_cores or ()) == device.get("device_cores", [])
    assert origin.device.xsched_libraries == device.get("xsched_libraries", {})
    for key in ("gpu", "settings", "torch"):
        record = getattr(origin.device, key)
        assert (record is None) == (key not in device)
        for name, value in device.get(key, {}).items():
            found = getattr(record, name)
            assert (list(found) if isinstance(found, tuple) else found) == value, name


def check_device(run: Run, before: dict[str, Any]) -> None:
    facts = run.summary.device
    assert list(facts.throttled) == before.get("throttled", [])
    assert (facts.telemetry is None) == ("telemetry" not in before)
    if facts.telemetry is not None:
        clock = before["telemetry"]["sm_clock_mhz"]
        assert facts.telemetry.sm_clock_mhz is not None
        assert asdict(facts.telemetry.sm_clock_mhz) == clock
        assert facts.telemetry.samples == before["telemetry"]["samples"]


def test_there_are_records_to_read() -> None:
    assert (len(OLD_ZIPS), len(FOLDERS)) == (16, 29)


@pytest.mark.parametrize("path", OLD_ZIPS, ids=[f"{p.parent.name}/{p.stem}" for p in OLD_ZIPS])
def test_a_sweep_that_was_exported_is_read_as_it_was_recorded(path: Path) -> None:
    sweep = load(path)
    assert sweep.folder is not None
    before = old(sweep.folder, files.SWEEP)
    assert before["schema"] == OLD
    assert sweep.record.schema == SCHEMA
    for key in ("identity", "command", "repeats", "points"):
        assert getattr(sweep.record, key) == before[key], key
    assert list(sweep.record.swept) == before["swept"]
    for entry, was in zip(sweep.record.runs, before["runs"], strict=True):
        later = {"command": "", "config_hash": ""}
        assert asdict(entry) == was | {"overrides": tuple(was["overrides"])} | later
    for run in sweep:
        check(run)


@pytest.mark.parametrize("path", ZIPS, ids=[f"{p.parent.name}/{p.stem}" for p in ZIPS])
def test_figures_are_still_computed_as_they_were_recorded(path: Path) -> None:
    for run in load(path).runs[:3]:
        if run.status is not Status.FINISHED:
            continue
        for name, figure in run.summary.figures.items():
            found = run.figure(name)
            assert found is not None, name
            assert found.value == pytest.approx(figure.value, rel=1e-9), name
            assert Figure.of(found).interval == (figure.interval and pytest.approx(figure.interval))


@pytest.mark.parametrize("folder", FOLDERS, ids=[folder.name for folder in FOLDERS])
def test_a_run_s_folder_is_read_as_it_was_recorded(folder: Path) -> None:
    (run,) = load(folder)
    check(run)


# --- what each kind of file held -----------------------------------------------------------------

SUMMARY = {
    "schema": 1,
    "status": "FINISHED",
    "reason": "",
    "valid": False,
    "arm": "xsched",
    "proof": "",
    "preemptions": None,
    "saturation": None,
    "device": {},
    "tasks": {
        "a": {
            "priority": 2,
            "requests": 3,
            "solo_ms": None,
            "latency_ms": {"p50": 1.5, "p99.9": 9.0},
            "latency_interval_ms": {"p50": [1.0, 2.0], "p99.9": [8.0, None]},
            "service_ms": {"p50": 1.0},
            "throughput_rps": 5.0,
            "throughput_interval_rps": None,
        },
        "lost": {"priority": -1, "requests": 0, "latency_ms": {}, "throughput_rps": 0.0},
    },
    "priorities": {"-1": {"latency_ms": {}, "throughput_rps": 0.0}},
}


def written(folder: Path, name: str, content: object) -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder


def test_figures_were_below_their_task_or_priority(tmp_path: Path) -> None:
    summary = files.read_summary(written(tmp_path, files.SUMMARY, SUMMARY))
    assert summary is not None
    assert summary.figures == {
        "p50_ms/a": Figure(1.5, (1.0, 2.0)),
        "p99.9_ms/a": Figure(9.0, (8.0, None)),
        "service_p50_ms/a": Figure(1.0),
        "throughput_rps/a": Figure(5.0),
        "throughput_rps/lost": Figure(0.0),
        "throughput_rps/priority_-1": Figure(0.0),
    }
    assert (summary.name, summary.proof, summary.valid) == ("", None, False)
    assert (summary.preemptions, summary.saturation, summary.pace_us) == (None, None, None)
    assert (summary.tasks["a"].solo_ms, summary.tasks["lost"].priority) == (None, -1)


@pytest.mark.parametrize(("status", "valid"), [("FINISHED", True), ("KILLED", False)])
def test_the_first_summaries_did_not_say_whether_they_are_valid(
    tmp_path: Path, status: str, valid: bool
) -> None:
    before = {key: value for key, value in SUMMARY.items() if key not in ("schema", "valid")}
    written(tmp_path, files.SUMMARY, before | {"status": status})
    summary = files.read_summary(tmp_path)
    assert summary is not None
    assert (summary.status, summary.valid) == (status, valid)


def test_a_run_that_failed_early_had_no_more_than_its_reason(tmp_path: Path) -> None:
    before = {"schema": 1, "status": "FAILED", "reason": "no device", "name": "r"}
    summary = files.read_summary(written(tmp_path, files.SUMMARY, before))
    assert summary is not None
    assert (summary.status, summary.reason, summary.name) == (Status.FAILED, "no device", "r")
    assert (summary.tasks, summary.figures, summary.valid) == ({}, {}, False)


def test_suspensions_were_the_evidence_of_the_level(tmp_path: Path) -> None:
    probe = {"task": "a", "level": "deactivate", "threshold": 8, "passed": 1, "pending": 3}
    probe |= {"quiet": True, "resumed": True, "quiet_ms": 2.5}
    checks = [
        {"name": "level", "passed": True, "finding": "f", "evidence": {"suspensions": [probe]}},
        {"name": "window", "passed": True, "finding": "f", "evidence": {"suspensions": 7}},
    ]
    written(tmp_path, files.PROOF, {"verdict": "proven", "checks": checks})
    proof = files.read_proof(tmp_path)
    assert proof.suspensions == (
        Suspension("a", PreemptLevel.deactivate, 8, 1, 3, True, True, 2.5),
    )
    assert proof.verdict is Verdict.PROVEN


def test_suspensions_that_had_not_been_timed_are_evidence_alone(tmp_path: Path) -> None:
    evidence = {"suspensions": [{"task": "a", "level": "block", "passed": 1}]}
    check = {"name": "level", "passed": False, "finding": "f", "evidence": evidence}
    proof = files.read_proof(written(tmp_path, files.PROOF, {"checks": [check]}))
    assert (proof.verdict, proof.suspensions) == (Verdict.FAILED, ())
    assert proof.checks[0].evidence == evidence


def test_of_a_gpu_that_nothing_was_known_of_something_was_said(tmp_path: Path) -> None:
    device = {"gpu": {}, "settings": {"unknown": "no library"}, "torch": {"version": "2"}}
    written(tmp_path, files.PROVENANCE, {"time": "2026-03-01T10:00:00+00:00", "device": device})
    origin = files.read_provenance(tmp_path)
    assert origin.is_known
    assert (origin.device.gpu, origin.device.settings) == (None, None)
    assert origin.device.torch is not None
    assert origin.device.torch.version == "2"
    written(tmp_path, files.PROVENANCE, {"time": "2026-03-01T10:00:00+00:00", "device": None})
    assert files.read_provenance(tmp_path).device == DeviceOrigin()


def test_what_was_migrated_is_written_and_read_again_without_loss(tmp_path: Path) -> None:
    """A summary stays one of version 1, which had listed no files; migrated twice it keeps its
    figures."""
    first = files.read_summary(written(tmp_path, files.SUMMARY, SUMMARY))
    assert first is not None
    files.write_json(tmp_path / files.SUMMARY, first)
    assert files.read_summary(tmp_path) == first
    sweep = {"schema": 1, "runs": [{"folder": "a", "status": "pending"}], "command": "c"}
    record = files.read_sweep(written(tmp_path, files.SWEEP, sweep))
    assert record.runs[0].status is Status.PENDING
    files.write_json(tmp_path / files.SWEEP, record)
    assert files.read_sweep(tmp_path) == record
    assert (first.schema, record.schema) == (OLD, SCHEMA)


@pytest.mark.parametrize(
    "content",
    [
        [],
        3,
        {"tasks": []},
        {"status": "FINISHED", "tasks": {"a": 3}},
        {"status": "FINISHED", "priorities": {"1": {"latency_ms": 3}}},
        {"status": "FINISHED", "tasks": {"a": {"priority": 1, "latency_ms": {"p50": "fast"}}}},
        {"status": "LOST", "name": "r"},
        {"schema": 1},
    ],
)
def test_a_damaged_old_summary_is_none(tmp_path: Path, content: object) -> None:
    assert files.read_summary(written(tmp_path, files.SUMMARY, content)) is None


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"checks": 3},
        {"checks": [3]},
        {"checks": [{"name": "level", "evidence": {"suspensions": 3}}]},
        {"checks": [{"name": "level", "evidence": {"suspensions": [{"quiet_ms": 1.0}]}}]},
        {
            "checks": [
                {"name": "level", "evidence": {"suspensions": [{"quiet_ms": 1, "level": "x"}]}}
            ]
        },
    ],
)
def test_a_damaged_old_proof_has_no_checks(tmp_path: Path, content: object) -> None:
    assert files.read_proof(written(tmp_path, files.PROOF, content)) == Proof()


@pytest.mark.parametrize("content", [[], {"device": 3}, {"device": {"settings": 3}}])
def test_a_damaged_old_origin_says_nothing(tmp_path: Path, content: object) -> None:
    assert not files.read_provenance(written(tmp_path, files.PROVENANCE, content)).is_known
