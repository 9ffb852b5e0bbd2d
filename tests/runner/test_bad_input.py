"""Bad input: exit code 2, one message with key, value and remedy, no traceback, nothing written,
and no model loaded."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig

from tests.conftest import Run, environment

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
    "a value that is still to be given": (["seed=???"], "seed=???", "give it one"),
    "an option of Hydra's that means nothing here": (
        ["--experimental-rerun=x"],
        "--experimental-rerun is not taken",
        "runner.replay RUN",
    ),
    "texts that would be sorted": (
        ["-m", "xsched.timeslice_us=sort(3ms,20ms,1ms)"],
        "xsched.timeslice_us=",
        "write them in their order",
    ),
    "an option without its other": (["--resolve"], "--resolve goes with --cfg", "--cfg job"),
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
    "a deadline's figure without one": (
        ["sweep.primary=slo_attainment/high-1"],
        "sweep.primary=slo_attainment/high-1: high-1 has no deadline_us",
        "task_set.tasks.high-1.deadline_us=",
    ),
    "a window beyond its limit": (
        ["task_set.duration_s=20min"],
        "task_set.duration_s=1200: no window may be longer than limit_s=900",
        "limit_s=1200",
    ),
    "no grammar at all": (["xsched.threshold=[4"], "xsched.threshold=[4", "cannot be read"),
    "a key of another group": (["repeats=3"], "repeats=3: there is no", "mean: sweep.repeats"),
    "a group's misspelt name": (["taskset=smoke"], "taskset=smoke", "did you mean: task_set\n"),
    "a group's misspelt name in a key": (["xshed.threshold=4"], "xshed", "mean: xsched.threshold"),
    "a key of two groups": (["batch_size=4"], "=4", "mean: model.batch_size or xsched.batch_size"),
    "a task's key without its place": (
        ["urgnt.priority=3"],
        "urgnt.priority=3",
        "did you mean: task_set.tasks.urgnt.priority",
    ),
    "a task of another name": (
        ["task_set.tasks.camera.priority=3"],
        "task_set.tasks=camera: there is no such task",
        "allowed: high-1, high-2, norm-1",
    ),
    "a task that is added": (
        ["+task_set.tasks.camera.priority=3"],
        "task_set.tasks=camera: there is no such task",
        "python -m runner.new NAME",
    ),
    "a repeat's number": (["repeat=3"], "repeat=3: the sweep itself", "mean: sweep.repeats=3"),
    "a unit that is none of time": (["limit_s=10kg"], "limit_s=10kg: must be a number", "(s), or"),
    "a number with a unit too many": (["seed=5ms"], "seed=5ms", "write a number alone"),
    "a part of a microsecond": (["xsched.timeslice_us=0.5us"], "=0.5: must be", "us, ms, s, min"),
    "a time that is too long": (["xsched.timeslice_us=60s"], "=60000000: out of", "10000000 µs"),
    "a value twice": (["xsched.threshold=4,8,4"], "4,8,4: 4 is there twice", "sweep.repeats"),
    "a value in two spellings": (
        ["xsched.threshold=8,08"],
        "xsched.threshold=8,08: 8 and 08 are both 8",
        "sweep.repeats=3",
    ),
    "a value that auto means": (
        ["platform.placement=auto,threads"],
        "auto and threads are both",
        "leave",
    ),
    "a key twice": (["seed=1", "seed=2"], "seed=2: is given twice, before as 1", "seed=1,2"),
    "a list as a choice": (["arm=[native,xsched]"], "a list is no choice", "-m arm=native,xsched"),
    "a choice that is added": (["+arm=native"], "+arm=native", "without the +: arm=native"),
    "a choice with its ending": (["task_set=smoke.yaml"], "smoke.yaml", "mean: task_set=smoke"),
    "a choice by its path": (["task_set=../x/y"], "is a name, not a path", "--config-dir FOLDER"),
    "a choice in capitals": (["task_set=Smoke"], "task_set=Smoke", "did you mean: smoke"),
    "a command alone": (
        ["campaign", "paper.yaml"],
        "campaign: ",
        "mean: python -m runner.campaign",
    ),
    "a choice alone": (["smoke"], "smoke: is no key=value", "did you mean: task_set=smoke"),
    "a file alone": (["conf/task_set/smoke.yaml"], "is no key=value", "mean: task_set=smoke"),
    "a key alone": (["dry_run"], "dry_run: is no key=value", "write key=value, without blanks"),
    "a colon for =": (["xsched.threshold:4"], "is no key=value", "mean: xsched.threshold=4"),
    "blanks around =": (["task_set", "=", "smoke"], "task_set: is no", "without blanks"),
    "a blank after a comma": (["arm=native,", "xsched"], "ends with a comma", "arm=native,xsched"),
    "another command": (["compare", "outputs/x"], "compare: is no", "python -m runner.compare"),
    "two commas": (["xsched.threshold=4,,8"], "4,,8: cannot be read", "take out the comma"),
    "a semicolon": (["xsched.threshold=4;8"], "4;8: cannot be read", "quote what is no plain"),
    "a list for a number": (["xsched.threshold=[4,8]"], "[4, 8]: must be", "(commands)"),
    "letters in a range": (["seed=range(1,x)"], "range(1,x): cannot be read", "range(start,stop"),
    "a range without end": (["seed=range(1,10000000)"], "more than 10,000 values", "choice(4,8"),
    "an endless sweep": (
        ["-m", "seed=range(0,5000)", "warmup=range(0,5000)"],
        "warmup=range(0,5000)",
        "more than 10,000 points",
    ),
    "a text for a group": (["task_set.tasks.low-1.xsched=block"], "=block", "xsched: {level: …}"),
    "a number for a task": (["task_set.tasks.low-1=4"], "low-1=4: this is", "{priority: …}"),
    "a number for all tasks": (["task_set.tasks=4"], "tasks=4", "{NAME: {priority: 1}}"),
    "no model of a task": (
        ["task_set.tasks.low-1.model=brt_mini"],
        "low-1.model.name=brt_mini: there is no such choice",
        "did you mean: bert_mini",
    ),
    "a launcher that is not installed": (
        ["hydra/launcher=submitit_slurm"],
        "hydra/launcher=submitit_slurm: this launcher is not installed",
        "pip install hydra-submitit-launcher brings it",
    ),
    "a launcher that is none": (["hydra/launcher=jobli"], "no such launcher", "mean: joblib"),
    "a key taken away": (["~xsched.level"], "only a task can be taken away", "xsched.level=…"),
    "a key taken away that is none": (["~xsched.levle"], "no such key", "mean: xsched.level"),
    "a new group": (["+nodes.count=4"], "nodes.count=4: there is no such key", "reference.md"),
    "a place of Hydra's": (["hydra.run.dir=x"], "hydra.run.dir=x: has no effect", "output_root="),
    "a claim in parts": (
        ["+expect.0.metric=p99_ms/urgent"],
        "expect.0.metric=p99_ms/urgent: claims are given all at once",
        "expect=[{what: ",
    ),
    "several outcomes": (["outcome=result,refusal"], "a sweep has one outcome", "outcome=result"),
    "a launcher of no kind": (["hydra.launcher._target_=os.system"], "_target_=os.system", "Hydra"),
    "no store": (["tracking.uri="], "tracking.uri=''", "name one, or leave it out"),
    "a store of no kind": (["tracking.uri=foo"], "tracking.uri=foo", "sqlite:///FILE"),
    "a database without slashes": (["tracking.uri=sqlite:x.db"], "takes sqlite:///", "sqlite:///F"),
    "a server without a host": (["tracking.uri=http:/x:5000"], "names no host", "http://HOST:PORT"),
    "a scheduler's server": (["platform.server=here"], "platform.server=here", "host:port"),
    "an option that is none": (["--nope"], "--nope: there is no such option", "runner --help"),
    "a misspelt option": (["--confg-dir", "x"], "--confg-dir", "did you mean: --config-dir"),
    "a key as an option": (["--repeats", "3"], "--repeats", "did you mean: sweep.repeats"),
    "an option without its value": (["--cfg", "nope"], "--cfg", "runner --help lists"),
    "a folder that is not there": (["--config-dir", "x"], "--config-dir=x: is not", "runner.new"),
    "a path that is none": (["--config-path", "x"], "--config-path=x", "--config-dir adds files"),
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


#: What only running takes, and the figures of a claim take numpy.
HEAVY = ("numpy", "scipy", "pyarrow", "mlflow", "matplotlib", "torch", "runner.sweep.run")


@pytest.mark.parametrize(
    ("arguments", "may_be"),
    [
        (["xsched.batch_size=9"], []),
        (["task_set.tasks.low-1.model=brt_mini"], []),
        (["-m", "xsched.threshold=8,2"], []),
        (["tracking.uri=foo"], ["numpy"]),  # host's platform has it
        (["platform.device_cores=999"], ["numpy"]),
        (["sweep.primary=p98_ms/highest"], ["numpy", "scipy"]),
        (["experiment=fixed_priority", "arm=xsched"], ["numpy", "scipy"]),
    ],
    ids=str,
)
def test_a_mistake_does_not_wait_for_what_running_imports(
    arguments: list[str], may_be: list[str], tmp_path: Path
) -> None:
    """So it costs what Hydra does and 0.3 s; with them it was 0.6 s."""
    program = (
        "import atexit, sys; from runner.commands.run import main; "
        f"atexit.register(lambda: print(*(m for m in {HEAVY} if m in sys.modules))); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, f"output_root={tmp_path / 'out'}"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert set(done.stdout.split()) <= set(may_be)


def test_a_mistake_is_composed_once(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra would do it twice, and the first time only to learn the mode."""
    composed: list[object] = []
    whole = ConfigLoaderImpl.load_configuration

    def counted(self: ConfigLoaderImpl, *given: object, **named: object) -> DictConfig:
        composed.append(given)
        return whole(self, *given, **named)  # type: ignore[arg-type]  # handed on

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    assert run_here("xsched.level=blok").returncode == 2
    assert len(composed) == 1


def refused(run: Run, tmp_path: Path, arguments: list[str], what: str, remedy: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("error: ") == 1
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


@pytest.mark.parametrize("dry_run", ["false", "true"])
def test_a_folder_that_cannot_be_written_is_refused(
    dry_run: str, run_here: Run, tmp_path: Path
) -> None:
    (tmp_path / "out").write_text("a file, not a folder")
    done = run_here("task_set=smoke", f"dry_run={dry_run}")
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
FILES |= {
    "an unknown model's name": ("tasks: {a: {model: brt}}\n", "tasks.a.model.name=brt: there is"),
    "an unknown process": ("tasks: {a: {arrival: poison}}\n", "did you mean: poisson"),
    "a misspelt group": ("tasks: {a: {modle: bert_mini}}\n", "mean: task_set.tasks.a.model"),
    "a level too much": ("task_set: {tasks: {a: {}}}\n", "below task_set: take that level away"),
    "the package of an experiment": (
        "# @package _global_\ntasks: {a: {priority: 1}}\n",
        "take away its line # @package _global_",
    ),
    "a list of tasks": ("tasks:\n  - {name: a}\n", "write what is in it: tasks: {NAME:"),
    "tasks of nothing": ("tasks:\n", "task_set.tasks=null"),
    "a task of nothing": ("tasks: {a: }\n", "write what is in it: a: {priority: …}"),
    "a task that is a model": ("tasks: {a: bert_mini}\n", "tasks.a=bert_mini: this is a group"),
    "no tasks": ("name: x\n", "a task set needs at least one task"),
    "a list of models": ("tasks: {a: {model: [gpt2]}}\n", "write what is in it: model: {name"),
    "a list for a text": ("name: [x]\ntasks: {a: {}}\n", "task_set.name=[…]: it takes one value"),
    "minutes by a letter": ("duration_s: 10 m\ntasks: {a: {}}\n", "or one with us, ms, min, h"),
    "a comma in a number": (
        "tasks: {a: {arrival: {process: poisson, load: '0,3'}}}\n",
        "a.arrival.load=0,3: must be a number\n  write a number (share), or one with %",
    ),
    "two rates": (
        "tasks: {a: {arrival: {process: poisson, load: 30%, rate_rps: 5/s}}}\n",
        "a.arrival.rate_rps=5.0: the task has a rate already, load=0.3",
    ),
    "a name that YAML takes for false": ("tasks: {off: {priority: 1}}\n", "for true and false"),
}
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


GLOBAL = "# @package _global_\n"
SMOKE = f"{GLOBAL}defaults: [override /task_set: smoke]\n"


def expecting(**keys: object) -> str:
    """An experiment with this claim."""
    claim = {"what": "a", "of": "arm=xsched"} | keys
    return f"{SMOKE}expect: [{json.dumps(claim)}]\n"


def sweeping(key: str, values: object) -> str:
    return f"{SMOKE}hydra: {{sweeper: {{params: {{{key}: {json.dumps(values)}}}}}}}\n"


#: Of experiments: what the file holds, and what the message says.
EXPERIMENTS = {
    "no package": (
        "seed: 1\n",
        "make this its first line, before any comment: # @package _global_",
    ),
    "a comment before the package": (f"# what\n{SMOKE}", "before any comment: # @package _global_"),
    "a misspelt package": ("# @package global\nseed: 1\n", "did you mean: # @package _global_"),
    "a choice without override": (
        f"{GLOBAL}defaults:\n  - /task_set: smoke\n",
        "write - override /task_set: smoke",
    ),
    "a choice without a slash": (
        f"{GLOBAL}defaults:\n  - override task_set: smoke\n",
        "write - override /task_set: smoke",
    ),
    "a choice of no group": (
        f"{GLOBAL}defaults:\n  - override /taskset: smoke\n",
        "did you mean: override /task_set",
    ),
    "choices that are no list": (
        GLOBAL + "defaults: {override /task_set: smoke}\n",
        "write a list of - group: file",
    ),
    "an unknown choice": (SMOKE.replace("smoke", "smok"), "did you mean: smoke"),
    "an unknown choice, by its file": (
        SMOKE.replace("smoke", "smok"),
        "mine/experiment/x.yaml: task_set=smok: there is no such task_set",
    ),
    "a wrong claim, by its file": (
        f"{SMOKE}expect:\n  - {{at_most: 5ms}}\n",
        "mine/experiment/x.yaml: expect.0.at_most=5ms: must be a number",
    ),
    "a wrong value, by its file": (
        f"{SMOKE}xsched: {{threshold: eight}}\n",
        "mine/experiment/x.yaml: xsched.threshold=eight: must be a whole number",
    ),
    "a launcher that is not installed": (
        f"{GLOBAL}defaults: [override /hydra/launcher: ray]\n",
        "mine/experiment/x.yaml: hydra/launcher=ray: this launcher is not installed",
    ),
    "a choice as a value": (
        f"{GLOBAL}task_set: smoke\n",
        "- override /task_set: smoke",
    ),
    "an arm as a value": (f"{GLOBAL}arm: native\n", "- override /arm: native"),
    "repeats at the top": (f"{GLOBAL}repeats: 3\n", "did you mean: sweep.repeats"),
    "a dotted key": (f"{GLOBAL}xsched.threshold: 4\n", "mean: xsched.threshold"),
    "arms as a list": (GLOBAL + "arm: {name: [solo, native]}\n", "{params: {arm.name:"),
    "a task that is not in its set": (
        f"{SMOKE}task_set: {{tasks: {{urgnt: {{priority: 3}}}}}}\n",
        "task_set.tasks=urgnt: smoke has no such task\n  allowed: urgent, background\n"
        "  did you mean: urgent",
    ),
    "a key twice": (f"{GLOBAL}seed: 1\nseed: 2\n", "line 3: found duplicate key seed"),
    "a tab": (f"{GLOBAL}sweep:\n\trepeats: 3\n", "line 3: found character"),
    "a colon too many": (f"{GLOBAL}sweep: repeats: 3\n", "line 2: mapping values"),
    "no blank after a colon": (GLOBAL + "sweep:{repeats: 3}\n", "mean: sweep.repeats"),
    "a key to look up": (GLOBAL + "seed: ${nope.key}\n", "'nope.key' not found"),
    "a misspelt swept key": (sweeping("arms", "solo,native"), "did you mean: arm"),
    "an unknown swept choice": (sweeping("arm", "solo,nativ"), "did you mean: native"),
    "a swept value twice": (sweeping("xsched.threshold", "4,8,4"), "4 is there twice"),
    "nothing to sweep over": (sweeping("arm", None), "write [solo, xsched], or 'solo,xsched'"),
    "blanks for commas": (sweeping("arm", "solo native"), "arm=solo native: there is no such arm"),
    "repeats that are swept": (sweeping("sweep.repeats", "3,5"), "run one after another"),
    "a swept key of no task": (sweeping("task_set.tasks.urgnt.priority", "1,2"), "mean: urgent"),
    "params beside hydra": (f"{SMOKE}sweeper: {{params: {{}}}}\n", "sweeper={…}: there is no"),
    "a claim that is no list": (
        f"{SMOKE}expect: {{what: a}}\n",
        "expect: [{what: a claim, at_most",
    ),
    "a claim without a bound": (expecting(), "give at_least, at_most or equals"),
    "a claim with crossed bounds": (
        expecting(at_least=2, at_most=1),
        "nothing is that and at most",
    ),
    "a claim about no figure": (expecting(metric="p99/urgent", at_most=1), "mean: p99_ms/urgent"),
    "a claim about no task": (expecting(metric="p99_ms/urgnt", at_most=1), "did you mean: urgent"),
    "a claim of no key": (expecting(of="xsched", at_most=1), "key=value, separated by blanks"),
    "a claim of no run": (expecting(of="arm=xshed", at_most=1), "did you mean: arm=xsched"),
    "a claim to no run": (expecting(to="arm=native", at_most=1), "no run of this sweep has arm="),
    "a claim that equals nothing": (expecting(metric="proof", equals="provn"), "mean: proven"),
    "a claim for no platform": (expecting(platform="gpu", at_most=1), "allowed: cuda, hip, host"),
    "a claim in percent": (expecting(at_most="80%"), "at_most=80%: must be a number"),
    "a claim with a misspelt key": (expecting(at_mots=1), "did you mean: expect.<number>.at_most"),
}


@pytest.mark.parametrize("case", EXPERIMENTS, ids=str)
def test_a_wrong_experiment_is_refused(case: str, run_here: Run, tmp_path: Path) -> None:
    content, says = EXPERIMENTS[case]
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "x.yaml").write_text(content)
    refused(run_here, tmp_path, ["--config-dir", "mine", "experiment=x"], says, "")


def test_a_wrong_argument_is_not_said_to_be_a_file_s(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "x.yaml").write_text(f"{SMOKE}xsched: {{threshold: 8}}\n")
    given = ["--config-dir", "mine", "experiment=x", "xsched.threshold=eight"]
    refused(run_here, tmp_path, given, "error: xsched.threshold=eight: must be", "a whole number")


def test_a_file_that_another_one_hides_is_refused(run_here: Run, tmp_path: Path) -> None:
    """Hydra would read the project's own."""
    (tmp_path / "mine" / "task_set").mkdir(parents=True)
    (tmp_path / "mine" / "task_set" / "smoke.yaml").write_text("tasks: {a: {priority: 1}}\n")
    hidden = ["--config-dir", "mine", "task_set=smoke"]
    refused(run_here, tmp_path, hidden, "smoke.yaml is not read", "give it another name")


@pytest.mark.parametrize("folder", ["mine/task_set", "mine/task_set/x.yaml", "other"])
def test_a_folder_of_ones_own_that_holds_nothing_is_refused(
    folder: str, run_here: Run, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "task_set").mkdir(parents=True)
    (tmp_path / "mine" / "task_set" / "x.yaml").write_text("tasks: {a: {priority: 1}}\n")
    (tmp_path / "other").mkdir()
    says = "did you mean: --config-dir mine" if folder == "mine/task_set" else "GROUP/NAME.yaml in"
    refused(run_here, tmp_path, ["--config-dir", folder], f"--config-dir={folder}: ", says)


#: Of the other commands: arguments, and what the message says.
COMMANDS = {
    "compare": ([], "required: PATH"),
    "compare nothing": (["nothing"], "nothing is not there"),
    "compare with a misspelt option": (["x", "--primry", "stp"], "did you mean: --primary"),
    "compare an id of no run": (["0" * 32], "--uri"),
    "report nothing": (["nothing"], "nothing is not there"),
    "report a file": ([__file__], "zip"),
    "export nothing": (["nothing", "x.zip"], "nothing is not there"),
    "export to nowhere": (["nothing"], "required: ZIP"),
    "replay nothing": (["nothing"], "nothing is not there"),
    "replay a file": ([__file__], "is no folder"),
    "log nothing": (["nothing"], "nothing is no folder"),
    "judge nothing": (["nothing"], "nothing is no sweep"),
    "new": ([], "required: NAME"),
    "new with a path": (["a/b"], "NAME=a/b: not a name"),
    "new with a name that is taken": (["smoke"], "smoke.yaml is there already"),
    "new in no folder": (["x", "--dir", "/proc/nowhere"], "choose another folder"),
    "list nothing": (["modle"], "did you mean: model"),
    "list no folder": (["--config-dir", "nothing"], "--config-dir=nothing: is not there"),
}


@pytest.mark.parametrize("case", COMMANDS, ids=str)
def test_another_command_refuses_likewise(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given, says = COMMANDS[case]
    name = case.partition(" ")[0]
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(sys, "argv", [name, *given])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module(f"runner.commands.{name}").main()
    said = capsys.readouterr().err
    assert ended.value.code == 2, said
    assert said.startswith("error: ")
    assert says in said
    assert "Traceback" not in said
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_not_utf_8_is_refused(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "mine" / "task_set").mkdir(parents=True)
    (tmp_path / "mine" / "task_set" / "x.yaml").write_bytes("name: Prioritäten\n".encode("latin-1"))
    done = run_here("--config-dir", str(tmp_path / "mine"), "task_set=x")
    assert done.returncode == 2
    assert "UTF-8" in done.stderr
    assert "Traceback" not in done.stderr
