"""What a trial claims before anything is proven."""

import pytest

from runner.config.arms import Arm
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.platforms.prove import claim
from runner.proof.checks import Verdict

CLAIMS = {
    Arm.stream_priority: Verdict.IN_PLACE,
    Arm.mps_priority: Verdict.IN_PLACE,
    Arm.mps_share: Verdict.IN_PLACE,
    Arm.xsched: Verdict.PROVEN,
    Arm.xsched_null: Verdict.PROVEN,
}


@pytest.mark.parametrize("arm", Arm)
def test_xsched_claims_a_proof_the_hardware_s_hints_to_be_in_place_and_others_nothing(
    arm: Arm,
) -> None:
    config = Config()
    config.arm.name = arm
    config.task_set.tasks = {"urgent": TaskConfig(priority=1), "low": TaskConfig(utilization=30)}
    assert claim(resolve(config)) is CLAIMS.get(arm, Verdict.NOT_CLAIMED)
