"""A campaign from start to end: all entries checked, then one after another within the budget."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from runner.commands.campaign import sweeps
from runner.commands.campaign.file import Campaign, Entry
from runner.config.errors import UserError
from runner.results.console import console
from runner.sweep.agenda import in_words
from runner.sweep.display import Outlook, counted
from runner.sweep.result import Result
from runner.trial.status import Status


class State(StrEnum):
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LEFT_OUT = "left out"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True)
class Ending:
    """What became of an entry in this call. note: why it is not done. folder: of its sweep, also if
    an earlier call made it; None if there is none. needs: minutes that it was left out for."""

    entry: Entry
    state: State
    note: str = ""
    folder: Path | None = None
    needs: float = 0.0


def check(campaign: Campaign, root: Path) -> list[Outlook]:
    """What each entry has to do. Raises `UserError` for the first that the runner refuses."""
    outlooks = []
    for number, entry in enumerate(campaign.entries, 1):
        try:
            outlooks.append(sweeps.plan(entry, root))
        except UserError as error:
            what = f"{campaign.path}: entry {number} ({entry.run}): {error}"
            raise UserError("", "", what) from error
    return outlooks


def run(campaign: Campaign, root: Path, outlooks: Sequence[Outlook]) -> list[Ending]:
    """All that the budget allows, until Ctrl-C; an entry that fails does not keep others from
    running. outlooks: of the entries, as they were checked."""
    ends_s = None if campaign.minutes is None else time.monotonic() + 60 * campaign.minutes
    endings: list[Ending] = []
    for entry, outlook in zip(campaign.entries, outlooks, strict=True):
        title = f"entry {len(endings) + 1} of {len(outlooks)} · {entry.run}"
        try:
            if endings and ends_s is not None:  # models may have been timed since
                outlook = sweeps.plan(entry, root)
            ending = _one(entry, outlook, title, root, ends_s)
        except UserError as error:
            console.print(f"{title}\n{error}", soft_wrap=True)
            ending = Ending(entry, State.FAILED, str(error).partition("\n")[0])
        except KeyboardInterrupt:
            ending = Ending(entry, State.INTERRUPTED, folder=_there(root, outlook))
        endings.append(ending)
        if ending.state is State.INTERRUPTED:
            break
    return [*endings, *_not_reached(campaign, root, outlooks, len(endings))]


def _not_reached(
    campaign: Campaign, root: Path, outlooks: Sequence[Outlook], begun: int
) -> Iterator[Ending]:
    for entry, outlook in list(zip(campaign.entries, outlooks, strict=True))[begun:]:
        state = State.NOT_BEGUN if outlook.todo else State.DONE
        yield Ending(entry, state, folder=_there(root, outlook))


def _one(entry: Entry, outlook: Outlook, title: str, root: Path, ends_s: float | None) -> Ending:
    """Run it, if it fits."""
    left = None if ends_s is None else max(0.0, (ends_s - time.monotonic()) / 60)
    ahead = [outlook.length or "nothing is left to run"]
    ahead += [] if left is None else [f"of the budget {in_words(60 * left)} left"]
    if left is not None and outlook.minutes > left:
        note = f"it takes {'; '.join(ahead)}"
        console.print(f"{title} · left out: {note}", style="bold", soft_wrap=True)
        return Ending(entry, State.LEFT_OUT, note, _there(root, outlook), outlook.minutes)
    console.print(f"{title} · {'; '.join(ahead)}", style="bold", soft_wrap=True)
    result = sweeps.run(entry, root)
    folder = Path(result.folder) if result.folder else _there(root, outlook)
    return Ending(entry, _state(result), _note(result), folder)


def _there(root: Path, outlook: Outlook) -> Path | None:
    return root / outlook.there if outlook.there else None


def _state(result: Result) -> State:
    if result.exit_code == sweeps.INTERRUPTED:
        return State.INTERRUPTED
    return State.FAILED if result.exit_code else State.DONE


def _note(result: Result) -> str:
    """Why it failed, as far as it has said so."""
    if result.exit_code in (0, sweeps.INTERRUPTED):
        return ""
    failed = [each for each in result.runs if each.status is Status.FAILED]
    first = f"{failed[0].name}: {failed[0].reason}" if failed else ""
    if len(failed) > 1:
        return f"{counted(len(failed), 'run')} failed, the first {first}"
    return first or "; ".join(result.faults) or f"its exit code is {result.exit_code}"


def show(campaign: Campaign, outlooks: Sequence[Outlook]) -> None:
    """What there is to do."""
    for number, (entry, outlook) in enumerate(zip(campaign.entries, outlooks, strict=True), 1):
        runs = f"{counted(len(outlook.runs), 'run')}, {len(outlook.todo)} to do"
        said = ", ".join(filter(None, [runs, outlook.length]))
        console.print(f"entry {number} of {len(outlooks)} · {entry.run} · {said}", soft_wrap=True)
    minutes = sum(outlook.minutes for outlook in outlooks)
    least = "at least" if any(outlook.untimed for outlook in outlooks) else "about"
    budget = "" if campaign.minutes is None else f", the budget is {campaign.minutes:g} min"
    console.print(f"{least} {in_words(60 * minutes)} in all{budget}", soft_wrap=True)
