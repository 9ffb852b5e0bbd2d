"""CONTRIBUTING.md is true: its examples, done to a copy of the repository, work."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, environment

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
COPIED = ("conf", "hydra_plugins", "models", "runner", "tests", "xsched_bindings", "pyproject.toml")
OWN = ("__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis")
FENCE = re.compile(r"^```(\w*)(?: title=(\S+))?\n(.*?)^```$", re.M | re.S)


@dataclass(frozen=True)
class Example:
    """A fenced block: a file, a change (diff) to one, or commands (sh)."""

    language: str
    file: str
    text: str


def sections() -> dict[str, list[Example]]:
    """The examples below each heading that has any to be run."""
    parts = re.split(r"^## (.+)\n", PAGE, flags=re.M)[1:]
    found = {
        heading: [Example(*match) for match in FENCE.findall(body)]
        for heading, body in zip(parts[::2], parts[1::2], strict=True)
    }
    return {heading: examples for heading, examples in found.items() if examples}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a contributor changes. One for all sections, since the first commands in a copy compile
    it."""
    folder = tmp_path_factory.mktemp("copy")
    ignore = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignore)
        else:
            shutil.copy(source, folder / name)
    (folder / "docs").mkdir()
    return folder


@pytest.fixture
def copy(shared: Path) -> Iterator[Path]:
    """It is as the repository is, and so it is again afterwards."""
    before = texts(shared)
    yield shared
    for path in texts(shared).keys() - before.keys():
        path.unlink()
    for path, text in before.items():
        if path.read_bytes() != text:
            path.write_bytes(text)


def texts(root: Path) -> dict[Path, bytes]:
    """All files but what Python and the tools keep for themselves."""
    kept = (path for path in root.rglob("*") if path.is_file())
    mine = (path for path in kept if not any(part in OWN for part in path.parts))
    return {path: path.read_bytes() for path in mine}


def apply(example: Example, root: Path) -> None:
    path = root / example.file
    if example.language != "diff":
        assert not path.exists(), "the example is there already: take another"
        path.write_text(example.text)
        return
    lines = [(line[:1], line[1:]) for line in example.text.splitlines()]
    old = "".join(f"{rest}\n" for sign, rest in lines if sign != "+")
    new = "".join(f"{rest}\n" for sign, rest in lines if sign != "-")
    text = path.read_text()
    assert text.count(old) == 1, f"{example.file} does not have, once:\n{old}"
    path.write_text(text.replace(old, new))


def run(command: str, cwd: Path, code: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """A line of a document, with this interpreter. code: the repository, if it is not in `cwd`."""
    assert command.startswith("python ")
    # A copy is compiled by the first command, and not by all.
    variables = {"PYTHONPATH": str(code or cwd), "PYTHONDONTWRITEBYTECODE": ""}
    return subprocess.run(
        f"{shlex.quote(sys.executable)} {command.removeprefix('python ')}",
        shell=True,
        cwd=cwd,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.mark.parametrize("heading", sections())
def test_the_examples_of_a_section_work(heading: str, copy: Path) -> None:
    examples = sections()[heading]
    for example in examples:
        if example.file:
            apply(example, copy)
    commands = [line for e in examples if e.language == "sh" for line in e.text.splitlines()]
    assert commands, "nothing shows that it works"
    touched = " ".join({e.file for e in examples if e.file.endswith(".py")})
    style = [f"python -m ruff {c} {touched}" for c in ("check", "format --check") if touched]
    for command in [*commands, *style]:
        done = run(command, copy)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def test_everything_that_can_be_added_has_a_section() -> None:
    assert set(sections()) == {
        "A model",
        "A policy",
        "A policy with a hint of its own",
        "An arm",
        "A platform",
        "An arrival process",
        "An experiment",
    }


def test_an_experiment_in_a_folder_of_ones_own_composes(tmp_path: Path) -> None:
    (example,) = (e for e in sections()["An experiment"] if e.language == "yaml")
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    (tmp_path / "mine" / "experiment" / Path(example.file).name).write_text(example.text)
    command = "python -m runner --config-dir mine experiment={} dry_run=true"
    done = run(command.format(Path(example.file).stem), tmp_path, code=ROOT)
    assert done.returncode == 0, done.stderr
    assert "12 trials" in done.stdout


def test_pre_commit_runs_targets_that_there_are() -> None:
    """They are CI's, so that nobody has to keep two lists of checks alike."""
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]
    assert {repository["repo"] for repository in config["repos"]} == {"local"}
    for hook in hooks:
        make, target = hook["entry"].split()
        assert make == "make"
        assert target in targets
        assert hook["language"] == "system"
    assert "lint" in {hook["id"] for hook in hooks}
    (pattern,) = (hook["files"] for hook in hooks if hook["id"] == "reference")
    for path in (
        "docs/reference.md",
        "runner/config/schema.py",
        "runner/config/arms.py",
        "runner/config/arrivals/processes.py",
        "runner/platforms/kinds/host.py",
        "xsched_bindings/policies/hpf.py",
        "models/spec.py",
        "models/families/bert.py",
    ):
        assert re.search(pattern, path)
        assert (ROOT / path).is_file()


def test_the_page_on_reproduction_names_what_there_is() -> None:
    page = (ROOT / "docs" / "reproduce.md").read_text()
    modules = set(re.findall(r"python -m (runner\.\w+)", page))
    assert modules >= {"runner.replay", "runner.export", "runner.report", "runner.compare"}
    for module in modules:
        assert importlib.util.find_spec(module), module
    for experiment in re.findall(r"experiment=(\w+)", page):
        assert (ROOT / "conf" / "experiment" / f"{experiment}.yaml").is_file()
    for link in re.findall(r"\]\(([\w./]+)\)", page):
        assert (ROOT / "docs" / link).is_file(), link
