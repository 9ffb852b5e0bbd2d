"""One million latencies from the workers' memory to Parquet and MLflow."""

import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.command import folder
from benchmarks.report import Figure, at_most
from runner.config.resolve import resolve
from runner.config.schema import Config, TaskConfig
from runner.config.settings import flat
from runner.proof.checks import Proof
from runner.runs import files
from runner.runs.summary import summarise
from runner.runs.tracking import Tracking
from runner.trial.measured import read
from runner.trial.recording import Recording
from runner.trial.run import TrialResult
from runner.trial.status import Status

TITLE = "One million latencies to Parquet and MLflow"
TASKS = 4
REQUESTS = 250_000


def run() -> list[Figure]:
    config = Config()
    config.task_set.requests = REQUESTS
    config.task_set.tasks = {f"task-{n}": TaskConfig(priority=n) for n in range(TASKS)}
    trial = resolve(config)
    recording = Recording.create(TASKS)
    service_us = np.random.default_rng(1).exponential(100, (TASKS, REQUESTS))
    for index in range(TASKS):
        writer = recording.writer(index)
        writer.start(1)
        completed = np.cumsum(service_us[index] * 1000).astype(int).tolist()
        for started, ended in zip([0, *completed], completed, strict=False):
            writer.record(started, started, ended)
    with folder() as place:
        store = Tracking(f"sqlite:///{place}/mlflow.db", "million")
        store.prepare()
        start = time.perf_counter()
        requests = read(trial, recording)
        result = TrialResult(Status.FINISHED, "", requests, {}, Proof(), saturation=1.0)
        summary = summarise(trial, result, "million")
        folder_ = Path(place) / "run"
        folder_.mkdir()
        files.write_requests(folder_ / files.REQUESTS, requests)
        store.log(folder_, summary, flat(asdict(config)), requests, "")
        taken = time.perf_counter() - start
    recording.close()
    return [at_most(f"{TASKS * REQUESTS:,} requests", taken, 3.0, " s")]
