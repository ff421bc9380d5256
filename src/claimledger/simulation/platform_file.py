"""Write a simulated world as the file that a survey platform would export.

To answers the platform adds its own columns, and the rows that exclusions will drop.
"""

import json
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from claimledger.errors import LedgerError
from claimledger.project import sha256_file, write_atomic, writing
from claimledger.registration.loading import load
from claimledger.registration.models import Exclusion, Registration
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.respondents import (
    BLOCK,
    EXTRAS,
    NOT_ASKED,
    PLATFORM,
    SKIPPED,
    Block,
    Simulator,
    breaks,
)
from claimledger.survey import qualtrics
from claimledger.survey.loading import manifest_path

NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.")      # reserved for documentation (RFC 5737)
DOMAINS = ("example.org", "example.com")                  # reserved likewise (RFC 2606)
DURATION, DATE = "Duration (in seconds)", "{:%Y-%m-%d %H:%M:%S}"
_STEP = 7_236_067_977      # odd and no multiple of 5: multiples differ modulo 10**10, so keys do
LETTERS = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype="S1")


# The rows of an export, before they become text.


def extras(registration: Registration, rates: dict[str, float], start: int, stop: int) -> list[int]:
    """Numbers of rows to add for each exclusion while respondents start..stop are written."""
    return [
        int(np.floor(rates[rule.id] * stop + 0.5) - np.floor(rates[rule.id] * start + 0.5))
        for rule in registration.exclusions]


class Rows:
    """Rows of an export before they become text; -1 among the level codes is an empty cell.

    `rule` holds for each row the number of the exclusion that it breaks, or -1.
    """

    def __init__(
        self, simulator: Simulator, kept: Block, seed: int, number: int, start: int, n: int
    ):
        """A block of respondents with the rows to be excluded at random places among them."""
        self.registration, fieldwork = simulator.registration, simulator.simulation.fieldwork
        rules = self.registration.exclusions
        counts = extras(self.registration, fieldwork.extra, start, start + kept.n)
        added = sum(counts)
        self.rng = rng = simulator.generator(seed, PLATFORM, number)
        others = simulator.block(seed, EXTRAS, number, max(added, 1)).take(slice(added))
        self.rule = np.full(kept.n + added, -1)
        places = 1 + rng.permutation(len(self.rule) - 1)[:added]      # the first row stays
        self.rule[places] = np.repeat(np.arange(len(counts)), counts)
        order = np.argsort(np.r_[np.flatnonzero(self.rule < 0), np.flatnonzero(self.rule >= 0)])
        self.block = Block.joined([kept, others]).take(order)
        size = len(self.rule)
        timed = [rule for rule in rules if rule.column == DURATION]
        floor = max([rule.below or 0 for rule in timed], default=0)
        ceiling = min([rule.above or np.inf for rule in timed], default=np.inf)
        seconds = fieldwork.median_seconds * np.exp(fieldwork.log_sd * rng.standard_normal(size))
        self.progress, self.finished = np.full(size, 100), np.ones(size, dtype=bool)
        self.status = np.full(size, "IP Address", dtype=object)
        self.seconds = np.clip(seconds, floor, ceiling).astype(int)
        self.day = fieldwork.days * (
            start + (np.arange(size) + rng.random(size)) * kept.n / size) / n
        self.keys = ((number * 2**20 + np.arange(size)) * _STEP + seed) % 10**10
        for index, exclusion in enumerate(rules):
            self._break(np.flatnonzero(self.rule == index), exclusion)

    def _break(self, at: np.ndarray, rule: Exclusion) -> None:
        """Make the rows `at` break this one rule and no other."""
        items, rng = self.registration.instrument.items, self.rng
        if rule.column in items and not rule.repeats:
            scale = self.registration.scale_of(rule.column)
            low, high = int(scale.minimum or 0), int(rule.below or scale.maximum or 100)
            if rule.above is not None:
                low, high = int(rule.above) + 1, int(scale.maximum or rule.above + 100) + 1
            codes = np.array(list(scale.labels) or range(low, min(high, low + 1000)))
            wrong = codes[breaks(codes, rule, scale)]
            if len(at) and not len(wrong):
                raise LedgerError(
                    f"exclusion {rule.id}", found="no answer that it drops",
                    expected="a rule that some answer breaks", mend="correct the rule")
            if len(at):
                given = self.block[rule.column]
                given[at] = rng.choice(wrong, len(at)).reshape(-1, *[1] * (given.ndim - 1))
            if items[rule.column].role == "consent":      # the survey ends there
                self._blank(at, np.full(len(at), list(items).index(rule.column) + 1))
                self.seconds[at] = rng.integers(8, 60, len(at))
        elif rule.column == "Finished":
            ruled = [e.column for e in self.registration.exclusions if e.column in items]
            first = max([list(items).index(c) for c in ruled], default=0) + 1
            stop = rng.integers(first, max(first + 1, len(items) - 1), len(at))
            self._blank(at, stop)
            self.progress[at] = 100 * stop // len(items)
            self.finished[at] = False
        elif rule.column == "Status":
            self.status[at] = str(rule.equals[0])
        elif rule.column == DURATION and rule.below:
            self.seconds[at] = rng.integers(int(rule.below // 4), int(rule.below), len(at))
        elif rule.column == DURATION and rule.above:
            self.seconds[at] = rng.integers(int(rule.above) + 1, 2 * int(rule.above) + 2, len(at))
        elif rule.repeats:      # each takes the key of an earlier row that is kept
            stay = np.flatnonzero(self.rule < 0)
            before = np.searchsorted(stay, at)
            self.keys[at] = self.keys[stay[(rng.random(len(at)) * before).astype(int)]]
        elif len(at):
            raise LedgerError(
                f"exclusion {rule.id}", found=f"a rule on the column {rule.column!r}",
                expected="a rule on an item, Status, Finished, the duration, or a key",
                mend=f"set fieldwork.extra.{rule.id} to 0 in the simulation file (for a column of "
                "the platform), or simulate from a registration without the rule")

    def _blank(self, at: np.ndarray, stop: np.ndarray) -> None:
        """Empty all items from position `stop` on, and the assignment of who never got it."""
        items = self.registration.instrument.items
        depends = [name for name, item in items.items() if item.role in ("outcome", "recall")]
        assigned = min([list(items).index(name) for name in depends], default=len(items))
        for place, name in enumerate(items):
            if name in self.block:
                self.block[name][at[stop <= place]] = NOT_ASKED
        for name in self.registration.design.factors:
            self.block[name][at[stop < assigned]] = -1


# And as text.


def export(
    path: Path, registration_file: Path, simulation_file: Path, world: str, seed: int,
    n: int | None = None, codes: bool = False,
) -> list[Path]:
    """Simulate n respondents (default: as registered) and write them with rows to be excluded.

    After the registered exclusions exactly n rows remain. `codes` writes numbers instead of the
    choices' texts. A manifest that says "simulated" is written beside. Returns both paths.
    Memory does not grow with n; the same arguments give the same bytes.
    """
    registration = load(registration_file)
    simulation = load_simulation(simulation_file, registration)
    simulator = Simulator(registration, simulation, world)
    size = simulator.size(n)
    writer = _Writer(simulator, world, seed, codes)
    with writing(Path(path)) as file:
        for text in writer.parts(size):
            file.write(text.encode())
    manifest = {
        "simulated": True, "world": world, "seed": seed, "n": size, "file": Path(path).name,
        "sha256": sha256_file(path), "engine": version("claimledger"),
        "registration_sha256": sha256_file(registration_file),
        "simulation_sha256": sha256_file(simulation_file),
        "statement": "These answers were simulated. No person gave them."}
    write_atomic(manifest_path(path), json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    return [Path(path), manifest_path(path)]


class _Writer:
    """Turns blocks into lines; cells with few values are quoted once and looked up."""

    def __init__(self, simulator: Simulator, world: str, seed: int, codes: bool):
        """Prepare the cells of every item."""
        self.simulator = simulator
        self.seed = seed
        self.source = qualtrics.cell(f"simulated: world {world}, seed {seed}")
        registration = simulator.registration
        self.cells = {name: _table(registration, name, codes)
                      for name in registration.instrument.items
                      if registration.scale_of(name).labels}
        texts = simulator.simulation.fieldwork.texts
        self.texts = np.array(["", *map(qualtrics.cell, texts)], dtype=object)

    def parts(self, n: int) -> Iterator[str]:
        """The header, then one text for each block."""
        yield qualtrics.header(self.simulator.registration)
        for number, kept in enumerate(self.simulator.blocks(self.seed, n)):
            rows = Rows(self.simulator, kept, self.seed, number, number * BLOCK, n)
            each = self.simulator.rows
            cells = [(c.ravel() if c.ndim == 2 else np.repeat(c, each)).tolist()
                     for c in self._columns(rows).values()]
            yield "\n".join(map(",".join, zip(*cells, strict=True))) + "\n"

    def _columns(self, rows: Rows) -> dict[str, np.ndarray]:
        registration = self.simulator.registration
        columns = self._platform(rows)
        for name in registration.instrument.items:
            given = rows.block.get(name)
            if given is None:
                columns[name] = self._comments(rows)
            else:
                columns[name] = self.cells[name][given] if name in self.cells else _numbers(given)
        for name in qualtrics.embedded(registration):
            if name in registration.design.factors:
                levels = [*registration.design.factors[name].levels, ""]      # -1: the last
                columns[name] = np.array(levels, dtype=object)[rows.block[name]]
            elif name == qualtrics.SOURCE:
                columns[name] = np.full(len(rows.rule), self.source, dtype=object)
            elif name in rows.block:
                columns[name] = rows.block[name]
            else:
                columns[name] = _texts("P{}", rows.keys)
        return columns

    def _comments(self, rows: Rows) -> np.ndarray:
        size, share = len(rows.rule), self.simulator.simulation.fieldwork.comments
        chosen = rows.rng.integers(1, len(self.texts), size)
        silent = (rows.rng.random(size) >= share) | ~rows.finished
        return self.texts[np.where(silent, 0, chosen)]

    def _platform(self, rows: Rows) -> dict[str, np.ndarray]:
        rng, size = rows.rng, len(rows.rule)
        begin = np.datetime64(self.simulator.simulation.fieldwork.start, "s")
        start = begin + (rows.day * 86400).astype("timedelta64[s]")
        end = start + rows.seconds.astype("timedelta64[s]")
        networks, domains = np.array(NETWORKS, dtype=object), np.array(DOMAINS, dtype=object)
        address = networks[rng.integers(0, 3, size)] + _texts("{}", rng.integers(1, 255, size))
        preview = rows.status != "IP Address"
        letters = LETTERS[rng.integers(0, 62, (size, 15))]
        identifier = _texts("R_{}", letters.view("S15").ravel().astype(str))
        serial = rng.integers(10**5, 10**6, size)
        mail = _texts("respondent{}", serial) + "@" + domains[rng.integers(0, 2, size)]
        made = {
            "StartDate": _texts(DATE, start), "EndDate": _texts(DATE, end),
            "RecordedDate": _texts(DATE, end),
            "Status": rows.status, "Progress": rows.progress.astype(str),
            "IPAddress": np.where(preview, "", address),
            DURATION: rows.seconds.astype(str),
            "Finished": np.where(rows.finished, "True", "False"),
            "ResponseId": identifier, "RecipientEmail": mail,
            "RecipientLastName": np.full(size, "Simulated", dtype=object),
            "RecipientFirstName": _texts("Respondent {}", serial),
            "LocationLatitude": _texts("{:.4f}", rng.uniform(25, 49, size)),
            "LocationLongitude": _texts("{:.4f}", rng.uniform(-124, -67, size)),
            "DistributionChannel": np.where(preview, "preview", "anonymous"),
            "UserLanguage": np.full(size, "EN", dtype=object),
            "ExternalReference": np.full(size, "", dtype=object)}
        return {name: made[name] for name in qualtrics.BEFORE}


def _table(registration: Registration, name: str, codes: bool) -> np.ndarray:
    """Cells of an item by its code; negative codes count from the end, as in Python."""
    item, scale = registration.instrument.items[name], registration.scale_of(name)
    highest = max(scale.labels)
    table = np.full(max(highest, 0) + 1 - SKIPPED, "", dtype=object)
    for code in scale.labels:
        written = min(scale.labels) + highest - code if item.reverse else code
        table[code] = str(written) if codes else qualtrics.cell(scale.labels[written])
    table[SKIPPED] = qualtrics.UNANSWERED
    table[NOT_ASKED] = ""
    return table


def _numbers(given: np.ndarray) -> np.ndarray:
    """Cells of numbers, of any shape."""
    special = {SKIPPED: qualtrics.UNANSWERED, NOT_ASKED: ""}
    texts = [special.get(number, str(number)) for number in given.ravel().tolist()]
    return np.array(texts, dtype=object).reshape(given.shape)


def _texts(pattern: str, values: np.ndarray) -> np.ndarray:
    return np.array([pattern.format(value) for value in values.tolist()], dtype=object)
