"""What a platform adds to answers: its own columns, and the rows that exclusions will drop."""

from dataclasses import dataclass, replace

import numpy as np

from claimledger.errors import LedgerError
from claimledger.registration.models import Exclusion, Registration
from claimledger.simulation.respondents import (
    EXTRAS,
    NOT_ASKED,
    PLATFORM,
    Block,
    Simulator,
    breaks,
)

DURATION = "Duration (in seconds)"
_STEP = 7_236_067_977      # odd and no multiple of 5: multiples differ modulo 10**10, so keys do


@dataclass(frozen=True)
class Rows:
    """Rows of an export before they become text; -1 among the level codes is an empty cell.

    `rule` holds for each row the number of the exclusion that it breaks, or -1.
    """

    block: Block
    rule: np.ndarray
    progress: np.ndarray
    finished: np.ndarray
    status: np.ndarray
    seconds: np.ndarray
    day: np.ndarray
    keys: np.ndarray
    rng: np.random.Generator


def extras(registration: Registration, rates: dict[str, float], start: int, stop: int) -> list[int]:
    """Numbers of rows to add for each exclusion while respondents start..stop are written."""
    return [
        int(np.floor(rates[rule.id] * stop + 0.5) - np.floor(rates[rule.id] * start + 0.5))
        for rule in registration.exclusions
    ]


def field(simulator: Simulator, kept: Block, seed: int, number: int, start: int, n: int) -> Rows:
    """A block of respondents with the rows to be excluded strewn among them."""
    registration, fieldwork = simulator.registration, simulator.simulation.fieldwork
    counts = extras(registration, fieldwork.extra, start, start + len(kept))
    added = sum(counts)
    rng = simulator.generator(seed, PLATFORM, number)
    others = simulator.block(seed, EXTRAS, number, max(added, 1)).take(slice(added))
    rule = np.full(len(kept) + added, -1)
    places = 1 + rng.permutation(len(rule) - 1)[:added]      # the first row stays: see _repeat
    rule[places] = np.repeat(np.arange(len(counts)), counts)
    order = np.argsort(np.r_[np.flatnonzero(rule < 0), np.flatnonzero(rule >= 0)])
    block = Block.joined([kept, others]).take(order)
    size = len(rule)
    floor = max([r.below or 0 for r in registration.exclusions if r.column == DURATION], default=0)
    seconds = fieldwork.median_seconds * np.exp(fieldwork.log_sd * rng.standard_normal(size))
    rows = Rows(
        block=block, rule=rule, progress=np.full(size, 100), finished=np.ones(size, dtype=bool),
        status=np.full(size, "IP Address", dtype=object),
        seconds=np.maximum(seconds, floor).astype(int),
        day=fieldwork.days * (start + (np.arange(size) + rng.random(size)) * len(kept) / size) / n,
        keys=((number * 2**20 + np.arange(size)) * _STEP + seed) % 10**10, rng=rng,
    )
    for index, exclusion in enumerate(registration.exclusions):
        rows = _break(rows, np.flatnonzero(rule == index), exclusion, registration)
    return rows


def _break(rows: Rows, at: np.ndarray, rule: Exclusion, registration: Registration) -> Rows:
    """Make the rows `at` break this one rule and no other; arrays are changed in place."""
    items, rng = registration.instrument.items, rows.rng
    if rule.column in items and not rule.repeats:
        scale = registration.instrument.scales[items[rule.column].scale]
        low, high = int(scale.minimum or 0), int(rule.below or scale.maximum or 100)
        codes = np.array(list(scale.labels) or range(low, min(high, low + 1000)))
        wrong = codes[breaks(codes, rule, scale)]
        if len(at) and not len(wrong):
            raise LedgerError(f"exclusion {rule.id}", found="no answer that it drops",
                              expected="a rule that some answer breaks", mend="correct the rule")
        if len(at):
            given = rows.block.answers[rule.column]
            given[at] = rng.choice(wrong, len(at)).reshape(-1, *[1] * (given.ndim - 1))
        if items[rule.column].role == "consent":      # the survey ends there
            _blank(rows, at, np.full(len(at), list(items).index(rule.column) + 1), registration)
            rows.seconds[at] = rng.integers(8, 60, len(at))
    elif rule.column == "Finished":
        ruled = [e.column for e in registration.exclusions if e.column in items]
        first = max([list(items).index(c) for c in ruled], default=0) + 1
        stop = rng.integers(first, max(first + 1, len(items) - 1), len(at))
        _blank(rows, at, stop, registration)
        rows.progress[at] = 100 * stop // len(items)
        rows.finished[at] = False
    elif rule.column == "Status":
        rows.status[at] = str(rule.equals[0])
    elif rule.column == DURATION and rule.below:
        rows.seconds[at] = rng.integers(int(rule.below // 4), int(rule.below), len(at))
    elif rule.repeats:
        return replace(rows, keys=_repeat(rows, at))
    elif len(at):
        raise LedgerError(
            f"exclusion {rule.id}", found=f"a rule on the column {rule.column!r}",
            expected="a rule on an item, Status, Finished, the duration, or a key",
            mend=f"set fieldwork.extra.{rule.id} to 0 in the simulation file (for a column of the "
            "platform), or simulate from a registration without the rule",
        )
    return rows


def _blank(rows: Rows, at: np.ndarray, stop: np.ndarray, registration: Registration) -> None:
    """Empty all items from position `stop` on, and the assignment of those who never got it."""
    items = registration.instrument.items
    depends = [name for name, item in items.items() if item.role in ("outcome", "recall")]
    assigned = min([list(items).index(name) for name in depends], default=len(items))
    for place, name in enumerate(items):
        if name in rows.block.answers:
            rows.block.answers[name][at[stop <= place]] = NOT_ASKED
    for levels in rows.block.levels.values():
        levels[at[stop < assigned]] = -1


def _repeat(rows: Rows, at: np.ndarray) -> np.ndarray:
    """Keys in which each row of `at` takes that of an earlier row which is kept."""
    keys, stay = rows.keys.copy(), np.flatnonzero(rows.rule < 0)
    before = np.searchsorted(stay, at)
    keys[at] = keys[stay[(rows.rng.random(len(at)) * before).astype(int)]]
    return keys
