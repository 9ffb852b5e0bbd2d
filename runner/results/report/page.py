"""The report as one HTML page that needs nothing else: what there is to write, and the template
that writes it. Knows nothing of runs."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from runner.results.cells import Mark, Table


@dataclass(frozen=True)
class Drawing:
    """A drawing in its files, `stem` with .pdf and .png, and what a reader must know of it."""

    stem: str
    caption: str
    image: Path

    @property
    def base64(self) -> str:
        """The image as a page embeds it."""
        return base64.b64encode(self.image.read_bytes()).decode()


@dataclass(frozen=True)
class Page:
    """The report, from top to bottom. environment: names and values; those without a value are left
    out. folder: where the files of the drawings are, as a link from the page. drawings: by heading.
    against: what is compared with what, "" for no comparison."""

    title: str
    command: str
    verdicts: Sequence[Mark]
    asides: Sequence[Mark]
    points: Table
    environment: Sequence[tuple[str, str]]
    expected: Table
    folder: str
    drawings: Mapping[str, Sequence[Drawing]]
    against: str
    primary: Table
    secondary: Table
    latencies: Table
    proof: Table
    runs: Table

    def html(self) -> str:
        return rendered(Path(__file__).with_suffix(".html"), self)


def rendered(template: Path, page: object) -> str:
    """A template with its `page`; it can import what pages have in common from parts.html."""
    rules = jinja2.Environment(
        loader=jinja2.FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return rules.get_template(template.name).render(page=page)
