from pathlib import Path

import pytest

from runner.config.errors import UserError
from runner.config.files import check
from tests.conftest import ROOT


def test_our_own_files_pass() -> None:
    check(ROOT / "conf", [])


@pytest.mark.parametrize(
    "content",
    [
        "hydra: {mode: MULTIRUN}\n",
        "hydra: {sweeper: {params: {xsched.threshold: '4,8'}}}\n",
        "hydra: {launcher: {n_jobs: 2}}\n",
        "defaults:\n  - override /hydra/launcher: joblib\n",
        "# about hydra\nname: hydra\n",
    ],
)
def test_a_file_may_sweep_and_choose_a_launcher(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.yaml").write_text(content)
    check(ROOT / "conf", ["--config-dir", str(tmp_path)])


@pytest.mark.parametrize(
    "content",
    [
        "hydra: {callbacks: {x: {_target_: os.system}}}\n",
        "hydra: {launcher: {_target_: os.system}}\n",
        "hydra.callbacks: {x: {}}\n",
        "hydra: {searchpath: [file:///tmp]}\n",
        "hydra: {run: {dir: /tmp}}\n",
        "# @package hydra\ncallbacks: {}\n",
        "defaults:\n  - /task_set@hydra.callbacks: smoke\n",
        "defaults:\n  - override hydra/job_logging: none\n",
    ],
)
@pytest.mark.parametrize(
    "flags",
    [["--config-dir", "{}"], ["--config-path={}"], ["-cd", "{}"], ["hydra.searchpath=[file://{}]"]],
    ids=lambda flags: flags[0],
)
def test_a_file_may_not_change_how_hydra_runs(
    tmp_path: Path, content: str, flags: list[str]
) -> None:
    (tmp_path / "x.yaml").write_text(content)
    with pytest.raises(UserError, match="is data"):
        check(ROOT / "conf", [flag.format(tmp_path) for flag in flags])


def test_a_foreign_folder_may_not_bring_a_launcher_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "hydra" / "launcher").mkdir(parents=True)
    (tmp_path / "hydra" / "launcher" / "evil.yaml").write_text("_target_: os.system\n")
    with pytest.raises(UserError, match="Hydra itself"):
        check(ROOT / "conf", ["--config-dir", str(tmp_path)])
