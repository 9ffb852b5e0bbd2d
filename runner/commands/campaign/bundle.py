"""A campaign as one zip: the results of all its sweeps, its file, its page, how to repeat it."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from runner.commands import export
from runner.commands.campaign.file import Campaign
from runner.commands.campaign.page import Page
from runner.commands.project import CONF
from runner.commands.run import split
from runner.config.command_line import own_folder
from runner.config.errors import UserError
from runner.runs import archive
from runner.runs.provenance import ABSOLUTE, told
from runner.runs.sweep import Sweep

README = Path(__file__).with_name("bundle.md")


def write(campaign: Campaign, page: Page, written: Path, target: Path) -> bool:
    """Write the zip, in place of an earlier one; whether there was a result to pack. written: where
    the page is. Raises `UserError`."""
    sweeps = _sweeps(page)
    if not sweeps:
        return False
    packed = export.contents(sweeps) | _own_configurations(campaign)
    packed |= {campaign.path.name: campaign.path, written.name: written}
    packed["README.md"] = _readme(campaign, page, sweeps, packed).encode()
    try:
        archive.write(target, packed)
    except OSError as error:
        raise UserError("", "", f"{target} cannot be written: {error.strerror}") from error
    return True


def _sweeps(page: Page) -> list[Sweep]:
    """Those that have a result; two entries may add to one."""
    found = []
    for folder in dict.fromkeys(each.ending.folder for each in page.entries):
        with suppress(UserError):
            found += [export.read(folder)] if folder else []
    return found


def _own_configurations(campaign: Campaign) -> dict[str, Path | bytes]:
    """The author's own files by the names that the campaign has them by, as long as these lead
    nowhere else."""
    packed: dict[str, Path | bytes] = {}
    for entry in campaign.entries:
        folder = own_folder(split(list(entry.words))[0], CONF)
        if folder and not folder.is_absolute() and ".." not in folder.parts:
            packed |= {path.as_posix(): path for path in folder.glob("*/*.yaml")}
    return packed


def _readme(
    campaign: Campaign, page: Page, sweeps: Sequence[Sweep], packed: dict[str, Path | bytes]
) -> str:
    """Without a path of the machine that it comes from."""
    rules = Environment(trim_blocks=True, undefined=StrictUndefined)
    origins = export.origins_of(run for sweep in sweeps for run in sweep)
    words = ["python", "-m", "runner.campaign", campaign.path.name, *campaign.more]
    text = rules.from_string(README.read_text()).render(
        name=campaign.name,
        page=page,
        sweeps=sweeps,
        day=min((origin.time for origin in origins if origin.time), default="")[:10],
        code=origins[0].code,
        patch=export.PATCH if export.PATCH in packed else "",
        edited=any(origin.code.diff for origin in origins),
        command=told(shlex.join(words)),
        environment=export.environment(origins),
    )
    return ABSOLUTE.sub(r"…/\1", text) + "\n"
