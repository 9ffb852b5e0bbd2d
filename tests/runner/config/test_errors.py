"""What somebody may have meant by a key that there is not."""

import pytest

from runner.config.errors import UserError, did_you_mean
from runner.config.schema import keys_and_groups


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("repeats", "sweep.repeats"),
        ("sweep.repeat", "sweep.repeats"),
        ("taskset", "task_set"),
        ("threshold", "xsched.threshold"),
        ("xshed.threshold", "xsched.threshold"),
        ("xsched.treshold", "xsched.threshold"),
        ("requests", "task_set.requests"),
        ("batch_size", "model.batch_size or xsched.batch_size"),
        ("priority", "task_set.tasks.<name>.priority"),
        ("urgnt.priority", "task_set.tasks.urgnt.priority"),
        ("tasks.low-1.requests", "task_set.tasks.low-1.requests"),
        ("task_set.tasks.low-1.prioritty", "task_set.tasks.low-1.priority"),
        ("task_set.tasks.low-1.threshold", "task_set.tasks.low-1.xsched.threshold"),
    ],
)
def test_a_key_is_known_by_its_last_name_or_by_all_of_it(given: str, meant: str) -> None:
    assert did_you_mean(given, keys_and_groups()) == f"did you mean: {meant}"


def test_a_repeats_number_is_never_what_was_meant() -> None:
    assert "repeat" not in keys_and_groups()


def test_nothing_alike_is_nothing_meant() -> None:
    assert did_you_mean("zzz", keys_and_groups()) == "see docs/reference.md for every key"


def test_of_what_is_allowed_in_words_nothing_is_meant() -> None:
    assert "did you mean" in str(UserError("k", "nativ", "no", ["native", "solo"]))
    assert "did you mean" not in str(UserError("k", 60_000_000, "no", "100 to 10000000 µs"))
