from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.runs import files
from runner.runs.record import Figure
from runner.sweep import agenda, resume
from runner.sweep.plan import Planned, expand, plan, run_name
from runner.sweep.run import Ended, run
from runner.trial.status import Status
from tests.runner.run_folders import MadeTask, write_run
from tests.runner.sweep.composed import compose
from xsched_bindings.types import PreemptLevel

pytestmark = pytest.mark.usefixtures("blank_figures")


def named(of: str = "xsched", level: PreemptLevel = PreemptLevel.block, **values: str) -> str:
    config = Config()
    config.arm.name = of
    config.task_set.tasks = {"a": TaskConfig()}
    trial = resolve(config)
    point = Planned([], {key.replace("__", "."): value for key, value in values.items()})
    point.trial = replace(trial, tasks=tuple(replace(task, level=level) for task in trial.tasks))
    return run_name(point)


def test_points_are_all_combinations_in_order() -> None:
    points = expand(["task_set=smoke", "xsched.threshold=4,8", "seed=range(1,3)"])
    assert [point.values for point in points] == [
        {"xsched.threshold": t, "seed": s} for t in ("4", "8") for s in ("1", "2")
    ]
    assert points[0].overrides == ["task_set=smoke", "xsched.threshold=4", "seed=1"]


def test_without_a_swept_key_there_is_one_point() -> None:
    (point,) = expand(["task_set=smoke"])
    assert point.values == {}


def test_names_are_short() -> None:
    assert named() == "block"
    assert named(xsched__threshold="4") == "block-t4"
    assert named(level=PreemptLevel.interrupt, xsched__threshold="4", xsched__batch_size="2") == (
        "interrupt-t4-b2"
    )
    assert named("native", arm="native") == "native"
    assert named("xsched", arm="xsched") == "xsched"
    assert named("xsched_null", xsched__threshold="4") == "null-t4"
    assert named(model="bert_mini", seed="1") == "block-bert_mini-seed=1"


def test_a_name_is_a_file_name() -> None:
    assert named(**{"task_set__tasks__a__model__name": "x/y z"}) == "block-name=x_y_z"


# --- from start to end, with runs that somebody else made --------------------------------------

SWEEP = ("task_set=smoke", "platform=host", "tracking=none", "arm=native,urgent_only")
Launch = Callable[[Path, list[str], int], None]


FIGURES = {"p99_ms/priority_1": Figure(12.5)}


def ended(tmp_path: Path, launch: Launch, *more: str) -> Ended:
    return run(plan([*SWEEP, *more, f"output_root={tmp_path}"], compose), launch)


def leaving(*statuses: Status | None) -> Launch:
    """A launcher whose first runs end like this, in order; None is a run that leaves nothing."""

    def launch(folder: Path, jobs: Sequence[str], at_once: int = 0) -> None:
        steps = [step for job in jobs for step in agenda.read(folder / job).steps if not step.there]
        resume.set_aside(steps, folder)
        for step, status in zip(steps, statuses, strict=False):
            made = folder / step.folder
            if status is None:
                made.mkdir()
                continue
            good = status is Status.FINISHED
            ending = {"status": status, "reason": "" if good else "why", "as_expected": good}
            task = MadeTask([12.5] * 5, priority=1)
            write_run(made, "native", {"urgent": task}, **ending, figures=FIGURES)

    return launch


def never(folder: Path, jobs: list[str], at_once: int) -> None:
    raise AssertionError("nothing is left to run")


def test_the_record_says_what_is_to_be_run_and_then_what_became_of_it(tmp_path: Path) -> None:
    before = []

    def launch(folder: Path, jobs: list[str], at_once: int) -> None:
        before.append(files.read_sweep(folder))
        leaving(Status.FINISHED, Status.FINISHED)(folder, jobs, at_once)

    end = ended(tmp_path, launch)
    assert (end.exit_code, end.code) == (0, 0)
    assert end.folder is not None
    (planned,) = before
    assert {entry.status for entry in planned.runs} == {Status.PENDING}
    assert [entry.name for entry in planned.runs] == ["native", "urgent_only"]
    assert [entry.values for entry in planned.runs] == [{"arm": "native"}, {"arm": "urgent_only"}]
    assert (planned.swept, planned.repeats, planned.points) == (("arm",), 1, 2)
    assert planned.identity
    finished = tuple(replace(entry, status=Status.FINISHED) for entry in planned.runs)
    assert files.read_sweep(end.folder) == replace(planned, runs=finished)


def test_a_finished_sweep_is_found_again_whatever_lies_beside_it(tmp_path: Path) -> None:
    end = ended(tmp_path, leaving(Status.FINISHED, Status.FINISHED))
    for name, content in (("damaged", "{"), ("other", '{"runs": 7}'), ("older", '{"runs": []}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / files.SWEEP).write_text(content)
    again = ended(tmp_path, never)
    assert (again.exit_code, again.folder) == (0, end.folder)


@pytest.mark.parametrize("bad", [Status.FAILED, None])
def test_a_run_that_failed_or_left_nothing_is_run_again(tmp_path: Path, bad: Status | None) -> None:
    end = ended(tmp_path, leaving(Status.FINISHED, bad))
    assert end.exit_code == 1
    assert end.folder is not None
    again = ended(tmp_path, leaving(Status.FINISHED))
    assert (again.exit_code, again.folder) == (0, end.folder)
    entries = files.read_sweep(end.folder).runs
    assert [entry.status for entry in entries] == [Status.FINISHED, Status.FINISHED]
    assert [entry.reason for entry in entries] == ["", ""]
    (aside,) = (end.folder / files.SUPERSEDED).iterdir()
    assert aside.name.startswith("urgent_only")


def test_a_damaged_summary_is_a_run_without_a_result(tmp_path: Path) -> None:
    end = ended(tmp_path, leaving(Status.FINISHED, Status.FINISHED))
    assert end.folder is not None
    (summary,) = end.folder.glob(f"native*/{files.SUMMARY}")
    summary.write_text(summary.read_text()[:40])
    assert ended(tmp_path, leaving(Status.FINISHED)).exit_code == 0


def test_an_interrupted_sweep_says_so_and_keeps_its_folder(tmp_path: Path) -> None:
    def launch(folder: Path, jobs: list[str], at_once: int) -> None:
        leaving(Status.KILLED)(folder, jobs, at_once)
        raise KeyboardInterrupt

    end = ended(tmp_path, launch)
    assert end.exit_code == 130
    assert end.folder is not None
    statuses = [entry.status for entry in files.read_sweep(end.folder).runs]
    assert statuses == [Status.KILLED, Status.PENDING]


def test_a_dry_run_has_no_folder(tmp_path: Path) -> None:
    end = ended(tmp_path, never, "dry_run=true")
    assert (end.exit_code, end.folder) == (0, None)
    assert not list(tmp_path.iterdir())


def test_a_job_that_is_given_less_time_than_a_repeat_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.sweep.estimate.minutes", lambda points: [40.0 for _ in points])
    planned = plan([*SWEEP, "sweep.repeats=2", f"output_root={tmp_path}"], compose)
    with pytest.raises(UserError) as error:
        run(planned, never, job_minutes=60)
    assert str(error.value) == (
        "hydra.launcher.timeout_min=60: a job is a whole repeat, and repeat 1 takes 80 min\n"
        "  hydra.launcher.timeout_min=120, or fewer points"
    )
    assert not list(tmp_path.iterdir())


def test_a_launcher_that_raises_costs_what_it_did_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def launch(folder: Path, jobs: Sequence[str], at_once: int) -> None:
        leaving(Status.FINISHED)(folder, jobs, at_once)
        raise RuntimeError("a worker was killed")

    end = ended(tmp_path, launch)
    assert end.exit_code == 1
    said = capsys.readouterr().out
    assert "the sweep ended early: RuntimeError: a worker was killed" in said
    assert "1 of 2 runs have no result; to run them: python -m runner" in said
    assert end.folder is not None
    statuses = [entry.status for entry in files.read_sweep(end.folder).runs]
    assert statuses == [Status.FINISHED, Status.PENDING]
    assert ended(tmp_path, leaving(Status.FINISHED)).exit_code == 0
