"""docs/reference.md from the schema: ``python -m runner.reference``."""

from dataclasses import MISSING, Field
from enum import Enum
from typing import Any

from runner.config.arms import Arm
from runner.config.schema import Config, allowed_range, walk
from xsched_bindings.types import PreemptLevel

HEADER = """\
# Every key of a configuration

Written by `make docs` from `runner/config/schema.py`; a test compares the two. Any key can be given
on the command line (`xsched.threshold=16`) and swept (`-m xsched.threshold=4,8,16`). In a task,
`null` inherits the value of the group of the same name.
"""
#: What keys of these types allow if they have no range.
UNBOUNDED: dict[object, str] = {bool: "`true`, `false`", float | None: "a number"}


def markdown() -> str:
    """The whole page."""
    sections: dict[str, list[str]] = {}
    for path, spec in walk(Config):
        group = path.rpartition(".")[0]
        sections.setdefault(group, []).append(_row(path, spec))
    parts = [HEADER]
    for group in sorted(sections, key=lambda name: (name == "", name.startswith("task_set"))):
        parts.append(f"## {f'`{group}`' if group else 'Top level'}\n\n" + _table(sections[group]))
    arms = "\n".join(f"| `{arm}` | {arm.doc} |" for arm in Arm)
    parts.append(f"## Arms\n\n| `arm` | what it is |\n|---|---|\n{arms}\n")
    return "\n".join(parts)


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | default | allowed | meaning |", "|---|---|---|---|", *rows, ""])


def _row(path: str, spec: Field[Any]) -> str:
    default = "" if spec.default is MISSING else spec.default
    shown = default.name if isinstance(default, Enum) else "null" if default is None else default
    unit = f" ({spec.metadata['unit']})" if spec.metadata["unit"] else ""
    doc = "See [Arms](#arms)." if path == "arm.name" else spec.metadata["doc"]
    return f"| `{path}` | `{shown}` | {_allowed(spec)} | {doc}{unit} |"


def _allowed(spec: Field[Any]) -> str:
    if spec.metadata["choices"]:
        return ", ".join(f"`{choice}`" for choice in spec.metadata["choices"])
    if "PreemptLevel" in str(spec.type):
        return ", ".join(f"`{level.name}`" for level in PreemptLevel)
    return allowed_range(spec) or UNBOUNDED.get(spec.type, "text")


if __name__ == "__main__":
    print(markdown(), end="")
