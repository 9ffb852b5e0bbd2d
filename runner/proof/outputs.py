"""What the models computed: every request's result against requests of the same inputs alone.

Kernels that never ran, ran on garbage or overtook each other are fast, and their figures look good.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from runner.proof.checks import Check, Interception
from runner.proof.marks import Marks

#: Where two references of one input differ, a result may differ from them by this part of itself.
TOLERANCE = 1e-3


def check_outputs(
    alone: Mapping[str, Interception], marks: Sequence[Marks], requests: Mapping[str, int]
) -> Check:
    """alone: by task. requests: that each task completed, as its worker counted them."""
    faults = [
        f"{each.task}: {fault}"
        for each in marks
        for fault in _faults(alone[each.task], each, requests[each.task])
    ]
    marked = {each.task for each in marks}
    faults += [
        f"{task}: {count} requests ended, and nothing tells what the device did"
        for task, count in requests.items()
        if count and task not in marked
    ]
    compared = sum(len(each.results) for each in marks)
    without = [each.task for each in marks if not alone[each.task].results]
    besides = f"; {', '.join(without)} compute nothing" if without else ""
    return Check(
        "outputs",
        not faults,
        "; ".join(faults[:3])
        or f"{compared} results are what such requests come to alone{besides}",
        "What was measured is not the models' work: kernels did not run, ran on other data, or "
        "overtook each other",
        {
            each.task: {
                "compared": len(each.results),
                "alone": list(alone[each.task].results),
                "exact": is_exact(alone[each.task].results),
            }
            for each in marks
        },
    )


def is_exact(references: Sequence[float | None]) -> bool:
    """Whether two requests of the same input come to the same, bit for bit."""
    half = len(references) // 2
    return references[:half] == references[half:]


def _faults(alone: Interception, marks: Marks, requests: int) -> Iterator[str]:
    seen = marks.requests
    if seen != requests and marks.parts:
        yield f"{requests} requests ended, and the device completed the work of {seen:.4g}"
    references = [each for each in alone.results if each is not None]
    if len(references) < len(alone.results):
        yield "a result is no number"
        return
    if not references:
        return
    inputs = len(references) // 2
    if inputs > 1 and _same(references[0], references[1], is_exact(references)):
        yield "two inputs come to the same, so nothing would show an old result"
    if len(marks.results) < min(requests, len(marks.at_ns) // max(marks.parts, 1)):
        yield f"{len(marks.results)} of {requests} requests have a result"
    first = marks.turn + requests - len(marks.results)
    exact = is_exact(references)
    wrong = [
        number
        for number, result in enumerate(marks.results.tolist())
        if not any(
            _same(result, reference, exact)
            for reference in references[(first + number) % inputs :: inputs]
        )
    ]
    if wrong:
        yield (
            f"{len(wrong)} of {len(marks.results)} results are not what the same requests come to "
            f"alone, the first of them that of request {requests - len(marks.results) + wrong[0]}"
        )


def _same(one: float, other: float, exact: bool) -> bool:
    return one == other if exact else math.isclose(one, other, rel_tol=TOLERANCE)
