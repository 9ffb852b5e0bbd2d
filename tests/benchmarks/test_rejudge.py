"""Real runs on an H100, undisturbed and attacked in mid-window (docs/proof.md), judged again."""

from pathlib import Path

import pytest

from benchmarks.rejudge import again
from runner import load

KEPT = Path(__file__).parents[2] / "docs" / "results" / "proof_h100"
#: What was done to the hints of each run, over and over.
PLANS = {
    "attack_mps": ["none", "equal", "inverted"],
    "attack_time_slices": ["none", "equal", "inverted"],
    "attack_threads": ["inverted", "equal", "inverted", "equal", "inverted", "none", "none"],
}


@pytest.mark.parametrize("placement", PLANS)
def test_runs_whose_hints_were_changed_in_the_window_are_refused(placement: str) -> None:
    plan = PLANS[placement]
    runs = [*load(KEPT / f"{placement}.zip")]
    assert len(runs) in (7, 9)
    for number, run in enumerate(runs):
        done = plan[number % len(plan)]
        window = again(run).checks[-1]
        assert window.name == "window"
        assert window.decided
        assert window.passed is (done == "none"), (run.name, done, window.finding)


def test_arms_differ_in_how_far_they_are_from_the_policy() -> None:
    found = {run.arm: again(run) for run in load(KEPT / "arms.zip")}
    assert all(check.passed for judged in found.values() for check in judged.checks)
    against = {arm: judged.against_policy or 0.0 for arm, judged in found.items()}
    assert against["xsched"] < 0.001
    assert against["stream_priority"] == pytest.approx(0.52, abs=0.05)
    assert against["native"] == pytest.approx(0.90, abs=0.05)
    assert against["xsched_null"] == pytest.approx(0.89, abs=0.05)
    assert (found["xsched"].preemptions, found["native"].preemptions) == (50, 0)
