"""Measure everything in one run, and write the table and the picture: `python benchmarks/run.py`.

Others' methods run on fewer experiments and are scaled; each result says on how many. Every
method's p values are compared with those of statsmodels on the same data. The best of several
repeats counts. One thread in each process.
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}

import argparse
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from time import perf_counter

import numpy as np
import pandas as pd
import tasks

HERE = Path(__file__).parent
FULL, ANALYSIS = "1,000 experiments, data drawn", "1,000 experiments, analysis alone"
SHUFFLE, RAKE = "10,000 permutations, 8 outcomes", "raking, {:,} rows"
DIAGNOSE = "diagnosis of this paper's registration, 10,000 experiments"


def used() -> float:
    """Seconds of processor time so far, those of ended child processes included."""
    both = [getrusage(who) for who in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


class Results:
    """Rows of the table: task, method, seconds for the whole task, and how they were measured."""

    def __init__(self):
        """Start with nothing."""
        self.rows: list[dict] = []

    def time(self, task: str, method: str, job: Callable[[], object], *, scale: float = 1,
             repeats: int = 5, note: str = "") -> object:
        """Time a job; `scale` turns its seconds into those of the whole task."""
        print(f"{task}: {method} ...", end=" ", flush=True)
        walls, processor, value = [], [], None
        for _ in range(repeats):
            wall, cpu = perf_counter(), used()
            value = job()
            walls.append(perf_counter() - wall)
            processor.append(used() - cpu)
        self.add(task, method, scale * min(walls), scale * min(processor), note)
        return value

    def add(self, task: str, method: str, seconds: float, processor: float, note: str) -> None:
        """Add a row and say so."""
        print(f"{seconds:.3f} s  {note}")
        self.rows.append({"task": task, "method": method, "seconds": seconds,
                          "processor_seconds": processor, "note": note})  # fmt: skip

    def missing(self, task: str, method: str, why: str) -> None:
        """A row for what is not on this machine."""
        print(f"{task}: {method}: {why}")
        self.rows.append({"task": task, "method": method, "seconds": np.nan,
                          "processor_seconds": np.nan, "note": why})  # fmt: skip


def difference(p: np.ndarray, expected: np.ndarray) -> str:
    """The largest difference of p values, in words; an error if it is not rounding."""
    largest = float(np.abs(p[: len(expected)] - expected[: len(p)]).max())
    if largest > 1e-10:
        raise SystemExit(f"p values differ from those of statsmodels by {largest}")
    return f"p values within {largest:.0e} of statsmodels"


def experiments(results: Results) -> None:
    """1,000 experiments of 1,502 respondents, 12 coefficients, 8 outcomes, HC2, Holm."""
    Y = tasks.answers(1000)
    few = results.time(ANALYSIS, "statsmodels, loop over arrays",
                       lambda: tasks.statsmodels_loop(Y[:10]), scale=100, repeats=2,
                       note="10 experiments, scaled")  # fmt: skip
    p = results.time(ANALYSIS, "claimledger", lambda: tasks.ours_analysis(Y), repeats=9)
    results.rows[-1]["note"] = difference(p, few)
    results.time(FULL, "claimledger", lambda: tasks.ours_full(1000), repeats=9)
    try:
        tasks.pyfixest_loop(Y[:1])  # compiles
        p = results.time(ANALYSIS, "pyfixest, several outcomes", lambda: tasks.pyfixest_loop(Y[:4]),
                         scale=250, repeats=2)  # fmt: skip
        results.rows[-1]["note"] = f"4 experiments, scaled; {difference(p, few)}"
    except ImportError:
        results.missing(ANALYSIS, "pyfixest, several outcomes", "not installed")
    others(results, Y[:10], few)


def others(results: Results, Y: np.ndarray, expected: np.ndarray) -> None:
    """R's packages, by the script beside this one, on the same data."""
    asked = {"R estimatr, loop": ANALYSIS, "R estimatr, outcomes at once": ANALYSIS,
             "R survey": RAKE.format(1502), "R ri2": SHUFFLE, "R DeclareDesign": FULL}  # fmt: skip
    if shutil.which("Rscript") is None:
        for method, task in asked.items():
            results.missing(task, method, "R is not installed")
        return
    people, margins = tasks.population(1502)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frames = [tasks.frame_of(one)[0].assign(experiment=i) for i, one in enumerate(Y)]
        pd.concat(frames).to_csv(folder / "answers.csv", index=False)
        people.to_csv(folder / "people.csv", index=False)
        shares = [(v, c, s) for v, margin in margins.items() for c, s in margin.items()]
        columns = ["variable", "category", "share"]
        pd.DataFrame(shares, columns=columns).to_csv(folder / "margins.csv", index=False)
        command = ["Rscript", str(HERE / "others.R"), name]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        found = {p.stem: pd.read_csv(p) for p in folder.glob("*.csv")}
    times = found["times"].set_index("method")
    for method, task in asked.items():
        if method not in times.index:
            results.missing(task, method, "not installed")
            continue
        scale, note = 1.0, "scaled from fewer"
        if task == ANALYSIS:
            p = found["p-loop" if "loop" in method else "p-once"].to_numpy()
            scale = 1000 / len(Y)
            same = difference(p.reshape(expected.shape), expected)
            note = f"{len(Y)} experiments, scaled; {same}"
        elif method == "R survey":
            weights = found["weights"]["weight"].to_numpy()
            gap = np.abs(weights / weights.mean() - tasks.raking(people, margins)).max()
            note = f"weights within {gap:.0e} of claimledger's"
        results.add(task, method, *(scale * times.loc[method]), note)


def the_rest(results: Results) -> None:
    """Permutations, raking, and what a second process saves."""
    for workers, word in ((1, "one process"), (2, "two processes")):
        results.time(DIAGNOSE, f"claimledger, {word}", lambda w=workers: tasks.diagnosis(w),
                     repeats=3)  # fmt: skip
    results.time(SHUFFLE, "claimledger", lambda: tasks.permutations(10_000), repeats=3)
    for n in (1502, 1_000_000):
        frame, margins = tasks.population(n)
        results.time(RAKE.format(n), "claimledger", lambda f=frame, m=margins: tasks.raking(f, m),
                     repeats=3)  # fmt: skip


def growth() -> pd.DataFrame:
    """Seconds of full experiments by size and by number."""
    rows = []
    by = {"respondents": [(1000, n) for n in (500, 1502, 5000, 15000)],
          "experiments": [(number, 1502) for number in (250, 1000, 4000, 16000)]}  # fmt: skip
    for axis, sizes in by.items():
        for number, n in sizes:
            start = perf_counter()
            tasks.ours_full(number, n)
            seconds = perf_counter() - start
            rows.append({"axis": axis, "experiments": number, "respondents": n, "seconds": seconds})
            print(f"growth: {number} experiments of {n}: {seconds:.3f} s")
    return pd.DataFrame(rows)


def main() -> None:
    """Measure, write, and say under what load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=HERE, help="folder of the results")
    out = parser.parse_args().out
    results, before = Results(), os.getloadavg()
    experiments(results)
    the_rest(results)
    grown = growth()
    table = pd.DataFrame(results.rows)
    ours = table[table["method"].str.startswith("claimledger")].groupby("task")
    for ratio, column in (("times_ours", "seconds"), ("times_processor", "processor_seconds")):
        table[ratio] = table[column] / table["task"].map(ours[column].min())
    table.to_csv(out / "results.csv", index=False, float_format="%.5g")
    grown.to_csv(out / "growth.csv", index=False, float_format="%.5g")
    machine = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python "
        f"{platform.python_version()}, numpy {np.__version__}; load {before[0]:.1f} at the start "
        f"and {os.getloadavg()[0]:.1f} at the end"
    )
    (out / "machine.txt").write_text(machine + "\n", encoding="utf-8")
    import picture

    picture.draw(table, grown, machine, out / "results.svg")
    print(f"{machine}\nwritten: results.csv, growth.csv, machine.txt, results.svg in {out.name}")


if __name__ == "__main__":
    main()
