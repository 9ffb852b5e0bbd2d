"""How long a trial may take, step by step: one that hangs would hold its device from everybody else
for ever. The parent keeps these limits, so they also end a process that says nothing any more."""

from runner.config.spec import TrialSpec

#: The way to the window: building models, calibration, proofs.
SET_UP_S = 900.0
#: After the stop, how long requests in flight may take to end.
WIND_DOWN_S = 60.0
#: Judging the window and sending the outcome.
ENDING_S = 60.0
#: A message that has begun. A process that is stopped in the middle of it holds up whoever reads.
MESSAGE_S = 30


def window_s(trial: TrialSpec) -> float:
    """From the go to the outcome, lead-ins included."""
    length_s = trial.limit_s if trial.duration_s is None else trial.duration_s
    return len(trial.groups) * (trial.lead_in_s + length_s + WIND_DOWN_S) + ENDING_S
