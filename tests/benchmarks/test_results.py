"""The pages of results, from sweeps that never ran."""

import json
import zipfile
from pathlib import Path

import pytest

from benchmarks import results
from tests.runner.results.report import made_up


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is kept of a sweep, where the page of results is."""
    root = tmp_path / "home" / "outputs"
    swept = {"arm": ["native", "xsched"], "xsched.level": ["block", "interrupt"]}
    folder = made_up.sweep(root, swept, repeats=3)
    sweep = json.loads((folder / "sweep.json").read_text())
    sweep["command"] = f"python -m runner experiment=level_sweep output_root={root}"
    (folder / "sweep.json").write_text(json.dumps(sweep))
    (folder / "stray.log").write_text("last words")
    finding = {"what": "a claim", "verdict": "met", "value": 0.5, "bounds": "≤ 1", "why": ""}
    findings = [finding | {"interval": [0.4, None]}]
    (folder / "expectations.json").write_text(json.dumps(findings))
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    (tmp_path / "results" / "here").mkdir(parents=True)
    remarks = "title: Here\nintro: Measured.\nlevel_sweep: A remark.\n"
    (tmp_path / "results" / "here" / "remarks.yaml").write_text(remarks)
    results.main(["here", str(folder)])
    return tmp_path / "results"


def test_the_zip_holds_the_raw_data_and_no_place_of_its_machine(kept: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(kept / "here" / "level_sweep.zip") as archive:
        names = archive.namelist()
        assert sum(name.endswith("requests.parquet") for name in names) == 9
        assert not any(name.endswith((".png", ".log")) for name in names)
        for name in names:
            assert str(tmp_path).encode() not in archive.read(name), name


def test_the_page_says_what_was_expected_and_found(kept: Path) -> None:
    page = (kept / "here.md").read_text()
    assert page.startswith("# Here\n\nMeasured.\n\n## level_sweep\n\nA higher level stops")
    assert "`python -m runner experiment=level_sweep`: 9 runs; proof: " in page
    assert "| a claim | ≤ 1 | 0.500 | [0.400, –] | **met** |" in page
    assert "A remark." in page
    assert "| xsched, level=block | p99_ms/priority_1 | " in page
    for image in (kept / "here").glob("*.png"):
        assert f"(here/{image.name})" in page
    assert list((kept / "here").glob("*.png"))


def test_a_later_call_keeps_the_sections_that_are_there(kept: Path) -> None:
    before = (kept / "here.md").read_text()
    results.main(["here"])
    assert (kept / "here.md").read_text() == before
