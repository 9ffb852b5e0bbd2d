"""Processes that meet through their parent."""

from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from threading import Event, Thread, Timer

import pytest

from runner.trial.messages import Gather, Gathered
from runner.trial.peers import Peers

#: What the second of two processes does while it waits, before its parent answers.
OFTEN = 3


@pytest.fixture
def ends() -> Iterator[tuple[Connection, Connection]]:
    parent, child = Pipe()
    with parent, child:
        yield parent, child


def test_who_waits_for_another_s_turn_has_something_to_do(
    ends: tuple[Connection, Connection],
) -> None:
    parent, child = ends
    did: list[str] = []
    gave_up = Event()
    give_up = Timer(10, gave_up.set)

    def answer() -> None:
        for values in (["one", None], [None, None], ["first", "mine"]):
            assert isinstance(parent.recv(), Gather)
            while values[0] == "one" and did.count("meanwhile") < OFTEN and not gave_up.wait(0.001):
                pass  # the first process has its turn
            parent.send(Gathered(values))

    def act() -> str:
        did.append("act")
        return "mine"

    give_up.start()
    Thread(target=answer, daemon=True).start()
    results = Peers(child, mine=1, count=2).in_turn(act, lambda: did.append("meanwhile"))
    give_up.cancel()
    assert results == ["first", "mine"]
    assert did.index("act") >= OFTEN
    assert did[-1] == "act", "the turn of nobody else came afterwards"


def test_a_process_of_its_own_has_nobody_to_wait_for(ends: tuple[Connection, Connection]) -> None:
    alone = Peers(ends[1], mine=0, count=1)
    assert alone.in_turn(lambda: "mine", lambda: pytest.fail("nobody has a turn")) == ["mine"]
