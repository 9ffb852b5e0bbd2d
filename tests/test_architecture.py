"""docs/architecture.md says where things are: it must be so."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text()
STEP = re.compile(r"^( *)((?:runner|hydra_plugins)/[\w/]+\.py):(\w+) {2,}\S", re.MULTILINE)


def steps() -> list[tuple[int, Path, str]]:
    """Depth, file and definition of each step of the walk."""
    return [(len(m[1]) // 2, Path(m[2]), m[3]) for m in STEP.finditer(PAGE)]


def test_the_walk_leads_from_the_command_line_to_the_report() -> None:
    walk = steps()
    assert len(walk) > 20
    assert walk[0][1:] == (Path("runner/commands/run.py"), "run")
    assert walk[-1][1:] == (Path("runner/results/report/build.py"), "build")


def test_every_step_is_where_the_walk_says() -> None:
    for _, file, name in steps():
        text = (ROOT / file).read_text()
        assert re.search(rf"^(?:async )?(?:def|class) {name}\b", text, re.MULTILINE), (file, name)


def test_the_walk_never_goes_back_up() -> None:
    """A step is in a room below that of the step that calls it, or in the same one."""
    layers = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    order = [name.removeprefix("runner.") for name in layers["contracts"][0]["layers"]]
    above: list[int] = []
    for depth, file, _ in steps():
        room = "hydra_plugins" if file.parts[0] == "hydra_plugins" else file.parts[1]
        at = order.index(room)
        del above[depth:]
        # Hydra stands between the command and its plugin, and between the sweep and its job.
        if above and room != "hydra_plugins":
            assert at >= above[-1], f"{file} is above what calls it"
        above.append(at)


def test_every_room_is_in_the_picture() -> None:
    rooms = {path.name for path in (ROOT / "runner").iterdir() if (path / "__init__.py").is_file()}
    assert len(rooms) <= 10
    for room in rooms:
        assert f"\n  {room}/ " in PAGE, room
