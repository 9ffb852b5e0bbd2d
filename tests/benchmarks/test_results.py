"""The pages of results, from sweeps that never ran."""

import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import results
from runner.config.errors import UserError
from runner.runs import files
from runner.runs.load import load
from runner.runs.provenance import MAX_DIFF
from runner.runs.record import Code, Provenance
from tests.conftest import blank
from tests.runner.results.report import made_up


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with results/, what is kept of a sweep, and home/, where the sweep was."""
    place = tmp_path_factory.mktemp("made")
    root = place / "home" / "outputs"
    swept = {"arm": ["native", "xsched"], "xsched.level": ["block", "interrupt"]}
    folder = made_up.sweep(root, swept, repeats=3)
    command = f"python -m runner experiment=level_sweep output_root={root}"
    files.write_json(folder / files.SWEEP, replace(files.read_sweep(folder), command=command))
    (folder / "stray.log").write_text("last words")
    (place / "results" / "here").mkdir(parents=True)
    remarks = "title: Here\nintro: Measured.\nlevel_sweep: A remark.\n"
    (place / "results" / "here" / "remarks.yaml").write_text(remarks)
    with blank(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "RESULTS", place / "results")
        results.main(["here", str(folder)])
    return place


@pytest.fixture
def kept(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """results/ of a copy."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


def test_the_zip_holds_the_raw_data_and_no_place_of_its_machine(kept: Path, made: Path) -> None:
    with zipfile.ZipFile(kept / "here" / "level_sweep.zip") as archive:
        names = archive.namelist()
        assert sum(name.endswith("requests.parquet") for name in names) == 9
        assert not any(name.endswith((".png", ".log")) for name in names)
        for name in names:
            assert str(made).encode() not in archive.read(name), name


def test_the_page_says_what_was_expected_and_found(kept: Path) -> None:
    page = (kept / "here.md").read_text()
    assert page.startswith("# Here\n\nMeasured.\n\n## level_sweep\n\nA higher level stops")
    assert "`python -m runner experiment=level_sweep`: 9 runs; proof: " in page
    none = "there is no such run that is valid"
    assert f"| deactivation beats blocking | ≤ 0.98 | – | {none} | **inconclusive** |" in page
    found = "0.986 | [0.939, 1.03]"
    assert f"| interruption beats blocking | ≤ 0.98 | {found} | **inconclusive** |" in page
    assert "A remark." in page
    assert "| xsched, level=block | p90_ms/priority_1 | " in page
    for image in (kept / "here").glob("*.png"):
        assert f"(here/{image.name})" in page
    assert list((kept / "here").glob("*.png"))


@pytest.mark.usefixtures("blank_figures")
def test_a_later_call_keeps_the_sections_that_are_there(kept: Path) -> None:
    before = (kept / "here.md").read_text()
    results.main(["here"])
    assert (kept / "here.md").read_text() == before


def test_what_is_kept_is_the_sweep_without_the_places_of_its_machine(
    kept: Path, tmp_path: Path
) -> None:
    packed = load(kept / "here" / "level_sweep.zip")
    (folder,) = (path.parent for path in (tmp_path / "home" / "outputs").glob(f"*/{files.SWEEP}"))
    for one, other in zip(packed, load(folder), strict=True):
        assert (one.proof, one.values, one.repeat) == (other.proof, other.values, other.repeat)
        place = f"outputs/{folder.name}/{one.folder.name}"
        assert one.summary == replace(other.summary, folder=place, files=one.summary.files)
        assert one.provenance == other.provenance
    assert packed.record.command == "python -m runner experiment=level_sweep output_root=outputs"


def test_a_provenance_is_shortened_but_for_a_whole_diff(tmp_path: Path) -> None:
    path = tmp_path / files.PROVENANCE
    code = Code("c0ffee", "--- /home/me/x\n+++ /home/me/x\n", "1234")
    origin = Provenance(
        time="2026-03-01", command=("python", "/home/me/run.py", "model=/data/w.pt"), code=code
    )
    files.write_json(path, origin)
    results._shorten(path)
    told = ("python", "…/run.py", "model=…/w.pt")
    assert files.read_provenance(tmp_path) == replace(origin, command=told)
    files.write_json(path, replace(origin, code=replace(code, diff="x" * MAX_DIFF)))
    results._shorten(path)
    assert files.read_provenance(tmp_path).code == replace(code, diff="")


def test_zips_of_version_1_make_the_page_that_they_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal, the smallest that is kept: all of it but what other zips say."""
    (tmp_path / "experiments_h100").mkdir()
    for name in ("phase2_no_shim.zip", "remarks.yaml"):
        shutil.copy(results.RESULTS / "experiments_h100" / name, tmp_path / "experiments_h100")
    page = (results.RESULTS / "experiments_h100.md").read_text()
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    results.main(["experiments_h100"])
    head, section = (tmp_path / "experiments_h100.md").read_text().split("## ")
    assert page.startswith(head)
    assert f"## {section}" in page


def test_what_was_changed_is_not_published(kept: Path, tmp_path: Path) -> None:
    (folder,) = (path.parent for path in (tmp_path / "home" / "outputs").glob(f"*/{files.SWEEP}"))
    proof = next(folder.glob(f"*/{files.PROOF}"))
    proof.write_text(proof.read_text() + "\n")
    with pytest.raises(UserError, match=r"proof\.json is not what was recorded"):
        results.main(["here", str(folder)])
