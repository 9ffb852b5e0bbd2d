"""Terminals and environments that take no output: a measurement is not lost for that."""

from pathlib import Path

import pytest

from tests.faults import campaign

QUICK = (
    "PYTHONIOENCODING=ascii",
    "a working directory that was deleted",
    "\\| head -1",
    "<&- >&- 2>&-",
)


@pytest.mark.parametrize("what", QUICK)
def test_the_result_is_whole(what: str, tmp_path: Path) -> None:
    ((_, written, codes),) = (each for each in campaign.TERMINALS if each[0] == what)
    campaign.in_shell(tmp_path, written, codes)


def test_a_folder_of_any_name(tmp_path: Path) -> None:
    campaign.named(tmp_path, "%20 a?b#c\\d[] :smile: m[/b] ü")
