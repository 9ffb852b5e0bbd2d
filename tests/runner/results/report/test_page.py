from html.parser import HTMLParser
from typing import Any, NamedTuple

from runner.results.cells import Cell, Line, Mark, Table, number
from runner.results.report.page import Page

VOID = {"meta", "img", "br"}


class Image(NamedTuple):
    stem: str
    caption: str
    base64: str = "iVBORw=="


class Balanced(HTMLParser):
    """Every element is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def html(**parts: Any) -> str:
    """A page that has these parts, and nothing else."""
    none: dict[str, Any] = dict.fromkeys(("verdicts", "asides", "environment"), ())
    none |= dict.fromkeys(("title", "command", "folder", "against"), "")
    tables = ("points", "expected", "primary", "secondary", "latencies", "proof", "runs")
    none |= dict.fromkeys(tables, ())
    return Page(**none | {"drawings": {}} | parts).html()


def test_text_is_text_wherever_it_stands() -> None:
    evil = "<script>alert('x')</script> & \"more\""
    table: Table = [Line([Cell(evil, evil)], evil), Line([Cell(evil, Mark(evil, "bad"))])]
    tables = ("points", "expected", "primary", "secondary", "latencies", "proof", "runs")
    page = html(
        title=evil,
        command=evil,
        against=evil,
        folder=evil,
        verdicts=[Mark(evil, "bad")],
        asides=[Mark(evil, "soft")],
        environment=[(evil, evil), ("nothing", "")],
        drawings={evil: [Image(evil, evil)]},
        **dict.fromkeys(tables, table),
    )
    assert "<script" not in page
    assert page.count("&lt;script") > 40
    assert "<dt>nothing" not in page
    assert "<summary>Secondary figures</summary>" in page
    Balanced(page)


def test_a_row_says_what_is_to_be_known_of_it_below() -> None:
    first, second = ((Cell("a", one), number("b", two)) for one, two in ("12", "34"))
    page = html(points=[Line(first), Line(second, "a note")])
    table = page.partition("<table>")[2].partition("</div>")[0]
    assert table.count("<tr") == 4
    assert '<tr class="below"><td colspan="2">a note</td></tr></table>' in table
    assert '<td>3</td><td class="number">4</td>' in table


def test_what_there_is_not_has_no_heading() -> None:
    page = html()
    Balanced(page)
    headings = [part.partition("</h2>")[0] for part in page.split("<h2>")[1:]]
    assert headings == ["Runs", "Environment", "Runs and how to read them"]
