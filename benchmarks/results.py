"""``python -m benchmarks.results NAME [SECTION=]SWEEP…``: keep sweeps of experiments, and write the
page that shows them.

Of each sweep ``docs/results/NAME/`` gets a zip of its raw data, without the places of the machine
that it ran on, and its figures; ``docs/results/NAME.md`` gets a section, named like the experiment
or task set unless SECTION is given. The zips of earlier calls stay on the page. What a person has
to say of it is in ``docs/results/NAME/remarks.yaml``: `title`, `intro`, a text by section, and
`figures`, by section which to show where it should not be those that are usual.
"""

import shlex
import shutil
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import msgspec
import yaml

from benchmarks import published
from runner.commands.export import export
from runner.config.errors import UserError
from runner.config.schema import ExpectConfig
from runner.metrics.intervals import significant
from runner.results.comparison import ArmRow, Comparison, compare
from runner.results.expectations import Finding, evaluate
from runner.results.outcome import Outcome
from runner.results.points import spoken
from runner.results.report.build import build
from runner.results.wording import INTERVAL, numbers, treatment_name, value, verdict
from runner.runs import files
from runner.runs.load import load
from runner.runs.provenance import ABSOLUTE, MAX_DIFF
from runner.runs.record import Provenance, Summary
from runner.runs.sweep import Sweep
from runner.trial.status import Status

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
CONF = ROOT / "conf"
CONFS = ("experiment", "task_set")
#: Lines that a file of conf/ opens with, before its comment.
HEAD = ("# @package", "# python -m runner")
#: What the report draws anew, and logs.
NOT_KEPT = ("*.png", "*.pdf", "*.html", "trace.json", "comparison.*", "*.log")
TEXTS = (".json", ".yaml")
#: Figures of a report that a page shows: the first that is there of what is declared, else these.
DECLARED = ("shares", "preemption_p50", "throughput", "p50")
DISTRIBUTIONS = ("p90", "latency_cdf", "p99")


def main(arguments: list[str]) -> None:
    options = ArgumentParser(prog="python -m benchmarks.results", description=__doc__)
    options.add_argument("name", help="of docs/results/NAME/remarks.yaml, and of the page")
    options.add_argument("sweeps", nargs="*", metavar="[SECTION=]SWEEP")
    asked = options.parse_args(arguments)
    name, target = asked.name, RESULTS / asked.name
    if not (target / "remarks.yaml").is_file():
        options.error(f"{target} has no remarks.yaml")
    for given in asked.sweeps:
        section, _, sweep = given.rpartition("=")
        print(keep(Path(sweep), target, section))
    remarks = yaml.safe_load((target / "remarks.yaml").read_text())
    sections = [_section(path, remarks) for path in sorted(target.glob("*.zip"))]
    parts = [f"# {remarks['title']}", remarks["intro"].strip(), *sections]
    (RESULTS / f"{name}.md").write_text("\n\n".join(parts) + "\n")


def keep(sweep: Path, target: Path, section: str = "") -> str:
    """The zip of a sweep in the folder `target`, named so, or like its experiment or task set."""
    published.check(sweep)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / sweep.name
        shutil.copytree(sweep, copy, ignore=shutil.ignore_patterns(*NOT_KEPT, files.SUPERSEDED))
        shutil.rmtree(copy / files.REPORT, ignore_errors=True)
        output_root = str(sweep.absolute().parent)
        first = files.read_json(next(copy.glob(f"*/{files.SUMMARY}")), Summary)
        ran_in = first.folder.rpartition(f"/{sweep.name}/")[0] or output_root
        for path in copy.rglob("*"):
            if path.suffix in TEXTS:
                text = path.read_text().replace(ran_in, "outputs")
                path.write_text(text.replace(f"{Path(ran_in).parent}/", ""))
            if path.name == files.PROVENANCE:
                _shorten(path)
        published.pack(copy)
        published.seal(copy)
        command = files.read_sweep(copy).command
        return export(copy, target / f"{section or _experiment(command)}.zip", force=True)


def _shorten(path: Path) -> None:
    """A provenance without the machine's paths, and without a diff that was cut and so tells only
    what its checksum does."""
    origin = files.read_json(path, Provenance)
    diff = origin.code.diff
    files.write_json(path, _with_diff(origin, ""))
    path.write_text(ABSOLUTE.sub(r"…/\1", path.read_text()))
    shortened = files.read_json(path, Provenance)
    files.write_json(path, _with_diff(shortened, "" if len(diff) >= MAX_DIFF else diff))


def _with_diff(origin: Provenance, diff: str) -> Provenance:
    return replace(origin, code=replace(origin.code, diff=diff))


def _experiment(command: str) -> str:
    words = command.split()
    asked = (w for group in CONFS for w in words if w.startswith(f"{group}="))
    return next(asked).partition("=")[2]


# ------------------------------------------------------------------------------ the page


def _section(path: Path, remarks: dict[str, Any]) -> str:
    """A sweep: what it is, what was expected of it, its figures, its verdicts."""
    name = path.stem
    sweep = load(path)
    experiment = _experiment(sweep.record.command)
    with tempfile.TemporaryDirectory() as folder:
        build(Outcome.of(sweep), Path(folder), name)
        images = _images(Path(folder) / "figures", path, remarks.get("figures", {}).get(name))
    findings = evaluate(_expected(experiment), sweep.runs)
    try:
        found = compare(sweep.runs)
    except UserError:  # a single arm
        found = None
    parts = [
        f"## {name}",
        _question(experiment) if name == experiment else "",
        _ended(sweep),
        _expectations(findings) if findings else "",
        remarks.get(name, "").strip(),
        _arms(found.arms) if found else "",
        _verdicts(found) if found else "",
        _left_out(found) if found else "",
        *images,
        f"Raw data, proofs, provenance: [{path.name}]({path.parent.name}/{path.name}); "
        f"`python -m runner.report docs/results/{path.parent.name}/{path.name}` makes its page.",
    ]
    return "\n\n".join(filter(None, parts))


def _conf(name: str) -> str:
    """The file of the experiment or task set."""
    found = (CONF / group / f"{name}.yaml" for group in CONFS)
    return next(path for path in found if path.is_file()).read_text()


def _question(name: str) -> str:
    """The comment that the file opens with, after its command."""
    comment = takewhile(lambda line: line.startswith("#"), _conf(name).splitlines())
    said = [line[2:] for line in comment if not line.startswith(HEAD)]
    return " ".join(said)


def _expected(name: str) -> list[ExpectConfig]:
    """What the experiment is meant to show, as it is checked in: judged as it would be today."""
    said = yaml.safe_load(_conf(name)).get("expect", [])
    return msgspec.convert(said, list[ExpectConfig])


def _ended(sweep: Sweep) -> str:
    """The command, and how its runs ended."""
    words = shlex.split(sweep.record.command)
    kept = [word for word in words if not word.startswith(("hydra", "output_root=", "tracking"))]
    proofs = [str(run.summary.proof or "none") for run in sweep]
    counts = ", ".join(f"{proofs.count(proof)} {proof}" for proof in dict.fromkeys(proofs))
    wrong = sum(not run.summary.valid for run in sweep)
    count = f"{len(sweep)} runs" if len(sweep) > 1 else "one run"
    return f"`{shlex.join(kept)}`: {count}; proof: {counts}; {wrong or 'none'} not valid."


def _left_out(found: Comparison) -> str:
    """Runs with a result that are compared with nothing, and why."""
    named = [f"{run.name}: {why}" for run, why in found.left_out if run.status is Status.FINISHED]
    return f"Not compared: {'; '.join(named)}." if named else ""


def _images(figures: Path, path: Path, asked: list[str] | None = None) -> list[str]:
    """The figures that the report has, copied beside the zip; asked: those and no others."""
    there = [stem for stem in (*DECLARED, *DISTRIBUTIONS) if (figures / f"{stem}.png").is_file()]
    wanted = there[:1] if there and there[0] in DECLARED else there[:2]
    shown = []
    for stem in wanted if asked is None else asked:
        copied = path.with_name(f"{path.stem}-{stem}.png")
        shutil.copy(figures / f"{stem}.png", copied)
        shown.append(f"![{path.stem}: {stem}]({path.parent.name}/{copied.name})")
    return shown


def _expectations(findings: list[Finding]) -> str:
    rows = [
        (
            each.what,
            each.bounds,
            each.value if isinstance(each.value, str) else _number(each.value),
            f"[{', '.join(map(_number, each.interval))}]" if each.interval else each.why,
            f"**{each.verdict}**",
        )
        for each in findings
    ]
    return _table(("expected", "bound", "found", "95 % interval", ""), rows)


def _number(value: float | None) -> str:
    return "–" if value is None else significant(value)


def _arms(arms: list[ArmRow]) -> str:
    rows = []
    for arm in arms:
        amount, interval = value(arm.value)
        name = spoken(arm.arm, arm.values)
        rows.append((name, str(arm.repeats), f"{amount} {arm.unit}", interval))
    return _table(("arm", "repeats", arms[0].figure, INTERVAL), rows)


def _verdicts(found: Comparison) -> str:
    """Nothing of single runs: the arms' table has their figures, and there are no verdicts."""
    rows = []
    for row in found.primary:
        _, _, change, interval = numbers(row)
        rows.append((treatment_name(row), row.figure, change, interval, verdict(row)))
    if all(row.interval is None for row in found.primary):
        return ""
    return _table((f"against {found.baseline}", "figure", "ratio", INTERVAL, ""), rows)


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main(sys.argv[1:])
