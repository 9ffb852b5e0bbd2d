import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.platforms.device import DeviceOrigin, GpuInfo, TorchBuild
from runner.runs import provenance
from runner.runs.record import Code, Environment, Load, Provenance


def test_it_names_machine_libraries_and_command() -> None:
    device = DeviceOrigin(device_cores=(3,))
    found = provenance.present(device)
    assert found.is_known
    assert found.command[:3] == ("python", "-m", "runner")
    assert {"torch", "hydra-core", "transformers"} <= set(found.environment.libraries)
    assert (found.environment.cores or 0) >= 1
    assert (found.environment.memory_gib or 0) > 0
    assert found.device == device
    assert found.load_before == found.load_after == Load(), "said by who waits for the trial"
    assert (provenance.load().load_1min or 0) >= 0


def test_variables_that_may_matter_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = {"XSCHED_POLICY": "GBL", "CUDA_LAUNCH_BLOCKING": "1", "OMP_PROC_BIND": "true"}
    for name, text in {**telling, "OTHER": "x", "CUDAX": "x"}.items():
        monkeypatch.setenv(name, text)
    told = provenance.present(DeviceOrigin()).xsched_variables
    assert telling.items() <= told.items()
    assert not {"OTHER", "CUDAX"} & told.keys()


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=x", "-c", "user.email=x")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with one commit, taken for ours."""
    (tmp_path / "runner").mkdir()
    (tmp_path / "runner" / "old.py").write_text("1\n")
    (tmp_path / "results.zip").write_bytes(b"\0")
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
    assert len(found.commit) == 40
    assert (found.diff, found.diff_sha256) == ("", "")


def test_the_diff_is_a_patch_that_has_new_files_too(checkout: Path) -> None:
    (checkout / "runner" / "old.py").write_text("2\n")
    (checkout / "runner" / "new.py").write_text("3\n")
    (checkout / "results.zip").write_bytes(b"\0changed")  # of which a patch would have no content
    found = provenance.code()
    assert len(found.diff_sha256) == 64
    git(checkout, "stash", "--include-untracked")
    (checkout / "x.patch").write_text(found.diff)
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
        assert len(provenance.code().diff) == 10
        sums.add(provenance.code().diff_sha256)
    assert len(sums) == 2


def test_outside_a_checkout_the_code_is_known_by_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "runner").mkdir(parents=True)
    monkeypatch.setattr(provenance, "ROOT", elsewhere)
    seen = set()
    for name, content in [("a.py", "1"), ("a.py", "2"), ("b.py", "2"), ("c.yaml", "1")]:
        (elsewhere / "runner" / name).write_text(content)
        provenance.code.cache_clear()
        found = provenance.code()
        assert (found.commit, found.diff, found.diff_sha256) == ("", "", "")
        seen.add(found.source_sha256)
    assert len(seen) == 4
    (elsewhere / "runner" / "notes.txt").write_text("no code")
    provenance.code.cache_clear()
    assert provenance.code().source_sha256 in seen


# --- what can change a figure --------------------------------------------------------------------


def test_facts_are_what_can_change_a_figure_in_words() -> None:
    gpu = GpuInfo("nvidia", 3, "A GPU", "GPU-1", "0000:3b:00.0", "550.1", (9, 0), "sm_90", 81559)
    found = provenance.facts(
        Provenance(
            time="2026-03-01T10:00:00+00:00",
            code=Code("0123456789abcdef", "--- a", "ab" * 32),
            environment=Environment(python="3.11.7", cores=8, libraries={"numpy": "2.4.6"}),
            xsched_variables={"XSCHED_POLICY": "GBL"},
            device=DeviceOrigin((7, 8), gpu, None, TorchBuild("2.13.0"), {"libx.so": "cd" * 32}),
        )
    )
    known = {name: value for name, value in found.items() if value}
    assert known == {
        "commit": "0123456789ab",
        "uncommitted changes": "abababababab",
        "python": "3.11.7",
        "cores": "8",
        "numpy": "2.4.6",
        "device cores": "7 8",
        "gpu vendor": "nvidia",
        "gpu name": "A GPU",
        "gpu uuid": "GPU-1",
        "gpu driver": "550.1",
        "gpu compute capability": "9 0",
        "gpu architecture": "sm_90",
        "libx.so": "cdcdcdcdcdcd",
        "XSCHED_POLICY": "GBL",
    }


def test_changes_that_an_older_run_recorded_without_their_checksum_have_one() -> None:
    old = provenance.facts(Provenance(code=Code("c", "--- a")))["uncommitted changes"]
    other = provenance.facts(Provenance(code=Code("c", "--- b")))["uncommitted changes"]
    assert len(old) == len(other) == 12
    assert old != other
    assert provenance.facts(Provenance(code=Code("c")))["uncommitted changes"] == ""


@pytest.mark.parametrize(
    ("value", "said"), [(None, ""), (True, "yes"), (False, "no"), ((9, 0), "9 0"), (1.5, "1.5")]
)
def test_a_fact_is_a_word(value: object, said: str) -> None:
    assert provenance.word(value) == said
