"""The two pictures that need no estimate: the design, and the flow of respondents."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from claimledger.ledger.text import number
from claimledger.registration.models import Registration


def _box(axis, x: float, y: float, width: float, height: float, text: str, **style) -> None:
    face = style.pop("face", "white")
    axis.add_patch(FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.06", linewidth=0.8,
        edgecolor="black", facecolor=face, mutation_aspect=1,
    ))
    axis.text(x + width / 2, y + height / 2, text, ha="center", va="center",
              **({"fontsize": 9} | style))


def _arrow(axis, start: tuple[float, float], end: tuple[float, float]) -> None:
    axis.annotate("", xy=end, xytext=start,
                  arrowprops={"arrowstyle": "-|>", "linewidth": 0.8, "color": "black",
                              "shrinkA": 0, "shrinkB": 0, "mutation_scale": 9})


def design_diagram(registration: Registration) -> tuple[Figure, str]:
    """Factors and levels on the left, what is asked afterwards on the right; and alt text."""
    factors = list(registration.design.factors.values())
    asked: dict[str, list[str]] = {}
    for item in registration.instrument.items.values():
        if item.role == "outcome":
            asked.setdefault(registration.instrument.blocks[item.block], []).append(item.label)
    rows = max(sum(len(f.levels) for f in factors) + len(factors), 8)
    figure, axis = plt.subplots(figsize=(6.5, 0.27 * rows + 0.5))
    axis.set(xlim=(0, 10), ylim=(0, rows))
    axis.axis("off")
    top = float(rows)
    for factor in factors:
        height = len(factor.levels) + 0.62
        axis.text(0.1, top - 0.45, factor.label, fontsize=9.5, fontweight="bold", va="center")
        lines = [f"{level.label}  ({level.probability:.0%})" for level in factor.levels.values()]
        for i, line in enumerate(lines):
            axis.text(0.4, top - 1.1 - 0.8 * i, line, fontsize=9, va="center")
        axis.plot([0, 0], [top - 0.15, top - height], color="black", linewidth=1.2)
        top -= height + 0.3
    middle = rows / 2 + 0.2
    _box(axis, 4.35, middle - 0.9, 1.55, 1.8, "One\nvignette", fontweight="bold", face="#f2f2f2")
    _arrow(axis, (3.75, middle), (4.3, middle))
    _arrow(axis, (5.95, middle), (6.45, middle))
    step = rows / len(asked)
    for i, (block, labels) in enumerate(asked.items()):
        y = rows - (i + 0.5) * step
        axis.text(6.65, y + 0.32 * len(labels) + 0.4, block, fontsize=9.5, fontweight="bold",
                  va="center")
        for j, label in enumerate(labels):
            axis.text(6.85, y + 0.32 * len(labels) - 0.4 - 0.75 * j, label, fontsize=9, va="center")
        axis.plot([6.55, 6.55], [y + 0.32 * len(labels) + 0.7, y - 0.45 * len(labels) - 0.1],
                  color="black", linewidth=1.2)
    alt = "Diagram of the design. Randomised: " + "; ".join(
        f"{f.label} ({', '.join(level.label.lower() for level in f.levels.values())})"
        for f in factors
    ) + ". Asked afterwards: " + "; ".join(
        f"{block} ({', '.join(label.lower() for label in labels)})"
        for block, labels in asked.items()
    ) + "."
    return figure, alt


def flow_diagram(flow: pd.DataFrame) -> tuple[Figure, str]:
    """Rows left after each exclusion, and those dropped beside them; and alt text.

    `flow` has one row for each exclusion: label, dropped, left.
    """
    received = int(flow["left"].iloc[0] + flow["dropped"].iloc[0])
    steps = len(flow)
    figure, axis = plt.subplots(figsize=(6.5, 0.42 * (steps + 2)))
    axis.set(xlim=(0, 10), ylim=(-(steps + 1.15), 0.7))
    axis.axis("off")
    _box(axis, 1.0, -0.1, 3.2, 0.7, f"Rows in the export: {number(received, 0)}")
    _arrow(axis, (2.6, -0.1), (2.6, -(steps + 0.4)))
    for i, row in enumerate(flow.itertuples(), start=1):
        axis.annotate("", xy=(4.6, -i + 0.3), xytext=(2.6, -i + 0.3),
                      arrowprops={"arrowstyle": "-|>", "linewidth": 0.8, "color": "#555555"})
        axis.text(4.8, -i + 0.3, row.label, va="center", fontsize=9)
        axis.text(9.9, -i + 0.3, f"{number(-row.dropped, 0)}", va="center", ha="right", fontsize=9)
    left = int(flow["left"].iloc[-1])
    _box(axis, 1.0, -(steps + 1.1), 3.2, 0.7, f"Analysed: {number(left, 0)}", face="#f2f2f2",
         fontweight="bold")
    dropped = "; ".join(f"{row.label.lower()} {row.dropped}" for row in flow.itertuples())
    return figure, (f"Flow diagram. {number(received, 0)} rows in the export; left out in order: "
                    f"{dropped}; {number(left, 0)} analysed.")
