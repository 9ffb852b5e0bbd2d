from html.parser import HTMLParser
from pathlib import Path

from runner.results.report.page import Column, Mark, Page, facts, figure, folded, table

VOID = {"meta", "img", "br"}


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


def test_text_is_text_wherever_it_stands(tmp_path: Path) -> None:
    image = tmp_path / "a&b.png"
    image.write_bytes(b"\x89PNG")
    evil = "<script>alert('x')</script> & \"more\""
    page = Page(evil)
    page.heading(evil)
    page.paragraph(evil)
    page.add(table([Column(evil)], [[evil], [Mark(evil, "bad")]], [evil, ""]))
    page.add(facts([(evil, evil), ("nothing", "")]))
    page.add(folded(evil, "<p>kept</p>"))
    page.add(figure(image, evil, "figures"))
    html = page.html()
    assert "<script" not in html
    assert "nothing" not in html
    assert "<p>kept</p>" in html
    Balanced(html)


def test_a_row_says_what_is_to_be_known_of_it_below() -> None:
    columns = [Column("a"), Column("b", "number")]
    html = table(columns, [["1", "2"], ["3", "4"]], ["", "a note"])
    assert html.count("<tr") == 4
    assert '<tr class="below"><td colspan="2">a note</td></tr></table>' in html
    assert '<td>3</td><td class="number">4</td>' in html
