"""Texts made from files below `template/`: a study's first files, codebooks, pages for reports.

In a template `<% ... %>` is a statement, and `<<x>>` the value of x: Jinja's own braces have a
meaning in Quarto and YAML.
"""

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pandas as pd
import yaml

TEMPLATE = Path(__file__).parent / "template"


@cache
def _environment():
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    made = Environment(
        loader=FileSystemLoader(TEMPLATE), autoescape=select_autoescape(("html", "xml")),
        keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True,
        variable_start_string="<<", variable_end_string=">>", block_start_string="<%",
        block_end_string="%>", comment_start_string="<#", comment_end_string="#>")
    made.filters["flow"] = flow
    return made


def flow(value: object) -> str:
    """A value as YAML on one line: ids as they are, other texts in quotes, without breaks."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{flow(key)}: {flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str) and re.fullmatch("[a-z][a-z0-9_]*", value):
        return value if yaml.safe_load(value) == value else json.dumps(value)
    text = " ".join(value.split()) if isinstance(value, str) else value
    return json.dumps(text, ensure_ascii=False)


def fill(name: str, **values: object) -> str:
    """The text of a template with its values; of HTML and XML, every text escaped."""
    return _environment().get_template(name).render(values)


def page(title: str, parts: Iterable[tuple[str, str | pd.DataFrame]]) -> str:
    """A plain page: one style sheet, no script, nothing fetched, every text escaped.

    parts : a heading and its table (a frame of texts); or a text, and what it is: "verdict",
    "note" or "pre" (lines as they are).
    """
    return fill("parts/page.html", title=title, parts=parts)
