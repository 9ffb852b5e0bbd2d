"""The thread that launches a queue's commands and reaps them, by the rule of `LaunchLog`.

Source: ``preempt/src/xqueue/launch_worker.cpp`` and ``command_buffer.cpp``. Whole requests are
handed to it and whole bursts to the executor: a hand-off for every command would cost 5-10 % of
BERT-base.
"""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from xsched_bindings.errors import DeviceLost
from xsched_bindings.host.launch import LaunchLog
from xsched_bindings.host.stream import CODE_BYTES, HostStream, marker
from xsched_bindings.types import QueueState

#: Commands of one write to the executor: bounds how long a suspension waits for the launch lock.
BURST = 1024


#: Commands; an event to set once everything before it has been reaped; None ends the worker.
Entry = bytes | threading.Event | None


class LaunchWorker(threading.Thread):
    """Launches submitted commands under the threshold, and reaps them, unless paused.

    on_state(state) is called when the queue becomes ready (on the submitting thread, before the
    command is buffered) and idle (on this thread)."""

    def __init__(
        self, stream: HostStream, log: LaunchLog, on_state: Callable[[QueueState], None]
    ) -> None:
        super().__init__(name=f"launch-worker-{stream.pid}", daemon=True)
        self.state = QueueState.idle
        self.error: BaseException | None = None
        self._stream = stream
        self._log = log
        self._on_state = on_state
        self._marker = marker(0)
        self._buffer: SimpleQueue[Entry] = SimpleQueue()
        self._pending = 0  # entries in the buffer or being worked on, guarded by _state_lock
        self._state_lock = threading.Lock()
        self._running = threading.Event()
        self._running.set()
        self._launching = threading.Lock()  # held around "not paused, so launch"

    # --- called by other threads --------------------------------------------------------------

    def enqueue(self, codes: bytes) -> None:
        with self._state_lock:
            self._raise_if_dead()
            if self.state is QueueState.idle:
                self.state = QueueState.ready
                self._on_state(QueueState.ready)
            self._pending += 1
            self._buffer.put(codes)

    def end(self) -> Callable[[], None]:
        """What blocks until every command buffered so far has completed and been reaped."""
        done = threading.Event()
        with self._state_lock:
            self._raise_if_dead()
            if self.state is QueueState.idle:
                done.set()
            else:
                self._pending += 1
                self._buffer.put(done)

        def wait() -> None:
            done.wait()
            self._raise_if_dead()

        return wait

    def wait_all(self) -> None:
        """Block until every command buffered so far has completed and been reaped."""
        self.end()()

    def pause(self) -> None:
        """Launch and reap nothing from the moment that this returns."""
        with self._launching:
            self._running.clear()

    def unpause(self) -> None:
        self._running.set()

    def destroy(self) -> None:
        self._buffer.put(None)
        self.join()

    def _raise_if_dead(self) -> None:
        if self.error is not None:
            lost = isinstance(self.error, DeviceLost)
            words = str(self.error) if lost else f"the launch worker has ended: {self.error!r}"
            raise DeviceLost(words)

    # --- the worker's own thread --------------------------------------------------------------

    def run(self) -> None:
        entry: Entry = b""
        try:
            while entry is not None:
                try:
                    entry = self._buffer.get_nowait()
                except Empty:
                    self._drain()
                    entry = self._buffer.get()
                self._process(entry)
        except BaseException as error:  # whoever waits must hear of it, whatever it is
            self._die(error, entry)

    def _process(self, entry: Entry) -> None:
        if isinstance(entry, bytes):
            self._launch(entry)
        else:
            self._synchronize_all()
        with self._state_lock:
            self._pending -= 1
        if isinstance(entry, threading.Event):
            entry.set()

    def _launch(self, codes: bytes) -> None:
        at, end = 0, len(codes)
        while at < end:
            self._running.wait()
            with self._launching:
                if not self._running.is_set():
                    continue
                runs = self._log.launch(min((end - at) // CODE_BYTES, BURST))
                burst = []
                for run in runs:
                    burst.append(codes[at : at + run * CODE_BYTES])
                    at += run * CODE_BYTES
                self._stream.write(self._marker.join(burst))
            if at < end and self._log.in_flight >= self._log.threshold:
                self._synchronize()

    def _synchronize(self) -> None:
        """Wait for the oldest synchronisation point, then reap it, once not paused."""
        if not self._log.sync_points:
            self._mark_all()
        self._stream.wait_marker()
        while True:
            self._running.wait()
            with self._launching:
                if self._running.is_set():
                    self._log.reap()
                    return

    def _synchronize_all(self) -> None:
        if self._log.in_flight and not self._log.ends_in_sync_point:
            self._mark_all()
        while self._log.sync_points:
            self._synchronize()

    def _mark_all(self) -> None:
        with self._launching:
            self._log.mark_all()
            self._stream.write(self._marker)

    def _drain(self) -> None:
        """The buffer is empty: synchronise step by step while it stays so, then go idle."""
        while self._log.in_flight and self._buffer.empty():
            self._synchronize()
        with self._state_lock:
            if self._pending == 0 and not self._log.in_flight and self.state is QueueState.ready:
                self.state = QueueState.idle
                self._on_state(QueueState.idle)

    def _die(self, error: BaseException, entry: object) -> None:
        """Nothing will be launched any more: fail whoever waits now or later."""
        with self._state_lock:
            self.error = error
        while True:
            if isinstance(entry, threading.Event):
                entry.set()
            try:
                entry = self._buffer.get_nowait()
            except Empty:
                return
