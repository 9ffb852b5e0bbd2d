"""A request as graphs, on the CPU: with graphs that keep how many operators they were given, and
that do what they would when the last of them is launched."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from models import ModelSpec
from models.build import build
from runner.platforms.gpu import graphs
from runner.platforms.gpu.graphs import of_graphs

SPEC = ModelSpec("bert_mini", size=8)


class Ring:
    """stream: where marks go now."""

    def __init__(self) -> None:
        self.stream = 0
        self.marks: list[tuple[int, int]] = []

    @contextmanager
    def on(self, stream: int) -> Iterator[None]:
        self.stream = stream
        yield
        self.stream = 0

    def mark(self) -> None:
        self.marks.append((self.stream, len(Graph.made)))

    def mark_result(self, result: Tensor) -> None:
        assert result.is_contiguous()
        self.mark()


class Stream:
    cuda_stream = 5

    def synchronize(self) -> None: ...


class Model(nn.Module):
    """broken: graphs of it compute something else. other: how it finds out that it is captured, to
    take other operators then."""

    def __init__(self, broken: bool = False, other: Callable[[], bool] = bool) -> None:
        super().__init__()
        self.inner, self.broken, self.other = build(SPEC).module, broken, other

    def forward(self, *inputs: Tensor) -> Tensor:
        Graph.inputs, Graph.model = inputs, self
        Graph.result = self.inner(*inputs)
        if self.other():
            Graph.result = Graph.result * 1
        return Graph.result


class Graph:
    made: ClassVar[list["Graph"]] = []
    open: ClassVar["Graph | None"] = None
    seeds: ClassVar[Tensor]
    inputs: tuple[Tensor, ...]
    model: Model
    result: Tensor

    def __init__(self) -> None:
        self.made.append(self)

    def capture_begin(self, **_: Any) -> None:
        assert Graph.open is None, "one after another"
        for _each in range(3):
            self.seeds.fill_(0)  # as CUDA's does
        Graph.open = self

    def capture_end(self) -> None:
        assert Graph.open is self
        Graph.open = None

    def replay(self) -> None:
        launched.append(self.made.index(self))
        if self is self.made[-1]:
            self.result.copy_(self.model.inner(*self.inputs) * (1.01 if self.model.broken else 1))


launched: list[int] = []


@pytest.fixture(autouse=True)
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    Graph.made, Graph.open, Graph.seeds = [], None, torch.zeros(1)
    launched.clear()
    for name, fake in {
        "CUDAGraph": Graph,
        "Stream": Stream,
        "stream": lambda _: torch.inference_mode(),
        "synchronize": lambda: None,
        "graph_pool_handle": lambda: 1,
        "is_current_stream_capturing": lambda: Graph.open is not None,
    }.items():
        monkeypatch.setattr(graphs.torch.cuda, name, fake)


def made(
    count: int, broken: bool = False, other: Callable[[], bool] = bool
) -> tuple[Any, int, Ring]:
    ring: Any = Ring()
    enqueue, marks = of_graphs(Model(broken, other), build(SPEC).inputs, count, ring)
    launched.clear()
    return enqueue, marks, ring


def operators() -> int:
    with torch.inference_mode():
        return graphs._count(lambda: build(SPEC).module(*build(SPEC).inputs[0]))


@pytest.mark.parametrize(("count", "marks"), [(1, 1), (5, 5), (16, 16), (17, 9), (40, 14)])
def test_a_request_is_so_many_graphs_with_marks_in_them(count: int, marks: int) -> None:
    enqueue, left, ring = made(count)
    assert len(Graph.made) == count
    assert left == len(ring.marks) == marks
    assert {stream for stream, _ in ring.marks} == {5}, "in the stream that is captured"
    assert ring.marks[-1] == (5, count), "the last one ends the request"
    with torch.inference_mode():
        results = [enqueue().clone() for _ in range(3)]
        expected = [build(SPEC).module(*each) for each in build(SPEC).inputs]
    assert launched == [*range(count)] * 3
    assert torch.equal(results[0], expected[0])
    assert torch.equal(results[1], expected[1]), "inputs are taken in turn"
    assert torch.equal(results[2], expected[0])


def test_what_gives_a_device_no_work_is_no_operator() -> None:
    with torch.inference_mode():
        here = torch.ones(4, 4)
        assert graphs._count(lambda: here.view(16)[2:].expand(2, 14).t()) == 0
        assert graphs._count(lambda: nn.functional.dropout(here, training=False)) == 0
        assert graphs._count(lambda: (here + here).relu_()) == 2


def test_there_are_as_many_graphs_as_operators_at_the_most() -> None:
    most = operators()
    assert most > 40
    made(most)
    assert len(Graph.made) == most
    with pytest.raises(RuntimeError, match=rf"model\.graphs={most + 1}: .* has {most} operators"):
        made(most + 1)


def test_graphs_that_compute_something_else_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"something else \(by 0\.01 of .*model\.graphs=0"):
        made(3, broken=True)


def test_a_model_does_not_see_that_it_is_captured() -> None:
    made(5, other=lambda: torch.cuda.is_current_stream_capturing())
    with graphs._unseen():
        assert not torch.cuda.is_current_stream_capturing()
    Graph.open = Graph()
    assert torch.cuda.is_current_stream_capturing(), "only while it is captured"


def test_a_model_that_takes_other_operators_where_it_is_captured_is_refused() -> None:
    most = operators()
    says = rf"{most + 1} operators where it is captured, and {most} else: model\.graphs=0"
    with pytest.raises(RuntimeError, match=says):
        made(5, other=lambda: Graph.open is not None)


def test_a_model_that_cannot_be_captured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Graph) -> None:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(Graph, "capture_end", fail)
    says = r"captured as graphs \(operation not permitted when stream is capturing\): model\.graphs"
    with pytest.raises(RuntimeError, match=says):
        made(3)
