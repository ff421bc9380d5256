"""Figures and tables as every output format needs them."""

import base64
import io
import os
import re
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import Markdown, display
from matplotlib import font_manager

from claimledger.figures.svg import slim
from claimledger.project import inside, write_atomic

# Okabe and Ito's colours, told apart with any colour vision; markers tell them apart in grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
MARKERS = ["o", "s", "D", "^", "v", "P", "X"]
FONTS, TYPE = Path(__file__).parent / "fonts", "Libertinus Serif"
NOTE = "Simulated data: no person gave these answers"
TAG = re.compile(r"(?<!\{\{)<(?=[A-Za-z/!?])")
_WIDTH = 6.5  # inches: the width of the text
_NOTE = 0.17  # inches: the line of a note below a figure


def use_style() -> None:
    """One look for all figures, in the type of the PDF; the same bytes for the same figure."""
    for path in sorted(FONTS.glob("*.otf")):
        font_manager.fontManager.addfont(path)
    sns.set_theme(style="ticks", palette=COLOURS, font=TYPE, rc={
        "font.size": 10, "axes.titlesize": 10.5, "axes.labelsize": 10, "legend.fontsize": 9.5,
        "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "axes.titleweight": "bold",
        "axes.titlelocation": "left", "figure.figsize": (_WIDTH, 3.6),
        "mathtext.fontset": "custom", "mathtext.fallback": "stix", "mathtext.rm": TYPE,
        "mathtext.it": f"{TYPE}:italic", "mathtext.bf": f"{TYPE}:bold",
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7,
        "grid.color": "#dddddd", "grid.linewidth": 0.6, "legend.frameon": False,
        "svg.hashsalt": "claimledger", "svg.fonttype": "path", "pdf.fonttype": 42,
        "figure.dpi": 100, "savefig.dpi": 200, "figure.constrained_layout.use": True,
        "figure.constrained_layout.h_pad": 0.07, "figure.constrained_layout.w_pad": 0.07,
        "figure.facecolor": "white",
    })


def save_figure(folder: Path, label: str, figure, *, note: str = "") -> None:
    """Write `label`.svg, .pdf and .png; the note says in the picture where its data are from.

    A figure keeps its width, so that its type has the same size as that of all others.
    """
    if note:
        width, height = figure.get_size_inches()
        figure.set_size_inches(width, height + _NOTE)
        share = _NOTE / (height + _NOTE)
        figure.get_layout_engine().set(rect=(0, share, 1, 1 - share))
        figure.text(
            0.995, 0.01, note, ha="right", va="bottom", fontsize=7.5, style="italic",
            color="#555555",
        )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # found once, and the same in every format
    for kind in ("svg", "pdf", "png"):
        stamp = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {"Software": None}}
        path = inside(folder, f"{label}.{kind}", f"figure {label}")
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=stamp[kind])
        content = buffer.getvalue()
        drawn = slim(content.decode()) if kind == "svg" else content
        write_atomic(path, drawn)
    plt.close(figure)


def show_figure(folder: Path, label: str) -> None:
    """One output with all three formats, so that each renderer takes the one it prefers."""
    read = {kind: (folder / f"{label}.{kind}").read_bytes() for kind in ("svg", "pdf", "png")}
    bundle = {
        "image/svg+xml": read["svg"].decode(),
        "application/pdf": base64.b64encode(read["pdf"]).decode(),
        "image/png": base64.b64encode(read["png"]).decode(),
        "text/plain": label,
    }
    display(bundle, raw=True)


def show_table(table: pd.DataFrame) -> None:
    """A pipe table: numbers to the right, text to the left, cells that break no row."""
    shown = table.map(_cell)
    right = [_numeric(shown[column]) for column in shown]
    display(Markdown(shown.to_markdown(
        index=False, tablefmt="pipe", disable_numparse=True,
        colalign=["right" if is_right else "left" for is_right in right],
    )))


def _cell(value: object) -> str:
    text = "" if value is None or (isinstance(value, float) and pd.isna(value)) else str(value)
    text = TAG.sub(r"\\<", text)  # a label is never markup
    return " ".join(text.replace("|", "\\|").split())


def _numeric(column: pd.Series) -> bool:
    return bool(column.str.match(r"^[<>\[\u2212\-.\d][\d,.\u2212\-\s%\]]*$|^$").all())


def dots(
    axis, shown: list, *, bound: float, inner: bool = False, last_filled: bool = False
) -> None:
    """Estimates of ledger entries as dots with intervals, from top to bottom.

    `shown` holds (label, entry); the band is the region within `bound` of zero; `inner` adds the
    interval of the equivalence test; `last_filled` sets the last row apart as a diamond.
    """
    axis.axvspan(-bound, bound, color="#e8e8e8", zorder=0)
    axis.axvline(0, color="#888888", linewidth=0.8, zorder=1)
    place = list(range(len(shown)))[::-1]
    for y, (_, entry) in zip(place, shown, strict=True):
        axis.plot(entry.ci, [y, y], color="black", linewidth=1.1)
        if inner:
            axis.plot(entry.equivalence.ci, [y, y], color="black", linewidth=3, alpha=0.55)
        marker = "D" if last_filled and y == 0 else "o"
        axis.plot(entry.value, y, marker, color="black", markersize=5)
    axis.set(yticks=place, yticklabels=[label for label, _ in shown], ylim=(-0.6, len(shown) - 0.4))
    axis.tick_params(axis="y", length=0)


def alt_list(pairs: list[tuple[str, str]]) -> str:
    """Labels and values as one sentence for those who do not see the picture."""
    return "; ".join(f"{label} {value}" for label, value in pairs) + "."


mpl.use(os.environ.get("MPLBACKEND", "agg"), force=False)
