"""The picture of a run: seconds by method on a logarithmic axis with ratios, and the growth."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import pandas as pd


def draw(table: pd.DataFrame, grown: pd.DataFrame, machine: str, path: Path) -> None:
    """Bars by task, two small panels of growth below, the machine in the last line."""
    plt.rcParams |= {"font.size": 8, "svg.hashsalt": "benchmarks", "font.family": "sans-serif"}
    shown = table.dropna(subset=["seconds"])
    tasks = {task: rows.sort_values("seconds") for task, rows in shown.groupby("task", sort=False)}
    figure = plt.figure(figsize=(7.5, 3 + 0.45 * len(tasks) + 0.25 * len(shown)),
                        layout="constrained")  # fmt: skip
    upper, lower = figure.subfigures(2, 1, height_ratios=[2 * len(tasks) + len(shown), 8])
    axes = upper.subplots(len(tasks), 1, sharex=True, squeeze=False, gridspec_kw={
        "height_ratios": [1 + len(rows) for rows in tasks.values()]})[:, 0]  # fmt: skip
    for axis, (task, rows) in zip(axes, tasks.items(), strict=True):
        ours = rows["method"].str.startswith("claimledger")
        colors = ours.map({True: "#01665e", False: "#bdbdbd"})
        axis.barh(rows["method"], rows["seconds"], color=colors)
        for place, row in enumerate(rows.itertuples()):
            digits = 0 if row.times_ours > 99 else 1
            ratio = "" if row.times_ours == 1 else f"  ({row.times_ours:,.{digits}f} times)"
            axis.text(row.seconds, place, f" {row.seconds:.3g} s{ratio}", va="center")
        axis.set(xscale="log", xlim=(0.002, shown["seconds"].max() * 60))
        axis.set_title(task, loc="left", fontweight="bold", fontsize=8)
        axis.invert_yaxis()
    axes[-1].set_xlabel("seconds")
    left, right = lower.subplots(1, 2)
    for part, name in ((left, "respondents"), (right, "experiments")):
        rows = grown[grown["axis"] == name]
        part.plot(rows[name], rows["seconds"], "o-", color="#01665e")
        part.set(xscale="log", yscale="log", xlabel=name, ylabel="seconds",
                 title=f"growth with the number of {name}")  # fmt: skip
    figure.supxlabel(machine, fontsize=6)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
