"""What a probe does with its work, on the CPU: a stream of the double stands for the device's, and
is given commands when the work is done."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from runner.commands.doctor import probe
from runner.platforms.gpu import driver, witness
from runner.platforms.gpu.accelerator import Witnessed
from tests.xsched_bindings.double import DoubleStream, build

#: Of each piece of work.
COMMANDS = 2


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A device without a device; returns the folder of XSched's double."""
    folder = build(tmp_path)
    with DoubleStream(folder) as stream:

        class Stream:
            cuda_stream = stream.pointer

            def synchronize(self) -> None:
                stream.synchronize()

        @contextmanager
        def on(_: Stream) -> Iterator[None]:
            yield
            stream.submit(COMMANDS)

        def witnessed(work: Callable[[], object]) -> Witnessed:
            before = stream.completed()
            work()
            return Witnessed((0.001,) * (stream.completed() - before), 0.0)

        monkeypatch.setattr(torch.cuda, "Stream", Stream)
        monkeypatch.setattr(torch.cuda, "stream", on)
        for name in ("set_device", "synchronize"):
            monkeypatch.setattr(torch.cuda, name, lambda *_: None)
        monkeypatch.setattr(torch.Tensor, "cuda", lambda self: self)
        monkeypatch.setattr(witness, "witness", witnessed)
        monkeypatch.setattr(driver, "pci_address", lambda: "0000:0c:00.0")
        yield folder


@pytest.mark.parametrize("work", probe.WORKS)
def test_each_work_is_counted_and_its_result_compared(device: Path, work: str) -> None:
    seen = probe.look("hip", device, work)
    assert (seen.launched, seen.counted, seen.right) == (COMMANDS, COMMANDS, True)
    assert seen.pci == "0000:0c:00.0"
    assert any(library.endswith("/lib/libpreempt.so") for library in seen.libraries)


@pytest.mark.parametrize("change", [lambda result: result + 1, lambda result: result * torch.nan])
def test_another_result_under_the_queue_is_not_right(
    device: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Any], Any]
) -> None:
    calls: list[int] = []

    def work(module: Any) -> Callable[[], Any]:
        def operation() -> Any:
            calls.append(1)
            result = module.ones(4)
            return change(result) if len(calls) == 3 else result

        return operation

    monkeypatch.setitem(probe.WORKS, "add", work)
    assert not probe.look("hip", device, "add").right
    assert len(calls) == 3
