"""A plain page for reports: one style sheet, no script, nothing fetched, every text escaped."""

from collections.abc import Iterable
from html import escape

import pandas as pd

STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-bottom: 1px solid #ccc; overflow-wrap: anywhere }
.verdict { font-weight: bold; font-size: 1.15rem }
.no { background: #fdecea }
.was { color: #8a1c00 }
.is { color: #005a2b }
pre { white-space: pre-wrap }
.wide { overflow-x: auto }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""


def page(title: str, body: Iterable[str]) -> str:
    """A whole page; `body` is markup already, as the functions below make it."""
    return PAGE.format(title=escape(title), style=STYLE, body="\n".join(body))


def section(title: str, table: pd.DataFrame) -> str:
    """A heading, and a frame below it as a table; "Nothing." where it has no rows."""
    rows = rows_of(table.columns, table.itertuples(index=False)) if len(table) else (
        paragraph("Nothing."))
    return f"<h2>{escape(title)}</h2>\n{rows}"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of a class of the style sheet."""
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>"


def listed(items: Iterable[str]) -> str:
    """A list of texts."""
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>"


def rows_of(head: Iterable[object], rows: Iterable[Iterable[object]],
          marked: Iterable[bool] | None = None) -> str:
    """A table of texts; `marked` says which rows stand out."""
    cells = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in head)
    rows = list(rows)
    marks = list(marked) if marked is not None else [False] * len(rows)
    body = "\n".join(
        f"<tr{' class=no' if mark else ''}>"
        + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row, mark in zip(rows, marks, strict=True)
    )
    return (f'<div class="wide" tabindex="0"><table>\n<thead><tr>{cells}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table></div>")
