"""A request as a few graphs instead of many commands: captured once, and launched with next to no
work for the host, which is the bottleneck of small requests."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from math import ceil
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from runner.platforms.gpu.marks import MarkRing

#: Marks in a request, at most. They are nodes of the graphs, not commands of their own.
MARKS = 16
#: Of the largest value of a result, that graphs may differ from operators by, or so many steps of
#: its type: a library may take other kernels where it is captured.
TOLERANCE, STEPS = 1e-3, 8


def of_graphs(
    module: nn.Module, inputs: Sequence[tuple[Tensor, ...]], count: int, ring: MarkRing
) -> tuple[Callable[[], Tensor], int]:
    """Enqueues a request of the next input in turn, as so many graphs, and returns its result; and
    how many marks that leaves. Every graph has as many operators as the others, one more or less.

    Raises RuntimeError for more graphs than operators, for a module that cannot be captured or has
    other operators then, and if graphs compute something else than operators do."""
    # The default stream cannot be captured.
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's
    here = [tensor.clone() for tensor in inputs[0]]  # where graphs read, whichever the input is
    torch.cuda.synchronize()
    with torch.inference_mode(), torch.cuda.stream(side):
        expected = [module(*each) for each in inputs]
        operators = _count(lambda: module(*here))
        if count > operators:
            raise RuntimeError(
                f"model.graphs={count}: a request of this model has {operators} operators, "
                "which is the most"
            )
        capture = _Capture(count, operators, ring, side)
        result = capture.of(lambda: module(*here))

    def enqueue(each: Iterable[Tensor]) -> Tensor:
        for to, of in zip(here, each, strict=True):
            to.copy_(of)
        for graph in capture.graphs:
            graph.replay()
        return result

    with torch.inference_mode(), torch.cuda.stream(side):
        for each, right in zip(inputs, expected, strict=True):
            _compare(enqueue(each), right)
        side.synchronize()
    turn = cycle(inputs)
    return lambda: enqueue(next(turn)), capture.marks


def _compare(found: Tensor, right: Tensor) -> None:
    error = (found.double() - right.double()).abs().max() / right.double().abs().max()
    if not float(error) <= max(TOLERANCE, STEPS * torch.finfo(right.dtype).eps):
        raise RuntimeError(
            f"as graphs a request of this model computes something else (by {float(error):.2g} of "
            "its largest value): model.graphs=0 runs it operator by operator"
        )


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's
    """Counts the operators that make or change something, and so give the device work; views and
    what does nothing in evaluation do not count. after: called with the number after each."""

    def __init__(self, after: Callable[[int], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's
        self.count = 0
        self._after = after

    def __torch_dispatch__(
        self, operator: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = operator(*args, **(kwargs or {}))
        made = _storages(result) - _storages((args, kwargs))
        if made or operator._schema.is_mutable:
            self.count += 1
            self._after(self.count)
        return result


def _storages(values: Any) -> set[int]:
    tensors = (each for each in tree_leaves(values) if isinstance(each, Tensor))
    return {each.untyped_storage().data_ptr() for each in tensors}


def _count(run: Callable[[], object]) -> int:
    seen = _Operators(lambda _: None)
    with seen:
        run()
    return seen.count


@contextmanager
def _unseen() -> Iterator[None]:
    """A model must not see that it is captured: transformers 5.17 takes another, slower attention
    then."""
    asked = torch.cuda.is_current_stream_capturing
    torch.cuda.is_current_stream_capturing = lambda: False
    try:
        yield
    finally:
        torch.cuda.is_current_stream_capturing = asked


class _Capture:
    """The graphs of one request, with marks in them. They share memory, for they are always
    launched one after another."""

    def __init__(
        self, count: int, operators: int, ring: MarkRing, stream: torch.cuda.Stream
    ) -> None:
        self.graphs: list[torch.cuda.CUDAGraph] = []
        self.marks = 0
        self._operators = operators
        self._last = {round(number * operators / count) for number in range(1, count)}
        self._marked = ceil(count / MARKS)
        self._ring, self._stream = ring, stream
        self._pool = torch.cuda.graph_pool_handle()

    def of(self, run: Callable[[], Tensor]) -> Tensor:
        torch.cuda.synchronize()
        try:
            with self._ring.on(self._stream.cuda_stream):
                self._begin()  # runs operators of its own, which are not the model's
                with _unseen(), (seen := _Operators(self._after)):
                    result = run()
                result = result.contiguous()
                self._mark(lambda: self._ring.mark_result(result))
                self.graphs[-1].capture_end()
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise RuntimeError(
                f"this model cannot be captured as graphs ({reason}): model.graphs=0 runs it "
                "operator by operator"
            ) from error
        if seen.count != self._operators:
            raise RuntimeError(
                f"a request of this model has {seen.count} operators where it is captured, and "
                f"{self._operators} else: model.graphs=0 runs it operator by operator"
            )
        return result

    def _begin(self) -> None:
        self.graphs.append(torch.cuda.CUDAGraph())
        self.graphs[-1].capture_begin(pool=self._pool, capture_error_mode="thread_local")

    def _after(self, operators: int) -> None:
        if operators not in self._last:
            return
        if len(self.graphs) % self._marked == 0:
            self._mark(self._ring.mark)
        self.graphs[-1].capture_end()
        self._begin()

    def _mark(self, mark: Callable[[], None]) -> None:
        mark()
        self.marks += 1
