"""``python -m runner.export SWEEP ZIP``: a sweep as one zip for others to read and to run again."""

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from runner.commands.command import end_well, parser
from runner.config.arrivals.trace import read_trace
from runner.config.errors import UserError
from runner.runs import archive, files
from runner.runs.load import load
from runner.runs.provenance import ABSOLUTE, MAX_DIFF, facts, told
from runner.runs.record import Provenance
from runner.runs.run import Run
from runner.runs.sweep import Sweep

#: What a sweep leaves for a reader. Logs are last words of processes, and databases
#: and what is in them the machine's.
KEPT = (".json", ".yaml", ".parquet", ".png", ".pdf", ".svg", ".html", ".csv", ".tex")
PATCH, TRACES = "code.patch", "traces"
#: Hydra's option for a folder of the user's own configurations.
CONFIG_DIR = ("--config-dir", "-cd")
README = Path(__file__).with_suffix(".md")


def main() -> None:
    options = parser(
        "export",
        "A sweep as one zip: configurations, raw data, provenance, figures, commands.",
        "0 the zip is written, 2 the input was wrong",
    )
    add = options.add_argument
    add("sweep", type=Path, metavar="SWEEP", help="the sweep's folder")
    add("zip", type=Path, metavar="ZIP", help="what to write, like paper.zip")
    add("--force", action="store_true", help="overwrite it if it is there")
    asked = options.parse_args()
    end_well(lambda: print(export(asked.sweep, asked.zip, asked.force)))


def export(folder: Path, target: Path, force: bool = False) -> str:
    """Write the zip; returns what to tell about it. Raises `UserError`."""
    sweep = read(folder)
    if target.exists() and not force:
        raise UserError("", "", f"{target} is there already", remedy="--force overwrites it")
    if target.exists() and not target.is_file():
        raise UserError("", "", f"{target} is no file", remedy="name the zip that is to be written")
    packed = contents([sweep])
    traces = traces_of(sweep.runs)
    packed["README.md"] = _readme(sweep, sorted(packed), traces).encode()
    try:
        archive.write(target.resolve(), packed)
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


def contents(sweeps: Sequence[Sweep]) -> dict[str, Path | bytes]:
    """All of what `read` found but the README, by names in the zip."""
    runs = [run for sweep in sweeps for run in sweep]
    packed = _patches(runs)
    packed |= {f"{TRACES}/{name}": path for path, name in traces_of(runs).items()}
    for sweep in sweeps:
        packed |= _files(sweep)
    return packed


def _files(sweep: Sweep) -> dict[str, Path | bytes]:
    """The sweep's own files, as they are. Links are not followed: they may lead anywhere."""
    folder = sweep.folder
    assert folder is not None
    return {
        f"{sweep.name}/{path.relative_to(folder).as_posix()}": path
        for path in folder.rglob("*")
        if path.suffix in KEPT
        and path.is_file()
        and not path.is_symlink()
        and path.name != files.LOGGED
        and path.relative_to(folder).parts[0] != files.SUPERSEDED
    }


def origins_of(runs: Iterable[Run]) -> list[Provenance]:
    """Of the runs that got as far as to have one."""
    return [run.provenance for run in runs if run.provenance.is_known] or [Provenance()]


def _patches(runs: Iterable[Run]) -> dict[str, Path | bytes]:
    """What differed from the commit, if the runs agree on it and recorded all of it."""
    diffs = {origin.code.diff for origin in origins_of(runs)}
    patch = diffs.pop() if len(diffs) == 1 else ""
    return {PATCH: patch.encode()} if patch and len(patch) < MAX_DIFF else {}


def traces_of(runs: Iterable[Run]) -> dict[Path, str]:
    """The files of arrival times that the runs were given and that are still there, and what they
    are called in the zip. Whoever has changed a configuration could name any file of this machine,
    so it must hold arrival times, and the configuration be the recorded one."""
    named: dict[Path, str] = {}
    for run in runs:
        for key, file in _trace_keys(run):
            path = Path(file)
            if path not in named and _is_whole(run) and _is_trace(file, key):
                taken = path.name in named.values()
                named[path] = f"{len(named)}-{path.name}" if taken else path.name
    return named


def _is_whole(run: Run) -> bool:
    recorded = files.read_summary(run.folder)
    return recorded is not None and not files.broken(run.folder, recorded)


def _is_trace(file: str, key: str) -> bool:
    try:
        return bool(read_trace(file, key))
    except UserError:
        return False


def _trace_keys(run: Run) -> Iterator[tuple[str, str]]:
    """The keys of a configuration that name a trace, and what they name."""
    for key, value in run.parameters.items():
        if value and (key == "arrival.trace" or key.endswith(".arrival.trace")):
            yield key, str(value)


# ---------------------------------------------------------------------------- the README


def _readme(sweep: Sweep, packed: list[str], traces: dict[Path, str]) -> str:
    """How to read the zip and run it again, in a checkout of the runner, without a path of the
    machine that it comes from."""
    rules = Environment(trim_blocks=True, undefined=StrictUndefined)
    origins = origins_of(sweep)
    weights = {file: sha256 for origin in origins for file, sha256 in origin.weights.items()}
    kinds = sorted(Counter(Path(name).suffix for name in packed).items())
    text = rules.from_string(README.read_text()).render(
        sweep=sweep,
        planned=len(sweep.record.runs),
        day=min((origin.time for origin in origins if origin.time), default="")[:10],
        code=origins[0].code,
        patch=PATCH if PATCH in packed else "",
        edited=any(origin.code.diff for origin in origins),
        weights=[(Path(file).name, sha256) for file, sha256 in weights.items()],
        command=_again(sweep),
        replay=_replay(sweep, sweep.runs[0], traces),
        environment=environment(origins),
        kinds=[f"{count} {suffix}" for suffix, count in kinds],
    )
    return ABSOLUTE.sub(r"…/\1", text) + "\n"


def _again(sweep: Sweep) -> str:
    """The sweep's command, with its author's own configurations where the zip has them."""
    words = shlex.split(told(sweep.record.command))
    if sweep.folder and (sweep.folder / files.SOURCES).is_dir():
        for at, word in enumerate(words):
            if word in CONFIG_DIR:
                words[at + 1 : at + 2] = [f"{sweep.name}/{files.SOURCES}"]
            elif word.startswith(CONFIG_DIR):
                words[at] = f"{word.partition('=')[0]}={sweep.name}/{files.SOURCES}"
    return shlex.join(words)


def _replay(sweep: Sweep, run: Run, traces: dict[Path, str]) -> str:
    words = ["python", "-m", "runner.replay", f"{sweep.name}/{run.folder.name}"]
    for key, file in _trace_keys(run):
        if Path(file) in traces:
            words.append(f"{key}={TRACES}/{traces[Path(file)]}")
    return shlex.join(words)


def environment(origins: Iterable[Provenance]) -> list[tuple[str, list[str]]]:
    """What the figures depend on; several values where the runs differ."""
    found: dict[str, dict[str, None]] = {}
    for origin in origins:
        for name, value in facts(origin).items():
            found.setdefault(name, {})[value] = None
    known = [(name, [value for value in values if value]) for name, values in found.items()]
    return [(name, values) for name, values in known if values]


if __name__ == "__main__":
    main()
