"""What a session sets up, over a device that is told what to answer."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.platforms.gpu.session import GpuSession
from tests.runner.gpu_double import DoublePlatform, trial
from tests.xsched_bindings.double import build


class Probed:
    """A stream whose probes are submitted and do not complete."""

    def __init__(self, pointer: int) -> None:
        self.pointer, self.probe, self.submitted = pointer, SimpleNamespace(count=0), 0

    def submit_probe(self, commands: int) -> None:
        self.submitted += commands

    def synchronize(self) -> None: ...


class Waiting:
    """The turns of others, with what this process was given to do meanwhile."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def gather(self, value: Any = None) -> list[Any]:
        return [value]

    def in_turn(self, action: Any, meanwhile: Any = None) -> list[Any]:
        self.asked.append(meanwhile)
        for _ in range(3):
            if meanwhile:
                meanwhile()
        return [["a suspension"]]


class Pool:
    """Hands out so many streams, and then the same again, as PyTorch does."""

    def __init__(self, size: int) -> None:
        self._pointers: Iterator[int] = cycle(range(1, size + 1))

    def hints(self, ranks: int) -> list[int]:
        return [0] * ranks

    probe_s = 0.0005

    def open_stream(self, hint: int | None, default: bool) -> Any:
        return Probed(0 if default else next(self._pointers))

    def load(self, model: Any, stream: Any, in_flight: int) -> Any:
        return SimpleNamespace()


@pytest.mark.parametrize("arm", ["native", "xsched"])
def test_two_tasks_never_share_a_stream_unasked(arm: str, tmp_path: Path) -> None:
    spec = trial(DoublePlatform(build(tmp_path / "xsched")), arm=arm)

    def opened(size: int) -> GpuSession:
        made = GpuSession(spec, [0, 1, 2], {}, Pool(size), lambda _: None)  # type: ignore[arg-type]
        made.open()
        return made

    assert len(opened(3).lanes) == 3
    with pytest.raises(RuntimeError, match="PyTorch has 2 streams for the 3 tasks"):
        opened(2)


def test_one_stream_for_all_is_shared(tmp_path: Path) -> None:
    spec = trial(DoublePlatform(build(tmp_path / "xsched")), arm="default_stream")
    made = GpuSession(spec, [0, 1, 2], {}, Pool(1), lambda _: None)  # type: ignore[arg-type]
    made.open()
    assert {lane.stream.pointer for lane in made.lanes} == {0}


def test_by_time_slices_the_others_keep_the_gpu_at_work_while_one_probes(tmp_path: Path) -> None:
    """A context that is alone on the GPU does not miss its time slice."""
    platform = DoublePlatform(build(tmp_path / "xsched"))
    server = tmp_path / "xsched" / "bin" / "xserver"
    server.parent.mkdir()
    server.touch()

    def waited(**xsched: str) -> tuple[Waiting, int]:
        spec, peers = trial(platform, placement="processes", **xsched), Waiting()
        made = GpuSession(spec, [1], {}, Pool(1), lambda _: None)  # type: ignore[arg-type]
        made.open()
        assert made.suspensions(peers) == ["a suspension"]
        stream: Any = made.lanes[0].stream
        return peers, stream.submitted

    peers, kept = waited(level="interrupt", cuda_lv3="tsg")
    assert callable(peers.asked[0])
    assert 0.01 < kept * Pool.probe_s < 0.05, "longer than a host may be late, and once"
    for xsched in ({}, {"cuda_lv3": "tsg"}):
        peers, kept = waited(**xsched)
        assert (peers.asked, kept) == ([None], 0)
