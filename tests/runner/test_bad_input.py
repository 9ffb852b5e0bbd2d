"""Bad input: exit code 2, one message with key, value and remedy, no traceback, nothing written,
and no model loaded."""

from pathlib import Path

import pytest

from tests.conftest import Run

#: (arguments, what the message says is wrong, what it says to do)
CASES = {
    "a task set that is a number": (["task_set=6"], "task_set=6", "allowed: foreground"),
    "no task set": (["task_set=null"], "task_set=null", "allowed: foreground"),
    "no key": (["=4"], "there is no such key", "docs/reference.md"),
    "an unknown task": (
        ["task_set.tasks.hgh-1.priority=3"],
        "task_set.tasks=hgh-1: there is no such task",
        "did you mean: high-1",
    ),
    "an unknown key of a task": (
        ["task_set.tasks.high-1.prioritty=3"],
        "task_set.tasks.high-1.prioritty=3",
        "did you mean: task_set.tasks.high-1.priority",
    ),
    "neither true nor false": (["dry_run=maybe"], "dry_run=maybe", "must be true or false"),
    "a level that is null": (["xsched.level=null"], "xsched.level=null", "allowed: block"),
    "keys and values for a text": (["tracking.uri={a: 1}"], "tracking.uri={", "must be a text"),
    "an unknown task set": (["task_set=six_brt"], "task_set=six_brt", "did you mean: six_bert"),
    "an unknown key": (["xsched.treshold=4"], "xsched.treshold=4", "xsched.threshold"),
    "an unknown key with +": (["+xsched.treshold=4"], "xsched.treshold=4", "xsched.threshold"),
    "a misspelt level": (["xsched.level=blok"], "xsched.level=blok", "did you mean: block"),
    "load 0": (["arrival.load=0"], "arrival.load=0", "allowed: 0.001 to 10.0"),
    "a task's load below 0": (
        ["task_set.tasks.high-1.arrival.load=-1"],
        "high-1.arrival.load=-1",
        "allowed: 0.001 to 10.0",
    ),
    "threshold 0": (["xsched.threshold=0"], "xsched.threshold=0", "allowed: 1 to 4096"),
    "threshold -1": (["xsched.threshold=-1"], "xsched.threshold=-1", "allowed: 1 to 4096"),
    "threshold eight": (["xsched.threshold=eight"], "xsched.threshold=eight", "a whole number"),
    "batch over threshold": (["xsched.batch_size=9"], "xsched.batch_size=9", "1 to 8"),
    "priority 256": (["task_set.tasks.low-1.priority=256"], "low-1.priority=256", "-255 to 255"),
    "an unknown model": (["model=bert_bas"], "model=bert_bas", "did you mean: bert_base"),
    "an unknown model's name": (["model.name=brt"], "model.name=brt", "allowed: bert_base"),
    "weights that are not there": (
        ["model.pretrained=none.safetensors"],
        "model.pretrained=none.safetensors: is not there",
        "absolute or from the folder that the command runs in",
    ),
    "a task's weights that are none": (
        ["+task_set.tasks.low-1.model.pretrained=."],
        "task_set.tasks.low-1.model.pretrained=.: has no weights in it",
        "model.safetensors",
    ),
    "weights of synthetic": (
        ["model=synthetic", "model.pretrained=none.pt"],
        "model.pretrained=none.pt: synthetic has no weights",
        "allowed: null",
    ),
    "zero tasks": (["~task_set"], "task_set.tasks", "at least one task"),
    "negative requests": (["task_set.requests=-1"], "task_set.requests=-1", "allowed: 1 to"),
    "a level the platform lacks": (
        ["platform=hip", "xsched.level=interrupt"],
        "xsched.level=interrupt",
        "allowed: block",
    ),
    "a scheduler the platform lacks": (["xsched.scheduler=global"], "=global", "allowed: local"),
    "a policy the platform lacks": (["xsched.policy=hhpf"], "xsched.policy=hhpf", "hpf, up"),
    "a placement the platform lacks": (["platform.placement=processes"], "processes", "threads"),
    "MPS on host": (["platform.mps=on"], "platform.mps=on", "allowed: auto"),
    "more device cores than there are": (["platform.device_cores=999"], "=999", "allowed: 1 to"),
    "a wrong second point": (["-m", "xsched.threshold=8,2"], "xsched.batch_size=4", "point 2 of 2"),
    "an interval": (["-m", "seed=interval(0,1)"], "seed=", "a list (4,8,16)"),
    "an interval of nothing": (["seed=interval()"], "seed=interval()", "cannot be read"),
    "a range that is empty": (["seed=range(17,4,4)"], "seed=range(17,4,4)", "ends before stop"),
    "a range without steps": (["seed=range(1,4,0)"], "seed=range(1,4,0)", "range(start,stop,step)"),
    "a pattern": (["arm=glob(x*)"], "arm=glob(x*)", "a list (4,8,16)"),
    "two experiments": (
        ["experiment=level_sweep,fixed_priority"],
        "experiment=level_sweep,fixed_priority: an experiment brings its own sweep",
        "one after another: experiment=level_sweep, then experiment=fixed_priority",
    ),
    "two numbers of repeats": (["sweep.repeats=3,5"], "sweep.repeats=3,5", "one after another"),
    "two stores": (["tracking=none,mlflow"], "tracking=none,mlflow", "one after another"),
    "with and without a run": (["dry_run=true,false"], "dry_run=true,false", "one after another"),
    "a task set that leads out": (["task_set.name=../x"], "task_set.name=../x", "no dot first"),
    "a task set that is a path": (["task_set.name=a/b"], "task_set.name=a/b", "another name"),
    "a task set's long name": (
        [f"task_set.name={'a' * 101}"],
        "aaa: not a plain name",
        "up to 100",
    ),
    "an experiment that leads out": (["tracking.experiment=.."], "experiment=..", "another name"),
    "a claim of an arm that does not run": (
        ["experiment=fixed_priority", "arm=xsched"],
        "expect.0.to=arm=solo: no run of this sweep has arm=solo",
        "expect=[]",
    ),
    "no grammar at all": (["xsched.threshold=[4"], "xsched.threshold=[4", "cannot be read"),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_wrong_argument_is_refused(case: str, run_here: Run, tmp_path: Path) -> None:
    refused(run_here, tmp_path, *CASES[case])


@pytest.mark.parametrize(
    "case", ["an unknown key", "threshold eight", "a wrong second point"], ids=str
)
def test_so_it_is_by_a_process_of_its_own(case: str, run: Run, tmp_path: Path) -> None:
    """Found before Hydra composes, while it does, and after."""
    refused(run, tmp_path, *CASES[case])


def refused(run: Run, tmp_path: Path, arguments: list[str], what: str, remedy: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert what in done.stderr
    assert remedy in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("platform", ["cuda", "hip"])
def test_a_gpu_platform_that_cannot_run_here_says_why(
    platform: str, run_here: Run, tmp_path: Path
) -> None:
    """Without a GPU, or without a PyTorch, or an XSched, that could use it."""
    done = run_here(f"platform={platform}", "xsched.home=/nonexistent")
    assert done.returncode == 2
    assert f"platform={platform}: " in done.stderr
    if not Path("/dev/nvidiactl").exists() and not Path("/dev/kfd").exists():
        assert "GPU here" in done.stderr
        assert "platform=host runs everywhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_refused(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    done = run_here("task_set=smoke")
    assert done.returncode == 2
    assert "output_root" in done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


FILES = {
    "a duplicate key": (
        "name: x\ntasks:\n  a: {priority: 1}\n  a: {priority: 2}\n",
        "duplicate key",
    ),
    "no YAML": ("name: [x\n", "line"),
    "a hydra node": ("hydra:\n  callbacks:\n    x: {_target_: os.system}\n", "hydra.callbacks"),
    "a package": ("# @package hydra.callbacks\nx: {_target_: os.system}\n", "@package"),
    "a default": ("defaults:\n  - override /hydra/help: default\n", "hydra/help"),
    "an unknown key": ("name: x\ntasks: {a: {prioritty: 1}}\n", "tasks.a.priority"),
    "a wrong type": ("tasks: {a: {priority: high}}\n", "tasks.a.priority=high: must be a whole"),
    "a default that is not there": ("defaults: [nope]\n", "task_set=nope: there is no such task"),
    "a task named by a number": ("tasks: {1: {priority: 1}}\n", "if you mean it: '1'"),
    "a target": ("name: x\ntasks: {a: {_target_: os.system}}\n", "_target_"),
}


#: Of tasks, as YAML spells them.
NAMES = (
    "system",
    "total",
    "lowest",
    "priority_3",
    "p,q",
    "it's",
    "a=b",
    "🚀",
    "a\\nb",
    "a\\x07",
    ".hidden",
    "a ",
    "../x",
)
FILES |= {name: (f'tasks: {{"{name}": {{priority: 1}}}}\n', "give ") for name in NAMES}


@pytest.mark.parametrize("case", FILES, ids=str)
def test_a_wrong_file_is_refused(case: str, run_here: Run, tmp_path: Path) -> None:
    content, says = FILES[case]
    (tmp_path / "mine" / "task_set").mkdir(parents=True)
    (tmp_path / "mine" / "task_set" / "x.yaml").write_text(content)
    done = run_here("--config-dir", str(tmp_path / "mine"), "task_set=x")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_not_utf_8_is_refused(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "mine" / "task_set").mkdir(parents=True)
    (tmp_path / "mine" / "task_set" / "x.yaml").write_bytes("name: Prioritäten\n".encode("latin-1"))
    done = run_here("--config-dir", str(tmp_path / "mine"), "task_set=x")
    assert done.returncode == 2
    assert "UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
