"""What a request enqueues, on the CPU, with a marker that keeps a list."""

import threading
from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from models import ModelSpec
from models.build import build
from models.parts import parts
from runner.platforms.gpu import requests

SMALL = [
    ModelSpec("bert_mini", size=8),
    ModelSpec("gpt2", size=4),
    ModelSpec("resnet18", size=64),
    ModelSpec("mobilenet", size=64),
    ModelSpec("vit_b_16", size=224),
]


class Marker:
    def __init__(self, reached: list[Any]) -> None:
        self.reached = reached

    def mark(self) -> None:
        self.reached.append("mark")

    def mark_result(self, result: Tensor) -> None:
        self.reached.append(result)


def leave(reached: list[Any], number: int, *_: Any) -> None:
    reached.append(number)


@pytest.mark.parametrize("spec", SMALL, ids=lambda spec: spec.name)
def test_each_part_leaves_a_mark_and_the_result_the_last(spec: ModelSpec) -> None:
    module = deepcopy(build(spec).module)  # other tests use the same one
    reached: list[Any] = []
    for number, part in enumerate(parts(module)):
        part.register_forward_hook(partial(leave, reached, number))
    marked = requests.mark_parts(module, 100)
    assert marked == len(parts(module)) > 3
    enqueue = requests.of_module(module, build(spec).inputs, Marker(reached))
    with torch.inference_mode():
        results = [enqueue() for _ in range(3)]
    numbers = [each for number in range(marked) for each in (number, "mark")]
    one = len(numbers) + 1
    for request, result in enumerate(results):
        *before, last = reached[request * one : (request + 1) * one]
        assert before == numbers
        assert last is result
    assert torch.equal(results[0], results[2])
    assert not torch.equal(results[0], results[1])


@pytest.mark.parametrize(
    ("most", "marked"),
    [(0, []), (1, [2]), (2, [1, 3]), (3, [1, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])],
)
def test_parts_that_are_marked_are_far_apart(most: int, marked: list[int]) -> None:
    """Of four layers; the request's end has a mark in any case."""
    module = deepcopy(build(ModelSpec("bert_mini", size=8)).module)
    assert requests.mark_parts(module, most) == len(marked)
    hooked = [number for number, part in enumerate(parts(module)) if part._forward_hooks]
    assert hooked == marked


def test_tasks_that_share_a_module_have_their_own_marks() -> None:
    workload = build(ModelSpec("bert_mini", size=8))
    module = deepcopy(workload.module)
    marked = requests.mark_parts(module, 100)
    reached: list[list[Any]] = [[], []]
    work = [requests.of_module(module, workload.inputs, Marker(own)) for own in reached]
    together = threading.Barrier(2)

    def run(task: int) -> None:
        together.wait()
        with torch.inference_mode():
            for _ in range(20):
                work[task]()

    threads = [threading.Thread(target=run, args=(task,)) for task in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(own) for own in reached] == [20 * (marked + 1)] * 2


@pytest.mark.parametrize(
    ("count", "marks"), [(0, 1), (1, 1), (16, 16), (17, 9), (100, 15), (100_000, 16)]
)
def test_bare_commands_leave_marks_between_them(count: int, marks: int) -> None:
    reached: list[Any] = []
    enqueue, told = requests.of_commands(count, lambda: reached.append("c"), Marker(reached))
    enqueue()
    assert reached.count("c") == count
    assert told == reached.count("mark") == marks
    assert reached[-1] == "mark"
