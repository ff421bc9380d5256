"""Quarto's pages in the form of our own: what our template and filter cannot reach from inside.

Quarto takes a template of its own for a notebook's page, with a bar and a script for it; it starts
the headings of the text at the level of the title, and sets its labels in captions by itself.
"""

import re
from pathlib import Path

FILES = {"PDF": "paper.pdf", "DOCX": "paper.docx", "JATS": "paper.xml"}
LEFT_OUT = re.compile(
    r'<style>\s*(?:body\.hypothesis-enabled.*?)?</style>\s*'  # of the bar
    r"|<script>\s*window\.document\.addEventListener\(\"DOMContentLoaded\".*?</script>\s*"
    r'|<script src="[^"]*site_libs/[^"]*"[^>]*></script>\s*'
    r'|<link\b[^>]*href="[^"]*site_libs/[^"]*"[^>]*>\s*'
    r'|<div id="quarto-embed-header".*?</div>\s*|<div class="cell-decorator">.*?</div>'
    r'|\sdata-notebook(?:-title|-cellid)?="[^"]*"',  # the first holds a path of this machine
    re.S,
)
LABEL = re.compile(r"(<figcaption\b[^>]*>\s*)((?:Figure|Table)(?:&nbsp;|\u00a0)\d+:)\s*")
PANEL = re.compile(r'<section class="power-panel".*?</section>', re.S)
HEADING = re.compile(r"<(/?)h([1-5])\b")
BODY = re.compile(
    r"(?<=</header>)(\s*<section class=\"abstract\".*?</section>)?(.*?)"
    r"(?=<section class=\"notebooks\"|</main>)", re.S,
)


def as_ours(page: str, output: Path) -> str:
    """The page with our bar, headings and captions; `output` holds the files to point to."""
    if '<main id="text">' not in page:
        return page  # the page of another theme, which a reader of `_quarto.yml` has chosen
    page = LEFT_OUT.sub("", page)
    notebook = '<div class="layout notebook">' in page
    page = LABEL.sub(r"\1" if notebook else r"\1<strong>\2</strong> ", page)
    page = PANEL.sub(lambda found: re.sub("</t[dr]>", "", found[0]), page)  # as it was written
    page = BODY.sub(lambda found: (found[1] or "") + _lowered(found[2]), page, count=1)
    if notebook or 'class="files"' in page:
        return page
    links = [f'<a href="{file}">{name}</a>' for name, file in FILES.items()
             if (output / file).is_file()]
    line = f'<p class="files">{" · ".join(links)}</p>\n' if links else ""
    return page.replace("</header>", line + "</header>", 1)


def _lowered(text: str) -> str:
    """Each heading one level down, unless that is done: the title alone is of the first."""
    if "<h1" not in text:
        return text
    return HEADING.sub(lambda found: f"<{found[1]}h{int(found[2]) + 1}", text)
