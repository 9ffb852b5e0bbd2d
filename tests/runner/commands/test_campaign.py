"""A campaign: what its file may say, what is begun, how it ends, and what it leaves."""

import os
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.commands import report
from runner.commands.campaign import __main__ as command
from runner.commands.campaign import bundle, page, run, sweeps
from runner.commands.campaign.file import Campaign, Entry, read
from runner.commands.campaign.run import Ending, State
from runner.commands.project import CONF
from runner.commands.run import split
from runner.config.command_line import own_folder
from runner.config.errors import UserError
from runner.sweep.display import Awaited, Outlook
from runner.sweep.result import Result, RunResult
from runner.trial import interruption
from runner.trial.status import Status
from tests import forked
from tests.conftest import ROOT, environment
from tests.runner.results.report import made_up
from tests.runner.results.report.test_page import Balanced

#: The smallest there is, and not one that runs at each call.
QUICK = "task_set=smoke task_set.check=false task_set.requests=3 warmup=1 tracking=none"
#: A trial that is over at once, whatever it is estimated at.
INSTANT = (sys.executable, "-m", "tests.faults.instant")
LONG = "task_set.lead_in_s=900"


def campaign(
    folder: Path, *arguments: str, instantly: bool = True
) -> "subprocess.CompletedProcess[str]":
    """``python -m runner.campaign`` in that folder."""

    def main() -> None:
        if instantly:
            sweeps.RUNNER = INSTANT
        command.main()

    return forked.run(main, *arguments, cwd=folder, environment=environment())


# --- the file ------------------------------------------------------------------------------------


def written(folder: Path, text: str) -> Path:
    (folder / "paper.yaml").write_text(text)
    return folder / "paper.yaml"


def test_an_entry_is_what_one_would_type(tmp_path: Path) -> None:
    text = """
        minutes: 60
        common: tracking=none
        experiments:
          - experiment=fixed_priority sweep.repeats=6
          - run: >-
              task_set=smoke
              -m 'xsched={threshold:4},{threshold:8}'
            why: The threshold bounds the latency.
    """
    found = read(written(tmp_path, text), ["platform=host"])
    first, second = found.entries
    assert (found.name, found.minutes) == ("paper", 60.0)
    assert first.words == (
        *("tracking=none", "experiment=fixed_priority", "sweep.repeats=6", "platform=host"),
    )
    assert second.run == "task_set=smoke -m 'xsched={threshold:4},{threshold:8}'"
    assert second.words[1:4] == ("task_set=smoke", "-m", "xsched={threshold:4},{threshold:8}")
    assert (first.why, second.why) == ("", "The threshold bounds the latency.")
    assert read(found.path, minutes=5).minutes == 5.0


def test_the_example_of_the_documents_is_one(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "reproduce.md").read_text()
    (example,) = re.findall(r"```yaml title=paper.yaml\n(.*?)```", text, re.S)
    found = read(written(tmp_path, example))
    assert found.minutes == 60.0
    for entry in found.entries:
        (choice,) = (word for word in entry.words if word.startswith("experiment="))
        assert (CONF / f"{choice.replace('=', '/')}.yaml").is_file()


def of(*entries: str) -> str:
    return "experiments:\n" + "".join(f"  - {each}\n" for each in entries)


CODE = "a campaign is data, and this can run code"
#: A file, and parts of what is said about it.
MISTAKES: Mapping[str, tuple[str, list[str]]] = {
    "a key": ("minuets: 5\n" + of("a=1"), ["minuets: 5: there is no such key", "mean: minutes"]),
    "a key of an entry": (
        of("{run: a=1, wyh: x}"),
        ["entry 1: wyh: x: there is no such key", "did you mean: why"],
    ),
    "no experiments": ("minutes: 5", ["experiments=None: holds no experiment", "write a list"]),
    "an empty list": ("experiments: []", ["experiments=[]: holds no experiment"]),
    "one text": ("experiments: a=1", ["experiments=a=1: holds no experiment", "write a list"]),
    "minutes as text": ("minutes: 1h\n" + of("a=1"), ["minutes=1h: is no number", "above 0"]),
    "minutes as truth": ("minutes: yes\n" + of("a=1"), ["minutes=True: is no number"]),
    "no minutes": ("minutes: 0\n" + of("a=1"), ["minutes=0: is no number of minutes"]),
    "not a number": ("minutes: .nan\n" + of("a=1"), ["minutes=nan: is no number"]),
    "an entry that is a number": (of("a=1", "7"), ["entry 2=7: is no experiment", "write - key"]),
    "an entry without run": (of("{why: x}"), ["entry 1 says nothing to run", "write run:"]),
    "an empty entry": (of("''"), ["entry 1 says nothing to run"]),
    "run is a list": (of("{run: [a=1]}"), ["entry 1: run=['a=1']: is no text"]),
    "why is a list": (of("{run: a=1, why: [x]}"), ["entry 1: why=['x']: is no text", "sentence"]),
    "common is a list": ("common: [a=1]\n" + of("b=1"), ["common=['a=1']: is no text"]),
    "a quote": (of('"a=\'1"'), ["entry 1: run=a='1: No closing quotation", "close it"]),
    "the whole command": (
        of("python -m runner a=1 b=2"),
        ["python -m runner is meant anyway", "write a=1 b=2"],
    ),
    "an option": (of("a=1 --strikt"), ["--strikt: is no option", "did you mean: --strict"]),
    "an option that prints": (of("--cfg job"), ["--cfg: is no option of a campaign"]),
    "a whole conf": (of("--config-path /x"), ["--config-path: is no option of a campaign"]),
    "twice": (of("a=1", "b=1", "a=1"), ["entry 3=a=1: is there twice", "sweep.repeats=6"]),
    "where results go": (of("output_root=x"), ["is the campaign's to set", "--output-root"]),
    "a dry run": (of("a=1 dry_run=true"), ["is the campaign's to set", "FILE --dry"]),
    "Hydra's callbacks": (of("hydra.callbacks.x._target_=os.system"), [CODE, "if you trust it"]),
    "a launcher": (of("+hydra/launcher=x"), [CODE]),
    "a package of Hydra": (of("model@hydra.callbacks=x"), [CODE]),
    "a library": (of("xsched.home=/x"), [CODE, "FILE xsched.home=/x"]),
    "a library for all": ("common: ++xsched.home=/x\n" + of("a=1"), [CODE]),
    "a resolver": (of("'a=${oc.env:HOME}'"), ["may look up one key"]),
    "a resolver in a shell's quotes": (of("a=$'{oc.env:HOME}'"), ["may look up one key"]),
    "a tag": (of("!!python/object/apply:os.system [x]"), ["line 2", "is not data"]),
    "a list of all": ("- a=1", ["line 1", "holds no keys and values"]),
    "no YAML": ("experiments: [", ["paper.yaml", "correct the file"]),
    "a key twice": ("minutes: 1\nminutes: 2\n" + of("a=1"), ["duplicate key"]),
    "no text": ("\0", ["paper.yaml", "correct the file"]),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_is_wrong_with_a_file_is_said(text: str, said: list[str], tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        read(written(tmp_path, text))
    for part in ("paper.yaml", *said):
        assert part in str(refused.value)


def test_a_person_may_choose_what_code_is_loaded_and_not_what_the_campaign_sets(
    tmp_path: Path,
) -> None:
    file = written(tmp_path, of("a=1"))
    assert read(file, ["xsched.home=/x"]).entries[0].words == ("a=1", "xsched.home=/x")
    with pytest.raises(UserError, match="is the campaign's to set"):
        read(file, ["output_root=x"])
    with pytest.raises(UserError, match=r"--minutes=-1\.0: is no number of minutes"):
        read(file, minutes=-1.0)


def test_a_mistake_in_the_last_entry_is_found_before_anything_runs(tmp_path: Path) -> None:
    written(tmp_path, f"common: {QUICK}\n" + of("arm=native", "arm=xsched xsched.level=blok"))
    done = campaign(tmp_path, "paper.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: paper.yaml: entry 2 (arm=xsched xsched.level=blok): ")
    assert "did you mean: block" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == [tmp_path / "paper.yaml"]


# --- what is begun -------------------------------------------------------------------------------


class FakeRunner:
    """In place of `sweeps`. minutes: of each entry. ends: how it ends, if not well."""

    def __init__(self, minutes: Mapping[str, float], ends: Mapping[str, Any]) -> None:
        self._minutes, self._ends = minutes, ends
        self.ran: list[str] = []

    def plan(self, entry: Entry, root: Path) -> Outlook:
        minutes = self._minutes[entry.run]
        return Outlook([], [Awaited("x", [], minutes or None, done=not minutes)], "there")

    def run(self, entry: Entry, root: Path) -> Result:
        self.ran.append(entry.run)
        end = self._ends.get(entry.run, Result(exit_code=0, folder=str(root / entry.run)))
        if isinstance(end, Result):
            return end
        raise end


@pytest.fixture
def fake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[list[Ending], list[str]]]:
    """The endings of entries with these minutes, and which of them were run."""

    def endings(
        minutes: Mapping[str, float], budget: float | None = None, **ends: Any
    ) -> tuple[list[Ending], list[str]]:
        runner = FakeRunner(minutes, ends)
        monkeypatch.setattr(sweeps, "plan", runner.plan)
        monkeypatch.setattr(sweeps, "run", runner.run)
        entries = tuple(Entry(name, (name,)) for name in minutes)
        made = Campaign(tmp_path / "paper.yaml", budget, entries)
        return run.run(made, tmp_path, run.check(made, tmp_path)), runner.ran

    return endings


def test_what_does_not_fit_is_left_out_and_what_is_smaller_still_runs(fake: Any) -> None:
    endings, ran = fake({"a": 5.0, "b": 30.0, "c": 5.0, "complete": 0.0}, budget=20.0)
    assert ran == ["a", "c", "complete"]
    assert [each.state for each in endings] == ["done", "left out", "done", "done"]
    assert endings[1].note == "it takes about 30 min; of the budget 20 min left"
    assert endings[1].needs == 30.0
    assert fake({"a": 5.0, "b": 30.0})[1] == ["a", "b"], "there is no budget"


def test_time_that_is_spent_is_no_longer_there(fake: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]

    def later(result: Result) -> Result:
        now_s[0] += 9 * 60
        return result

    monkeypatch.setattr(run.time, "monotonic", lambda: now_s[0])
    monkeypatch.setattr(FakeRunner, "run", lambda self, entry, root: later(Result(exit_code=0)))
    endings, _ = fake({"a": 5.0, "b": 5.0, "c": 0.0}, budget=10.0)
    assert [each.state for each in endings] == ["done", "left out", "done"]


def test_a_failure_is_told_and_does_not_stop_the_others(fake: Any) -> None:
    failed = RunResult(
        name="x-r0",
        folder="",
        arm="x",
        values={},
        repeat=0,
        status=Status.FAILED,
        valid=False,
        proof="",
        primary=None,
        reason="no shim",
    )
    endings, ran = fake(
        {"a": 1.0, "b": 1.0, "c": 1.0},
        a=Result(exit_code=1, runs=[failed, replace(failed, name="x-r1")]),
        b=Result(exit_code=-9),
    )
    assert ran == ["a", "b", "c"]
    assert [each.state for each in endings] == ["failed", "failed", "done"]
    assert endings[0].note == "2 runs failed, the first x-r0: no shim"
    assert endings[1].note == "its exit code is -9"


@pytest.mark.usefixtures("signals_as_before")
def test_the_exit_code_tells_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing = FakeRunner({"a=1": 1.0}, {"a=1": Result(exit_code=1)})
    monkeypatch.setattr(sweeps, "plan", failing.plan)
    monkeypatch.setattr(sweeps, "run", failing.run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["campaign", written(tmp_path, of("a=1")).name])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "0 of 1 entries are done; to go on: python -m runner.campaign paper.yaml"


@pytest.mark.parametrize("how", [KeyboardInterrupt(), Result(exit_code=130)], ids=["here", "there"])
def test_after_an_interruption_nothing_more_is_begun(fake: Any, how: Any, tmp_path: Path) -> None:
    endings, ran = fake({"a": 1.0, "b": 1.0, "c": 1.0, "complete": 0.0}, b=how)
    assert ran == ["a", "b"]
    assert [each.state for each in endings] == ["done", "interrupted", "not begun", "done"]
    assert endings[3].folder == tmp_path / "there", "of an earlier call"


# --- what it leaves ------------------------------------------------------------------------------


def test_a_page_has_every_entry_and_takes_no_text_for_markup(tmp_path: Path) -> None:
    sweep = made_up.sweep(tmp_path, {"arm": ["native", "xsched"]}, repeats=3)
    (sweep / "report").mkdir()
    (sweep / "report" / "report.html").write_text("")
    evil = "<script>"
    entries = [Entry(f"a={number}", (f"a={number}", f"x={evil}"), evil) for number in range(4)]
    endings = [
        Ending(entries[0], State.DONE, folder=sweep),
        Ending(entries[1], State.FAILED, evil, folder=tmp_path / "gone"),
        Ending(entries[2], State.LEFT_OUT, "it takes 3 h"),
        Ending(entries[3], State.NOT_BEGUN),
    ]
    made = page.page_of("paper", endings)
    html = made.write(tmp_path).read_text()
    Balanced(html)
    assert evil not in html
    for said in (
        "xsched is better than native",
        "6 of 6 runs are valid",
        f'href="{sweep.name}/report/report.html"',
        "Left out: it takes 3 h.",
        "Not begun.",
        "python -m runner a=1",
    ):
        assert said in html
    assert html.count("No run of it has ended.") == 3
    states = [line.cells[2].text for line in made.overview]
    assert states == ["done", "failed", "left out", "not begun"]
    assert [line.cells[3].text for line in made.overview] == ["6 of 6", "–", "–", "–"]


def test_without_a_result_there_is_no_zip(tmp_path: Path) -> None:
    made = Campaign(written(tmp_path, of("a=1")), None, (Entry("a=1", ("a=1",)),))
    told = page.page_of("paper", [Ending(made.entries[0], State.NOT_BEGUN)])
    assert not bundle.write(made, told, told.write(tmp_path), tmp_path / "paper.zip")
    assert not (tmp_path / "paper.zip").exists()


# --- from start to end ---------------------------------------------------------------------------

PAPER = f"""
minutes: 10
common: {QUICK}
experiments:
  - run: arm=xsched_null {LONG}
    why: Longer than the budget.
  - run: arm=native,xsched --config-dir my
    why: Real runs.
"""


@dataclass(frozen=True)
class Done:
    """The folder of a campaign, what it said with too little time, and what was there then; what it
    said when it went on with more."""

    folder: Path
    first: "subprocess.CompletedProcess[str]"
    there: Mapping[Path, bytes]
    second: "subprocess.CompletedProcess[str]"

    @property
    def root(self) -> Path:
        return self.folder / "outputs" / "paper"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "my" / "model").mkdir(parents=True)
    (folder / "my" / "model" / "mine.yaml").write_text("name: synthetic\n")
    written(folder, PAPER)
    first = campaign(folder, "paper.yaml", instantly=False)
    root = folder / "outputs" / "paper"
    kept = (*root.glob("*/*/summary.json"), root / "campaign.html")
    there = {path: path.read_bytes() for path in kept}
    return Done(folder, first, there, campaign(folder, "paper.yaml", "--minutes", "20"))


def test_it_says_what_it_does_and_what_is_left(done: Done) -> None:
    assert done.first.returncode == 0, done.first.stdout + done.first.stderr
    lines = [line.strip() for line in done.first.stdout.splitlines() if line.strip()]
    assert lines[1].startswith("entry 2 of 2 · arm=native,xsched --config-dir my · 2 runs, 2 to do")
    assert lines[2] == "about 15 min in all, the budget is 10 min"
    assert f"entry 1 of 2 · arm=xsched_null {LONG} · left out: it takes about 15 min" in lines[3]
    assert re.match(r"entry 2 of 2 · .*; of the budget \d+ min left$", lines[4])
    assert "proven" in done.first.stdout, "it really ran"
    again = "python -m runner.campaign paper.yaml --minutes 17"
    assert lines[-1] == f"1 of 2 entries are done; to go on: {again}"
    html = done.there[done.root / "campaign.html"].decode()
    assert "Left out: it takes about 15 min" in html
    assert "Real runs." in html


def test_the_same_command_goes_on(done: Done) -> None:
    """What is there is kept, and what was left out runs once the budget allows it."""
    assert done.second.returncode == 0, done.second.stdout + done.second.stderr
    assert "2 of 2 · arm=native,xsched --config-dir my · nothing is left" in done.second.stdout
    summaries = {path: path.read_bytes() for path in done.root.glob("*/*/summary.json")}
    kept = {path: content for path, content in done.there.items() if path.name == "summary.json"}
    assert len(kept) == 2
    assert {path: summaries.get(path) for path in kept} == kept
    assert len(summaries) == 3
    assert "to go on" not in done.second.stdout
    assert "Left out" not in (done.root / "campaign.html").read_text()


def test_its_zip_has_all_and_opens_with_the_other_commands(done: Done, tmp_path: Path) -> None:
    with zipfile.ZipFile(done.root / "paper.zip") as opened:
        opened.extractall(tmp_path)
        names = set(opened.namelist())
    assert {"README.md", "SHA256SUMS", "campaign.html", "paper.yaml", "my/model/mine.yaml"} <= names
    assert (tmp_path / "paper.yaml").read_text() == PAPER
    checked = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path)
    assert checked.returncode == 0
    folders = sorted(path.parent for path in tmp_path.glob("*/sweep.json"))
    loaded = [runner.load(each) for each in folders]
    assert sorted(len(each) for each in loaded) == [1, 2]
    assert all(one.summary.status is Status.FINISHED for each in loaded for one in each)
    with pytest.raises(UserError, match=rf"holds 2 sweeps\n.*{folders[0].name}"):
        runner.load(done.root / "paper.zip")
    for each in folders:
        reported = forked.run(report.main, each, cwd=tmp_path, environment=environment())
        assert reported.returncode == 0, reported.stderr
    links = re.findall(r'href="([^"]+)"', (tmp_path / "campaign.html").read_text())
    assert links
    assert all((tmp_path / link).is_file() for link in links)


def test_its_readme_says_how_to_repeat_it(
    done: Done, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(done.root / "paper.zip") as opened:
        readme = opened.read("README.md").decode()
        opened.extractall(tmp_path)
    assert str(done.folder) not in readme
    (again,) = re.findall(r"^python -m runner.campaign (.*?)   #", readme, re.M)
    monkeypatch.chdir(tmp_path)
    for entry in read(Path(again)).entries:
        own_folder(split(list(entry.words))[0], CONF)  # raises for a folder that is not there


def test_ctrl_c_loses_nothing(tmp_path: Path) -> None:
    written(tmp_path, f"common: {QUICK}\n" + of("arm=native,xsched -m seed=1,2"))
    code = f"""if True:
        from runner.commands.campaign import __main__, sweeps
        sweeps.RUNNER = {INSTANT}
        __main__.main()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", code, "paper.yaml"],
        cwd=tmp_path,
        env=environment() | {"INSTANT_WINDOW_S": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    root = tmp_path / "outputs" / "paper"
    wait_for(lambda: bool(list(root.glob("*/*/summary.json"))))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    last = said.splitlines()[-1]
    assert last.startswith("0 of 1 entries are done; to go on: python -m runner.campaign")
    assert "Interrupted." in (root / "campaign.html").read_text()
    (sweep,) = (path.parent for path in root.glob("*/sweep.json"))
    kept = len(runner.load(sweep))
    assert 1 <= kept < 4
    with zipfile.ZipFile(root / "paper.zip") as opened:
        summaries = [name for name in opened.namelist() if name.endswith("/summary.json")]
    assert len(summaries) == kept


def wait_for(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not what() and time.monotonic() < give_up:
        time.sleep(0.02)


#: A runner that waits for Ctrl-C, and then takes its time to say what it has.
WAITING = """if True:
    import pathlib, time
    try:
        pathlib.Path("begun").touch()
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.2)
        print('{"exit_code": 130, "folder": "kept"}')
"""


def test_who_stops_the_campaign_alone_stops_the_sweep(tmp_path: Path) -> None:
    """SIGTERM, as of a batch system, which does not tell the processes below."""

    def main() -> None:
        os.chdir(tmp_path)
        sweeps.RUNNER = (sys.executable, "-c", WAITING)
        interruption.listen()
        print(sweeps.run(Entry("a=1", ("a=1",)), tmp_path).folder)

    out, err = tmp_path / "out", tmp_path / "err"
    pid = forked.fork(["campaign"], main, (out, err))
    wait_for((tmp_path / "begun").exists)
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, err.read_text()
    assert out.read_text() == "kept\n"
