"""``python -m benchmarks.slower …``: the runner, with a host device on which the models of one seed
have 10 % more commands. What `benchmarks.validate` plants, to see whether a comparison finds it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import cycle
from typing import Any

from runner.commands import run as runner
from runner.platforms.host import programs
from runner.platforms.kinds import host
from xsched_bindings.host.executor import Command, Program

#: ``model.seed=1`` means the model of seed 0, slower: the seed is what reaches the device of a
#: point of a sweep, and the weights must not differ.
PLAIN, SLOWER = 0, 1
SHARE = 0.1


def load(spec: Mapping[str, Any]) -> Program:
    """The loader of the device process, in place of `runner.platforms.host.programs.load`."""
    if spec["seed"] != SLOWER:
        return programs.load(spec)
    plain = dict(spec) | {"seed": PLAIN}
    program, copy = programs.load(plain), programs.load(plain)
    return replace(program, commands=[*program.commands, *again(copy.commands)])


def more(commands: int) -> int:
    """How many commands are added to so many."""
    return max(1, round(SHARE * commands))


def again(commands: Sequence[Command]) -> list[Command]:
    """What a request has in addition: the next commands of a copy of the program, which begins anew
    when it has come to its end. Over ten requests every command is repeated once, so the work grows
    by the same share as the commands; the first tenth of a BERT, each time, would be 2 % of it. A
    copy, because a command needs what those before it have left."""
    following = cycle(commands)

    def command() -> None:
        next(following)()

    return [command] * more(len(commands))


if __name__ == "__main__":
    host.LOADER = "benchmarks.slower:load"
    runner.main()
