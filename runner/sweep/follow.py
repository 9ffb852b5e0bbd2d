"""Jobs in other processes, followed by what they leave. A launcher may raise at the first job that
is lost, while others go on, or wait for ever for one that is gone; so it works in a thread, and its
end is not the end of the jobs."""

import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from runner.runs import locks
from runner.sweep import agenda
from runner.trial import interruption

LOOK_S = 0.2
#: How often a queue is asked, and how long it may be silent, as while its daemon starts anew; how
#: long nobody is to be seen until jobs are taken for lost; how long those that are cancelled may
#: take to keep what they have.
ASK_S, SILENT_S, GONE_S, END_S = 5.0, 600.0, 20.0, 60.0


class Lost(Exception):
    """Jobs ended without a word, or never began."""


class Slurm:
    """The jobs of that name in Slurm's queue."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._has_jobs: bool | None = True  # until they are seen to be gone
        self._seen = False
        self._asked_s = self._answered_s = time.monotonic()

    def has_jobs(self) -> bool | None:
        """Asked now and then. None where Slurm does not answer, or has not had any yet, for they
        may still be on their way; False where it has not answered for so long that nobody should
        wait for it any more."""
        if time.monotonic() - self._asked_s > ASK_S:
            told = self._call("squeue", "--noheader", "--format=%i")
            has_some = bool(told and told.strip())
            self._seen = self._seen or has_some
            self._has_jobs = has_some if told is not None and self._seen else None
            self._asked_s = time.monotonic()
            if told is not None:
                self._answered_s = self._asked_s
            elif self._asked_s - self._answered_s > SILENT_S:
                self._has_jobs = False
        return self._has_jobs

    def cancel(self) -> None:
        self._call("scancel")

    def _call(self, command: str, *options: str) -> str | None:
        line = [command, f"--name={self._name}", *options]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout


def follow(
    launch: Callable[[], object], folder: Path, jobs: Sequence[str], queue: Slurm | None = None
) -> None:
    """Launch the jobs, and return when all have ended. Raises `Lost` once some have not and nobody
    is at them any more; KeyboardInterrupt when those that had begun have kept what they have."""
    failed: list[BaseException] = []

    def work() -> None:
        try:
            launch()
        except BaseException as error:  # also what a job raised, or an interpreter that ends
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    left = {folder / each: agenda.lock(folder, agenda.read(folder / each)) for each in jobs}
    seen_s = time.monotonic()
    try:
        while left := {job: lock for job, lock in left.items() if not agenda.ended(job)}:
            waiting = queue.has_jobs() if queue else None
            launching = thread.is_alive() if waiting is None else waiting
            if launching or any(map(locks.alive, left.values())):
                seen_s = time.monotonic()
            elif time.monotonic() - seen_s > GONE_S:
                break
            interruption.check()
            time.sleep(LOOK_S)
    except KeyboardInterrupt:
        for job, lock in left.items():
            agenda.end(job, interrupted=True)  # one that waits does not begin
            locks.interrupt(lock)
        if queue:
            queue.cancel()
        give_up = time.monotonic() + END_S
        while any(map(locks.alive, left.values())) and time.monotonic() < give_up:
            time.sleep(LOOK_S)
        raise
    if left:
        why = f": {type(failed[0]).__name__}: {failed[0]}" if failed else ""
        raise Lost(f"{len(left)} of {len(jobs)} jobs were lost{why}")
    thread.join(END_S)
    if cancelled := [job for job in jobs if agenda.was_interrupted(folder / job)]:
        raise Lost(f"{len(cancelled)} of {len(jobs)} jobs were cancelled")
