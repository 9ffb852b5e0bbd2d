"""``python -m runner.export SWEEP ZIP``: a sweep as one zip for others to read and to run again.

Exit codes: 0 the zip is written, 2 the input was wrong, 130 interrupted.
"""

import argparse
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.commands.ending import end_well
from runner.config.errors import UserError
from runner.runs import archive, files
from runner.runs.load import load
from runner.runs.provenance import ABSOLUTE, MAX_DIFF, facts, told
from runner.runs.run import Run
from runner.runs.sweep import Sweep

#: What a sweep leaves for a reader. Logs are last words of processes, and databases
#: and what is in them the machine's.
KEPT = (".json", ".yaml", ".parquet", ".png", ".pdf", ".svg", ".html", ".csv", ".tex")
PATCH, TRACES = "code.patch", "traces"


def main() -> None:
    """The command."""
    asked = _arguments()
    end_well(lambda: print(export(asked.sweep, asked.zip, asked.force)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m runner.export",
        description="A sweep as one zip: configurations, raw data, provenance, figures, commands.",
        epilog="exit code: 0 the zip is written, 2 the input was wrong",
    )
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="the sweep's folder")
    parser.add_argument("zip", type=Path, metavar="ZIP", help="what to write, like paper.zip")
    parser.add_argument("--force", action="store_true", help="overwrite it if it is there")
    return parser.parse_args()


def export(folder: Path, target: Path, force: bool = False) -> str:
    """Write the zip; returns what to tell about it. Raises `UserError`."""
    sweep = read(folder)
    if target.exists() and not force:
        raise UserError("", "", f"{target} is there already", remedy="--force overwrites it")
    packed = _files(sweep, folder) | _patches(sweep)
    traces = _traces(sweep)
    packed |= {f"{TRACES}/{name}": path for path, name in traces.items()}
    packed["README.md"] = _readme(sweep, sorted(packed), traces).encode()
    try:
        archive.write(target, packed)
    except OSError as error:
        raise UserError("", "", f"{target} cannot be written: {error.strerror}") from error
    size = target.stat().st_size / 2**20
    planned = len(sweep.record.runs)
    pending = planned - len(sweep)
    missing = f"\n{pending} of {planned} runs have no result" if pending else ""
    return f"{target}: {len(sweep)} runs, {len(packed) + 1} files, {size:.1f} MiB{missing}"


def read(folder: Path) -> Sweep:
    """The sweep in a folder. Raises `UserError` if there is none, or none that has a result."""
    path = folder / files.SWEEP
    if not path.is_file():
        problem = "is not there" if not folder.exists() else f"is no sweep: it has no {path.name}"
        raise UserError("", "", f"{folder} {problem}", "the folder that a sweep names at its end")
    sweep = load(folder)
    ended = tuple(run for run in sweep if (run.folder / files.SUMMARY).is_file())
    if not ended:
        raise UserError("", "", f"{folder}: none of its runs has a result")
    return replace(sweep, runs=ended)


# ---------------------------------------------------------------------- what goes into it


def _files(sweep: Sweep, folder: Path) -> dict[str, Path | bytes]:
    """The sweep's own files, as they are. Links are not followed: they may lead anywhere."""
    return {
        f"{sweep.name}/{path.relative_to(folder).as_posix()}": path
        for path in folder.rglob("*")
        if path.suffix in KEPT
        and path.is_file()
        and not path.is_symlink()
        and path.name != files.LOGGED
        and path.relative_to(folder).parts[0] != files.SUPERSEDED
    }


def _patches(sweep: Sweep) -> dict[str, Path | bytes]:
    """What differed from the commit, if the runs agree on it and recorded all of it."""
    diffs = {run.provenance.code.diff for run in sweep}
    patch = diffs.pop() if len(diffs) == 1 else ""
    return {PATCH: patch.encode()} if patch and len(patch) < MAX_DIFF else {}


def _traces(sweep: Sweep) -> dict[Path, str]:
    """The files of arrival times that the runs were given and that are still there, and what they
    are called in the zip."""
    named: dict[Path, str] = {}
    for run in sweep:
        for _, file in _trace_keys(run):
            path = Path(file)
            if path.is_file() and path not in named:
                taken = path.name in named.values()
                named[path] = f"{len(named)}-{path.name}" if taken else path.name
    return named


def _trace_keys(run: Run) -> Iterator[tuple[str, str]]:
    """The keys of a configuration that name a trace, and what they name."""
    for key, value in run.parameters.items():
        if value and (key == "arrival.trace" or key.endswith(".arrival.trace")):
            yield key, str(value)


# ---------------------------------------------------------------------------- the README


def _readme(sweep: Sweep, packed: list[str], traces: dict[Path, str]) -> str:
    """How to read the zip and run it again, without a path of the machine that it comes from."""
    parts = [f"# {sweep.name}", _opening(sweep), "## Again", _again(sweep, packed, traces)]
    parts += ["## Runs", _runs_table(sweep), "## Environment", _environment(sweep)]
    parts += ["## Files", _contents(sweep, packed)]
    return ABSOLUTE.sub(r"…/\1", "\n\n".join(parts)) + "\n"


def _opening(sweep: Sweep) -> str:
    times = sorted(run.provenance.time for run in sweep if run.provenance.time)
    when = f" of {times[0][:10]}" if times else ""
    planned = len(sweep.record.runs)
    missing = planned - len(sweep)
    more = f" Of {planned} runs, {missing} have no result." if missing else ""
    return (
        f"A sweep{when} of the experiment runner for XSched: {len(sweep)} runs with their "
        f"configurations, raw data, proofs, provenance and figures.{more}"
    )


def _again(sweep: Sweep, packed: list[str], traces: dict[Path, str]) -> str:
    """The commands, in a checkout of the runner; the zip is called paper.zip in them."""
    code = sweep.runs[0].provenance.code
    lines = ["unzip paper.zip && sha256sum --check --quiet SHA256SUMS   # nothing was changed"]
    if code.commit:
        lines.append(f"git checkout {code.commit}   # the code, in a checkout of the runner")
    if PATCH in packed:
        lines.append(f"git apply {PATCH}   # and what differed from the commit")
    elif any(run.provenance.code.diff for run in sweep):
        lines.append("# the code differed from the commit; see code in provenance.json")
    given = {file: sha for run in sweep for file, sha in run.provenance.weights.items()}
    lines += [
        f"# weights of your own copy, model.pretrained=…/{Path(file).name}: sha256 {sha}"
        for file, sha in given.items()
    ]
    lines += [
        "python -m runner.report paper.zip   # page and figures from the raw data",
        "python -m runner.compare paper.zip   # the arms against one of them",
        f"{told(sweep.record.command)}   # the whole sweep",
        f"{_replay(sweep, sweep.runs[0], traces)}   # one run",
    ]
    note = "`paper.zip` is this archive. Paths of the original machine are shortened to `…/name`."
    return "```\n" + "\n".join(lines) + f"\n```\n\n{note}"


def _replay(sweep: Sweep, run: Run, traces: dict[Path, str]) -> str:
    words = ["python", "-m", "runner.replay", f"{sweep.name}/{run.folder.name}"]
    for key, file in _trace_keys(run):
        if Path(file) in traces:
            words.append(f"{key}={TRACES}/{traces[Path(file)]}")
    return shlex.join(words)


def _runs_table(sweep: Sweep) -> str:
    heads = ("run", "arm", "repeat", "status", "proof", "valid", "config hash")
    rows = [
        (
            f"`{run.folder.name}`",
            run.arm,
            run.repeat,
            run.status,
            run.summary.proof,
            "yes" if run.summary.valid else "no",
            run.summary.config_hash,
        )
        for run in sweep
    ]
    return _table(heads, rows)


def _table(heads: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join(
        f"| {' | '.join('–' if cell is None else str(cell) for cell in line)} |" for line in lines
    )


def _environment(sweep: Sweep) -> str:
    """What the figures depend on; several values where the runs differ."""
    found: dict[str, dict[str, None]] = {}
    for run in sweep:
        for name, value in facts(run.provenance).items():
            found.setdefault(name, {})[value] = None
    rows = [(name, "; ".join(filter(None, values))) for name, values in found.items()]
    return _table(("", "value"), [row for row in rows if row[1]])


def _contents(sweep: Sweep, packed: list[str]) -> str:
    kinds: dict[str, int] = {}
    for name in packed:
        kinds[Path(name).suffix] = kinds.get(Path(name).suffix, 0) + 1
    counts = ", ".join(f"{count} {suffix}" for suffix, count in sorted(kinds.items()))
    return (
        f"`{sweep.name}/` is the sweep's folder as it was left ({counts}), without logs and "
        "databases. What each file and each key means is in `docs/outputs.md` of the runner."
    )


if __name__ == "__main__":
    main()
