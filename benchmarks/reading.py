"""How long `claimledger check` takes for a big export, and how much memory, beside plain pandas.

Each way runs in a process of its own; `reading.csv` gets seconds, processor seconds and the highest
memory, and how many times those of `pandas.read_csv` with texts they are.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
WAYS = {
    "pandas.read_csv, texts": "pd.read_csv(path, dtype=str, header=None, na_filter=False)",
    "claimledger, read": "read_export(path, registration)",
    "claimledger check": "examine(read_export(path, registration), registration, root, False)",
    "claimledger, opened": "open_survey(path, registration, root)",
}
CODE = """
import resource, sys, time
from pathlib import Path
import pandas as pd
from claimledger.registration.loading import load
from claimledger.survey.loading import examine, open_survey
from claimledger.survey.reading import read_export
path, root = Path(sys.argv[1]), Path(sys.argv[2])
registration = load(root / "registration.yml")
clock, processor = time.perf_counter(), time.process_time()
found = {way}
print(time.perf_counter() - clock, time.process_time() - processor,
      resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


MAKE = """
import sys
from pathlib import Path
from claimledger.simulation.platform_file import export
path, root, n = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
export(path, root / "registration.yml", root / "data/simulation.yml", "published", 7, n)
"""


def measured(way: str, path: Path) -> list[float]:
    """Seconds, processor seconds and megabytes of one way, reading included."""
    done = subprocess.run([sys.executable, "-c", CODE.format(way=WAYS[way]), str(path), str(ROOT)],
                          capture_output=True, text=True, check=True)
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    """Simulate exports, and read each in every way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--respondents", type=int, nargs="+", default=[150_000, 1_000_000])
    rows = []
    for n in parser.parse_args().respondents:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "answers.csv"
            # by itself: a process is born with the highest memory of the one that starts it
            subprocess.run([sys.executable, "-c", MAKE, path, ROOT, str(n)], check=True)
            plain: list[float] = []
            for way in WAYS:
                found = measured(way, path)
                plain = plain or found
                rows.append([n, path.stat().st_size >> 20, way, *(f"{x:.4g}" for x in found),
                             *(f"{x / y:.2f}" for x, y in zip(found, plain, strict=True))])
                print(*rows[-1])
    with open(HERE / "reading.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["respondents", "file_mb", "way", "seconds", "processor_seconds",
                         "memory_mb", "times_seconds", "times_processor", "times_memory"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
