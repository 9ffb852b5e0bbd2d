"""From what the workers recorded to the requests of every task."""

from collections.abc import Sequence

from runner.config.spec import TrialSpec
from runner.metrics.requests import TaskRequests
from runner.trial.recording import COMPLETED, SCHEDULED, STARTED, Recording


def read(trial: TrialSpec, recording: Recording) -> list[TaskRequests]:
    """What was recorded of every task, also of a trial that did not come to its end."""
    requests = []
    for index, task in enumerate(trial.tasks):
        _, before = recording.progress(index)
        start_ns = recording.start_ns(index)
        rows = recording.rows(index)
        if start_ns == 0 and len(rows):  # died while warming up
            start_ns = int(rows[-1, COMPLETED]) + trial.lead_in_ns
        rows -= start_ns
        warmup, window = rows[:before], rows[before:]
        wanted = task.requests
        if trial.duration_s is not None:  # whatever completes in time counts
            wanted = int((window[:, COMPLETED] <= trial.duration_s * 1e9).sum())
        requests.append(
            TaskRequests(
                task.name,
                task.priority,
                wanted,
                window[:, SCHEDULED],
                window[:, STARTED],
                window[:, COMPLETED],
                warmup,
                start_ns,
                int((warmup[:, SCHEDULED] >= -trial.lead_in_ns).sum()),
            )
        )
    return requests


def window_s(trial: TrialSpec, requests: Sequence[TaskRequests], group: Sequence[int]) -> float:
    """From the end of the lead-in until every task of the group has completed its requests, or for
    the configured duration; for a trial that was cut short, until the last completion."""
    if trial.duration_s is not None:
        completed = [requests[index].completed for index in group]
        last_ns = max((int(times[-1]) for times in completed if len(times)), default=0)
        return min(trial.duration_s, last_ns / 1e9)
    ends = []
    for index in group:
        task = requests[index]
        if len(task.completed):
            ends.append(int(task.completed[min(task.wanted, len(task.completed)) - 1]))
    return max(ends, default=0) / 1e9
