"""What was counted of a run as a whole."""

from runner.metrics.intervals import Estimate
from runner.metrics.measurement import Measurement
from runner.metrics.registry import About, metric


@metric("preemptions", higher_is_better=None, by_ratio=False, about=About.RUN)
def preemptions(run: Measurement) -> Estimate | None:
    """How often a queue with work pending was suspended by the policy.

    Unit: preemptions
    Formula: suspensions in the window of queues that had work
    """
    return _known(run.preemptions)


@metric("saturation", higher_is_better=True, by_ratio=False, about=About.RUN)
def saturation(run: Measurement) -> Estimate | None:
    """Share of the window that the device worked.

    Unit: share
    Formula: time at work ÷ window
    """
    return _known(run.saturation)


@metric("stolen", higher_is_better=False, by_ratio=False, about=About.RUN)
def stolen(run: Measurement) -> Estimate | None:
    """Share of a CPU core's time that a hypervisor took in the window.

    Unit: share
    Formula: stolen time of the core that lost most ÷ window
    """
    return _known(run.stolen)


def _known(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(float(value))
