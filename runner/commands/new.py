"""``python -m runner.new NAME``: a task set and an experiment of one's own, to begin with."""

import re
import shlex
from pathlib import Path

from runner.commands.command import end_well, parser
from runner.commands.project import CONF
from runner.config.errors import UserError

#: What is written, by the group that it is a choice of; NAME and FOLDER stand for what was asked.
TEMPLATES = {
    group: Path(__file__).with_name(f"new_{group}.yaml") for group in ("task_set", "experiment")
}
#: A choice in Hydra's grammar, and a plain name for folders and MLflow.
NAME = re.compile(r"[A-Za-z]\w{0,49}", re.ASCII)
#: What YAML, Hydra or Python take for something else than a name.
TAKEN = {"true", "false", "null", "yes", "no", "on", "off", "nan", "inf"}


def main() -> None:
    options = parser(
        "new",
        "Writes a commented task set and an experiment with it, which run at once.",
        "0 they are written, 2 the input was wrong",
    )
    add = options.add_argument
    add("name", metavar="NAME", help="of both: letters, digits and _")
    add(
        "--dir",
        type=Path,
        default=Path("my"),
        metavar="FOLDER",
        help="where to write: FOLDER/task_set/NAME.yaml, FOLDER/experiment/NAME.yaml (my)",
    )
    asked = options.parse_args()
    end_well(lambda: print(new(asked.name, asked.dir)))


def new(name: str, folder: Path) -> str:
    """Write the files; returns what to tell about them. Raises `UserError`, and has written nothing
    then."""
    if not NAME.fullmatch(name) or name.lower() in TAKEN:
        allowed = "a letter of a to z, then up to 49 letters, digits and _; no word of YAML"
        raise UserError("NAME", name, "not a name that a choice can have", allowed)
    files = {group: folder / group / f"{name}.yaml" for group in TEMPLATES}
    for group, file in files.items():
        for known in (file, CONF / group / file.name):
            if known.exists():
                remedy = "take another NAME" + (" or --dir" if known == file else "")
                raise UserError("NAME", name, f"{known} is there already", remedy=remedy)
    there = shlex.quote(str(folder))
    try:
        for group, file in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            text = TEMPLATES[group].read_text()
            file.write_text(text.replace("NAME", name).replace("FOLDER", there))
    except OSError as error:
        problem = f"cannot be written: {error.strerror}: {error.filename}"
        raise UserError("--dir", folder, problem, remedy="choose another folder") from error
    command = f"python -m runner --config-dir {there}"
    return "\n".join(
        [
            *(f"written: {file}" for file in files.values()),
            f"try it:  {command} task_set={name}",
            f"the question, three arms and three repeats: {command} experiment={name}",
        ]
    )


if __name__ == "__main__":
    main()
