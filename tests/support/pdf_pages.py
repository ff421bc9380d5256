"""What a printed page and its tags look like, for tests of any PDF of the renderer."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pypdfium2
from pypdf import PdfReader

MARGIN, HEAD, FOOT = 34, 33, 32  # millimeters, as in typst-show.typ
SCALE = 2  # pixels a point
HANG = 1  # millimeters by which a hyphen or comma at a line's end may stand out
NEEDS_ALT = ("/Figure", "/Formula")


def tags(pdf: PdfReader) -> tuple[Counter, list[str]]:
    """How often each tag occurs, and the kinds of figures and formulas without alt text."""
    count, bare = Counter(), []

    def walk(node):
        node = node.get_object()
        if isinstance(node, list):
            for one in node:
                walk(one)
        elif hasattr(node, "get"):
            kind = node.get("/S")
            count[kind] += kind is not None
            if kind in NEEDS_ALT and not str(node.get("/Alt", "")).strip():
                bare.append(kind)
            if "/K" in node:
                walk(node["/K"])

    walk(pdf.trailer["/Root"]["/StructTreeRoot"])
    return count, bare


def inked_margins(path: Path) -> list[str]:
    """Pages with anything printed left or right of the text, or between text and page number."""
    found = []
    for number, page in enumerate(pypdfium2.PdfDocument(path), start=1):
        ink = page.render(scale=SCALE, grayscale=True).to_numpy().squeeze() < 200
        pixel = SCALE * 72 / 25.4
        side, foot = int(pixel * (MARGIN - HANG)), int(pixel * FOOT)
        sides = {"left": ink[:, :side], "right": ink[:, -side:], "head": ink[:int(pixel * 12)],
                 "foot": ink[-foot + int(pixel * 2):-foot + int(pixel * 9)]}
        found += [f"page {number}: {name}" for name, part in sides.items() if np.any(part)]
    return found


def widow_headings(pdf: PdfReader) -> list[str]:
    """Headings that end a page."""
    def titles(outline):
        for one in outline:
            yield from titles(one) if isinstance(one, list) else [_plain(one.title)]

    known, found = set(titles(pdf.outline)), []
    for number, page in enumerate(pdf.pages, start=1):
        lines = [_plain(line) for line in page.extract_text().split("\n") if line.strip()]
        body = [line for line in lines if line != str(number)]
        if body and body[-1] in known:
            found.append(f"page {number}: {body[-1]}")
    return found


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
