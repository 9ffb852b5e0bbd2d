"""What a configuration file may say. Hostile ones, run by the command: tests/faults."""

import os
from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.config.files import FileConfigSource
from runner.config.limits import MOST_BYTES, MOST_DEPTH, MOST_NODES, check_limits
from tests.conftest import ROOT, Run


def read(folder: Path, content: str | bytes, config: str = "x") -> None:
    """The file as Hydra reads it."""
    path = folder / f"{config}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    FileConfigSource("mine", str(folder)).load_config(config)


def test_our_own_files_pass() -> None:
    source = FileConfigSource("main", str(ROOT / "conf"))
    for path in (ROOT / "conf").rglob("*.yaml"):
        source.load_config(str(path.relative_to(ROOT / "conf")))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# nothing yet\n",
        "hydra: {mode: MULTIRUN}\n",
        "hydra: {sweeper: {params: {xsched.threshold: '4,8'}}}\n",
        "hydra: {sweeper: {params: {arm: [solo, xsched], task_set.tasks.a-1.priority: [1, 2]}}}\n",
        "hydra: {launcher: {n_jobs: 2}}\n",
        "defaults:\n  - override /hydra/launcher: joblib\n",
        "defaults: [schema, /task_set@_global_: smoke, optional model: null, _self_]\n",
        "# about hydra\nname: hydra\n",
        "# @package task_set\nname: ${model.name}\nrequests: ${.tasks.a.requests}\n",
        "a: &a {b: [1, 2.5, true, null, !!str 3]}\nc: *a\nd: {<<: *a}\n",
    ],
)
def test_a_file_may_sweep_choose_a_launcher_and_look_up_keys(tmp_path: Path, content: str) -> None:
    read(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "hydra: {callbacks: {x: {_target_: os.system}}}\n",
        "hydra: {launcher: {_target_: os.system}}\n",
        "hydra: {launcher: {setup: [rm]}}\n",
        "hydra.callbacks: {x: {}}\n",
        "hydra: {searchpath: [file:///tmp]}\n",
        "hydra: {run: {dir: /tmp}}\n",
        "hydra: none\n",
        "hydra: {sweeper: {params: '${model}'}}\n",
        '"hy\\x64ra": {callbacks: {x: {}}}\n',
        "? !!str hydra\n: callbacks: {}\n",
        "a: &a {callbacks: {x: {}}}\nhydra: *a\n",
        "<<: {hydra: {callbacks: {x: {}}}}\n",
        "# @package hydra\ncallbacks: {}\n",
        "# @package _global_.hydra.callbacks\nx: {}\n",
        "# @package _group_\nx: {}\n",
        "# @package [hydra]\nx: {}\n",
        "hydra: {sweeper: {params: {xsched.home: /tmp}}}\n",
        "defaults:\n  - /task_set@hydra.callbacks: smoke\n",
        "defaults:\n  - override hydra/job_logging: none\n",
        "defaults:\n  - /hydra/callbacks: x\n",
        "defaults:\n  - hydra/callbacks/x\n",
        "defaults:\n  - override /hydra/launcher@hydra.callbacks: basic\n",
        "tasks: {a: {_target_: os.system}}\n",
        "expect: [{_args_: []}]\n",
        "name: ${hydra.job.name}\n",
    ],
)
def test_a_file_may_not_change_how_hydra_runs(tmp_path: Path, content: str) -> None:
    with pytest.raises(UserError, match="is data") as error:
        read(tmp_path, content)
    assert str(error.value).startswith(f"{tmp_path / 'x.yaml'}=")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("name: ${oc.env:HOME}\n", "line 1: ${oc.env:HOME}: a text may look up one key"),
        ("a: 1\nname: ${eval:1}\n", "line 2: "),
        ("name: '${a.${b}}'\n", "one key"),
        ("name: ${a}${b}\n", "one key"),
        ("${a:b}: 1\n", "one key"),
        ("name: '$\\{oc.env:HOME}'\n", "one key"),
        ("name: '\\$\\{oc.env:HOME\\}'\n", "one key"),
        ("defaults:\n", "defaults: None: not understood"),
        ("xsched: !!map [1]\n", "x.yaml: cannot be read"),
        ("defaults:\n  - model: ${oc.env:HOME}\n", "one key"),
        ("defaults:\n  - /task_set/../hydra/x: y\n", "not understood"),
        ("defaults:\n  - task_set: ../../x\n", "not understood"),
        ("defaults:\n  - optional  /hydra/callbacks: x\n", "not understood"),
        ("defaults:\n  - x /hydra/callbacks: x\n", "not understood"),
        ("defaults: {task_set: 4}\n", "not understood"),
        ("defaults:\n  - 4: smoke\n", "{4: 'smoke'}: not understood"),
        ("defaults:\n  - {task_set: a, arm: b}\n", "not understood"),
        ("hydra: {sweeper: {params: {hydra.sweep.dir: /tmp}}}\n", "there is no such key"),
        ("hydra: {sweeper: {params: {+arm: solo}}}\n", "there is no such key"),
        ("name: !!python/name:os.system x\n", "line 1: the tag tag:yaml.org,2002:python"),
        ("name: !!binary aGk=\n", "the tag"),
        ("name: !mine x\n", "the tag !mine"),
        ("n: !!int many\n", "x.yaml: cannot be read: invalid literal"),
        ("n: !!bool many\n", "x.yaml: cannot be read: 'many'"),
        ("4\n", "line 1: holds no keys and values"),
        ("- a\n- b\n", "line 1: holds no keys and values"),
        ("a: 1\nb: [\n", "line 3: "),
        ("a: *b\n", "line 1: *b stands for itself, or for nothing"),
        ("a: &a\n  b: *a\n", "line 2: *a stands for itself"),
        ('a: "x\\0"\n', "line 1: a text with 'x\\x00', which is no character"),
        ('a: "\\ud800"\n', "line 1: "),
        ("a: 1\nb: \0\n", "line 2: control characters are not allowed"),
        ("a: 1\nname: Prioritäten\n".encode("latin-1"), "line 2: is not UTF-8"),
        ("a: 1\n".encode("utf-16"), "is not UTF-8"),
        ("tasks:\n  1: {priority: 1}\n", "tasks.1: a name must be a text"),
        ("# @package a b\nx: 1\n", "Too many components"),
        (f"n: {'1' * 5000}\n", "more than 100 digits"),
        (f"n: 1{':1' * 5000}\n", "more than 100 digits"),
        (f"n: 0x{'f' * 5000}\n", "more than 100 digits"),
    ],
    ids=str,
)
def test_a_file_that_is_no_plain_data_is_named_with_its_line(
    tmp_path: Path, content: str | bytes, says: str
) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, content)
    assert str(tmp_path / "x.yaml") in str(error.value)
    assert says in str(error.value)


def nested(depth: int) -> str:
    return f"a: {'[' * (depth - 1)}{']' * (depth - 1)}\n"


def bomb(levels: int) -> str:
    """Each level stands ten times for the one below."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def test_limits_are_kept_before_anything_is_made(tmp_path: Path) -> None:
    read(tmp_path, nested(MOST_DEPTH))
    read(tmp_path, bomb(3))
    for content, says in (
        (nested(MOST_DEPTH + 1), "nested more than"),
        (nested(10_000), "nest"),
        (bomb(9), "line 5: comes to more than"),
        ("a:\n" + "- 1\n" * MOST_NODES, "comes to more than"),
        ("a: '" + "x" * MOST_BYTES + "'\n", "is larger than"),
    ):
        with pytest.raises(UserError, match=says):
            read(tmp_path, content)


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.yaml")
    with pytest.raises(UserError, match="is no file with text in it"):
        check_limits(tmp_path / "x.yaml")


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_files_that_choose_each_other_are_named(
    tmp_path: Path, circle: list[str], run_here: Run
) -> None:
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    for name, chosen in zip(circle, [*circle[1:], circle[0]], strict=True):
        (folder / f"{name}.yaml").write_text(f"# @package _global_\ndefaults: [{chosen}]\n")
    done = run_here(f"--config-dir={folder.parent}", "experiment=a", "dry_run=true")
    assert done.returncode == 2
    assert "experiment/" in done.stderr
    assert "chooses itself by its defaults list" in done.stderr


def test_a_key_that_takes_a_list_takes_one_in_a_file(tmp_path: Path) -> None:
    read(tmp_path, "# @package _global_\nplatform: {devices: [0, GPU-1]}\n", "experiment/x")
    for wrong in ("platform: {devices: [[0]]}", "xsched: {threshold: [4, 8]}"):
        with pytest.raises(UserError, match=r"there is no such key|it takes one value"):
            read(tmp_path, f"# @package _global_\n{wrong}\n", "experiment/x")


def test_a_folder_may_not_bring_a_launcher_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Hydra itself"):
        read(tmp_path, "_target_: os.system\n", "hydra/launcher/evil")


@pytest.mark.parametrize("first", ["", "# What I want to know.\n"])
def test_a_missing_package_is_named(tmp_path: Path, first: str) -> None:
    with pytest.raises(UserError, match="first line, before any comment: # @package _global_"):
        read(
            tmp_path, f"{first}# @package _global_\nrepeat: 1\n"[not first and 20 :], "experiment/x"
        )


@pytest.mark.parametrize(
    "flags",
    [
        ["--config-dir", "{}"],
        ["--config-dir={}"],
        ["--config-path={}", "--config-name=experiment/x"],
        ["-cd", "{}"],
        ["hydra.searchpath=[file://{}]"],
    ],
    ids=lambda flags: flags[0],
)
def test_files_are_judged_however_they_are_found(
    flags: list[str], tmp_path: Path, run_here: Run
) -> None:
    path = tmp_path / "mine" / "experiment" / "x.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("# @package _global_\nhydra: {callbacks: {x: {_target_: os.system}}}\n")
    found = [flag.format(tmp_path / "mine") for flag in flags]
    done = run_here(*found, *([] if "--config-name" in flags[-1] else ["experiment=x"]))
    assert done.returncode == 2
    assert "is data and may not change how Hydra itself runs" in done.stderr


def test_a_file_that_is_not_used_does_not_matter(tmp_path: Path, run_here: Run) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / "x.yaml").write_text("hydra: {run: {dir: /tmp}}\n")
    done = run_here("--config-dir", str(tmp_path / "mine"), "task_set=smoke", "dry_run=true")
    assert done.returncode == 0, done.stderr


def test_a_list_of_values_is_swept_over(tmp_path: Path, run_here: Run) -> None:
    path = tmp_path / "mine" / "experiment" / "x.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# @package _global_\ndefaults:\n  - override /task_set: smoke\n"
        "hydra: {sweeper: {params: {arm: [solo, xsched], xsched.threshold: [4, 8]}}}\n"
    )
    done = run_here("--config-dir", str(tmp_path / "mine"), "experiment=x", "dry_run=true")
    assert done.returncode == 0, done.stderr
    assert "3 trials" in done.stdout


def test_a_sweep_of_a_file_that_is_swept_over_is_not_dropped(tmp_path: Path, run_here: Run) -> None:
    (tmp_path / "mine" / "task_set").mkdir(parents=True)
    for name in ("x", "y"):
        path = tmp_path / "mine" / "task_set" / f"{name}.yaml"
        path.write_text(
            "# @package _global_\ntask_set: {tasks: {a: {priority: 1}}}\n"
            "hydra: {sweeper: {params: {arm: [solo, native]}}}\n"
        )
    done = run_here("--config-dir", str(tmp_path / "mine"), "task_set=x,y", "dry_run=true")
    assert done.returncode == 2
    assert "a file that is swept over brings hydra.sweeper.params" in done.stderr
