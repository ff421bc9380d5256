"""Worlds nobody shipped: estimates drawn at random, decided, and read as the paper would read.

A world is a ledger: that of record, in which every result about the respondents is replaced by one
drawn from effects of any sign and size, ties among them, for 60 to 5,000 respondents. Nothing is
built. Run as a program it writes the text of a dozen such worlds for a person to read:

    python tests/support/random_worlds.py build/worlds
"""

import json
import re
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
from scipy.stats import f as fisher
from scipy.stats import t as student

from claimledger.ledger.entries import VERDICTS, texts
from claimledger.ledger.sets import ready_texts, set_entries
from claimledger.prose.source import Source, read_sources
from claimledger.prose.tokens import tokens
from claimledger.registration.loading import load
from claimledger.replication.differences import resolve
from claimledger.settings import settings
from claimledger.statistics.decision import decide

ROOT = Path(__file__).resolve().parents[2]
REGISTRATION = load(ROOT / "registration.yml")
CONFIG = settings(ROOT)["ledger"]
RECORD = json.loads((ROOT / "results" / "ledger.json").read_text(encoding="utf-8"))
MEASURES = REGISTRATION.comparison("measures").levels
KINDS = REGISTRATION.comparison("H2a.kind").levels
TRAITS = {"H3a": "democracy", "H3b": "strong", "H3c": "signed"}
SD, ALIKE = 1.2, 0.3  # of an item, and the correlation between two ratings of one respondent
SIGNS = {"positive": 1, "negative": -1}


def effects(rng: np.random.Generator, count: int) -> np.ndarray:
    """From large negative to large positive, in points: scattered, in heaps of ties, or none."""
    size = rng.choice([0.0, 0.1, 0.3, 0.8])
    drawn = rng.normal(0, size, count)
    if rng.random() < 0.4:  # ties
        drawn = np.round(drawn / 0.4) * 0.4
    return drawn + rng.choice([0.0, 0.0, -0.5, 0.5])


class World:
    """One draw: `tests` holds (estimate, se, df, n, bound, sd) of every analysis by its id."""

    def __init__(self, seed: int):
        rng = self.rng = np.random.default_rng(seed)
        self.seed, self.size = seed, int(np.exp(rng.uniform(np.log(60), np.log(5000))))
        self.tests: dict[str, tuple] = {}
        self.families: dict[str, list[str]] = {}
        self.means: dict[str, float] = {}
        self.omnibus: dict[str, tuple[float, float]] = {}  # F and p
        self._measures(int(0.78 * self.size))
        self._views(max(self.size // 5, 4))
        self._corrective(int(0.78 * self.size))
        self._others()
        self.ledger = self._ledger()

    def _add(self, family: str, id: str, estimate: float, se: float, n: int, sd: float) -> None:
        self.tests[id] = (estimate, se, n - 2, n, 0.2 * sd, sd)
        self.families.setdefault(family, []).append(id)

    def _measures(self, n: int) -> None:
        rng = self.rng
        seen = 3 + effects(rng, 5) + rng.normal(0, SD * np.sqrt((1 - ALIKE) / n), 5)
        self.means |= {f"mean.{m}": x for m, x in zip(MEASURES, seen, strict=True)}
        weights = {
            "H1a": [-1, .25, .25, .25, .25], "H1b": [0, -1, .5, .5, 0],
            **{f"measures.{MEASURES[a]}.{MEASURES[b]}": np.eye(5)[a] - np.eye(5)[b]
               for a, b in combinations(range(5), 2)}}
        for id, weight in weights.items():
            sd = SD * np.sqrt((1 - ALIKE) * np.sum(np.square(weight)))
            family = id.split(".")[0] if "." in id else "H1"
            self._add(family, id, float(np.dot(weight, seen)), sd / np.sqrt(n), n, sd)

    def _views(self, size: int) -> None:
        """Five arms of `size` respondents each, of whom in some worlds many leave an item out."""
        rng = self.rng
        for id, outcome in {"H2a": "views", "H2b": "contributions"}.items():
            n = max(int(size * rng.choice([1.0, 1.0, 0.4])), 4)
            noise = rng.normal(0, 1 / np.sqrt(n), 5)
            control, *kinds = 3 + np.array([0.0, *effects(rng, 4)]) + noise
            self.means[f"{outcome}.mean.control"] = control
            self._add("H2", id, float(np.mean(kinds) - control), np.sqrt(1.25 / n), 5 * n, 1.0)
            for kind, mean in zip(KINDS, kinds, strict=True):
                self._add(f"{id}.kind", f"{id}.kind.{kind}", mean - control, np.sqrt(2 / n),
                          5 * n, 1.0)
            if id == "H2a":
                self._between(id, kinds, n)

    def _between(self, id: str, kinds: list, n: int) -> None:
        f = n * float(np.var(kinds, ddof=1))
        self.omnibus["kinds.views.omnibus" if id == "H2a" else "kinds.corrective.omnibus"] = (
            f, float(fisher.sf(f, 3, 5 * n)))
        for a, b in combinations(range(4), 2):
            self._add(f"{id}.between", f"{id}.between.{KINDS[a]}.{KINDS[b]}",
                      kinds[a] - kinds[b], np.sqrt(2 / n), 5 * n, 1.0)

    def _corrective(self, n: int) -> None:
        rng = self.rng
        kinds = 3 + effects(rng, 4) + rng.normal(0, np.sqrt(4 / n), 4)
        self._between("corrective", list(kinds), max(n // 4, 2))
        for (id, _), effect in zip(TRAITS.items(), effects(rng, 3), strict=True):
            self._add("H3", id, effect + rng.normal(0, 2 / np.sqrt(n)), 2 / np.sqrt(n), n, 1.0)
        self.means |= {"corrective.mean.nondemocracy": 3.0,
                       "corrective.mean.democracy": 3.0 + self.tests["H3a"][0]}

    def _others(self) -> None:
        """Exploratory results, each family with a common size of its effects."""
        groups: dict[str, list[str]] = {}
        for id, entry in RECORD["entries"].items():
            tested = entry.get("decision") in ("hypothesis", "comparison")
            if tested and not id.startswith("TW.") and id not in self.tests:
                groups.setdefault(id.split(".")[0] + id.split(".")[1][:2], []).append(id)
        for name, ids in groups.items():
            for id, effect in zip(ids, effects(self.rng, len(ids)), strict=True):
                se = self.rng.uniform(1, 3) / np.sqrt(self.size)
                self._add(f"other {name}", id, effect + self.rng.normal(0, se), se, self.size, 1.0)

    def direction(self, id: str) -> int:
        """What the registration expects of a hypothesis; zero of a comparison."""
        found = [h for h in REGISTRATION.hypotheses if h.id == id.removesuffix(".adjusted")
                 .removesuffix(".weighted")]
        return SIGNS[found[0].direction] if found else 0

    def _ledger(self) -> dict:
        """As the notebooks would fill it, by the engine's own rule of decision."""
        rng = self.rng
        entries = {id: dict(e) for id, e in RECORD["entries"].items()
                   if e.get("decision") != "pattern" or id.startswith(("TW.", "robust.", "reg"))}
        for ids in self.families.values():
            estimate, se, df, n, bound, sd = (np.array(c) for c in zip(
                *(self.tests[id] for id in ids), strict=True))
            signs = [self.direction(id) for id in ids]
            decision = decide(estimate, se, df, bound, signs, 0.05, "holm")
            halves = student.ppf(0.975, df) * se
            for i, id in enumerate(ids):
                half = halves[i]
                name = "hypothesis" if signs[i] else "comparison"
                p, adjusted = decision.p[i], decision.p_adjusted[i]
                entries[id] = RECORD["entries"].get(id, {"id": id, "status": "registered"}) | {
                    "value": estimate[i], "decision": name, "verdicts": VERDICTS[name],
                    "verdict": decision.names[i],
                    "ci_level": 0.95, "unit": "points, 1 to 5",
                    "text": texts(estimate[i], ci=[estimate[i] - half, estimate[i] + half], p=p,
                                  p_adjusted=adjusted, n=int(n[i]), bound=bound[i], sd=sd[i])
                    | {"tost": texts(0, p=decision.tost_p_adjusted[i])["p"]}}
        for id, mean in self.means.items():
            entries[id] = entries[id] | {"text": texts(mean)}
        for id, (f, p) in self.omnibus.items():
            entries[id] = entries[id] | {
                "verdict": "differs" if p < 0.05 else "undecided", "text": texts(f, p=p)}
        drawn = [id for id, entry in entries.items() if id not in self.omnibus and (
            entry.get("decision") in ("omnibus", "status")
            or id in ("robust.inestimable", "registration.amendments"))]
        for id in drawn:
            verdict = str(rng.choice(entries[id]["verdicts"]))
            entries[id] = entries[id] | {"verdict": verdict}
        for id, count in {"flow.analyzed": self.size, "sample.misaligned": int(.8 * self.size),
                          "sample.control": self.size - int(.8 * self.size)}.items():
            entries[id] = entries[id] | {"value": count, "text": texts(count, unit="count")}
        entries |= set_entries(entries, REGISTRATION, CONFIG["words"], CONFIG["sets"])
        for entry in entries.values():
            entry["text"] = entry.get("text", {}) | ready_texts(entry)
        return {"header": RECORD["header"], "entries": entries, "phrases": CONFIG["phrases"]}


def article() -> Source:
    """The paper with what it includes."""
    return read_sources([ROOT / "paper.qmd"])[0]


def told(source: Source, ledger: dict, found: list | None = None) -> list[str]:
    """The paper's lines under a ledger, from abstract to discussion; empty where nothing shows."""
    lines = resolve(source, tokens(source) if found is None else found, ledger)
    first = source.text[:source.text.index("abstract: |")].count("\n") + 1
    last = source.text[:source.text.index("# References")].count("\n")
    return lines[first:last]


def plain(line: str) -> str:
    """Without Markdown and attributes."""
    line = re.sub(r"\]\{[^}]*\}|\[(?=[A-Z])|^\[", "", line)
    return re.sub(r"\s+", " ", re.sub(r"\s*\[[^\]]*@[^\]]*\]", "", line)).strip()


def main(folder: Path, count: int = 12) -> None:
    """Write the text of some worlds, results and discussion first to last."""
    source = article()
    found = tokens(source)
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(1, count + 1):
        world = World(seed)
        verdicts = {id: e["verdict"] for id, e in world.ledger["entries"].items()
                    if re.fullmatch(r"H\d[abc]", id)}
        head = f"World {seed}: {world.size} respondents; " + ", ".join(
            f"{id} {verdict}" for id, verdict in verdicts.items())
        lines = told(source, world.ledger, found)
        start = next(i for i, line in enumerate(lines) if line.startswith("# Results"))
        abstract = lines[:next(i for i, line in enumerate(lines) if line.startswith("keywords"))]
        kept = [head, "", *abstract, "", *lines[start:]]
        text = re.sub(r"\n{3,}", "\n\n", "\n".join(plain(line) for line in kept))
        (folder / f"world-{seed:02}.txt").write_text(text + "\n", encoding="utf-8")
    print(f"{count} worlds in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/worlds"))
