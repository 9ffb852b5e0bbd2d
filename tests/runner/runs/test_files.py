import errno
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.settings import flat
from runner.metrics.requests import TaskRequests
from runner.platforms.device import (
    DeviceFacts,
    DeviceOrigin,
    GpuInfo,
    GpuSample,
    GpuSettings,
    Spread,
    TelemetrySummary,
    TorchBuild,
)
from runner.proof.checks import Check, Interception, Proof, Suspension, Verdict
from runner.proof.marks import Marks
from runner.runs import files
from runner.runs.record import (
    OLD,
    Code,
    Entry,
    Environment,
    Figure,
    Load,
    Provenance,
    Seal,
    Summary,
    SweepRecord,
    TaskSummary,
    Where,
)
from runner.runs.run import read_run
from runner.trial.others import OtherLoad
from runner.trial.status import Status
from tests.runner.run_folders import NO_EVENTS, THREE_REQUESTS, TIMES, keep
from xsched_bindings.types import PreemptLevel

SAMPLE = GpuSample(86779336610, 1980, 2619, 246.32, 44, 54, 4768, ("sw_power_cap",))
#: One of each record, with a value in every field.
RECORDS = {
    files.SUMMARY: Summary(
        name="block-t4",
        status=Status.KILLED,
        reason="killed by Ctrl-C",
        as_expected=True,
        valid=True,
        notes=("one", "two"),
        task_set="two_bert",
        arm="xsched",
        platform="cuda",
        placement="threads",
        mps=True,
        policy="hpf",
        level="block",
        asked_level="interrupt",
        priority="applied",
        config_hash="abc",
        proof=Verdict.INCOMPLETE,
        preemptions=7,
        against_policy=0.25,
        saturation=0.9,
        stolen=0.01,
        other_load=OtherLoad(0.5, 0.25),
        pace_us=210.5,
        cut=True,
        steady=False,
        preemption_ms={"p50": 1.5},
        timing_s={"window": 2.0},
        device=DeviceFacts(
            TelemetrySummary(
                9,
                1,
                "lost",
                Spread(210, 1905, 1980),
                Spread(2619, 2619, 2619),
                Spread(1.5, 2.5, 3.5),
                Spread(44, 45, 46),
                Spread(0, 99, 100),
                Spread(1, 2, 3),
                {"sw_power_cap": 0.5},
                SAMPLE,
                GpuSample(1, None, None, None, None, None, None, None),
            ),
            ("other (pid 7)",),
            ("sw_power_cap",),
        ),
        window_s=2.0,
        tasks={
            "urgent": TaskSummary(
                priority=2,
                requests=3,
                wanted=4,
                extra=1,
                window_s=2.0,
                late_starts=1,
                solo_ms=1.5,
                offered_rps=2.5,
                achieved_rps=1.5,
                open=2,
            ),
            "low": TaskSummary(priority=-1),
        },
        figures={
            "p50_ms/urgent": Figure(1.5, (1.0, 2.0)),
            "p99_ms/urgent": Figure(9.0, (8.0, None)),
            "max_ms/urgent": Figure(9.0, (None, None)),
            "stp": Figure(0.75),
        },
        sweep="s",
        folder="/somewhere",
        where=Where("n1", "0123456789ab", "host", "slurm 17_3"),
        files={files.REQUESTS: Seal(3, "ab" * 32)},
        mlflow_run_id="0" * 32,
    ),
    files.PROVENANCE: Provenance(
        time="2026-03-01T10:00:00+00:00",
        where=Where("n1", "0123456789ab", "host", "slurm 17_3"),
        command=("python", "-m", "runner"),
        overrides=("arm=native",),
        code=Code("c0ffee", "--- a", "ab" * 32, "cd" * 32),
        environment=Environment("3.11", "Linux", "A CPU", 8, "performance", 32.0, {"numpy": "2"}),
        xsched_variables={"XSCHED_POLICY": "GBL"},
        load_before=Load(0.5, 2300.0),
        load_after=Load(1.5, None),
        device=DeviceOrigin(
            (6, 7),
            GpuInfo("nvidia", 0, "A GPU", "GPU-1", "0000:3b:00.0", "550", (9, 0), "sm_90", 81559),
            GpuSettings(True, "default", False, None, 700.0, 700.0, 1980, 1980, None),
            TorchBuild("2.11.0", "13.0", None),
            {"libpreempt.so": "cd" * 32},
        ),
        weights={"w.pt": "ef" * 32},
    ),
    files.PROOF: Proof(
        (
            Check("level", True, "fine", "a remedy", {"suspensions": 1}),
            Check("window", False, "", decided=False),
        ),
        Verdict.IN_PLACE,
        (Suspension("low", PreemptLevel.deactivate, 4, 1, 9, True, True, 2.5, 2, 3),),
        (Interception("low", 9, 8, 0.5, 0.25, (1.5, None, 1.5, None)),),
    ),
    files.SWEEP: SweepRecord(
        runs=(
            Entry(
                name="block-r1",
                folder="block-r1-abc",
                arm="xsched",
                repeat=1,
                values={"xsched.threshold": "4", "model": None},
                overrides=("arm=xsched",),
                command="python -m runner arm=xsched",
                status=Status.PENDING,
                reason="why",
                mlflow_run_id="0" * 32,
            ),
            Entry(folder="bare"),
        ),
        identity="0123456789ab",
        command="python -m runner -m",
        swept=("arm", "xsched.threshold"),
        repeats=3,
        points=6,
    ),
}
EMPTY: dict[str, Any] = {
    files.SUMMARY: Summary(name="", status=Status.FAILED),
    files.PROVENANCE: Provenance(),
    files.PROOF: Proof(),
    files.SWEEP: SweepRecord(runs=()),
}


@pytest.mark.parametrize("made", [RECORDS, EMPTY], ids=["full", "empty"])
@pytest.mark.parametrize("name", list(RECORDS))
def test_a_record_is_read_as_it_was_written(
    name: str, made: dict[str, Any], tmp_path: Path
) -> None:
    files.write_json(tmp_path / name, made[name])
    read = {
        files.SUMMARY: files.read_summary,
        files.PROVENANCE: files.read_provenance,
        files.PROOF: files.read_proof,
        files.SWEEP: files.read_sweep,
    }
    assert read[name](tmp_path) == made[name]
    assert (tmp_path / name).read_bytes().endswith(b"\n}\n")


@pytest.mark.parametrize("name", list(RECORDS))
def test_there_is_a_value_for_every_field_above(name: str) -> None:
    """So that a field that is lost on the way is seen."""
    missing = EMPTY[name]
    same = {field for field in vars(missing) if vars(RECORDS[name])[field] == vars(missing)[field]}
    assert same <= {"schema"}


def test_a_proof_s_verdict_is_said_in_its_file(tmp_path: Path) -> None:
    """For people: what counts is in the checks."""
    keep(tmp_path, proof=RECORDS[files.PROOF])  # type: ignore[arg-type]
    content = json.loads((tmp_path / files.PROOF).read_text())
    assert content["verdict"] == "failed"
    (tmp_path / files.PROOF).write_text(json.dumps(content | {"verdict": "proven"}))
    assert files.read_proof(tmp_path).verdict is Verdict.FAILED


def test_what_numpy_has_counted_is_a_number(tmp_path: Path) -> None:
    tasks = {"a": TaskSummary(priority=1, late_starts=np.int64(3))}  # type: ignore[arg-type]
    made = Summary(
        name="r",
        status=Status.FINISHED,
        tasks=tasks,
        saturation=np.float64(0.5),
        valid=np.bool_(True),  # type: ignore[arg-type]
        window_s=math.nan,
    )
    files.write_json(tmp_path / files.SUMMARY, made)
    read = files.read_summary(tmp_path)
    assert read is not None
    assert (read.tasks["a"].late_starts, read.saturation, read.valid) == (3, 0.5, True)
    assert read.window_s is None


def test_json_has_no_nan(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"a": math.nan, "b": [1.5, math.inf], 3: {"c": "d"}})
    assert json.loads((tmp_path / "x.json").read_text()) == {
        "a": None,
        "b": [1.5, None],
        "3": {"c": "d"},
    }


def test_a_path_is_its_text(tmp_path: Path) -> None:
    files.write_json(tmp_path / "x.json", {"at": tmp_path})
    assert json.loads((tmp_path / "x.json").read_text()) == {"at": str(tmp_path)}


# --- damaged files -------------------------------------------------------------------------------

GOOD = {"schema": 2, "name": "r", "status": "FINISHED"}
DAMAGED = ["", "{", "[]", "3", "null", '"text"', "\x00", '{"schema": 2}']
WRONG: list[dict[str, Any]] = [
    GOOD | {"status": "LOST"},
    GOOD | {"name": 3},
    GOOD | {"tasks": {"a": {}}},
    GOOD | {"figures": {"p99_ms/a": 3}},
    GOOD | {"figures": {"p99_ms/a": {"value": None}}},
    GOOD | {"figures": {"p99_ms/a": {"value": 1.0, "interval": [1.0]}}},
    GOOD | {"proof": "perhaps"},
    GOOD | {"device": {"telemetry": {"sm_clock_mhz": {"min": 1}}}},
]


def test_the_good_one_is_read(tmp_path: Path) -> None:
    (tmp_path / files.SUMMARY).write_text(json.dumps(GOOD))
    assert files.read_summary(tmp_path) == Summary(name="r", status=Status.FINISHED)


def test_what_is_missing_is_no_summary_no_proof_and_no_origin(tmp_path: Path) -> None:
    assert files.read_summary(tmp_path) is None
    assert files.read_proof(tmp_path) == Proof()
    assert files.read_provenance(tmp_path) == Provenance()
    with pytest.raises(UserError, match=r"sweep\.json cannot be read"):
        files.read_sweep(tmp_path)


@pytest.mark.parametrize("text", [*DAMAGED, *map(json.dumps, WRONG)])
def test_a_damaged_summary_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / files.SUMMARY).write_text(text)
    assert files.read_summary(tmp_path) is None


@pytest.mark.parametrize("text", [*DAMAGED[:-1], '{"suspensions": 3}', '{"checks": [{}]}'])
def test_a_damaged_proof_has_no_checks(tmp_path: Path, text: str) -> None:
    (tmp_path / files.PROOF).write_text(text)
    assert files.read_proof(tmp_path) == Proof()


@pytest.mark.parametrize(
    "text", [*DAMAGED[:-1], '{"time": 3}', '{"device": {"gpu": {"name": "x"}}}']
)
def test_of_a_damaged_origin_nothing_is_known(tmp_path: Path, text: str) -> None:
    (tmp_path / files.PROVENANCE).write_text(text)
    assert files.read_provenance(tmp_path) == Provenance()


@pytest.mark.parametrize(
    "text",
    [
        *DAMAGED,
        '{"runs": 3}',
        '{"runs": [{}]}',
        '{"schema": 2, "runs": [{"folder": 3}]}',
        '{"schema": 2, "runs": [{"folder": "a", "status": "LOST"}]}',
        '{"schema": 2, "runs": [{"folder": "a", "values": {"arm": 3}}]}',
    ],
)
def test_a_damaged_sweep_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / files.SWEEP).write_text(text)
    with pytest.raises(UserError, match=r"sweep\.json cannot be read"):
        files.read_sweep(tmp_path)


def test_bytes_that_are_no_text_are_no_record(tmp_path: Path) -> None:
    (tmp_path / files.SUMMARY).write_bytes(b"\xff\xfe{}")
    assert files.read_summary(tmp_path) is None


def test_what_a_later_version_adds_is_let_be(tmp_path: Path) -> None:
    (tmp_path / files.SUMMARY).write_text(json.dumps(GOOD | {"colour": "blue"}))
    assert files.read_summary(tmp_path) == Summary(name="r", status=Status.FINISHED)


@pytest.mark.parametrize("text", [None, "{", "- 1", "\x00", "a: b: c"])
def test_a_broken_configuration_is_an_unknown_one(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / files.CONFIG).write_text(text)
    assert files.read_config(tmp_path) == {}


@pytest.mark.parametrize("content", [None, b"not parquet", b""])
def test_a_broken_table_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / files.REQUESTS
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"requests\.parquet cannot be read"):
        files.read_table(path)


# --- configuration and tables --------------------------------------------------------------------


def test_a_configuration_is_flat_by_dotted_keys() -> None:
    nested = {"a": {"b": 1, "c": {"d": None}}, "e": [1, {"f": 2}], "g": "h"}
    assert flat(nested) == {"a.b": 1, "a.c.d": None, "e": [1, {"f": 2}], "g": "h"}


def test_the_config_says_what_was_decided_and_how_to_run_it_again(tmp_path: Path) -> None:
    config = Config()
    config.task_set.tasks = {"a": TaskConfig(priority=3)}
    files.write_config(tmp_path, config, resolve(config))
    text = (tmp_path / "config.yaml").read_text()
    assert text.splitlines()[0].endswith(f"python -m runner.replay {tmp_path}")
    content = yaml.safe_load(text)
    assert content["defaults"] == ["schema", "_self_"]
    assert content["task_set"]["tasks"]["a"]["priority"] == 3
    assert content["xsched"]["level"] == "block"


def test_requests_are_one_row_each_also_of_a_task_that_never_ran(tmp_path: Path) -> None:
    times = np.arange(3, dtype=np.int64)
    warmup = np.array([[-9, -9, -5], [-3, -3, -2], [-2, -2, 0]])
    none = np.zeros((0, 3), np.int64)
    tasks = [
        TaskRequests("a", 1, 2, times, times + 1, times + 2, warmup, 7 * 10**18, lead_in=2),
        TaskRequests("b", 1, 2, times[:0], times[:0], times[:0], none),
    ]
    keep(tmp_path, requests=tasks)
    table = pq.read_table(tmp_path / files.REQUESTS)
    assert files.starts_of(table) == {"a": 7 * 10**18, "b": 0}
    rows = table.to_pylist()
    assert [row["request"] for row in rows] == [-3, -2, -1, 0, 1, 2]
    assert [row["warmup"] for row in rows] == [True, True, True, False, False, False]
    assert [row["lead_in"] for row in rows] == [False, True, True, False, False, False]
    assert [row["extra"] for row in rows] == [False] * 5 + [True]
    assert rows[3] | {"task": "a"} == rows[3]
    assert (rows[3]["scheduled_ns"], rows[3]["started_ns"], rows[3]["completed_ns"]) == (0, 1, 2)


def test_requests_of_before_there_were_lead_ins_had_none(tmp_path: Path) -> None:
    old = files.request_table([THREE_REQUESTS]).drop_columns(["lead_in"])
    pq.write_table(old, tmp_path / files.REQUESTS)
    read = files.read_requests(tmp_path / files.REQUESTS)
    assert read.column_names == files.REQUEST_ROWS.names
    assert read["lead_in"].to_pylist() == [False] * 3
    assert files.starts_of(read) == {"a": 0}


def test_a_configuration_of_before_there_were_lead_ins_had_none(tmp_path: Path) -> None:
    (tmp_path / files.CONFIG).write_text("task_set: {requests: 3}")
    assert files.read_config(tmp_path)["task_set"] == {"requests": 3, "lead_in_s": 0}
    (tmp_path / files.CONFIG).write_text("task_set: {lead_in_s: 2.5}")
    assert files.read_config(tmp_path)["task_set"] == {"lead_in_s": 2.5}


def test_an_empty_log_of_events_has_its_columns(tmp_path: Path) -> None:
    keep(tmp_path, events=NO_EVENTS)
    events = pq.read_table(tmp_path / files.EVENTS)
    assert events.column_names == ["at_ns", "event", "task", "completed"]


def marked(
    at_ns: list[int], results: list[float], lead_in: int = 0, **known: Any
) -> list[tuple[Any, ...]]:
    """(request, part, result) of marks of three parts a request."""
    marks = Marks("a", 3, 9, np.array(at_ns, np.int64), np.array(results, np.float64), **known)
    rows = files.mark_table([marks], {"a": lead_in}).to_pylist()
    assert [row["at_ns"] for row in rows] == at_ns
    return [(row["request"], row["part"], row["result"]) for row in rows]


def test_the_last_part_of_a_request_tells_its_result() -> None:
    whole = [(0, 0, None), (0, 1, None), (0, 2, 1.5), (1, 0, None), (1, 1, None), (1, 2, 2.5)]
    assert marked([2, 3, 5, 6, 8, 9], [1.5, 2.5]) == whole
    assert marked([2, 3, 5, 6, 8], [1.5]) == whole[:5], "one that was cut off has none yet"
    assert marked([2, 3, 5], []) == [(0, 0, None), (0, 1, None), (0, 2, None)]
    assert marked([2, 3, 5], [math.nan])[-1] == (0, 2, None)
    assert marked([], []) == []


def test_marks_that_the_ring_no_longer_had_leave_the_others_at_their_requests() -> None:
    assert marked([6, 7, 8, 9, 11], [0.5, 1.5, 2.5], dropped=4) == [
        *((1, 1, None), (1, 2, 1.5)),
        *((2, 0, None), (2, 1, None), (2, 2, 2.5)),
    ]


def test_marks_are_numbered_as_the_requests_that_reached_them() -> None:
    assert marked([2, 3, 5, 6], [1.5], lead_in=1) == [
        *((-1, 0, None), (-1, 1, None), (-1, 2, 1.5)),
        (0, 0, None),
    ]


def test_marks_of_nobody_have_their_columns(tmp_path: Path) -> None:
    kept = keep(tmp_path, marks=())
    assert kept.files is not None
    assert files.MARKS in kept.files
    marks = pq.read_table(tmp_path / files.MARKS)
    assert (len(marks), marks.column_names) == (0, ["task", "request", "part", "at_ns", "result"])


# --- results that cannot be half true ------------------------------------------------------------


def test_what_is_kept_is_listed_with_its_seal_and_is_right(tmp_path: Path) -> None:
    (tmp_path / files.CONFIG).write_text("a: 1")
    kept = keep(tmp_path)
    assert kept.files is not None
    assert set(kept.files) == {*files.OF_A_RUN} - {files.SUMMARY}
    assert files.read_summary(tmp_path) == kept
    assert files.broken(tmp_path, kept) == ""
    assert {path.name for path in tmp_path.iterdir()} == {*kept.files, files.SUMMARY}


@pytest.mark.parametrize("name", sorted({*files.OF_A_RUN} - {files.SUMMARY}))
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is not what was recorded"),
        (lambda path: path.write_bytes(path.read_bytes() + b" "), "is not what was recorded"),
        (lambda path: path.write_bytes(b"x" * path.stat().st_size), "is not what was recorded"),
        (lambda path: path.write_bytes(b""), "is not what was recorded"),
    ],
    ids=["missing", "folder", "truncated", "longer", "changed", "empty"],
)
def test_no_file_of_a_result_can_be_lost_or_changed(
    name: str, damage: Any, said: str, tmp_path: Path
) -> None:
    (tmp_path / files.CONFIG).write_text("a: 1")
    kept = keep(tmp_path)
    damage(tmp_path / name)
    assert files.broken(tmp_path, kept).startswith(f"{name} {said}")
    run = read_run(tmp_path)
    assert run.status is Status.FAILED
    assert run.summary.reason.startswith(f"{name} {said}")


def test_the_raw_data_of_another_run_are_noticed(tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    kept = keep(tmp_path / "one")
    two = TaskRequests("a", 1, 2, TIMES[:2], TIMES[:2] + 1, TIMES[:2] + 2, np.zeros((0, 3)))
    keep(tmp_path / "other", requests=(two,))
    (tmp_path / "other" / files.REQUESTS).replace(tmp_path / "one" / files.REQUESTS)
    assert files.broken(tmp_path / "one", kept) == "requests.parquet is not what was recorded"


@pytest.mark.parametrize("status", [Status.FINISHED, Status.KILLED])
@pytest.mark.parametrize("name", files.AT_LEAST)
def test_a_result_that_does_not_list_its_files_is_none(
    name: str, status: Status, tmp_path: Path
) -> None:
    kept = replace(keep(tmp_path), status=status)
    assert kept.files is not None
    fewer = {listed: seal for listed, seal in kept.files.items() if listed != name}
    (tmp_path / name).unlink()
    assert files.broken(tmp_path, replace(kept, files=fewer)).endswith(f"does not list {name}")
    for none in ({}, None):
        files.write_json(tmp_path / files.SUMMARY, replace(kept, files=none))
        assert read_run(tmp_path).summary.reason.startswith("summary.json does not list config")


def test_a_result_whose_configuration_was_lost_before_its_end_is_none(tmp_path: Path) -> None:
    none = files.keep(
        tmp_path,
        Summary(name="a", status=Status.FINISHED),
        Proof(),
        (THREE_REQUESTS,),
        (),
        NO_EVENTS,
        Provenance(),
    )
    assert files.broken(tmp_path, none) == "summary.json does not list config.yaml"


def test_a_run_that_failed_before_it_measured_has_nothing_to_list(tmp_path: Path) -> None:
    assert files.broken(tmp_path, Summary.failed("a", "no GPU")) == ""


def test_a_listed_name_that_is_none_is_a_file_that_is_missing(tmp_path: Path) -> None:
    summary = Summary(name="a", status=Status.FAILED, files={"a\0b": Seal(0, "")})
    assert "cannot be read: embedded null byte" in files.broken(tmp_path, summary)


def test_version_1_listed_nothing_and_is_believed(tmp_path: Path) -> None:
    old = {"status": "FINISHED", "tasks": {}, "priorities": {}, "name": "old"}
    (tmp_path / files.SUMMARY).write_text(json.dumps(old))
    summary = files.read_summary(tmp_path)
    assert summary is not None
    assert files.broken(tmp_path, summary) == ""


@pytest.mark.parametrize("column", files.REQUEST_ROWS.names[:-1])  # lead_in came later
def test_version_1_with_a_table_of_other_columns_is_broken(column: str, tmp_path: Path) -> None:
    table = files.request_table([THREE_REQUESTS])
    pq.write_table(table.drop_columns([column]), tmp_path / files.REQUESTS)
    summary = Summary(name="old", status=Status.FINISHED, schema=OLD)
    assert f"it has no column {column} of" in files.broken(tmp_path, summary)


@pytest.mark.parametrize("name", [files.SUMMARY, files.PROOF, files.PROVENANCE])
def test_what_is_nested_too_deeply_is_no_record(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("[" * 100_000 + "]" * 100_000)
    with pytest.raises(ValueError, match="nested"):
        files.read_json(tmp_path / name, dict)


def test_a_failed_write_leaves_the_record_of_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is put in its place by a rename alone."""
    before = keep(tmp_path)

    def no_space(self: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(OSError, match="No space left"):
        keep(tmp_path, replace(before, name="later"))
    assert files.read_summary(tmp_path) == before
    assert files.broken(tmp_path, before) == ""
