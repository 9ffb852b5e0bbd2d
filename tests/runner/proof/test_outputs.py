import numpy as np
import pytest

from runner.proof.checks import Check, Interception
from runner.proof.marks import Marks
from runner.proof.outputs import check_outputs

A, B = 1.5, 2.5
ALONE = Interception("t", 10, 10, results=(A, B, A, B))


def judged(
    results: list[float],
    alone: Interception = ALONE,
    requests: int = 4,
    marks: int | None = None,
    dropped: int = 0,
    turn: int = 0,
) -> Check:
    at_ns = np.arange(5 * requests - dropped if marks is None else marks)
    made = Marks("t", 5, 10, at_ns, np.array(results), dropped=dropped, turn=turn)
    return check_outputs({"t": alone}, [made], {"t": requests})


def test_what_comes_out_alone_comes_out() -> None:
    check = judged([A, B, A, B])
    assert check.passed
    assert check.finding == "4 results are what such requests come to alone"
    assert judged([B, A, B, A], turn=1).passed
    assert check.evidence["t"] == {"compared": 4, "alone": [A, B, A, B], "exact": True}


@pytest.mark.parametrize(
    ("results", "says"),
    [
        ([A, B, A, 2.5000001], "1 of 4 results"),
        (
            [A, A, A, A],
            "2 of 4 results are not what the same requests come to alone, the first of ",
        ),
        ([A, B, float("nan"), B], "that of request 2"),
        ([A, B, A], "3 of 4 requests have a result"),
        ([B, A, B, A], "4 of 4"),
    ],
    ids=["nearly", "stale", "no number", "missing", "the other input"],
)
def test_anything_else_is_refused(results: list[float], says: str) -> None:
    check = judged(results)
    assert not check.passed
    assert says in check.finding
    assert "kernels did not run" in check.remedy


@pytest.mark.parametrize("marks", [0, 19, 21])
def test_work_that_was_not_done_is_refused(marks: int) -> None:
    check = judged([A, B, A, B], marks=marks)
    assert not check.passed
    assert (
        f"4 requests ended, and the device completed the work of {marks / 5:.4g}" in check.finding
    )


def test_a_task_without_marks_is_refused() -> None:
    """Else a platform that hands none over would have nothing to be judged by."""
    check = check_outputs({"t": ALONE}, [], {"t": 4, "never ran": 0})
    assert not check.passed
    assert check.finding == "t: 4 requests ended, and nothing tells what the device did"


def test_where_references_differ_a_thousandth_is_allowed() -> None:
    alone = Interception("t", 10, 10, results=(A, B, 1.5001, B))
    assert judged([1.5005, 2.501, A, B], alone).passed
    assert not judged([1.503, B, A, B], alone).passed


@pytest.mark.parametrize(
    ("references", "says"),
    [
        ((A, A, A, A), "two inputs come to the same"),
        ((A, None, A, None), "no number"),
    ],
)
def test_references_that_could_show_nothing_are_refused(
    references: tuple[float | None, ...], says: str
) -> None:
    check = judged([A, A, A, A], Interception("t", 10, 10, results=references))
    assert not check.passed
    assert says in check.finding


def test_of_results_that_the_ring_lost_the_others_are_compared() -> None:
    assert judged([A, B], requests=8, dropped=30).passed
    assert judged([B, A, B], requests=9, dropped=30, turn=1).passed
    assert not judged([B, A], requests=8, dropped=30).passed


def test_commands_without_a_result_have_none_to_compare() -> None:
    check = judged([], Interception("t", 10, 10))
    assert check.passed
    assert "t compute nothing" in check.finding
