"""The documents are true where a test can tell: links lead somewhere, and messages are said."""

import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
#: Lines of the source between which a text goes on.
JOINT = re.compile(r'"\s*\n\s*f?"')


@pytest.mark.parametrize("page", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s#]+)", page.read_text())
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not gone


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert {name for name in pages if f"]({name})" not in index} == set()


def test_messages_that_are_explained_are_said() -> None:
    """Fails for a message whose wording has changed."""
    code = "".join(
        JOINT.sub("", path.read_text())
        for folder in ("runner", "xsched_bindings", "models")
        for path in (ROOT / folder).rglob("*.py")
    )
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    firsts = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    said = [text for first in firsts for text in re.findall(r"`([^`]+)`", first)]
    parts = [part.strip(" ()") for text in said for part in text.split("…")]
    assert len(parts) > 20
    assert [part for part in parts if part and part not in code] == []
