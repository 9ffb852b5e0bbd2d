"""docs/own_experiments.md is true: whoever does what it says gets what it says."""

import re
import shlex
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

import runner
from runner.commands.export import export
from tests import forked
from tests.conftest import ROOT, environment
from tests.test_contributing import FENCE, Example

PAGE = (ROOT / "docs" / "own_experiments.md").read_text()
EXAMPLES = [Example(*match) for match in FENCE.findall(PAGE)]
#: Of the last command of the page that runs trials: two arms, three repeats.
RUNS = 6


def command(line: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """A line of the page; a trial is over at once."""
    python, flag, module, *arguments = shlex.split(line)
    assert (python, flag) == ("python", "-m")
    quick = ["tracking=none"] if module == "runner" and "tracking=none" not in arguments else []

    def main() -> None:
        if module == "runner":
            from tests.faults import instant

            instant.command()
        else:
            from importlib import import_module

            import_module(module).main()

    return forked.run(main, *arguments, *quick, cwd=cwd, environment=environment())


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of somebody who has done all of the page."""
    place = tmp_path_factory.mktemp("own")
    for example in EXAMPLES:
        if example.file:
            assert (place / example.file).is_file(), "runner.new wrote another one"
            (place / example.file).write_text(example.text)
        for line in example.text.splitlines() if example.language == "sh" else ():
            ended = command(line, place)
            assert ended.returncode == 0, f"{line}\n{ended.stdout}{ended.stderr}"
    return place


def test_the_last_sweep_is_the_one_of_the_page(done: Path) -> None:
    latest = max((done / "outputs").glob("detector-*"), key=lambda path: path.stat().st_mtime)
    sweep = runner.load(latest)
    assert len(sweep) == RUNS
    assert {run.task_set for run in sweep} == {"detector"}
    tasks = sweep[0].parameters
    assert tasks["task_set.tasks.camera.arrival.rate_rps"] == 20.0
    assert tasks["task_set.tasks.batch.model.name"] == "bert_mini"
    assert tasks["task_set.lead_in_s"] == 0.2


def test_its_zip_has_the_files_that_it_was_made_of(done: Path, tmp_path: Path) -> None:
    latest = max((done / "outputs").glob("detector-*"), key=lambda path: path.stat().st_mtime)
    export(latest, tmp_path / "paper.zip")
    with zipfile.ZipFile(tmp_path / "paper.zip") as opened:
        for example in EXAMPLES:
            if example.file:
                packed = f"{latest.name}/conf/{Path(example.file).relative_to('my')}"
                assert opened.read(packed).decode() == example.text
        readme = opened.read("README.md").decode()
        opened.extractall(tmp_path)
    (again,) = re.findall(r"^(python -m runner .*?)   # the whole sweep$", readme, re.M)
    assert f"--config-dir {latest.name}/conf experiment=detector" in again
    planned = command(f"{again} dry_run=true output_root=out", tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert str(RUNS) in planned.stdout


def test_what_it_names_is_there() -> None:
    for link in re.findall(r"\]\(([\w./]+)\)", PAGE):
        assert (ROOT / "docs" / link).is_file(), link
    files = [example for example in EXAMPLES if example.file]
    assert {Path(example.file).parent.name for example in files} == {"task_set", "experiment"}
    for example in files:
        assert yaml.safe_load(example.text)
