"""The limits of a configuration file: it is looked at before anything is made of it. Without Hydra,
which is slow to import: whoever reads the configuration of somebody else's run looks, too."""

import re
import stat
from collections.abc import Iterable
from pathlib import Path

import yaml

from runner.config.errors import UserError

#: What a file may set below ``hydra``.
SETTINGS = ("mode", "launcher.n_jobs")
#: What it may choose by its defaults list. Hydra finds launchers that are installed by their names.
LAUNCHER = "hydra/launcher"
#: Of a file; an alias counts as all that it stands for.
MOST_BYTES, MOST_DEPTH, MOST_NODES, MOST_DIGITS = 10**6, 100, 20_000, 100
TAGS = [f"tag:yaml.org,2002:{t}" for t in ("str", "int", "float", "bool", "null", "seq", "map")]
#: The value of another key. With a colon it is a resolver, which reads or runs something.
REFERENCE = re.compile(r"\$\{\.*([A-Za-z]\w*(?:\.[\w-]+)*)\}")
NUMBER = re.compile(r"[-+.:\w]+")


def check_limits(path: Path) -> None:
    """Refuse, within a moment and before anything is made of it, a file that is no plain YAML or
    would grow beyond all bounds. Raises `UserError` naming file and line."""
    try:
        there = path.stat()
        if not stat.S_ISREG(there.st_mode):
            raise problem(path, "is no file with text in it", remedy="give the path of a file")
        if there.st_size > MOST_BYTES:
            raise problem(path, f"is larger than {MOST_BYTES:,} bytes")
        content = path.read_bytes()
        text = content.decode("utf-8")
        if text.startswith("\ufeff"):
            raise problem(path, "begins with a byte-order mark", 0, "save it as UTF-8 without one")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start)
        raise problem(path, f"is not UTF-8: {error.reason}", line, "save it as UTF-8") from error
    except OSError as error:
        raise problem(path, f"cannot be read: {error.strerror}") from error
    try:
        _check_events(path, yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise problem(path, str(error.problem), mark.line if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = content.count(b"\n", 0, error.position)
        raise problem(path, str(error.reason), line) from error


def _check_events(path: Path, events: Iterable[yaml.Event]) -> None:
    nodes = 0
    sizes: dict[str, int] = {}  # of what an alias may stand for
    within: list[tuple[str | None, int]] = []  # what has begun: its anchor, the nodes before it
    for event in events:
        line = event.start_mark.line if event.start_mark else 0
        if isinstance(event, yaml.CollectionEndEvent):
            anchor, before = within.pop()
            sizes |= {anchor: nodes - before} if anchor else {}
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise problem(path, f"*{event.anchor} stands for itself, or for nothing", line)
            nodes += sizes[event.anchor]
        elif isinstance(event, yaml.NodeEvent):
            if not within and not isinstance(event, yaml.MappingStartEvent):
                raise problem(path, "holds no keys and values", line)
            tag: str | None = getattr(event, "tag", None)
            if tag and tag not in TAGS:
                raise problem(path, f"the tag {tag} is not data", line)
            nodes += 1
            if isinstance(event, yaml.ScalarEvent):
                sizes |= {event.anchor: 1} if event.anchor else {}
                check_text(path, event.value, line)
                if len(event.value) > MOST_DIGITS and event.implicit[0]:
                    _check_number(path, event.value, line)
            else:
                within.append((event.anchor, nodes - 1))
        if len(within) > MOST_DEPTH:
            raise problem(path, f"is nested more than {MOST_DEPTH} deep", line)
        if nodes > MOST_NODES:
            raise problem(path, f"comes to more than {MOST_NODES:,} keys and values", line)


#: What the readers of YAML raise, besides their own errors, over what has passed.
UNREADABLE = (ValueError, LookupError, ArithmeticError, TypeError, AttributeError)


def _check_number(path: Path, text: str, line: int) -> None:
    """Python takes minutes over the longest numbers, and refuses those below."""
    if text[0] in "-+.0123456789" and NUMBER.fullmatch(text):
        raise problem(path, f"a number of more than {MOST_DIGITS} digits", line)


def check_text(path: Path, text: str, line: int | None = None) -> None:
    """One reference at most: two in each of a chain of texts would double its length each time. Of
    what is given to Hydra's grammar (a sweep's or a campaign's words), quoting is undone there."""
    if "\\" in text:
        check_text(path, text.replace("\\", ""), line)
    if re.search("[\0\ud800-\udfff]", text):
        raise problem(path, f"a text with {text[:40]!a}, which is no character", line)
    found = REFERENCE.search(text)
    if "${" in text and (not found or text.count("${") > 1):
        raise problem(path, f"{text[:80]}: a text may look up one key, as ${{model.name}}", line)
    if found and found[1].startswith("hydra"):
        raise refusal(path, text)


def problem(
    path: Path, what: str, line: int | None = None, remedy: str = "correct the file"
) -> UserError:
    """What is wrong with a file, and where."""
    place = str(path) if line is None else f"{path}, line {line + 1}"
    return UserError("", "", f"{place}: {what}", remedy=remedy)


def refusal(path: Path, what: str) -> UserError:
    """What a file says that could run code."""
    why = "a configuration file is data and may not change how Hydra itself runs"
    settings = (f"hydra.{key}" for key in SETTINGS)
    allowed = [*settings, "hydra.sweeper.params", f"a choice of {LAUNCHER}"]
    remedy = "give it on the command line if you mean it"
    return UserError(str(path), what, why, allowed, remedy)
