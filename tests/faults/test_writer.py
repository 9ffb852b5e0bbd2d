"""The files of a run, broken at every file operation of their writer: there is no half result."""

from pathlib import Path

import pytest

from tests.faults import writer
from tests.faults.faults import Fault


@pytest.mark.parametrize("fault", [Fault.killed, Fault.no_space, Fault.disk_full])
def test_there_is_no_half_result(fault: Fault, tmp_path: Path) -> None:
    found = []
    (tmp_path / "whole").mkdir()
    count = writer.changes(tmp_path / "whole")
    assert count > 20, "every file is opened, written, flushed and renamed"
    for at in range(1, count + 1):
        (tmp_path / f"{at}").mkdir()
        found.append(writer.broken_at(tmp_path / f"{at}", fault, at))
    assert found[0] == "no result"
    assert "the result whole" in found, "what comes after the record changes nothing"


def test_without_a_fault_it_is_whole(tmp_path: Path) -> None:
    assert writer.broken_at(tmp_path, Fault.none, 0) == "the result whole"
