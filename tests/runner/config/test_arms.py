"""An arm says what it is, and nobody else knows it by its name."""

import json
import re

import pytest

from runner.config.arms import Arm
from tests.conftest import ROOT

#: Whatever arms are added, these stay what they are.
THE_FIRST = {
    "solo",
    "urgent_only",
    "default_stream",
    "native",
    "stream_priority",
    "mps_priority",
    "mps_share",
    "xsched",
    "xsched_null",
}


def test_an_arm_is_its_name_wherever_it_is_written() -> None:
    for name, arm in Arm.__members__.items():
        assert name == arm.value == f"{arm}" == json.loads(json.dumps(arm))


def test_a_record_may_name_an_arm_that_is_none_of_ours() -> None:
    assert Arm.known("solo") is Arm.solo
    assert Arm.known("of a later version") is None
    assert Arm.place("solo") < Arm.place("xsched") < Arm.place("of a later version")


@pytest.mark.parametrize(
    ("question", "yes"),
    [
        ("uses_xsched", {"xsched", "xsched_null"}),
        ("is_treatment", {"xsched"}),
        ("is_null_control", {"xsched_null"}),
        ("applies_priority", {"xsched", "stream_priority", "mps_priority"}),
        ("hints_hardware", {"stream_priority", "mps_priority", "mps_share"}),
        ("needs_mps", {"mps_priority", "mps_share"}),
        ("needs_one_process", {"default_stream", "stream_priority"}),
        ("runs_tasks_alone", {"solo"}),
        ("shares_device", THE_FIRST - {"solo", "urgent_only"}),
    ],
)
def test_what_the_arms_answer(question: str, yes: set[str]) -> None:
    assert {arm for arm in THE_FIRST if getattr(Arm[arm], question)} == yes


def test_nobody_compares_the_names_of_arms() -> None:
    """But ``xsched``, which names other things, too."""
    names = "|".join(THE_FIRST - {"xsched"})
    for path in (ROOT / "runner").rglob("*.py"):
        if path.name != "arms.py":
            assert not re.search(rf"""(["'])({names})\1""", path.read_text()), path
