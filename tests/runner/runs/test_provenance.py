import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.runs import provenance


def test_it_names_machine_libraries_and_command() -> None:
    found = provenance.collect(["task_set=smoke"], provenance.load())
    assert found["overrides"] == ["task_set=smoke"]
    assert found["command"][:3] == ["python", "-m", "runner"]
    assert {"torch", "hydra-core", "transformers"} <= set(found["environment"]["libraries"])
    assert found["environment"]["cores"] >= 1
    assert set(found["load_before"]) == set(found["load_after"])
    assert set(found["code"]) == {"commit", "diff", "diff_sha256"}


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with one commit, taken for ours."""
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / "old.py").write_text("1\n")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "x")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.code.cache_clear()
    yield tmp_path
    provenance.code.cache_clear()


def test_a_clean_checkout_differs_in_nothing(checkout: Path) -> None:
    (checkout / "outputs").mkdir()
    (checkout / "outputs" / "result.py").write_text("not code\n")
    found = provenance.code()
    assert len(found["commit"]) == 40
    assert (found["diff"], found["diff_sha256"]) == ("", "")


def test_the_diff_is_a_patch_that_has_new_files_too(checkout: Path) -> None:
    (checkout / "runner" / "old.py").write_text("2\n")
    (checkout / "runner" / "new.py").write_text("3\n")
    found = provenance.code()
    assert len(found["diff_sha256"]) == 64
    git(checkout, "stash", "--include-untracked")
    (checkout / "x.patch").write_text(found["diff"])
    git(checkout, "apply", "x.patch")
    assert (checkout / "runner" / "old.py").read_text() == "2\n"
    assert (checkout / "runner" / "new.py").read_text() == "3\n"


def test_a_long_diff_is_cut_and_its_checksum_is_of_all_of_it(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "MAX_DIFF", 10)
    sums = set()
    for content in ("2\n", "3\n"):
        (checkout / "runner" / "old.py").write_text(content)
        provenance.code.cache_clear()
        assert len(provenance.code()["diff"]) == 10
        sums.add(provenance.code()["diff_sha256"])
    assert len(sums) == 2


def test_outside_a_checkout_nothing_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path
) -> None:
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "elsewhere")
    assert provenance.code() == {"commit": "", "diff": "", "diff_sha256": ""}
