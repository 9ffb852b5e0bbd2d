"""Which point of a sweep a run is, and which repeat of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runner.config.arms import Arm

if TYPE_CHECKING:
    from runner.runs.record import RunRecord

#: Fewer cannot show how much repeats scatter.
MIN_REPEATS = 3
#: Swept keys that are fields of a record, or tell repeats apart.
NO_VALUES = ("arm", "arm.name", "task_set", "task_set.name", "seed", "repeat")
#: Parts of a configuration that make no difference between two points of a comparison.
NO_DIFFERENCE = (
    *NO_VALUES,
    "sweep",
    "output_root",
    "tracking",
    "expect",
    "dry_run",
    "platform.name",
    "platform.placement",
)


def with_values(batches: list[list["RunRecord"]]) -> list[list["RunRecord"]]:
    """Swept values for the runs that nobody says them of, from what their configurations differ in;
    in all, without the keys that are no values."""
    unsaid = [each for batch in batches for each in batch if not each.swept_known]
    swept = _differing(unsaid)
    return [[_with_own_values(each, swept) for each in batch] for batch in batches]


def _with_own_values(record: "RunRecord", swept: Sequence[str]) -> "RunRecord":
    values = dict(record.values)
    if not record.swept_known:
        flat = _flat(record.config)
        values = {key: flat.get(key) if _depends(record.arm, key) else None for key in swept}
    return replace(record, values={k: v for k, v in values.items() if k not in NO_VALUES})


def _differing(records: list["RunRecord"]) -> list[str]:
    """Keys in which the configurations of one task set's runs differ, where they matter."""
    found: dict[str, None] = {}
    for task_set in dict.fromkeys(each.task_set for each in records):
        mine = [(e.arm, _flat(e.config)) for e in records if e.task_set == task_set and e.config]
        for key in dict.fromkeys(key for _, flat in mine for key in flat):
            if len({flat.get(key) for arm, flat in mine if _depends(arm, key)}) > 1:
                found[key] = None
    return list(found)


def _depends(arm: str, key: str) -> bool:
    """Whether a run of this arm depends on the key."""
    if (known := Arm.known(arm)) and known.uses_xsched:
        return True
    return not (key.startswith("xsched.") or ".xsched." in key)


def _flat(config: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """A configuration by dotted keys, without what makes no difference."""
    flat: dict[str, str] = {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in NO_DIFFERENCE:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{key}.")
        else:
            flat[key] = str(value)
    return flat


def number(batches: Iterable[list["RunRecord"]]) -> list["RunRecord"]:
    """Repeats counted on: what occurs again is a later repeat, together with all that came with
    it, since those ran close together."""
    taken: set[object] = set()
    records = []
    for layer in _layers(batches):
        shift = 0
        while any((each.point, each.repeat + shift) in taken for each in layer):
            shift += 1
        moved = [replace(each, repeat=each.repeat + shift) for each in layer]
        taken |= {(each.point, each.repeat) for each in moved}
        records += moved
    return records


def _layers(batches: Iterable[list["RunRecord"]]) -> Iterator[list["RunRecord"]]:
    """Each batch split so that no point occurs twice in the same repeat: by seed, then by
    occurrence."""
    for batch in batches:
        layers: dict[tuple[str, int], list[RunRecord]] = {}
        seen: dict[object, int] = {}
        for each in batch:
            seed = str(each.config.get("seed"))
            which = (seed, each.point, each.repeat)
            layers.setdefault((seed, seen.get(which, 0)), []).append(each)
            seen[which] = seen.get(which, 0) + 1
        yield from layers.values()
