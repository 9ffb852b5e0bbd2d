import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from runner.commands import report as command
from runner.config.errors import UserError
from runner.results.expectations import NOT_MET, Finding, read_findings
from runner.results.outcome import Outcome
from runner.results.points import points_of
from runner.results.report.build import build
from runner.runs import files
from runner.runs.load import load
from runner.runs.record import SweepRecord
from runner.runs.sweep import Sweep
from tests.runner.results.report import made_up
from tests.runner.run_folders import MadeTask, at_clock, seal, write_run, write_sweep

ARMS = ["native", "xsched", "xsched_null"]


def report(folder: Path, *more: Path) -> str:
    found = read_findings(folder)
    return build(Outcome.of(load(folder, *more), found), folder / "report").read_text()


def text(html: str) -> str:
    """What a reader sees, without images and marks."""
    return re.sub(
        r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*</style>", "", html, flags=re.S))
    )


def first_screen(html: str) -> str:
    return text(html.partition("<h2>Figures")[0])


def stems(folder: Path) -> list[str]:
    return sorted(path.stem for path in (folder / "report/figures").glob("*.pdf"))


@pytest.fixture(scope="module")
def arms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up.sweep(tmp_path_factory.mktemp("arms"), {"arm": ARMS}, repeats=3)


@pytest.fixture(scope="module")
def page(arms: Path) -> str:
    return report(arms)


def test_the_page_needs_nothing_else(page: str) -> None:
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    sources = re.findall(r'src="([^"]{0,40})', page)
    assert len(sources) == 5
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_the_first_screen_has_verdict_proof_validity_and_environment(page: str) -> None:
    seen = first_screen(page)
    assert "made_up-20260301-100000" in seen
    assert "xsched is better than native: p90 of priority 1 is" in seen
    assert "xsched_null against native: no difference shown" in seen
    assert "not claimed 3 of 3" in seen
    assert "proven 3 of 3" in seen
    assert "A processor &amp; more" in seen


def test_figures_are_vector_files_that_embed_their_fonts(arms: Path, page: str) -> None:
    assert stems(arms) == ["latency_cdf", "latency_tail", "p90", "p99", "timeline"]
    for path in (arms / "report/figures").glob("*.pdf"):
        content = path.read_bytes()
        assert b"/FontFile2" in content
        assert b"/Type3" not in content
        assert b"/Subtype /Image" not in content
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", content)
        assert box is not None
        assert float(box[1]) == pytest.approx(3.3 * 72)
        assert path.with_suffix(".png").stat().st_size > 5_000
        assert f'href="figures/{path.name}"' in page


def test_the_same_runs_give_the_same_report(arms: Path, page: str) -> None:
    before = {path.name: path.read_bytes() for path in (arms / "report/figures").iterdir()}
    assert report(arms) == page
    assert {p.name: p.read_bytes() for p in (arms / "report/figures").iterdir()} == before


def test_one_swept_number_is_an_axis_and_what_ignores_it_a_level(tmp_path: Path) -> None:
    swept = {"arm": ["native", "xsched"], "xsched.threshold": ["4", "8", "16"]}
    folder = made_up.sweep(tmp_path, swept, repeats=3)
    html = report(folder)
    assert stems(folder) == ["latency_cdf", "latency_tail", "p90", "p99", "timeline"]
    assert "p99 response latency against threshold. Geometric mean of 3 runs each" in text(html)
    assert "Without markers: does not depend on it" in html
    assert re.search(r"3 treatments: 3 better; ratios from [\d.]+ \(xsched, threshold=4\)", html)


def test_two_swept_keys_are_a_heat_map(tmp_path: Path) -> None:
    swept = {"arm": ["xsched"], "xsched.threshold": ["4", "8"], "xsched.batch_size": ["1", "2"]}
    folder = made_up.sweep(tmp_path, swept)
    html = report(folder)
    assert stems(folder) == ["heat_map", "latency_cdf", "latency_tail", "p90", "p99", "timeline"]
    assert "p90 of priority 1 by threshold and batch size" in html
    assert "One run each; 95 % intervals of this run only" in html


def test_partition_policies_have_their_shares(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, policy="up", repeats=2)
    html = report(folder)
    assert "shares" in stems(folder)
    assert "Share of the device" in html
    assert "Mean of 2 runs each" in html


@pytest.mark.usefixtures("blank_figures")
def test_many_points_are_shown_by_their_extremes(tmp_path: Path) -> None:
    swept = {"arm": ["native", "xsched"], "xsched.threshold": list(map(str, range(1, 9)))}
    html = report(made_up.sweep(tmp_path, swept, requests=20))
    assert "Of 9 points, those with the lowest and the highest p99 of priority 1" in html


@pytest.mark.usefixtures("blank_figures")
def test_a_refused_run_is_said_and_left_out(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ARMS}, repeats=3, broken=["xsched-r1"])
    seen = first_screen(report(folder))
    assert "2 proven, 1 failed 2 of 3" in seen
    assert "FAILED: intercepted: the queues saw 3 of 60 commands" in seen
    assert "Not compared: xsched-r1 (FAILED)." in seen
    assert "No verdict on xsched against native" in seen


@pytest.mark.usefixtures("blank_figures")
def test_a_refusal_that_was_meant_is_no_failure(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, broken=["xsched-r0"])
    made_up.edit(folder / "xsched-r0", as_expected=True)
    html = report(folder)
    assert '<span class="good">failed, as expected</span>' in html
    assert "No comparison: there is nothing to compare" in first_screen(html)


@pytest.mark.usefixtures("blank_figures")
def test_runs_that_are_not_valid_are_marked_wherever_they_are_shown(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]})
    made_up.edit(folder / "xsched-r0", valid=False, notes=("not valid: 9 late",))
    html = report(folder)
    assert '<span class="bad">no</span>' in html
    assert "not valid: 9 late" in first_screen(html)
    assert html.count("Not valid, shown all the same: xsched") == 8  # text and caption


@pytest.mark.usefixtures("blank_figures")
def test_clocks_that_differ_are_on_the_first_screen_and_at_every_verdict(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, repeats=3)
    for arm, clock in (("native", 1980), ("xsched", 1755)):
        for run in folder.glob(f"{arm}-r*"):
            made_up.edit(run, device=at_clock(clock))
    html = report(folder)
    assert "xsched at 0.886 times the clock (medians" in first_screen(html)
    assert '<span class="bad">better; SM clocks differ</span>' in html
    assert not re.search(r'<span class="good">(better|worse)', html)


def test_nothing_but_failures_is_a_page_without_figures(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"]}, broken=["xsched-r0"])
    html = report(folder)
    assert stems(folder) == []
    assert "No comparison" in html
    assert "intercepted" in html


@pytest.mark.usefixtures("blank_figures")
def test_expectations_are_shown_with_what_became_of_them(tmp_path: Path) -> None:
    folder = made_up.sweep(tmp_path, {"arm": ["native"]})
    finding = Finding("p99 falls", NOT_MET, 1.25, (1.1, None), "< 1")
    files.write_json(folder / files.EXPECTATIONS, [finding])
    assert "p99 falls &lt; 1 1.25 [1.10, &gt; max] not met" in text(report(folder))


@pytest.mark.usefixtures("blank_figures")
def test_nothing_is_green_beside_an_expectation_that_is_not_met(
    arms: Path, page: str, tmp_path: Path
) -> None:
    assert '<p class="verdict good">xsched is better' in page
    outcome = Outcome.of(load(arms), [Finding("p99 falls", NOT_MET, 1.25, (1.1, 1.4), "< 1")])
    html = build(outcome, tmp_path / "report").read_text()
    verdicts = re.findall(r'<p class="verdict (\w*)">([^<]*)', html)
    assert [kind for kind, _ in verdicts] == ["bad", ""]
    assert verdicts[0][1] == "Expectations: 1 not met. Not met: p99 falls."
    assert verdicts[1][1].startswith("xsched is better than native")


@pytest.mark.usefixtures("blank_figures")
def test_several_task_sets_have_their_own_figures(tmp_path: Path) -> None:
    first = made_up.sweep(tmp_path / "a", {"arm": ["native", "xsched"]})
    other = made_up.sweep(tmp_path / "b", {"arm": ["native", "xsched"]})
    for config in other.glob("*/config.yaml"):
        config.write_text(config.read_text().replace("name: made_up", "name: an/other"))
        made_up.edit(config.parent, task_set="an/other")
        seal(config.parent)
    html = build(Outcome.of(load(first, other)), tmp_path / "out").read_text()
    names = sorted(path.name for path in (tmp_path / "out/figures").glob("p99*.png"))
    assert names == ["p99_an_other.png", "p99_made_up.png"]
    assert "<h2>Figures: an/other</h2>" in html
    assert "<h1>made_up, an/other</h1>" in html


# --- the command ---------------------------------------------------------------------------------


def run(monkeypatch: pytest.MonkeyPatch, arguments: Sequence[object]) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["report", *map(str, arguments)])
    try:
        command.main()
    except SystemExit as error:
        return error.code
    return 0


@pytest.mark.usefixtures("blank_figures")
def test_the_command_says_where_the_page_is(
    arms: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, [arms, "--output", tmp_path / "there"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/there/report.html\n"
    assert run(monkeypatch, [arms / "native-r0"]) == 0
    assert (arms / "native-r0/report/report.html").exists()


@pytest.mark.usefixtures("blank_figures")
def test_a_run_that_is_not_what_was_recorded_is_left_out_and_named(
    arms: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(arms, tmp_path / "copy")
    (tmp_path / "copy" / "xsched-r1" / "requests.parquet").write_bytes(b"not parquet")
    assert run(monkeypatch, [tmp_path / "copy"]) == 0
    page = text((tmp_path / "copy" / "report" / "report.html").read_text())
    assert "requests.parquet is not what was recorded" in page


def test_bad_input_is_one_message_and_exit_code_2(
    arms: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(arms / "native-r0", broken)
    (broken / "requests.parquet").write_bytes(b"not parquet")
    empty = tmp_path / "empty"
    empty.mkdir()
    cases: list[tuple[list[object], str]] = [
        ([tmp_path / "nowhere"], "is not there"),
        ([empty], "holds no run"),
        ([arms, broken], "give --output"),
        ([arms, "--output", arms / "sweep.json"], "cannot be written"),
        ([arms, "--baseline", "nobody"], "no run of it has a result"),
    ]
    for arguments, message in cases:
        assert run(monkeypatch, arguments) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert "Traceback" not in error


def test_a_sweep_in_which_nothing_has_ended_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no run has ended"):
        build(Outcome(Sweep((), SweepRecord(runs=()), None), None), tmp_path / "report")


def test_a_declared_figure_is_drawn_beside_the_tail(tmp_path: Path) -> None:
    swept = {"xsched.level": ["block", "interrupt"], "xsched.probe_work_us": ["1", "2", "4"]}
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"], **swept})
    for path in folder.glob("*/config.yaml"):
        config = yaml.safe_load(path.read_text())
        config["sweep"] = config.get("sweep", {}) | {"primary": "throughput_rps/priority_0"}
        path.write_text(yaml.safe_dump(config))
        seal(path.parent)
    html = report(folder)
    assert "throughput" in stems(folder)
    assert "throughput against probe work. One run each" in text(html)


def test_levels_stand_in_their_order_however_they_ran(tmp_path: Path) -> None:
    levels = ["interrupt", "block", "deactivate"]
    folder = made_up.sweep(tmp_path, {"arm": ["xsched"], "xsched.level": levels})
    shown = [point.values["xsched.level"] for point in points_of(load(folder))]
    assert shown == ["block", "deactivate", "interrupt"]


def test_a_priority_that_completed_nothing_has_no_figure_and_the_page_is_made(
    tmp_path: Path,
) -> None:
    """And a figure of zero is on its axis."""
    entries = []
    for arm, quick in (("native", 0.0), ("xsched", 1.0)):
        for repeat in range(3):
            urgent = MadeTask([20.0 - 15 * quick] * 20, 3, configured={"deadline_us": 10_000})
            tasks = {"urgent": urgent, "starved": MadeTask([], 0)}
            folder = write_run(tmp_path / f"{arm}{repeat}", arm, tasks, repeat=repeat)
            entries.append({"folder": folder.name, "arm": arm, "repeat": repeat})
    outcome = Outcome.of(load(write_sweep(tmp_path, entries)), primary="slo_attainment/urgent")
    page = build(outcome, tmp_path / "report").read_text()
    assert "priority 0" not in page
    assert (tmp_path / "report" / "figures" / "slo_attainment.png").is_file()


def test_what_is_not_compared_is_in_no_figure_either(tmp_path: Path) -> None:
    note = "the window was cut at limit_s=5 (urgent 9/30)"
    entries = []
    for arm in ("native", "xsched"):
        for repeat in range(4):
            cut = {"cut": True, "notes": (note,)} if (arm, repeat) == ("xsched", 3) else {}
            ms = 900.0 if cut else 10.0
            name = f"{arm}{repeat}"
            write_run(tmp_path / name, arm, {"urgent": MadeTask([ms] * 9)}, repeat=repeat, **cut)
            entries.append({"folder": name, "arm": arm, "repeat": repeat})
    outcome = Outcome.of(load(write_sweep(tmp_path, entries)))
    (_, xsched) = outcome.points
    assert [run.repeat for run in xsched.counted] == [0, 1, 2]
    estimate = xsched.estimate("max_ms", 0)
    assert estimate
    assert estimate.value == pytest.approx(10.0)
