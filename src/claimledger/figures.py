"""Figures and tables as every output format needs them, and two diagrams that need no estimate.

The look is one quiet palette: ink for what is estimated, one accent, grays. Estimates with
intervals are drawn by seaborn's `pointplot` from tables with the columns `estimate`, `low` and
`high`: `spread` makes three rows of each, so that the median is the estimate and the whole range
its interval.
"""

import base64
import io
import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine
from matplotlib.patches import FancyBboxPatch

from claimledger.ledger.entries import number
from claimledger.project import inside, write_atomic
from claimledger.registration.models import Registration

INK, ACCENT, GRAY, BAND = "#1f3a5f", "#b4532a", "#8b929c", "#e9edf2"
PALETTE = [INK, ACCENT, "#5b8c85", "#a8843d", "#6f6a94", GRAY]  # told apart in gray, too
SCALE = ["#8f3f1c", "#d9a17f", "#dcdfe4", "#8ea9c4", "#1f3a5f"]  # strongly against ... for
_WHOLE = {"estimator": "median", "errorbar": ("pi", 100), "linestyle": "none"}
POINTS = _WHOLE | {"color": INK, "markersize": 5.5, "err_kws": {"linewidth": 1.5}}
INNER = _WHOLE | {"color": INK, "marker": "", "err_kws": {"linewidth": 5, "alpha": 0.35}}
FONTS, TYPE = Path(__file__).parent / "fonts", "Libertinus Serif"
LAYOUTS = ConstrainedLayoutEngine, TightLayoutEngine
NOTE = "Simulated data: no person gave these answers"
TAG = re.compile(r"(?<!\{\{)<(?=[A-Za-z/!?])")
_WIDTH = 6.5  # inches: the width of the text
_NOTE = 0.17  # inches: the line of a note below a figure
_NOISE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>", re.S)
_GLYPH = re.compile(r'(<path id="[^"]*" d=")([^"]*)(" transform="scale\()0\.015625(?=\)")')
_PATH = re.compile(r'(?<=\sd=")[^"]*(?=")')
_PLACE = re.compile(r'(?<=\s)([xy])="(-?[\d.]+)"')
_SHIFT = re.compile(r'(<use [^>]*?)transform="translate\((-?[\d.]+) (-?[\d.]+)\)"')
_COMMAND = re.compile(r"([MLQCzZ])([^MLQCzZ]*)")
_DOT = 25  # a curve within a quarter of a point (small dots are full of them) is a line
_COARSER = 32  # a glyph's unit is a twentieth of a point at ten points: no printer shows less


def use_style() -> None:
    """One look for all figures, in the type of the PDF; the same bytes for the same figure."""
    for path in sorted(FONTS.glob("*.otf")):
        font_manager.fontManager.addfont(path)
    # Grids of seaborn lay themselves out while they are drawn; notebooks set a layout afterwards.
    warnings.filterwarnings("ignore", "(?i).*tight", UserWarning, "seaborn")
    sns.set_theme(style="ticks", palette=PALETTE, font=TYPE, rc={
        "font.size": 11.5, "axes.titlesize": 11.5, "axes.labelsize": 11.5, "legend.fontsize": 11,
        "xtick.labelsize": 11, "ytick.labelsize": 11.5, "axes.titleweight": "bold",
        "axes.titlelocation": "left", "figure.figsize": (_WIDTH, 3.6), "lines.linewidth": 1.5,
        "mathtext.fontset": "custom", "mathtext.fallback": "stix", "mathtext.rm": TYPE,
        "mathtext.it": f"{TYPE}:italic", "mathtext.bf": f"{TYPE}:bold",
        "mathtext.cal": TYPE,  # unused, but looked for on every machine
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
        "axes.edgecolor": "#4a4f57", "xtick.color": "#4a4f57", "ytick.color": "#4a4f57",
        "xtick.labelcolor": "black", "ytick.labelcolor": "black",
        "grid.color": "#dddddd", "grid.linewidth": 0.6, "legend.frameon": False,
        "svg.hashsalt": "claimledger", "svg.fonttype": "path", "pdf.fonttype": 42,
        "figure.dpi": 100, "savefig.dpi": 200, "figure.constrained_layout.use": True,
        "figure.constrained_layout.h_pad": 0.07, "figure.constrained_layout.w_pad": 0.07,
        "figure.facecolor": "white",
    })


def spread(table: pd.DataFrame, kind: str = "") -> pd.DataFrame:
    """Three rows of each estimate, its column `value` low, estimate and high, for `pointplot`.

    `kind`: "" for the plain interval, "corrected" or "inner" for those of `Record.numbers`.
    """
    prefix = f"{kind}_" if kind else ""
    names = (f"{prefix}low", "estimate", f"{prefix}high")
    return pd.concat([table.assign(value=table[name]) for name in names], ignore_index=True)


def region(axis, bound: float, note: str = "") -> None:
    """Shade the effects within a bound of zero, and mark zero."""
    axis.axvspan(-bound, bound, color=BAND, zorder=0, linewidth=0)
    axis.axvline(0, color=GRAY, linewidth=0.9, zorder=1)
    if note:
        axis.annotate(note, (0, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
                      textcoords="offset points", ha="center", va="bottom", fontsize=9.5,
                      color="#4a4f57")


def bare(*axes) -> None:
    """Rows need no ticks and no name: their labels say what they are."""
    for axis in axes:
        axis.tick_params(axis="y", length=0)
        axis.set_ylabel("")


def show_figure(folder: Path, label: str, figure, *, note: str = "") -> None:
    """Write `label`.svg, .pdf and .png; show the first, and the last for Word. The PDF is to send.

    The note says in the picture where its data are from. A figure keeps its width, so that its
    type has the same size as that of all others.
    """
    path = inside(folder, f"{label}.svg", f"figure {label}")
    engine = figure.get_layout_engine()
    if note:
        width, height = figure.get_size_inches()
        placed = not isinstance(engine, LAYOUTS)  # the author has placed everything
        lowest = figure.get_tightbbox().y0 if placed else 0.0  # inches; a label may hang out
        room = _NOTE - min(lowest, 0.0)
        figure.set_size_inches(width, height + room)
        share = room / (height + room)
        if not placed:
            engine.set(rect=(0, share, 1, 1 - share))
        for axis in figure.axes if placed else ():
            x, y, wide, high = axis.get_position().bounds
            axis.set_position((x, share + y * (1 - share), wide, high * (1 - share)))
        figure.text(0.995, 0.01, note, ha="right", va="bottom", fontsize=7.5, style="italic",
                    color="#555555")
    if isinstance(engine, LAYOUTS):
        engine.execute(figure)
        figure.set_layout_engine("none")  # found once, and the same in every format
    if (dpi := mpl.rcParams["savefig.dpi"]) != "figure":
        figure.set_dpi(dpi)
    # Not savefig: it draws each figure once more, for a layout that is found already. Days and
    # versions are left out.
    drawing, pages, pixels = io.StringIO(), io.BytesIO(), io.BytesIO()
    FigureCanvasSVG(figure).print_svg(drawing, metadata={"Date": None})
    FigureCanvasPdf(figure).print_pdf(pages, metadata={"CreationDate": None})
    FigureCanvasAgg(figure).print_png(pixels, metadata={"Software": None})
    svg, png = slim(drawing.getvalue()), pixels.getvalue()
    write_atomic(path, svg)
    write_atomic(path.with_suffix(".pdf"), pages.getvalue())
    write_atomic(path.with_suffix(".png"), png)
    plt.close(figure)
    display({"image/svg+xml": svg, "image/png": base64.b64encode(png).decode(),
             "text/plain": label}, raw=True)


def show_table(table: pd.DataFrame) -> None:
    """A pipe table: numbers to the right, text to the left, cells that break no row.

    A label of rows in the first column stands once, at the first of them.
    """
    shown = table.map(_cell)
    right = [_numeric(shown[column]) for column in shown]
    if not right[0]:
        labels = shown.iloc[:, 0]
        shown.isetitem(0, labels.where(labels.ne(labels.shift()), ""))
    display(Markdown(shown.to_markdown(
        index=False, tablefmt="pipe", disable_numparse=True,
        colalign=["right" if is_right else "left" for is_right in right],
    )))


def _cell(value: object) -> str:
    text = "" if value is None or (isinstance(value, float) and pd.isna(value)) else str(value)
    text = TAG.sub(r"\\<", text)  # a label is never markup
    return " ".join(text.replace("|", "\\|").split())


def _numeric(column: pd.Series) -> bool:
    number = r"[<>\[\u2212\-.\d][\d,.\u2212\-\s%\]]*"
    return bool(column.str.match(rf"^{number}(to [\d.\u2212]+)?$|^$").all())


def alt_list(pairs: list[tuple[str, str]]) -> str:
    """Labels and values as one sentence for those who do not see the picture."""
    return "; ".join(f"{label} {value}" for label, value in pairs) + "."


def alt_panels(panels: dict[str, list[tuple[str, str]]]) -> str:
    """The same for several panels, each by its title."""
    return " ".join(f"{title}: {alt_list(pairs)}" for title, pairs in panels.items())


# The design, and the flow of respondents.


def _box(axis, x: float, y: float, width: float, height: float, text: str, bold: bool) -> None:
    axis.add_patch(FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", linewidth=0.8,
        edgecolor="black", facecolor="#f2f2f2" if bold else "white"))
    axis.text(x + width / 2, y + height / 2, text, ha="center", va="center", fontsize=9,
              fontweight="bold" if bold else "normal")


def _arrow(axis, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", xy=end, xytext=start, arrowprops={
        "arrowstyle": "-|>", "linewidth": 0.8, "color": "black", "shrinkA": 0, "shrinkB": 0,
        "mutation_scale": 9})


def _column(axis, x: float, groups: list[tuple[str, list[str]]], rows: float) -> None:
    """Groups of lines under bold headings, from top to bottom, each beside a rule."""
    free = (rows - sum(len(lines) + 1 for _, lines in groups)) / max(len(groups) - 1, 1)
    top = rows
    for heading, lines in groups:
        axis.plot([x, x], [top - 0.1, top - len(lines) - 0.95], color="black", linewidth=1.2)
        axis.text(x + 0.12, top - 0.5, heading, fontsize=9.5, fontweight="bold", va="center")
        for i, line in enumerate(lines, start=1):
            axis.text(x + 0.3, top - 0.5 - i, line, fontsize=9, va="center")
        top -= len(lines) + 1 + free


def design_diagram(registration: Registration) -> tuple[Figure, str]:
    """Factors and levels on the left, what is asked of whom on the right; and alt text."""
    factors = [
        (f.label, [f"{level.label} ({level.probability:.0%})" for level in f.levels.values()])
        for f in registration.design.factors.values()
    ]
    asked: dict[str, list[str]] = {}
    samples: dict[str, str] = {}
    for item in registration.instrument.items.values():
        if item.role == "outcome":
            block = registration.instrument.blocks[item.block]
            asked.setdefault(block, []).append(item.label)
            samples[block] = "all" if item.asked == "all" else f"if {item.asked}"
    outcomes = [(f"{block} ({samples[block]})", lines) for block, lines in asked.items()]
    rows = max(sum(len(lines) + 1.3 for _, lines in column) for column in (factors, outcomes))
    figure, axis = plt.subplots(figsize=(6.5, 0.21 * rows + 0.2))
    axis.set(xlim=(0, 10), ylim=(0, rows))
    axis.axis("off")
    _column(axis, 0.05, factors, rows)
    _column(axis, 6.6, outcomes, rows)
    middle = rows / 2
    _box(axis, 4.35, middle - 1.2, 1.4, 2.4, "One\nvignette", bold=True)
    _arrow(axis, (3.7, middle), (4.3, middle))
    _arrow(axis, (5.8, middle), (6.4, middle))
    alt = "Diagram of the design. Randomized: " + "; ".join(
        f"{label} ({', '.join(lines).lower()})" for label, lines in factors
    ) + ". Asked afterwards: " + "; ".join(
        f"{label}: {', '.join(lines).lower()}" for label, lines in outcomes
    ) + "."
    return figure, alt


def flow_diagram(flow: pd.DataFrame, doubts: Sequence[str] = ()) -> tuple[Figure, str]:
    """Rows left after each exclusion, and those dropped beside them; and alt text.

    `flow` has columns label, dropped, left and doubt (what is implausible about the exclusion, or
    ""): a row for the file, then one for each exclusion. `doubts` are what the check of the export
    warned of; they stand below.
    """
    received = int(flow["left"].iloc[0] + flow["dropped"].iloc[0])
    flow = flow.iloc[1:]  # its first row counts what was read
    steps = len(flow)
    said = [line for doubt in doubts for line in wrap(f"To look at: {doubt}", 100)]
    figure, axis = plt.subplots(figsize=(6.5, 0.34 * (steps + 2) + 0.2 * len(said)))
    axis.set(xlim=(0, 10), ylim=(-(steps + 1.15 + 0.6 * len(said)), 0.7))
    axis.axis("off")
    _box(axis, 1.0, -0.1, 3.2, 0.7, f"Rows in the export: {number(received, 0)}", bold=False)
    _arrow(axis, (2.6, -0.1), (2.6, -(steps + 0.4)))
    for i, row in enumerate(flow.itertuples(), start=1):
        _arrow(axis, (2.6, -i + 0.3), (4.6, -i + 0.3))
        label = f"{row.label}\n{row.doubt}: implausible" if row.doubt else row.label
        axis.text(4.8, -i + 0.3, label, va="center", fontsize=9 - 2 * bool(row.doubt),
                  fontweight="bold" if row.doubt else "normal")
        axis.text(9.9, -i + 0.3, f"{number(-row.dropped, 0)}", va="center", ha="right", fontsize=9)
    left = int(flow["left"].iloc[-1])
    _box(axis, 1.0, -(steps + 1.1), 3.2, 0.7, f"Analyzed: {number(left, 0)}", bold=True)
    for place, line in enumerate(said, start=1):
        axis.text(0.1, -(steps + 1.1 + 0.6 * place), line, va="center", fontsize=7.5)
    dropped = "; ".join(
        f"{row.label.lower()} {row.dropped}" + (f" ({row.doubt}: implausible)" if row.doubt else "")
        for row in flow.itertuples())
    return figure, (f"Flow diagram. {number(received, 0)} rows in the export; left out in order: "
                    f"{dropped}; {number(left, 0)} analyzed."
                    + "".join(f" To look at: {doubt}." for doubt in doubts))


# Smaller drawings: the same look in less than half the bytes.


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
    used = dict.fromkeys(re.findall(r'(?:href="|url\()#([^")]+)', svg))
    short = {name: f"_{number}" for number, name in enumerate(used)}
    svg = re.sub(r'\sid="([^"]+)"',
                 lambda m: f' id="{short[m[1]]}"' if m[1] in short else "", svg)
    return re.sub(r'(href="|url\()#([^")]+)', lambda m: f"{m[1]}#{short[m[2]]}", svg)


def _relative(path: str) -> str:
    """A path of absolute moves, lines, curves and closings as steps in hundredths of a point.

    Each step starts where the rounded one before it ended, so that no error adds up.
    """
    out, here, start, last = [], (0, 0), (0, 0), ""
    for command, numbers in _COMMAND.findall(path):
        places = [round(100 * float(n)) for n in numbers.split()]
        points = list(zip(places[::2], places[1::2], strict=True))
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
    return re.sub(r"^(-?)0\.", r"\1.", f"{hundredths / 100:.10g}")


mpl.use(os.environ.get("MPLBACKEND", "agg"), force=False)
