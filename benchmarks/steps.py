"""What each step of a build costs, against the plain way: writes steps.md and steps.json.

    python benchmarks/steps.py                 three times each; a quarter of an hour
    python benchmarks/steps.py --repeats 1     a third of that

Fresh clones are built in a temporary folder, with the environment that runs this script; of
several times the median counts. The plain way is papermill, one notebook after the other, and then
the same renderer.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter

ROOT = Path(__file__).resolve().parents[1]
EDIT = "\n\nThis sentence was added in order to measure the time that it costs.\n"
PLAIN = """
import sys
from pathlib import Path
import papermill
from claimledger.ledger.external import run_for
from claimledger.project import Run
from claimledger.settings import notebook_stems
from claimledger.ledger.merging import merge
from claimledger.pipeline.notebooks import parameters
from claimledger.rendering.pages import write_formats
run = Run.open(name="record")
run.notebooks.mkdir(parents=True, exist_ok=True)
for stem in notebook_stems(run.root):
    papermill.execute_notebook(
        f"notebooks/{stem}.ipynb", str(run.notebooks / f"{stem}.ipynb"),
        parameters=parameters(run_for(run, stem)), kernel_name="python3", progress_bar=False)
merge(run)
write_formats(run)
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


def edit_prose(place: Path) -> None:
    """One more sentence at the end of the article."""
    with (place / "paper.qmd").open("a", encoding="utf-8") as prose:
        prose.write(EDIT)


def edit_notebook(place: Path) -> None:
    """One more comment in the last cell of code: its outputs stay what they are."""
    path = place / "notebooks" / "06_party.ipynb"
    book = json.loads(path.read_text("utf-8"))
    cell = [cell for cell in book["cells"] if cell["cell_type"] == "code"][-1]
    cell["source"] = [*cell["source"], "\n# measured"]
    path.write_text(json.dumps(book), encoding="utf-8")


def measure(repeats: int) -> dict:
    """All cases, each in the state that the one before left."""
    html, render = ["render", "--formats", "html"], ["render"]
    many = ["diagnose", "--sizes", "1502", "--effects", "0,0.1,0.2", "--simulations", "20000"]
    with tempfile.TemporaryDirectory() as folder:
        places = [clone(Path(folder) / f"paper{number}") for number in range(repeats)]
        cases, before = [], os.getloadavg()[0]

        def case(label: str, *command: str, edit: Callable = lambda place: None) -> None:
            """Once in each clone: an edit, and the time of a command after it."""
            found = []
            for place in places:
                edit(place)
                plain = ["-c", PLAIN] if not command else ["-m", "claimledger", *command]
                found.append(run(place, *plain))
            seconds, work = (median(one[which] for one in found) for which in (0, 1))
            said = (found[0][2].splitlines() or [""])[0].partition("paper: ")[2]
            made = said.partition(", rendered by")[0].removeprefix("made anew: ")
            made = made if command else "all notebooks, paper"
            print(f"{label}: {seconds:.1f} s, {work:.1f} s of work ({made})", flush=True)
            cases.append({"case": label, "seconds": round(seconds, 1), "work": round(work, 1),
                          "made": made})

        case("cold build", *render)
        case("nothing changed", *render)
        case("a sentence edited, HTML alone", *html, edit=edit_prose)
        case("a sentence edited, all formats", *render, edit=edit_prose)
        case("a comment in a notebook", *render, edit=edit_notebook)
        case("20,000 experiments diagnosed, one process", *many)
        case("the same, two processes", *many, "--workers", "2")
        case("the plain way, whatever was changed")
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"cases": cases, "repeats": repeats, "peak_megabytes": round(peak),
            "load": f"{before:.1f} before and {os.getloadavg()[0]:.1f} after",
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
        f"with the environment in place; medians of {found['repeats']}.",
        "The plain way runs every notebook with papermill, one after the other, and then the same "
        "renderer.",
        f"The load average was {found['load']}: where it is above the number of cores, other "
        "programs were at work, and the clock shows more than a build takes alone.",
        "Processor time does not count waiting; divided by the number of cores, it is the least "
        "that a build can take.", "",
        "| case | made anew | seconds on the clock | seconds of processor time |",
        "|---|---|---|---|", *rows, "", f"Largest process: {found['peak_megabytes']} MB.", "",
    ])


def main() -> None:
    """Measure, and write both files beside this one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    found = measure(parser.parse_args().repeats)
    here = Path(__file__).parent
    (here / "steps.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (here / "steps.md").write_text(table(found), encoding="utf-8")


if __name__ == "__main__":
    main()
