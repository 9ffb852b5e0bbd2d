"""What the project says of itself, in a checkout and installed."""

from pathlib import Path
from typing import Any

NAME = "xsched-runner"
#: The folder with conf/: the package if it was installed, else the root of the checkout.
HOME = next(each for each in Path(__file__).parents[1:3] if (each / "conf").is_dir())
CONF = HOME / "conf"
#: What there is to choose from: the folders of conf/ with its files.
GROUPS = sorted({str(path.parent.relative_to(CONF)) for path in CONF.glob("*/**/*.yaml")})
#: Of a checkout, which may run in an environment that was made for another one; an installed
#: package has the same in its metadata.
PROJECT = HOME / "pyproject.toml"


def version() -> str:
    """As it was released."""
    from importlib import metadata  # here, for --help does without

    return str(_declared("version")) if PROJECT.exists() else metadata.version(NAME)


def requirements() -> list[str]:
    """The libraries that it needs; of those for an extra, the marker says so."""
    from importlib import metadata

    return list(_declared("dependencies")) if PROJECT.exists() else metadata.requires(NAME) or []


def _declared(field: str) -> Any:
    import tomllib

    return tomllib.loads(PROJECT.read_text())["project"][field]
