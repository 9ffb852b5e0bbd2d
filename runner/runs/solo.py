"""Solo times of models: seconds that a request takes with nobody beside it.

The first trial of a repeat measures them, and all its trials take these: so `load` means the same
arrivals for every arm that is compared, and a slowdown is one against the machine of that hour. The
last ones are kept for the machine, too, by which a dry run knows how long trials will take."""

import json
from pathlib import Path

from models import ModelSpec
from runner.runs.files import read_json_or, write_json

#: In a sweep's folder, a file for each of its repeats.
FOLDER = "solo_times"
#: Below output_root: the last ones of this machine.
LATEST = Path(".cache") / "solo.json"


def of_repeat(sweep: Path, repeat: int) -> Path:
    """The file of a repeat of the sweep in that folder."""
    return sweep / FOLDER / f"{repeat}.json"


def known(path: Path, fingerprint: str, models: set[ModelSpec]) -> dict[ModelSpec, float]:
    """Those of these models that the file has.

    fingerprint: what they depend on beside the model, see `Platform.fingerprint`."""
    kept = read_json_or({}, path, dict[str, float])
    return {m: kept[key] for m in models if (key := _key(fingerprint, m)) in kept}


def keep(path: Path, fingerprint: str, seconds: dict[ModelSpec, float]) -> None:
    """Have the file say these. Raises OSError."""
    kept = read_json_or({}, path, dict[str, float])
    new = kept | {_key(fingerprint, model): time for model, time in seconds.items()}
    if new != kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, new)


def _key(fingerprint: str, model: ModelSpec) -> str:
    return f"{fingerprint} {json.dumps(model.identity, sort_keys=True)}"
