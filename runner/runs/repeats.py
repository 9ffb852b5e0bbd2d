"""Which point of a sweep a run is, and which repeat of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from runner.config.settings import depends
from runner.runs.run import Run

#: Fewer cannot show how much repeats scatter.
MIN_REPEATS = 3
#: Swept keys that are fields of a record, or tell repeats apart.
NO_VALUES = ("arm", "arm.name", "task_set", "task_set.name", "seed", "repeat")
#: Parts of a configuration that make no difference between two points of a comparison.
NO_DIFFERENCE = (
    *NO_VALUES,
    "defaults",
    "sweep",
    "output_root",
    "tracking",
    "expect",
    "dry_run",
    "platform.name",
    "platform.placement",
    "platform.device",
    "platform.devices",
    "platform.wait",
)


class Configured(Protocol):
    """A run, or a point of a sweep that will be one. parameters: as `runner.runs.run.Run` has
    them."""

    @property
    def task_set(self) -> str: ...

    @property
    def arm(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...


def with_values(batches: list[list[Run]]) -> list[list[Run]]:
    """Swept values for the runs that nobody says them of, from what their configurations differ in;
    in all, without the keys that are no values."""
    unsaid = [each for batch in batches for each in batch if not each.swept_known]
    swept = differing(unsaid)
    return [[_with_own_values(each, swept) for each in batch] for batch in batches]


def _with_own_values(run: Run, swept: Sequence[str]) -> Run:
    values = dict(run.values)
    if not run.swept_known:
        said = _said(run.parameters)
        values = {key: said.get(key) if depends(run.arm, key) else None for key in swept}
    return replace(run, values={k: v for k, v in values.items() if k not in NO_VALUES})


def differing(runs: Sequence[Configured]) -> list[str]:
    """Keys in which the configurations of one task set's runs differ, where they matter."""
    found: dict[str, None] = {}
    for task_set in dict.fromkeys(each.task_set for each in runs):
        told = [(e.arm, _said(e.parameters)) for e in runs if e.task_set == task_set]
        mine = [(arm, said) for arm, said in told if said]
        for key in dict.fromkeys(key for _, said in mine for key in said):
            if len({said.get(key) for arm, said in mine if depends(arm, key)}) > 1:
                found[key] = None
    return list(found)


def _said(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Of a configuration, what makes a difference."""
    return {
        key: str(value)
        for key, value in parameters.items()
        if key not in NO_DIFFERENCE and key.partition(".")[0] not in NO_DIFFERENCE
    }


def number(batches: Iterable[list[Run]]) -> list[Run]:
    """Repeats counted on: what occurs again is a later repeat, together with all that came with
    it, since those ran close together."""
    taken: set[object] = set()
    runs = []
    for layer in _layers(batches):
        shift = 0
        while any((each.point, each.repeat + shift) in taken for each in layer):
            shift += 1
        moved = [replace(each, repeat=each.repeat + shift) for each in layer]
        taken |= {(each.point, each.repeat) for each in moved}
        runs += moved
    return runs


def _layers(batches: Iterable[list[Run]]) -> Iterator[list[Run]]:
    """Each batch split so that no point occurs twice in the same repeat: by seed, then by
    occurrence."""
    for batch in batches:
        layers: dict[tuple[str, int], list[Run]] = {}
        seen: dict[object, int] = {}
        for each in batch:
            seed = str(each.parameters.get("seed"))
            which = (seed, each.point, each.repeat)
            layers.setdefault((seed, seen.get(which, 0)), []).append(each)
            seen[which] = seen.get(which, 0) + 1
        yield from layers.values()
