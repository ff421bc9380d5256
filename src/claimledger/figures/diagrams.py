"""The two pictures that need no estimate: the design, and the flow of respondents."""

from collections.abc import Sequence
from textwrap import wrap

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from claimledger.ledger.entries import number
from claimledger.registration.models import Registration


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
