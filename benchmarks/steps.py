"""What each step of a build costs, against the plain way: writes steps.md and steps.json.

    python benchmarks/steps.py

A fresh clone is built in a temporary folder, with the environment that runs this script.
The plain way is papermill, one notebook after the other, and then the same renderer.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
EDIT = "\n\nThis sentence was added in order to measure the time that it costs.\n"
PLAIN = """
import sys
from pathlib import Path
import papermill
from claimledger.ledger.external import run_for
from claimledger.project import Run, notebook_stems
from claimledger.ledger.merging import merge
from claimledger.pipeline.notebooks import parameters
from claimledger.rendering import render
run = Run.open(name="record")
run.notebooks.mkdir(parents=True)
for stem in notebook_stems(run.root):
    papermill.execute_notebook(
        f"notebooks/{stem}.ipynb", str(run.notebooks / f"{stem}.ipynb"),
        parameters=parameters(run_for(run, stem)), kernel_name="python3", progress_bar=False)
merge(run)
render(run)
"""


def clone(place: Path) -> Path:
    """The last commit, in a folder of its own."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    return place


def used() -> float:
    """Seconds of processor time that all ended child processes have used so far."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def run(place: Path, *command: str) -> tuple[float, float, str]:
    """Seconds on the clock, seconds of processor time, and what a command says."""
    environment = {key: value for key, value in os.environ.items() if "CLAIMLEDGER" not in key}
    environment |= {"PYTHONPATH": str(place / "src"), "CI": "true",
                    "CLAIMLEDGER_RENDERER": "embedded"}
    start, before = perf_counter(), used()
    done = subprocess.run([sys.executable, *command], cwd=place, env=environment,
                          capture_output=True, text=True)
    seconds = perf_counter() - start
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return seconds, used() - before, done.stdout


def render(place: Path, label: str) -> dict:
    """One build: what was asked for, what it made anew, and how long it took."""
    seconds, work, said = run(place, "-m", "claimledger", "render")
    made = said.splitlines()[0].removeprefix("paper: ").partition(", rendered by")[0]
    print(f"{label}: {seconds:.1f} s, {work:.1f} s of work ({made})", flush=True)
    return {"case": label, "seconds": round(seconds, 1), "work": round(work, 1),
            "made": made.removeprefix("made anew: ")}


def edit_notebook(path: Path) -> None:
    """Another comment in the last cell of code: its outputs stay what they are."""
    book = json.loads(path.read_text("utf-8"))
    cell = [cell for cell in book["cells"] if cell["cell_type"] == "code"][-1]
    cell["source"] = [*cell["source"], "\n# measured"]
    path.write_text(json.dumps(book), encoding="utf-8")


def measure() -> dict:
    """All cases, each in the state that the one before left."""
    with tempfile.TemporaryDirectory() as folder:
        place = clone(Path(folder) / "paper")
        cases = [render(place, "cold build")]
        cases.append(render(place, "nothing changed"))
        with (place / "paper.qmd").open("a", encoding="utf-8") as prose:
            prose.write(EDIT)
        cases.append(render(place, "a sentence edited"))
        edit_notebook(place / "notebooks" / "06_party.ipynb")
        cases.append(render(place, "a notebook edited, results the same"))
        seconds, work, _ = run(clone(Path(folder) / "plain"), "-c", PLAIN)
        print(f"the plain way: {seconds:.1f} s, {work:.1f} s of work", flush=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    cases.append({"case": "the plain way, whatever was changed", "seconds": round(seconds, 1),
                  "work": round(work, 1), "made": "all notebooks, paper"})
    return {"cases": cases, "load": round(os.getloadavg()[2], 1),
            "peak_megabytes": round(peak),
            "machine": machine(), "python": platform.python_version()}


def machine() -> str:
    """Cores and processor family, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({platform.machine()})"


def table(found: dict) -> str:
    """The table as Markdown, one sentence a line."""
    rows = [f"| {one['case']} | {one['made']} | {one['seconds']:.1f} | {one['work']:.1f} |"
            for one in found["cases"]]
    return "\n".join([
        "# What each step costs", "",
        f"Measured by `benchmarks/steps.py` on {found['machine']}, Python {found['python']}, "
        "with the environment in place.",
        "The plain way runs every notebook with papermill, one after the other, and then the same "
        "renderer.",
        f"The load average during the measurement was {found['load']}: where it is above the "
        "number of cores, other programs were at work, and the clock shows more than a build "
        "takes alone.",
        "Processor time does not count waiting; divided by the number of cores, it is the least "
        "that a build can take.", "",
        "| case | made anew | seconds on the clock | seconds of processor time |",
        "|---|---|---|---|", *rows, "", f"Largest process: {found['peak_megabytes']} MB.", "",
    ])


def main() -> None:
    """Measure, and write both files beside this one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    found = measure()
    here = Path(__file__).parent
    (here / "steps.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (here / "steps.md").write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
