"""Smaller pictures: an SVG of Matplotlib's with the same look in less than half the bytes."""

import re
from itertools import count

_NOISE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.S)
_GLYPH = re.compile(r'(<path id="[^"]*" d=")([^"]*)(" transform="scale\()0\.015625(?=\)")')
_PATH = re.compile(r'(?<=\sd=")[^"]*(?=")')
_PLACE = re.compile(r'(?<=\s)([xy])="(-?[\d.]+)"')
_SHIFT = re.compile(r'(<use [^>]*?)transform="translate\((-?[\d.]+) (-?[\d.]+)\)"')
_COMMAND = re.compile(r"([MLQCzZ])([^MLQCzZ]*)")
_POINTS = {"M": 1, "L": 1, "Q": 2, "C": 3, "z": 0, "Z": 0}
_COARSER = 16  # a glyph's unit is a fortieth of a point at ten points: finer than a press
_DOT = 25  # a curve within a quarter of a point (a hatch's dots are full of them) is a line


def slim(svg: str) -> str:
    """Places rounded to a hundredth of a point, paths relative, short names, no empty space.

    The comments stay: Matplotlib writes into them the words that it draws as outlines.
    """
    svg = _GLYPH.sub(_coarse, _NOISE.sub("", svg))
    svg = _PATH.sub(lambda found: _relative(found[0]), svg)
    svg = _SHIFT.sub(r'\1x="\2" y="\3"', svg)
    svg = _PLACE.sub(lambda found: f'{found[1]}="{_short(round(100 * float(found[2])))}"', svg)
    svg = re.sub(r">\s+<", "><", _unwrapped(_renamed(svg)))
    return svg.replace(' y="0"/>', "/>").strip() + "\n"


def _unwrapped(svg: str) -> str:
    """Without the groups that say nothing of what is in them."""
    kept: list[bool] = []

    def tag(found: re.Match) -> str:
        if found[0] == "</g>":
            return "</g>" if kept.pop() else ""
        if found[0].endswith("/>"):
            return ""
        kept.append(found[0] != "<g>")
        return found[0] if kept[-1] else ""

    return re.sub(r"<g\b[^>]*>|</g>", tag, svg)


def _coarse(found: re.Match) -> str:
    """A glyph's outline on a coarser grid, which its scale makes up for."""
    outline = re.sub(r"-?\d+", lambda n: str(round(int(n[0]) / _COARSER)), found[2])
    return f"{found[1]}{outline}{found[3]}{0.015625 * _COARSER}"


def _renamed(svg: str) -> str:
    """Names that something refers to become short; the others go."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    numbers = count()
    short = {name: f"_{next(numbers)}" for name in re.findall(r'\sid="([^"]+)"', svg)
             if name in used}
    svg = re.sub(r'\sid="([^"]+)"',
                 lambda m: f' id="{short[m[1]]}"' if m[1] in short else "", svg)
    return re.sub(r'(href="|url\()#([^")]+)', lambda m: f"{m[1]}#{short[m[2]]}", svg)


def _relative(path: str) -> str:
    """A path of absolute moves, lines, curves and closings as steps in hundredths of a point.

    Each step starts where the rounded one before it ended, so that no error adds up.
    A path with other commands is returned as it is.
    """
    if re.search(r"[^MLQCzZ\deE.+\-\s]", path):
        return path
    out, here, start, last = [], (0, 0), (0, 0), ""
    for command, numbers in _COMMAND.findall(path):
        places = [round(100 * float(n)) for n in numbers.split()]
        points = list(zip(places[::2], places[1::2], strict=True))
        if len(points) != _POINTS[command]:
            return path
        if command in "QC" and all(abs(p[i] - here[i]) <= _DOT for p in points for i in (0, 1)):
            command, points = "L", points[-1:]
        name, steps = command.lower(), [_short(p[i] - here[i]) for p in points for i in (0, 1)]
        if name == "l" and "0" in steps:
            name, steps = ("v", steps[1:]) if steps[0] == "0" else ("h", steps[:1])
        here = points[-1] if points else start
        start = here if name == "m" else start
        again = name == last and name in "lhvqc"
        joined = re.sub(r" (?=-)", "", " ".join(steps))
        out.append(("" if joined.startswith("-") else " ") + joined if again else name + joined)
        last = name
    return "".join(out)


def _short(hundredths: int) -> str:
    """25 as .25, 300 as 3."""
    text = f"{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}".rstrip("0").rstrip(".")
    return ("-" if hundredths < 0 else "") + (text.removeprefix("0") or "0")
