import pytest

from runner.trial.status import Status


def test_what_was_measured_is_shown_of_runs_that_measured() -> None:
    assert [status for status in Status if status.has_figures] == [Status.FINISHED, Status.KILLED]


@pytest.mark.parametrize("status", Status)
def test_files_and_mlflow_say_it_in_its_word(status: Status) -> None:
    assert Status(str(status)) is status
    assert str(status) == status.value
