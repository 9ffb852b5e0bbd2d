from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from models import ModelSpec
from tests.xsched_bindings.contract import ControlPlaneContract, MakeBusy
from xsched_bindings.host import DeviceSession, HostQueue, HostScheduler, HostStream
from xsched_bindings.types import PreemptLevel

COMMANDS = ModelSpec("synthetic", size=40, work_us=1000).as_dict()


@dataclass
class HostBusy:
    queue: HostQueue
    stream: HostStream

    def submit(self) -> int:
        self.stream.submit(self.stream.programs[0])
        return self.stream.programs[0].commands

    def completed(self) -> int:
        return self.stream.completed

    def synchronize(self) -> None:
        self.stream.synchronize()


class TestHost(ControlPlaneContract):
    @pytest.fixture
    def plane(self) -> Iterator[HostScheduler]:
        scheduler = HostScheduler()
        yield scheduler
        scheduler.close()

    @pytest.fixture
    def make(self, plane: HostScheduler, session: DeviceSession) -> Iterator[MakeBusy]:
        made: list[HostBusy] = []

        def make(level: PreemptLevel) -> HostBusy:
            stream = session.open_stream([COMMANDS])
            made.append(HostBusy(plane.create_queue(stream, level), stream))
            return made[-1]

        yield make
        for busy in made:
            busy.queue.close()
            busy.stream.close()
