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


class Pool:
    """Hands out so many streams, and then the same again, as PyTorch does."""

    def __init__(self, size: int) -> None:
        self._pointers: Iterator[int] = cycle(range(1, size + 1))

    def hints(self, ranks: int) -> list[int]:
        return [0] * ranks

    def open_stream(self, hint: int | None, default: bool) -> Any:
        return SimpleNamespace(pointer=0 if default else next(self._pointers))

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
