"""The report as one HTML page that needs nothing else: text, tables and embedded images. Knows how
a page is written, nothing of what is in it."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import zip_longest
from pathlib import Path

STYLE = """
:root { color-scheme: light; --ink: #1a1c1f; --soft: #5c636b; --line: #d9dde1; --wash: #f5f6f7; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.6rem 1.4rem 4rem; max-width: 76rem; background: #fff;
  color: var(--ink); font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.35rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 1.8rem 0 .5rem; padding-bottom: .2rem;
  border-bottom: 1px solid var(--line); }
p { margin: .35rem 0; max-width: 52rem; }
.soft, figcaption, dt { color: var(--soft); }
.verdict { font-size: 1.15rem; margin: .7rem 0 .4rem; padding: .55rem .8rem; max-width: none;
  background: var(--wash); border-left: 4px solid #8a929a; }
.verdict.good { border-color: #00735a; } .verdict.bad { border-color: #b23b00; }
.first { display: grid; gap: 0 2.5rem;
  grid-template-columns: minmax(0, max-content) minmax(20rem, 1fr); }
@media (max-width: 60rem) { .first { grid-template-columns: minmax(0, 1fr); } }
.scroll { overflow: auto; max-height: 24rem; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem .22rem 0; text-align: left; vertical-align: top; }
th { position: sticky; top: 0; background: #fff; color: var(--soft); font-weight: 600;
  border-bottom: 1px solid var(--line); white-space: nowrap; }
tr + tr td { border-top: 1px solid #eef0f2; }
td { white-space: nowrap; } td.number, th.number { text-align: right; }
tr.below td { border-top: none; white-space: normal; color: var(--soft); padding-top: 0; }
td.text { white-space: normal; min-width: 14rem; }
p.bad { font-weight: normal; }
.good { color: #00614c; } .bad { color: #a33600; font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .12rem 1rem; margin: .4rem 0;
  font-size: .86rem; }
dd { margin: 0; overflow-wrap: anywhere; }
figure { margin: 0 0 1.8rem; break-inside: avoid; }
figure img { width: 100%; max-width: 28rem; height: auto; display: block; }
figcaption { font-size: .82rem; margin-top: .3rem; max-width: 30rem; }
.figures { columns: 25rem; column-gap: 1.6rem; }
details { margin: .4rem 0; } summary { cursor: pointer; }
code { font: .84rem ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  overflow-wrap: anywhere; }
a { color: #0059a0; }
@media print { .scroll { max-height: none; } body { padding: 0; font-size: 11px; } }
"""


@dataclass(frozen=True)
class Mark:
    """A word with a judgement: good, bad or neither."""

    text: str
    kind: str = ""

    def html(self) -> str:
        return f'<span class="{self.kind}">{escape(self.text)}</span>'


Cell = str | Mark


@dataclass(frozen=True)
class Column:
    """A column's head. kind: number (to the right), text (runs over several lines) or neither."""

    head: str
    kind: str = ""


@dataclass
class Page:
    """A page that grows from top to bottom."""

    title: str
    parts: list[str] = field(default_factory=list)

    def html(self) -> str:
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{escape(self.title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
            + "\n".join(self.parts)
            + "\n</body></html>\n"
        )

    def add(self, html: str) -> None:
        self.parts.append(html)

    def heading(self, text: str) -> None:
        self.add(f"<h2>{escape(text)}</h2>")

    def paragraph(self, text: str, kind: str = "") -> None:
        self.add(f'<p class="{kind}">{escape(text)}</p>')


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], below: Sequence[str] = ()
) -> str:
    """below: what is said under each row over its whole width, where there is something."""
    heads = "".join(_cell("th", column, column.head) for column in columns)
    lines = "\n".join(
        "<tr>"
        + "".join(_cell("td", column, cell) for column, cell in zip(columns, row, strict=True))
        + "</tr>"
        + (f'<tr class="below"><td colspan="{len(row)}">{escape(said)}</td></tr>' if said else "")
        for row, said in zip_longest(rows, below, fillvalue="")
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead>\n{lines}</table></div>'


def _cell(tag: str, column: Column, content: Cell) -> str:
    inner = content.html() if isinstance(content, Mark) else escape(content)
    return (
        f'<{tag} class="{column.kind}">{inner}</{tag}>'
        if column.kind
        else f"<{tag}>{inner}</{tag}>"
    )


def facts(pairs: Sequence[tuple[str, str]]) -> str:
    """Names and values; those without a value are left out."""
    lines = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in pairs if v)
    return f"<dl>{''.join(lines)}</dl>"


def folded(summary: str, content: str) -> str:
    """Shown on a click."""
    return f"<details><summary>{escape(summary)}</summary>{content}</details>"


def figure(image: Path, caption: str, folder: str) -> str:
    """An embedded PNG; its caption names the files in `folder` for a paper."""
    data = base64.b64encode(image.read_bytes()).decode()
    files = " · ".join(
        f'<a href="{escape(f"{folder}/{image.stem}{suffix}")}">{escape(image.stem + suffix)}</a>'
        for suffix in (".pdf", ".png")
    )
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(caption)} {files}</figcaption></figure>"
    )
