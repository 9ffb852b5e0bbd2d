"""What is written to begin with: it says what it is, and runs as it is."""

from pathlib import Path

import pytest

from runner.commands.new import new
from runner.config.errors import UserError
from tests.conftest import Run


def test_both_compose_and_say_what_they_are(run_here: Run, tmp_path: Path) -> None:
    said = new("detector", tmp_path / "my")
    for group, trials in (("task_set", "1 trial"), ("experiment", "9 trials")):
        first, second = (tmp_path / "my" / group / "detector.yaml").read_text().splitlines()[:2]
        command = second if group == "experiment" else first
        assert command == f"# python -m runner --config-dir {tmp_path / 'my'} {group}=detector"
        assert command.removeprefix("# ") in said
        done = run_here("--config-dir", str(tmp_path / "my"), f"{group}=detector", "dry_run=true")
        assert done.returncode == 0, done.stderr
        assert trials in done.stdout


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    new("detector", tmp_path)
    (tmp_path / "experiment" / "detector.yaml").unlink()
    (tmp_path / "task_set" / "detector.yaml").write_text("mine")
    with pytest.raises(UserError, match=r"task_set/detector\.yaml is there already"):
        new("detector", tmp_path)
    assert (tmp_path / "task_set" / "detector.yaml").read_text() == "mine"
    assert not (tmp_path / "experiment" / "detector.yaml").exists()


@pytest.mark.parametrize(
    "name",
    ["", "a/b", "../x", "a b", "a=b", "1a", "a.yaml", "a" * 51, "größe", "true", "Null", "yes"],
)
def test_a_name_that_no_choice_can_have_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a name that a choice can have"):
        new(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_with_a_blank_is_quoted_where_it_is_typed(tmp_path: Path) -> None:
    folder = tmp_path / "my dir"
    said = new("detector", folder)
    assert f"--config-dir '{folder}' task_set=detector" in said
    assert f"--config-dir '{folder}' " in (folder / "experiment" / "detector.yaml").read_text()
