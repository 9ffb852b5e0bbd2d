"""Sweeps by Slurm and by Ray: minutes each, so `make test-clusters` runs them. KILLS says how often
each thing is killed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clusters.nodes import Absent, Cluster
from tests.clusters.raylets import Ray
from tests.clusters.slurm import Slurm
from tests.clusters.sweeps import KILLS, check, ended, hosts, kill_and_go_on, said, start

pytestmark = [pytest.mark.clusters, pytest.mark.timeout(900)]
TIMES = int(os.environ.get("KILLS", "1"))


@pytest.fixture(scope="module", params=[Slurm, Ray], ids=["slurm", "ray"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    try:
        with request.param.started() as started:
            yield started
    except Absent as reason:
        pytest.skip(str(reason))


def test_arms_of_a_repeat_share_a_device(cluster: Cluster, tmp_path: Path) -> None:
    code = ended(start(cluster, tmp_path), tmp_path)
    assert code == 0, said(tmp_path)
    assert hosts(check(tmp_path)) == {"n1", "n2"}


@pytest.mark.parametrize("seed", range(TIMES))
@pytest.mark.parametrize("what", KILLS)
def test_nothing_is_lost_or_there_twice(
    cluster: Cluster, tmp_path: Path, what: str, seed: int
) -> None:
    kill_and_go_on(cluster, tmp_path, what, seed)
