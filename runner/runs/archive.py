"""A sweep in one zip. The same files make the same zip, byte for byte; somebody else's is checked
before anything of it is written."""

import hashlib
import io
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from runner.config.errors import UserError
from runner.config.limits import check_limits
from runner.runs.files import CONFIG, SWEEP, read_sweep

SUMS = "SHA256SUMS"
#: The earliest that a zip can say.
TIME = (1980, 1, 1, 0, 0, 0)
#: Of a zip that is read: what it may come to, how many files it may have, and how many times its
#: own size it may come to if that is much. Runs pack by a factor of ten at most.
MOST_BYTES = 4 * 2**30
MOST_FILES = 100_000
MOST_FACTOR = 100
MUCH_BYTES = 2**26
READABLE = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


# ----------------------------------------------------------------------------- writing


def write(path: Path, files: Mapping[str, Path | bytes]) -> None:
    """A zip of files by name, with their checksums in `SUMS`; complete, or not there at all."""
    sums = "".join(f"{_sha256(files[name])}  {name}\n" for name in sorted(files))
    everything = {**files, SUMS: sums.encode()}
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in sorted(everything):
                _add(archive, name, everything[name])
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, name: str, content: Path | bytes) -> None:
    entry = zipfile.ZipInfo(name, TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = 3  # Unix, wherever it is made
    entry.external_attr = (stat.S_IFREG | 0o644) << 16
    entry.file_size = len(content) if isinstance(content, bytes) else content.stat().st_size
    with _opened(content) as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target)


def _opened(content: Path | bytes) -> io.BytesIO | io.BufferedReader:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


def _sha256(content: Path | bytes) -> str:
    with _opened(content) as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


# ----------------------------------------------------------------------------- reading


def unpack(path: Path) -> tuple[Path, "tempfile.TemporaryDirectory[str]"]:
    """The folder of the sweep in a zip, and what keeps it there for as long as it is held.

    Raises `UserError` for what is no zip of a sweep; then nothing has been kept, and nothing was
    written if the list of its files already told."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if problem := _problem(entries):
                raise UserError("", "", f"{path} {problem}")
            sweep = _sweep(path, entries)
            held = tempfile.TemporaryDirectory(prefix="xsched-runner-")
            try:
                _extract(archive, entries, Path(held.name))
                _verify(path, Path(held.name))
                _check_runs(path, Path(held.name) / sweep)
            except UserError as error:
                held.cleanup()
                raise UserError("", "", str(error).replace(f"{held.name}/", f"{path}: ")) from error
            except BaseException:
                held.cleanup()
                raise
    # NotImplementedError: zipfile's, of a compression that it does not know.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError) as error:
        raise UserError("", "", f"{path} is no zip, or a damaged one: {error}") from error
    except RecursionError as error:
        raise UserError("", "", f"{path}: its {SWEEP} is nested too deep") from error
    except OSError as error:
        raise UserError("", "", f"{path} cannot be unpacked: {error.strerror}") from error
    return Path(held.name) / sweep, held


def _problem(entries: Sequence[zipfile.ZipInfo]) -> str:
    """Why nothing of it is to be written, "" if it may be."""
    if len(entries) > MOST_FILES:
        return f"has {len(entries)} files, and at most {MOST_FILES} are read"
    size = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if size > MOST_BYTES or size > max(MUCH_BYTES, packed * MOST_FACTOR):
        return (
            f"would unpack to {size / 2**30:.1f} GiB, {size / max(packed, 1):.0f} times its size; "
            f"at most {MOST_BYTES / 2**30:g} GiB and {MOST_FACTOR} times are taken. If you trust "
            "it, unpack it yourself and give the folder"
        )
    names = [PurePosixPath(entry.filename) for entry in entries]
    if len(set(names)) < len(names):
        return "has two files of one name"
    return next(filter(None, map(_problem_of, entries)), "")


def _problem_of(entry: zipfile.ZipInfo) -> str:
    name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
    if not _is_inside(name):
        return f"has a file outside itself: {name!r}"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return f"has something other than files and folders: {name!r}"
    if entry.flag_bits & 1 or entry.compress_type not in READABLE:
        return f"has a file that is encrypted or packed in an unusual way: {name!r}"
    return ""


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    plain = path.parts and not path.is_absolute() and ".." not in path.parts
    return bool(plain) and "\\" not in name and "\0" not in name


def _sweep(path: Path, entries: Sequence[zipfile.ZipInfo]) -> PurePosixPath:
    """Where in the zip the sweep is: at the top, or in a folder of its own."""
    names = [PurePosixPath(entry.filename) for entry in entries]
    found = [name.parent for name in names if name.name == SWEEP and len(name.parts) <= 2]
    if len(found) > 1:
        each = ", ".join(sorted(map(str, found)))
        remedy = f"unpack it and give the folder of one: {each}"
        raise UserError("", "", f"{path} holds {len(found)} sweeps", remedy=remedy)
    if not found:
        raise UserError("", "", f"{path} holds no sweep", "a zip that runner.export made")
    return found[0]


def _extract(archive: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo], folder: Path) -> None:
    for entry in entries:
        target = folder / entry.filename
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # zipfile gives out no more than the entry's file_size, whatever the data says.
        with archive.open(entry) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)


def _verify(path: Path, folder: Path) -> None:
    """Raises `UserError` for a file that is not what was exported. A zip that somebody made by hand
    has no checksums to ask."""
    if not (folder / SUMS).is_file():
        return
    for line in (folder / SUMS).read_text("utf-8", "replace").splitlines():
        digest, _, name = line.partition("  ")
        file = folder / name
        if not _is_inside(name) or not file.is_file() or _sha256(file) != digest:
            raise UserError("", "", f"{path} was changed after the export: {name!r}")


def _check_runs(path: Path, folder: Path) -> None:
    """Raises `UserError` for a sweep whose list of runs leads elsewhere, or one of whose
    configurations would grow beyond all bounds."""
    for run in read_sweep(folder).runs:
        if not _is_inside(run.folder):
            raise UserError("", "", f"{path}: {SWEEP} names a run outside itself: {run.folder!r}")
        if (config := folder / run.folder / CONFIG).is_file():
            check_limits(config)
