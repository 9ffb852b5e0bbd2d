"""One million latencies from the workers' memory to Parquet and MLflow."""

import time
from pathlib import Path

from benchmarks.command import folder
from benchmarks.report import Figure, at_most
from runner import outputs, statistics
from runner.config import Config, TaskConfig
from runner.recording import Recording
from runner.resolve import resolve
from runner.tracking import Tracking

TITLE = "One million latencies to Parquet and MLflow"
TASKS = 4
REQUESTS = 250_000


def run() -> list[Figure]:
    config = Config()
    config.task_set.requests = REQUESTS
    config.task_set.tasks = {f"task-{n}": TaskConfig(priority=n) for n in range(TASKS)}
    trial = resolve(config)
    recording = Recording.create(TASKS)
    for index in range(TASKS):
        writer = recording.writer(index)
        writer.start(1)
        for request in range(REQUESTS):
            writer.record(request * 1000, request * 1000 + 10, request * 1000 + 900)
    with folder() as place:
        store = Tracking(f"sqlite:///{place}/mlflow.db", "million")
        store.prepare()
        start = time.perf_counter()
        requests = statistics.read(trial, recording)
        summary = statistics.summarise(trial, requests, {})
        folder_ = Path(place) / "run"
        folder_.mkdir()
        outputs.write_requests(folder_ / "requests.parquet", requests)
        tags = ("arm", "platform", "placement", "proof", "config_hash", "sweep", "level", "reason")
        named = (
            summary
            | dict.fromkeys(tags, "")
            | {
                "name": "million",
                "status": "FINISHED",
                "preemptions": 0,
                "saturation": 1.0,
                "notes": [],
            }
        )
        store.log(folder_, named, trial.as_dict(), requests, "")
        taken = time.perf_counter() - start
    recording.close()
    return [at_most(f"{TASKS * REQUESTS:,} requests", taken, 3.0, " s")]
