"""Solo times of models, measured once a platform and kept, so that `load` means the same arrivals
for every arm and every sweep on this machine. Delete the file to have them measured again."""

import json
from pathlib import Path

from models import ModelSpec
from runner.runs.files import read_json_or, write_json

FILE = Path(".cache") / "solo.json"


def _key(fingerprint: str, model: ModelSpec) -> str:
    return f"{fingerprint} {json.dumps(model.identity, sort_keys=True)}"


def known(output_root: Path, fingerprint: str, models: set[ModelSpec]) -> dict[ModelSpec, float]:
    """Seconds of a request, of those models that have been measured."""
    kept = read_json_or({}, output_root / FILE, dict[str, float])
    return {m: kept[key] for m in models if (key := _key(fingerprint, m)) in kept}


def keep(output_root: Path, fingerprint: str, seconds: dict[ModelSpec, float]) -> None:
    """Add to the file what is not there yet."""
    path = output_root / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    new = {_key(fingerprint, model): time for model, time in seconds.items()}
    kept = read_json_or({}, path, dict[str, float])
    if new.keys() - kept.keys():
        write_json(path, new | kept)
