"""What the project says of itself, in a checkout and installed."""

import importlib.metadata
import tomllib
from pathlib import Path

NAME = "xsched-runner"
#: The folder with conf/: the package if it was installed, else the root of the checkout.
HOME = next(each for each in Path(__file__).parents[1:3] if (each / "conf").is_dir())
CONF = HOME / "conf"
#: Of a checkout, which may run in an environment that was made for another one; an installed
#: package has the same in its metadata.
PROJECT = HOME / "pyproject.toml"


def version() -> str:
    if PROJECT.exists():
        return str(tomllib.loads(PROJECT.read_text())["project"]["version"])
    return importlib.metadata.version(NAME)


def requirements() -> list[str]:
    """The libraries that it needs, extras with a marker that says so."""
    if PROJECT.exists():
        return list(tomllib.loads(PROJECT.read_text())["project"]["dependencies"])
    return importlib.metadata.requires(NAME) or []
