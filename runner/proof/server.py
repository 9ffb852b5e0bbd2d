"""What XSched's server says of the queues of a trial's processes (placement `processes`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.proof.checks import Check


def check_server(
    asked: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], when: str = ""
) -> Check:
    """Placement processes: the server knows every process's queue, as asked, on one device.

    asked: task, pid, level, threshold and batch_size of each task. found: the server's answer."""
    faults = []
    devices = set()
    for task in asked:
        mine = [queue for queue in found if queue["pid"] == task["pid"]]
        if len(mine) != 1:
            faults.append(f"{task['task']}: the server knows {len(mine)} queues of its process")
            continue
        devices.add(mine[0]["device"])
        for key in ("level", "threshold", "batch_size"):
            if mine[0][key] != task[key]:
                faults.append(f"{task['task']}: {key} {mine[0][key]} for {task[key]}")
    if len(devices) > 1:
        faults.append(f"the queues are on {len(devices)} devices and do not preempt each other")
    return Check(
        f"server {when}".strip(),
        not faults,
        "; ".join(faults[:3]) or f"the server has {len(asked)} queues on one device, as asked",
        "Commands of these processes are not scheduled together: one server, one GPU, a queue a "
        "process",
        {"asked": [dict(task) for task in asked], "found": [dict(queue) for queue in found]},
    )
