"""Copies of sweeps for others: what a copy leaves out or shortens, its records must not list."""

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runner.config.errors import UserError
from runner.runs import files
from runner.runs.record import Seal


def check(sweep: Path) -> None:
    """Only what was measured is published. Raises `UserError` if a file of a run is not what its
    record says."""
    for path in sweep.glob(f"*/{files.SUMMARY}"):
        summary = files.read_summary(path.parent)
        if summary and (problem := files.broken(path.parent, summary)):
            raise UserError("", "", f"{path.parent}: {problem}", "run the sweep's command again")


def pack(copy: Path) -> None:
    """Write the tables of a copy anew, as small as they get: times one after another, such as marks
    are, take a third as their differences. What they hold stays the same."""
    for path in copy.glob("*/*.parquet"):
        table = pq.read_table(path)  # type: ignore[no-untyped-call]  # pyarrow's
        numbers = [each.name for each in table.schema if pa.types.is_integer(each.type)]
        pq.write_table(  # type: ignore[no-untyped-call]  # pyarrow's
            table,
            path,
            compression="zstd",
            compression_level=19,
            use_dictionary=[name for name in table.schema.names if name not in numbers],
            column_encoding=dict.fromkeys(numbers, "DELTA_BINARY_PACKED"),
        )


def seal(copy: Path) -> None:
    """Let the record of each run list the files of a copy as they are now."""
    for path in copy.glob(f"*/{files.SUMMARY}"):
        summary = files.read_summary(path.parent)
        if summary and summary.files:
            there = [name for name in summary.files if (path.parent / name).is_file()]
            seals = {name: Seal.of((path.parent / name).read_bytes()) for name in there}
            files.write_json(path, replace(summary, files=seals))
