"""A sweep as one zip: what is in it, and what a zip must be to be read."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.commands import report
from runner.commands.export import export
from runner.config.errors import UserError
from runner.platforms.device import DeviceOrigin, GpuInfo
from runner.proof.checks import Check, Proof
from runner.runs import archive, files
from runner.runs.load import load
from runner.runs.record import Code, Environment, Provenance
from tests import forked
from tests.conftest import environment
from tests.runner.run_folders import MadeTask, seal, write_run, write_sweep
from tests.runner.zips import unpacked

SWEEP = "made-20260102-030405"
COMMAND = (
    "python -m runner task_set=made arrival.trace=/home/somebody/data/arrivals.txt "
    "output_root=/home/somebody/outputs tracking.uri=http://somewhere:5000 --config-dir mine "
    "'xsched.home=/opt/x y/xsched' arm=native,xsched hydra.mode=MULTIRUN hydra/sweeper=trials"
)
GPU = GpuInfo("nvidia", 0, "A GPU", "", "", "580", None, "", None)
ORIGIN = Provenance(
    time="2026-01-02T03:04:05+00:00",
    code=Code("c0ffee" * 6, "--- a/x\n+++ b/x\n"),
    environment=Environment(cpu="A processor", cores=8, libraries={"torch": "2.11.0"}),
    device=DeviceOrigin(gpu=GPU, xsched_libraries={"a.so": "f" * 64}),
)


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two arms, three repeats, and all that such a folder has besides."""
    folder = tmp_path / "outputs" / SWEEP
    random = np.random.default_rng(0)
    entries: list[dict[str, Any]] = []
    for arm in ("native", "xsched"):
        for repeat in range(3):
            name = f"{arm}-r{repeat}-0123abcd"
            latency = random.uniform(10, 12, 400) * (2 if arm == "native" else 1)
            run = write_run(folder / name, arm, {"urgent": MadeTask(latency, 1)})
            files.write_json(run / files.PROVENANCE, ORIGIN)
            files.write_json(run / files.PROOF, Proof((Check("level", True, "fine"),)))
            seal(run)
            (run / "stderr.log").write_text("last words")
            (run / "mlflow.json").write_text("{}")
            (run / "latency_cdf.png").write_bytes(b"a figure")
            entries.append({"folder": name, "arm": arm, "repeat": repeat, "values": {"arm": arm}})
    (folder / "mlflow.db").write_text("a database")
    (folder / "superseded" / "old").mkdir(parents=True)
    (folder / "superseded" / "old" / "summary.json").write_text("{}")
    (folder / "link.json").symlink_to("/etc/hostname")
    return write_sweep(folder, entries, command=COMMAND)


@pytest.fixture
def paper(sweep: Path, tmp_path: Path) -> Path:
    export(sweep, tmp_path / "paper.zip")
    return tmp_path / "paper.zip"


def command(module: str, *arguments: object, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", f"runner.{module}", *map(str, arguments)],
        cwd=cwd,
        env=environment() | {"TMPDIR": str(cwd)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def reported(path: Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """``python -m runner.report`` without an interpreter of its own."""

    def main() -> None:
        tempfile.tempdir = str(cwd)
        report.main()

    return forked.run(main, path, cwd=cwd, environment=environment())


def text(path: Path, name: str) -> str:
    with zipfile.ZipFile(path) as opened:
        return opened.read(name).decode()


# --------------------------------------------------------------------------- written


def test_it_has_the_runs_and_neither_logs_nor_databases(paper: Path, sweep: Path) -> None:
    with zipfile.ZipFile(paper) as opened:
        names = opened.namelist()
        for name in names:
            if name.startswith(SWEEP):
                assert opened.read(name) == (sweep.parent / name).read_bytes(), "as it is"
    run = f"{SWEEP}/native-r0-0123abcd"
    wanted = "config.yaml latency_cdf.png proof.json provenance.json requests.parquet summary.json"
    assert [name for name in names if name.startswith(run)] == [
        f"{run}/{f}" for f in wanted.split()
    ]
    assert {name for name in names if not name.startswith(f"{SWEEP}/")} == {
        "README.md",
        "SHA256SUMS",
        "code.patch",
    }
    for unwanted in (".log", ".db", "mlflow.json", "superseded", "link.json"):
        assert not [name for name in names if unwanted in name]


def test_the_same_sweep_gives_the_same_bytes(paper: Path, sweep: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / SWEEP
    shutil.copytree(sweep, copy, symlinks=True)
    for path in copy.rglob("*.json"):
        os.utime(path, (0, 0), follow_symlinks=False)
        if not path.is_symlink():
            path.chmod(0o600)
    export(copy, tmp_path / "other.zip")
    assert (tmp_path / "other.zip").read_bytes() == paper.read_bytes()


def test_the_checksums_are_what_sha256sum_takes(paper: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(paper) as opened:
        opened.extractall(tmp_path / "x")
        names = set(opened.namelist())
    sums = (tmp_path / "x" / "SHA256SUMS").read_text().splitlines()
    assert {line.split("  ", 1)[1] for line in sums} == names - {"SHA256SUMS"}
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path / "x")
    assert done.returncode == 0


def test_the_readme_has_commands_and_no_path_of_the_machine(paper: Path, tmp_path: Path) -> None:
    readme = text(paper, "README.md")
    for said in (
        "python -m runner.report paper.zip",
        f"python -m runner.replay {SWEEP}/native-r0-0123abcd",
        f"git checkout {'c0ffee' * 6}",
        "git apply code.patch",
        "python -m runner task_set=made 'arrival.trace=…/arrivals.txt' --config-dir mine",
        "| gpu name | A GPU |",
        "| a.so | ffffffffffff |",
        "| `xsched-r2-0123abcd` | xsched | 2 | FINISHED | proven | yes |",
    ):
        assert said in readme
    for secret in (str(tmp_path), "/home", "somebody", "somewhere", "/opt", "hydra"):
        assert secret not in readme
    assert not re.search(r"(^|[\s=`'])/\w", readme, re.M)


def test_weights_stay_behind_and_are_named(sweep: Path, tmp_path: Path) -> None:
    weights = {"/home/somebody/w.pt": "ab" * 32}
    path = sweep / "native-r0-0123abcd" / files.PROVENANCE
    files.write_json(path, replace(ORIGIN, weights=weights))
    export(sweep, tmp_path / "paper.zip")
    readme = text(tmp_path / "paper.zip", "README.md")
    assert f"# weights of your own copy, model.pretrained=…/w.pt: sha256 {'ab' * 32}" in readme


def test_a_trace_comes_along_under_a_name_of_its_own(sweep: Path, tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "arrivals.txt").write_text(f"0.1\n# {place}\n")
    run = sweep / "native-r0-0123abcd"
    config = json.loads((run / "config.yaml").read_text())
    config["arrival"] = {"process": "trace", "trace": str(tmp_path / "a" / "arrivals.txt")}
    own = {"process": "trace", "trace": str(tmp_path / "b" / "arrivals.txt")}
    config["task_set"]["tasks"]["urgent"]["arrival"] = own
    (run / "config.yaml").write_text(json.dumps(config))
    seal(run)
    export(sweep, tmp_path / "paper.zip")
    readme = text(tmp_path / "paper.zip", "README.md")
    (again,) = (line for line in readme.splitlines() if line.startswith("python -m runner.replay"))
    _, _, _, folder, *words = again.removesuffix("   # one run").split()
    assert folder == f"{SWEEP}/native-r0-0123abcd"
    given = dict(word.split("=") for word in words)
    assert set(given.values()) == {"traces/arrivals.txt", "traces/1-arrivals.txt"}
    for key, place in (("arrival.trace", "a"), ("task_set.tasks.urgent.arrival.trace", "b")):
        assert f"# {place}" in text(tmp_path / "paper.zip", given[key])
    archive.unpack(tmp_path / "paper.zip")


@pytest.mark.parametrize(("content", "sealed"), [("0.1\n", False), ("a key\n", True)])
def test_no_other_file_comes_along(sweep: Path, tmp_path: Path, content: str, sealed: bool) -> None:
    """Whoever changes a configuration could name any file of whoever exports it."""
    (tmp_path / "secret.txt").write_text(content)
    run = sweep / "native-r0-0123abcd"
    config = json.loads((run / "config.yaml").read_text())
    config["arrival"] = {"process": "trace", "trace": str(tmp_path / "secret.txt")}
    (run / "config.yaml").write_text(json.dumps(config))
    if sealed:
        seal(run)
    export(sweep, tmp_path / "paper.zip")
    assert not [
        name for name in zipfile.ZipFile(tmp_path / "paper.zip").namelist() if "secret" in name
    ]


def test_it_overwrites_only_when_it_is_told_to(paper: Path, sweep: Path, tmp_path: Path) -> None:
    paper.write_text("mine")
    refused = command("export", sweep, paper, cwd=tmp_path)
    assert refused.returncode == 2
    assert "is there already" in refused.stderr
    assert "--force" in refused.stderr
    assert paper.read_text() == "mine"
    done = command("export", sweep, paper, "--force", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "6 runs" in done.stdout
    assert zipfile.is_zipfile(paper)
    assert not list(tmp_path.glob(".*"))
    (tmp_path / "link.zip").symlink_to(paper)
    done = command("export", sweep, tmp_path / "link.zip", "--force", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "link.zip").is_symlink()
    refused = command("export", sweep, "/dev/null", "--force", cwd=tmp_path)
    assert (refused.returncode, Path("/dev/null").is_char_device()) == (2, True)
    assert "/dev/null is no file" in refused.stderr


def test_what_is_no_sweep_is_said(sweep: Path, tmp_path: Path) -> None:
    for folder, problem in (
        (tmp_path / "nothing", "is not there"),
        (sweep / "native-r0-0123abcd", "is no sweep"),
    ):
        with pytest.raises(UserError, match=problem):
            export(folder, tmp_path / "paper.zip")
    with pytest.raises(UserError, match="cannot be written"):
        export(sweep, tmp_path / "nowhere" / "paper.zip")
    (sweep / "sweep.json").write_text("[]")
    with pytest.raises(UserError, match="cannot be read"):
        export(sweep, tmp_path / "paper.zip")
    assert not (tmp_path / "paper.zip").exists()


def test_a_sweep_that_is_not_done_says_so(sweep: Path, tmp_path: Path) -> None:
    shutil.rmtree(sweep / "xsched-r2-0123abcd")
    said = export(sweep, tmp_path / "paper.zip")
    assert "1 of 6 runs have no result" in said
    assert "Of 6 runs, 1 have no result" in text(tmp_path / "paper.zip", "README.md")


def test_a_patch_that_was_cut_is_not_passed_off_as_one(sweep: Path, tmp_path: Path) -> None:
    origin = replace(ORIGIN, code=Code("c0ffee", "x" * 100_000))
    for run in sweep.glob("*/provenance.json"):
        if "superseded" not in run.parts:
            files.write_json(run, origin)
    export(sweep, tmp_path / "paper.zip")
    with zipfile.ZipFile(tmp_path / "paper.zip") as opened:
        assert "code.patch" not in opened.namelist()
    assert "git apply" not in text(tmp_path / "paper.zip", "README.md")


# ------------------------------------------------------------------------------ read


def test_the_runs_in_a_zip_are_those_of_the_folder(paper: Path, sweep: Path) -> None:
    packed, plain = load(paper), load(sweep)
    assert [each.name for each in packed] == [each.name for each in plain]
    for one, other in zip(packed, plain, strict=True):
        assert (one.summary, one.values, one.repeat) == (other.summary, other.values, other.repeat)
        assert (one.provenance, one.proof) == (ORIGIN, other.proof)
        assert one.requests().equals(other.requests())
    assert packed.record == plain.record
    folder = packed[0].folder.parent
    assert folder.is_dir()
    del packed, one
    assert not folder.exists()


def test_a_report_of_a_zip_is_written_beside_it(paper: Path, tmp_path: Path) -> None:
    done = command("report", paper, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "paper-report" / "report.html").read_text()
    for said in ("<h1>paper</h1>", "native", "xsched", "data:image/png"):
        assert said in page
    assert "<code>python -m runner task_set=made &#39;arrival.trace=…/arrivals.txt&#39;" in page
    assert "somebody" not in page
    assert list((tmp_path / "paper-report" / "figures").glob("*.pdf"))
    assert not list(tmp_path.glob("xsched-runner-*"))


def test_a_context_keeps_it_unpacked(paper: Path) -> None:
    with unpacked(paper) as folder:
        assert (folder.name, (folder / "sweep.json").is_file()) == (SWEEP, True)
    assert not folder.exists()


def test_a_zip_made_by_hand_is_read_too(sweep: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "hand"), "zip", sweep)
    with unpacked(tmp_path / "hand.zip") as folder:
        assert len(load(folder)) == 6


def entry(name: str, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.external_attr = mode << 16
    return made


HOSTILE = {
    "above": ([entry("../evil.json")], "a file outside itself"),
    "further above": ([entry("a/../../evil.json")], "a file outside itself"),
    "absolute": ([entry("/tmp/evil.json")], "a file outside itself"),
    "backslashes": ([entry("..\\evil.json")], "a file outside itself"),
    "a link": ([entry("a/link", stat.S_IFLNK | 0o777)], "something other than files"),
    "a device": ([entry("a/null", stat.S_IFCHR | 0o666)], "something other than files"),
    "a pipe": ([entry("a/pipe", stat.S_IFIFO | 0o666)], "something other than files"),
    "one name twice": ([entry("a/x"), entry("a//x")], "two files of one name"),
    "a file that is a folder": ([entry("a/x"), entry("a/x/y")], "cannot be unpacked"),
    "no sweep": ([entry("a/b/c/sweep.json")], "holds no sweep"),
    "two sweeps": ([entry("a/sweep.json"), entry("b/sweep.json")], "folder of one: a, b"),
}


@pytest.mark.parametrize("case", HOSTILE, ids=str)
def test_a_zip_that_is_up_to_something_is_refused(case: str, tmp_path: Path) -> None:
    entries, problem = HOSTILE[case]
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        if "sweep" not in case:
            opened.writestr("a/sweep.json", '{"runs": []}')
        for each in entries:
            opened.writestr(each, "evil")
    (tmp_path / "cwd").mkdir()
    done = reported(tmp_path / "x.zip", tmp_path / "cwd")
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "cwd").iterdir())
    assert [path.name for path in tmp_path.iterdir() if path.name != "cwd"] == ["x.zip"]


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("a/sweep.json", '{"runs": []}')
        opened.writestr("a/zeros.json", bytes(archive.MUCH_BYTES + 1))
    with pytest.raises(UserError, match=r"would unpack to 0.1 GiB, \d{3,4} times its size"):
        archive.unpack(tmp_path / "x.zip")
    monkeypatch.setattr(archive, "MOST_BYTES", 10)
    monkeypatch.setattr(archive, "MOST_FACTOR", 10_000)
    with pytest.raises(UserError, match="would unpack to"):
        archive.unpack(tmp_path / "x.zip")
    monkeypatch.setattr(archive, "MOST_FILES", 1)
    with pytest.raises(UserError, match="has 2 files"):
        archive.unpack(tmp_path / "x.zip")


def test_what_was_changed_after_the_export_is_noticed(paper: Path, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(paper) as old,
        zipfile.ZipFile(tmp_path / "forged.zip", "w") as new,
    ):
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("xsched-r0-0123abcd/summary.json"):
                content = content.replace(b"proven", b"failed")
            new.writestr(name, content)
    with pytest.raises(UserError, match=r"was changed after the export: .*xsched-r0"):
        archive.unpack(tmp_path / "forged.zip")


def test_a_list_of_runs_must_not_lead_elsewhere(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as opened:
        opened.writestr("a/sweep.json", '{"runs": [{"folder": "../../etc"}]}')
    with pytest.raises(UserError, match="a run outside itself"):
        archive.unpack(tmp_path / "x.zip")


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 nearly"], ids=repr)
def test_what_is_no_zip_is_said(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(UserError, match="is no zip"):
        archive.unpack(tmp_path / "x.zip")


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(0, 255), st.booleans())
def test_a_damaged_zip_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, at: int, value: int, cut: bool
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "a.json").write_text('{"runs": []}')
    archive.write(folder / "x.zip", {"s/sweep.json": folder / "a.json", "s/x.json": b"{}" * 99})
    content = bytearray((folder / "x.zip").read_bytes())
    content[at % len(content)] = value
    (folder / "x.zip").write_bytes(content[: at % len(content)] if cut else content)
    with (
        mock.patch.object(tempfile, "tempdir", str(folder)),
        suppress(UserError),
        unpacked(folder / "x.zip") as sweep,
    ):
        assert (sweep / "sweep.json").read_text() == '{"runs": []}'
    assert not list(folder.glob("xsched-runner-*"))
