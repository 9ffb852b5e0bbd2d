"""Faults that are quick enough for every run of the tests; by the hundred, `make faults`."""

import pytest

from tests.faults.sweeps import SMOKE, changes


@pytest.fixture(scope="session")
def one_run(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a sweep of one run changes below its output folder, one by one."""
    return changes(tmp_path_factory.mktemp("undisturbed"), SMOKE, 1)
