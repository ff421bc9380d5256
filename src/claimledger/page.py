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
    """A heading, and a frame below it as a table of texts; "Nothing." where it has no rows."""
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.columns)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in table.itertuples(index=False))
    rows = (f'<div class="wide" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
            f"<tbody>\n{body}\n</tbody>\n</table></div>") if body else paragraph("Nothing.")
    return f"<h2>{escape(title)}</h2>\n{rows}"


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of a class of the style sheet."""
    return f"<p{f' class={kind!r}' if kind else ''}>{escape(text)}</p>"
