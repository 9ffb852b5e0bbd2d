"""Configurations and zips of somebody who means harm: none runs code or writes anywhere, each ends
at once with exit code 2 and one message."""

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from hydra.utils import instantiate

from runner.commands import replay, report
from tests.conftest import Run, environment

#: What Hydra calls if it gets to see it. It makes a folder, the canary.
GADGET = '{_target_: os.makedirs, name: "CANARY"}'
CALLBACK = f"{{callbacks: {{x: {GADGET}}}}}"
#: Of a processor, so that a busy machine is no matter: Hydra's own start takes the most of it.
AT_ONCE_S = 2.0

GLOBAL = "# @package _global_\n"
BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10)
)
DEEP = f"expect: {'[' * 10_000}{']' * 10_000}\n"
#: Texts that stand for two of the next.
DOUBLING = "expect:\n" + "".join(
    f"  - {{what: '${{expect.{n}.what}}${{expect.{n}.what}}'}}\n" for n in range(1, 40)
)


def sweep_over(seeds: str, *more: str) -> str:
    params = ", ".join([f"seed: '{seeds}'", *more])
    return f"hydra: {{sweeper: {{params: {{{params}}}}}}}\n"


#: mine/experiment/x.yaml, chosen by experiment=x, and what the message says of it.
EXPERIMENTS = {
    "a callback": (f"{GLOBAL}hydra: {CALLBACK}\n", "hydra.callbacks"),
    "a callback by an escape": (f'{GLOBAL}"hy\\x64ra": {CALLBACK}\n', "hydra.callbacks"),
    "a callback by a tag": (f"{GLOBAL}!!str hydra: {CALLBACK}\n", "hydra.callbacks"),
    "a callback by an alias": (f"{GLOBAL}model: &m {CALLBACK}\nhydra: *m\n", "hydra.callbacks"),
    "a callback by a merge": (f"{GLOBAL}<<: {{hydra: {CALLBACK}}}\n", "hydra.callbacks"),
    "a callback by its package": (f"# @package hydra.callbacks\nx: {GADGET}\n", "@package"),
    "a callback by a longer package": (
        f"#   @package   _global_.hydra\ncallbacks: {{x: {GADGET}}}\n",
        "@package",
    ),
    "a launcher that is a target": (f"{GLOBAL}hydra: {{launcher: {GADGET}}}\n", "hydra.launcher"),
    "a sweeper that is a target": (f"{GLOBAL}hydra: {{sweeper: {GADGET}}}\n", "hydra.sweeper"),
    "a folder of Hydra's": (f"{GLOBAL}hydra: {{run: {{dir: CANARY}}}}\n", "hydra.run.dir"),
    "a variable for children": (
        f"{GLOBAL}hydra: {{job: {{env_set: {{LD_PRELOAD: x}}}}}}\n",
        "hydra.job.env_set",
    ),
    "more places to search": (f"{GLOBAL}hydra: {{searchpath: [CANARY]}}\n", "hydra.searchpath"),
    "Hydra's node swept over": (
        f"{GLOBAL}hydra: {{sweeper: {{params: {{hydra.sweep.dir: CANARY}}}}}}\n",
        "there is no such key",
    ),
    "another group placed into Hydra": (
        f"{GLOBAL}defaults:\n  - /arm@hydra.callbacks: solo\n",
        "is data",
    ),
    "a choice of Hydra's": (f"{GLOBAL}defaults:\n  - /hydra/callbacks: x\n", "is data"),
    "an override of Hydra's": (f"{GLOBAL}defaults:\n  - override /hydra/help: x\n", "is data"),
    "a file elsewhere": (f"{GLOBAL}defaults:\n  - /arm: ../../../etc/x\n", "not understood"),
    "a target among ours": (f"{GLOBAL}model: {GADGET}\n", "model._target_"),
    "a variable read": (f"{GLOBAL}tracking: {{uri: '${{oc.env:HOME}}'}}\n", "line 2: ${oc.env"),
    "a variable read in a sweep's words": (
        f"{GLOBAL}hydra: {{sweeper: {{params: {{tracking.uri: 'http://localhost/$\\{{oc.env:HOME}}'}}}}}}\n",
        "a text may look up one key",
    ),
    "a resolver in the defaults": (
        f"{GLOBAL}defaults:\n  - override /arm: ${{oc.env:HOME}}\n",
        "line 3: ${oc.env",
    ),
    "a Python object": (
        f"{GLOBAL}model: !!python/object/apply:os.makedirs [CANARY]\n",
        "line 2: the tag",
    ),
    "a Path": (f"{GLOBAL}output_root: !!python/object/apply:pathlib.Path [x]\n", "the tag"),
    "a library": (f"{GLOBAL}xsched: {{home: CANARY}}\n", "what code is loaded"),
    "a library swept over": (
        f"{GLOBAL}hydra: {{sweeper: {{params: {{xsched.home: 'CANARY,x'}}}}}}\n",
        "xsched.home",
    ),
    "a bomb of aliases": (GLOBAL + BOMB, "comes to more than"),
    "a billion values": (GLOBAL + sweep_over("range(1000000000)"), "more than 10,000 values"),
    "a billion values in a list": (
        GLOBAL + sweep_over("shuffle(range(0.0,1e9,1.0))"),
        "more than 10,000 values",
    ),
    "a million points": (
        GLOBAL + sweep_over("range(1000)", "warmup: 'range(1000)'"),
        "more than 10,000 points",
    ),
    "a list without end": (GLOBAL + sweep_over("[" * 2000), "seed=[[[[[[[[[[[[[[[[[[[["),
    "a bomb of references": (GLOBAL + DOUBLING, "look up one key"),
    "a reference to itself": (f"{GLOBAL}seed: ${{seed}}\n", "seed"),
    "an alias of itself": (f"{GLOBAL}model: &m\n  name: *m\n", "line 3: *m stands for itself"),
    "nesting without end": (GLOBAL + DEEP, "nest"),
    "ten megabytes": (f"{GLOBAL}a: {'x' * 10**7}\n", "is larger than"),
    "a million keys": (GLOBAL + "a:\n" + "- 1\n" * 200_000, "comes to more than"),
    "a number without end": (f"{GLOBAL}seed: {'9' * 10**5}\n", "more than 100 digits"),
    "a number to the base of sixty": (f"{GLOBAL}seed: 1{':9' * 10**5}\n", "more than 100 digits"),
    "a text alone": ("rm -rf\n", "line 1: holds no keys and values"),
    "no text at all": (bytes(range(256)), "x.yaml"),
    "UTF-16": ("seed: 1\n".encode("utf-16"), "is not UTF-8"),
    "a NUL": (f'{GLOBAL}output_root: "a\\0b"\n', "line 2: a text with"),
    "a lone surrogate": (f'{GLOBAL}task_set: {{name: "\\ud800"}}\n', "line 2: "),
    "a name that leads out": (f"{GLOBAL}task_set: {{name: ../../CANARY}}\n", "task_set.name=../"),
    "an experiment that leads out": (
        f"{GLOBAL}tracking: {{experiment: ../x}}\n",
        "tracking.experiment=../x",
    ),
    "a task that leads out": (
        f"{GLOBAL}task_set: {{tasks: {{../../x: {{priority: 1}}}}}}\n",
        "task_set.tasks=../../x",
    ),
}
#: Other files of mine/, and the argument that leads to them.
FOLDERS = {
    "a launcher of its own": ("hydra/launcher/x.yaml", "hydra/launcher=x", "Hydra itself"),
    "callbacks of its own": ("hydra/callbacks/x.yaml", "+hydra/callbacks=x", "Hydra itself"),
}
#: config.yaml of a run's folder.
RUNS = {
    "a callback": (f'"hy\\x64ra": {CALLBACK}\n', "hydra.callbacks"),
    "no schema": (
        "sweep: {resume: 1, repeats: 1}\nexpect: []\noutput_root: x\na: ['${b}', '${b}']\nb: [x]\n",
        "a: there is no such key",
    ),
    "a bomb": (BOMB, "comes to more than"),
    "itself": ("a: &a [*a]\n", "stands for itself"),
    "a target": (f"defaults: [schema, _self_]\nmodel: {GADGET}\n", "model._target_"),
    "a library": (
        "defaults: [schema]\ntask_set: {tasks: {a: {priority: 1}}}\nxsched: {home: CANARY}\n",
        "what code is loaded",
    ),
}


def used_s() -> float:
    """Of processors, by this process and those that it has waited for."""
    return sum(os.times()[:4])


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """Not made, nor anything else but mine/, at the end of the test, which came at once."""
    before = used_s()
    yield tmp_path / "canary"
    assert used_s() - before < AT_ONCE_S
    assert {path.name for path in tmp_path.iterdir()} == {"mine"}
    assert not (tmp_path.parent / "canary").exists()


def write(path: Path, content: str | bytes, canary: Path) -> None:
    path.parent.mkdir(parents=True)
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(content.replace(b"CANARY", str(canary).encode()))


def check(done: "subprocess.CompletedProcess[str]", says: str) -> None:
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("error: ") == 1
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_canary_would_be_made(tmp_path: Path) -> None:
    instantiate({"_target_": "os.makedirs", "name": str(tmp_path / "canary")})
    assert (tmp_path / "canary").is_dir()


@pytest.mark.parametrize("case", EXPERIMENTS, ids=str)
def test_an_experiment_is_refused(case: str, run_here: Run, tmp_path: Path, canary: Path) -> None:
    content, says = EXPERIMENTS[case]
    write(tmp_path / "mine" / "experiment" / "x.yaml", content, canary)
    check(run_here("--config-dir", "mine", "task_set=smoke", "experiment=x"), says)


@pytest.mark.parametrize("case", ["a callback by an escape", "a bomb of aliases"], ids=str)
def test_so_it_is_by_a_process_of_its_own(
    case: str, run: Run, tmp_path: Path, canary: Path
) -> None:
    content, says = EXPERIMENTS[case]
    write(tmp_path / "mine" / "experiment" / "x.yaml", content, canary)
    check(run("--config-dir", "mine", "task_set=smoke", "experiment=x"), says)


@pytest.mark.parametrize("case", FOLDERS, ids=str)
def test_files_for_hydra_are_refused(
    case: str, run_here: Run, tmp_path: Path, canary: Path
) -> None:
    file, argument, says = FOLDERS[case]
    write(tmp_path / "mine" / file, f"x: {GADGET}\n", canary)
    check(run_here("--config-dir", "mine", "task_set=smoke", argument), says)


Ended = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def ended(
    run_here: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ended:
    """Another command, in this process and folder, as `run_here` is the runner."""

    def end(main: Callable[[], None], *arguments: str) -> "subprocess.CompletedProcess[str]":
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        with pytest.raises(SystemExit) as exited:
            main()
        assert isinstance(exited.value.code, int)
        return subprocess.CompletedProcess(arguments, exited.value.code, *capsys.readouterr())

    return end


@pytest.mark.parametrize("case", RUNS, ids=str)
def test_a_strangers_run_is_not_replayed(
    case: str, ended: Ended, tmp_path: Path, canary: Path
) -> None:
    content, says = RUNS[case]
    write(tmp_path / "mine" / "run" / "config.yaml", content, canary)
    check(ended(replay.main, "mine/run"), says)


def test_nor_by_a_process_of_its_own(tmp_path: Path, canary: Path) -> None:
    content, says = RUNS["a callback"]
    write(tmp_path / "mine" / "run" / "config.yaml", content, canary)
    again = [sys.executable, "-m", "runner.replay", "mine/run"]
    check(
        subprocess.run(again, cwd=tmp_path, env=environment(), capture_output=True, text=True),
        says,
    )


def sweep(folder: str = "run") -> str:
    return json.dumps({"runs": [{"folder": folder}]})


#: Zips, by the content of their files.
ZIPS = {
    "a bomb": ({"sweep.json": sweep(), "run/config.yaml": BOMB}, "comes to more than"),
    "itself": ({"sweep.json": sweep(), "run/config.yaml": "a: &a [*a]\n"}, "stands for itself"),
    "no end": ({"sweep.json": sweep(), "run/config.yaml": DEEP}, "nest"),
    "an object": (
        {"sweep.json": sweep(), "run/config.yaml": "a: !!python/name:os.system x\n"},
        "the tag",
    ),
    "runs elsewhere": ({"sweep.json": sweep("../../canary")}, "outside itself"),
    "files elsewhere": ({"sweep.json": sweep(), "../canary": "x"}, "outside itself"),
    "files anywhere": ({"sweep.json": sweep(), "/CANARY": "x"}, "outside itself"),
    "a deep record": ({"sweep.json": "[" * 10**5 + "]" * 10**5}, "sweep.json"),
    "zeros": ({"sweep.json": sweep(), "x": "0" * 10**8}, "times its size"),
}


@pytest.mark.parametrize("case", ZIPS, ids=str)
def test_a_zip_is_refused(case: str, ended: Ended, tmp_path: Path, canary: Path) -> None:
    content, says = ZIPS[case]
    make_zip(tmp_path / "mine" / "x.zip", content)
    check(ended(report.main, "mine/x.zip"), says)


def make_zip(path: Path, content: Mapping[str, str]) -> None:
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, text in content.items():
            opened.writestr(name, text)


def test_a_link_in_a_zip_is_refused(ended: Ended, tmp_path: Path, canary: Path) -> None:
    link = zipfile.ZipInfo("run")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    make_zip(tmp_path / "mine" / "x.zip", {"sweep.json": sweep()})
    with zipfile.ZipFile(tmp_path / "mine" / "x.zip", "a") as opened:
        opened.writestr(link, str(canary))
    check(ended(report.main, "mine/x.zip"), "other than files and folders")


def test_a_folder_that_a_zip_was_unpacked_to_is_no_safer(
    ended: Ended, tmp_path: Path, canary: Path
) -> None:
    content = {"sweep.json": sweep(), "run/config.yaml": f'"hy\\x64ra": {CALLBACK}\n'}
    make_zip(tmp_path / "mine" / "x.zip", content)
    shutil.unpack_archive(tmp_path / "mine" / "x.zip", tmp_path / "mine")
    check(ended(replay.main, "mine/run"), "hydra.callbacks")
