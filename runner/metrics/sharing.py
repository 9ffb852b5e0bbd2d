"""Who gets how much of the device, and who should. A task's progress is its throughput times its
solo time: the share of a whole device that its completed requests are worth. Its entitlement is the
configured utilization by the sum of all, or an equal share if no task has one. A task that wants
less than its entitlement counts as if it had been denied the rest."""

import math

import numpy as np
from numpy.typing import NDArray

from runner.metrics.intervals import Estimate
from runner.metrics.registry import About, metric
from runner.metrics.task import Tasks


@metric(
    "jain",
    "share",
    "(Σ x)² ÷ (tasks · Σ x²), x = throughput · solo time ÷ entitlement",
    higher_is_better=True,
    about=About.SYSTEM,
)
def jain(tasks: Tasks) -> Estimate | None:
    """Jain's fairness index (Jain, Chiu and Hawe 1984) on entitlement-normalised throughput: 1 if
    all get in proportion to what they should, 1 ÷ tasks if one gets all."""
    entitled = entitlements(tasks)
    if len(tasks) < 2 or entitled is None or math.isnan(total := progress(tasks).sum()):
        return None
    x = progress(tasks) / entitled
    return Estimate(float(x.sum() ** 2 / (len(x) * (x**2).sum()))) if total else None


@metric(
    "share_error",
    "share",
    "(1 ÷ tasks) · Σ over tasks |progress ÷ Σ progress - entitlement|",
    higher_is_better=False,
    by_ratio=False,
    about=About.SYSTEM,
    needs="utilization",
)
def share_error(tasks: Tasks) -> Estimate | None:
    """How far the shares of the device are from the configured utilization, on average; only where
    tasks have one."""
    entitled = entitlements(tasks)
    if len(tasks) < 2 or entitled is None or all(task.utilization is None for task in tasks):
        return None
    done = progress(tasks)
    if math.isnan(done.sum()) or not done.sum():
        return None
    return Estimate(float(np.abs(done / done.sum() - entitled).mean()))


@metric(
    "share",
    "share",
    "Σ progress of the tasks ÷ Σ progress of all",
    higher_is_better=None,
    by_ratio=False,
    about=About.PART,
)
def share(tasks: Tasks, everyone: Tasks) -> Estimate | None:
    """Share of what the device got done that these tasks have."""
    total = progress(everyone).sum()
    return Estimate(float(progress(tasks).sum() / total)) if total > 0 else None


def progress(tasks: Tasks) -> NDArray[np.float64]:
    """Throughput · solo time of every task; nan where the solo time is not known."""
    return np.array([task.throughput_rps * task.solo_ms / 1e3 for task in tasks])


def entitlements(tasks: Tasks) -> NDArray[np.float64] | None:
    """What every task should get, 1 in all; None if only some tasks say so or one should get
    nothing."""
    configured = [task.utilization for task in tasks]
    if all(share is None for share in configured):
        return np.full(len(tasks), 1 / len(tasks))
    if not all(configured):
        return None
    shares = np.array(configured, dtype=np.float64)
    return np.asarray(shares / shares.sum())
