"""The pages of results, from sweeps that never ran."""

import re
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import published, results
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


def test_a_sweep_may_have_a_section_of_its_own(kept: Path, tmp_path: Path) -> None:
    """What the experiment asks is said in the section that has its name."""
    (folder,) = (path.parent for path in (tmp_path / "home" / "outputs").glob(f"*/{files.SWEEP}"))
    results.main(["here", f"levels={folder}"])
    one, other = (kept / "here.md").read_text().split("## ")[1:]
    assert one.startswith("level_sweep\n\nA higher level stops")
    assert other.startswith("levels\n\n`python -m runner experiment=level_sweep`: 9 runs")
    assert "| deactivation beats blocking | ≤ 0.98 |" in other
    assert "[levels.zip](here/levels.zip)" in other
    assert "levels-p90.png" in other
    remarks = kept / "here" / "remarks.yaml"
    remarks.write_text(remarks.read_text() + "figures: {level_sweep: [], levels: [p99]}\n")
    results.main(["here"])
    assert re.findall(r"!\[.*?\]", (kept / "here.md").read_text()) == ["![levels: p99]"]


def test_single_runs_have_no_table_of_verdicts(tmp_path: Path, monkeypatch: Any) -> None:
    swept = {"arm": ["native", "xsched"]}
    for repeats in (3, 1):
        folder = made_up.sweep(tmp_path / str(repeats), swept, repeats=repeats)
        command = "python -m runner experiment=level_sweep"
        files.write_json(folder / files.SWEEP, replace(files.read_sweep(folder), command=command))
        (tmp_path / f"of{repeats}").mkdir()
        (tmp_path / f"of{repeats}" / "remarks.yaml").write_text("title: Here\nintro: Measured.\n")
        monkeypatch.setattr(results, "RESULTS", tmp_path)
        results.main([f"of{repeats}", str(folder)])
        page = (tmp_path / f"of{repeats}.md").read_text()
        assert "| arm | repeats |" in page
        assert ("| against native | figure |" in page) == (repeats == 3)


def test_tables_are_kept_smaller_and_the_same(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    times = np.arange(10_000) * 100_000 + np.random.default_rng(1).integers(0, 999, 10_000)
    table = pa.table(
        {
            "task": pa.array(["urgent", "other"] * 5000).dictionary_encode(),
            "at_ns": times,
            "result": pa.array([None, 0.5] * 5000),
        }
    ).replace_schema_metadata({"dropped": "3"})
    pq.write_table(table, run / "marks.parquet")  # type: ignore[no-untyped-call]
    before = (run / "marks.parquet").stat().st_size
    published.pack(tmp_path)
    assert (run / "marks.parquet").stat().st_size < before / 2
    after = pq.read_table(run / "marks.parquet")  # type: ignore[no-untyped-call]
    assert after.equals(table, check_metadata=True)


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
