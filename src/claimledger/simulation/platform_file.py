"""Write a simulated world as the file that a survey platform would export."""

import hashlib
import json
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

from claimledger.project import sha256_file, write_atomic, writing
from claimledger.registration.loading import load
from claimledger.registration.models import Registration
from claimledger.simulation.assumptions import load_simulation
from claimledger.simulation.fieldwork import DURATION, Rows, field
from claimledger.simulation.respondents import BLOCK, NOT_ASKED, SKIPPED, Simulator
from claimledger.survey import qualtrics
from claimledger.survey.loading import manifest_path

NETWORKS = ("192.0.2.", "198.51.100.", "203.0.113.")      # reserved for documentation (RFC 5737)
DOMAINS = ("example.org", "example.com")                  # reserved likewise (RFC 2606)
LETTERS = np.frombuffer(
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype="S1"
)


def export(
    path: Path, registration_file: Path, simulation_file: Path, world: str, seed: int,
    n: int | None = None, codes: bool = False, tick: Callable[[int], None] | None = None,
) -> list[Path]:
    """Simulate n respondents (default: as registered) and write them with rows to be excluded.

    After the registered exclusions exactly n rows remain. `codes` writes numbers instead of the
    choices' texts. A manifest that says "simulated" is written beside. `tick` is called with the
    number of respondents that each step adds. Returns both paths. Memory does not grow with n;
    the same arguments give the same bytes.
    """
    registration = load(registration_file)
    simulation = load_simulation(simulation_file, registration)
    simulator = Simulator(registration, simulation, world)
    size = simulator.size(n)
    writer = _Writer(simulator, world, seed, codes)
    digest = hashlib.sha256()
    with writing(Path(path)) as file:
        for text in writer.parts(size, tick):
            data = text.encode()
            digest.update(data)
            file.write(data)
    manifest = {
        "simulated": True, "world": world, "seed": seed, "n": size, "file": Path(path).name,
        "sha256": digest.hexdigest(), "engine": version("claimledger"),
        "registration_sha256": sha256_file(registration_file),
        "simulation_sha256": sha256_file(simulation_file),
        "statement": "These answers were simulated. No person gave them.",
    }
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
                      for name, item in registration.instrument.items.items()
                      if registration.instrument.scales[item.scale].labels}
        self.texts = np.array(
            ["", *map(qualtrics.cell, simulator.simulation.fieldwork.texts)], dtype=object
        )

    def parts(self, n: int, tick: Callable[[int], None] | None) -> Iterator[str]:
        """The header, then one text for each block."""
        yield qualtrics.header(self.simulator.registration)
        for number, kept in enumerate(self.simulator.blocks(self.seed, n)):
            rows = field(self.simulator, kept, self.seed, number, number * BLOCK, n)
            each = self.simulator.rows
            cells = [(c.ravel() if c.ndim == 2 else np.repeat(c, each)).tolist()
                     for c in self._columns(rows).values()]
            yield "\n".join(map(",".join, zip(*cells, strict=True))) + "\n"
            if tick:
                tick(len(kept))

    def _columns(self, rows: Rows) -> dict[str, np.ndarray]:
        registration = self.simulator.registration
        columns = self._platform(rows)
        for name in registration.instrument.items:
            given = rows.block.answers.get(name)
            if given is None:
                columns[name] = self._comments(rows)
            else:
                columns[name] = self.cells[name][given] if name in self.cells else _numbers(given)
        for name in qualtrics.embedded(registration):
            if name in registration.design.factors:
                levels = [*registration.design.factors[name].levels, ""]      # -1: the last
                columns[name] = np.array(levels, dtype=object)[rows.block.levels[name]]
            elif name == qualtrics.SOURCE:
                columns[name] = np.full(len(rows.rule), self.source, dtype=object)
            elif name in rows.block.columns:
                columns[name] = rows.block.columns[name]
            else:
                columns[name] = _prefixed("P", rows.keys)
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
        address = networks[rng.integers(0, 3, size)] + _prefixed("", rng.integers(1, 255, size))
        preview = rows.status != "IP Address"
        letters = LETTERS[rng.integers(0, 62, (size, 15))]
        identifier = _prefixed("R_", letters.view("S15").ravel().astype(str))
        serial = rng.integers(10**5, 10**6, size)
        mail = _prefixed("respondent", serial) + "@" + domains[rng.integers(0, 2, size)]
        made = {
            "StartDate": _dates(start), "EndDate": _dates(end), "RecordedDate": _dates(end),
            "Status": rows.status, "Progress": rows.progress.astype(str),
            "IPAddress": np.where(preview, "", address),
            DURATION: rows.seconds.astype(str),
            "Finished": np.where(rows.finished, "True", "False"),
            "ResponseId": identifier, "RecipientEmail": mail,
            "RecipientLastName": np.full(size, "Simulated", dtype=object),
            "RecipientFirstName": _prefixed("Respondent ", serial),
            "LocationLatitude": _decimals(rng.uniform(25, 49, size)),
            "LocationLongitude": _decimals(rng.uniform(-124, -67, size)),
            "DistributionChannel": np.where(preview, "preview", "anonymous"),
            "UserLanguage": np.full(size, "EN", dtype=object),
            "ExternalReference": np.full(size, "", dtype=object),
        }
        return {name: made[name] for name in qualtrics.BEFORE}


def _table(registration: Registration, name: str, codes: bool) -> np.ndarray:
    """Cells of an item by its code; negative codes count from the end, as in Python."""
    item = registration.instrument.items[name]
    scale = registration.instrument.scales[item.scale]
    highest = max(scale.labels)
    table = np.full(max(highest, 0) + 1 - SKIPPED, "", dtype=object)
    for code, label in scale.labels.items():
        written = min(scale.labels) + highest - code if item.reverse else code
        label = scale.labels[written]
        table[code] = str(written) if codes else qualtrics.cell(label)
    table[SKIPPED] = qualtrics.UNANSWERED
    table[NOT_ASKED] = ""
    return table


def _numbers(given: np.ndarray) -> np.ndarray:
    """Cells of numbers, of any shape."""
    special = {SKIPPED: qualtrics.UNANSWERED, NOT_ASKED: ""}
    texts = [special.get(number, str(number)) for number in given.ravel().tolist()]
    return np.array(texts, dtype=object).reshape(given.shape)


def _prefixed(prefix: str, values: np.ndarray) -> np.ndarray:
    return np.array([f"{prefix}{value}" for value in values.tolist()], dtype=object)


def _decimals(values: np.ndarray) -> np.ndarray:
    return np.array([f"{value:.4f}" for value in values.tolist()], dtype=object)


def _dates(values: np.ndarray) -> np.ndarray:
    texts = np.datetime_as_string(values, unit="s").tolist()
    return np.array([text.replace("T", " ") for text in texts], dtype=object)
