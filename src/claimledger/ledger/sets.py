"""Sets of comparisons: which members came out how, and in what order, said as a person would.

For every registered comparison, every family of hypotheses and every set that `_quarto.yml` names,
the ledger gets one entry a verdict, with the verdict `all`, `some` or `none`:

    H2a.kind.lower               which kinds have a lower mean, against control
    measures.no_action.lower     the measures that no action is lower than
    measures.apart               the pairs that are separated; its text `order` tells the order
    H2a.kind.apart               the kinds that differ from control; its text `split` tells of all
    H2a.kind.alike               all members if they have one verdict, else none

Each but the last three has the text `members`: "all four kinds", "every kind but underspending".
"""

from collections.abc import Iterator
from itertools import combinations

from claimledger.ledger.entries import VERDICTS, WORDS, fact, lower_first
from claimledger.registration.lock import Lock
from claimledger.registration.models import Registration

FLIPPED = {"higher": "lower", "lower": "higher"}
APART = ("higher", "lower")
SPLIT = {"higher": "higher", "lower": "lower", "negligible": "level within the bound",
         "undecided": "not shown to differ"}


def set_entries(
    entries: dict[str, dict], registration: Registration, words: dict, sets: dict
) -> dict[str, dict]:
    """The entries of all sets whose members are in `entries`.

    `words` gives noun phrases: of a member ("a friend") or, as a pair, the singular and plural
    of what a set is made of, and the preposition before its members, if not "for"
    (`H2a.kind: [kind, kinds, after]`). `sets` names sets of further entries.
    """
    naming = _Naming(registration, words)
    found: dict[str, dict] = {}
    for name, members in _plain_sets(registration, sets):
        if members and set(members) <= entries.keys():
            verdicts = {id: entries[id]["verdict"] for id in members}
            found |= _by_verdict(name, verdicts, entries, members, naming)
            alike = members if len(set(verdicts.values())) == 1 else []
            found |= _entry(f"{name}.alike", f"Members of {name}, if they have one verdict",
                            alike, members, entries, {})
            if entries[members[0]]["decision"] == "comparison":
                text = {"split": split_text(verdicts, naming.noun(name), naming.member)}
                inside = [id for id in members if verdicts[id] in APART]
                found |= _entry(f"{name}.apart", f"Members of {name} that differ", inside,
                                members, entries, text)
    for comparison in registration.comparisons:
        if comparison.pairs == "all":
            found |= _of_pairs(comparison.id, comparison.levels, entries, naming)
    return found


def lock_entries(lock: Lock) -> dict[str, dict]:
    """When the registration was frozen, and what was changed after that."""
    def day(date) -> str:
        return f"{date:%B} {date.day}, {date.year}"

    count = len(lock.amendments)
    changes = "; ".join(
        f"on {day(one.date)}, “{one.what.rstrip('.')}” (reason: “{one.why.rstrip('.')}”)"
        for one in lock.amendments)
    frozen = {
        "id": "registration.frozen", "label": "When the registration was frozen, as a day number",
        "value": lock.frozen.toordinal(), "status": "design", "text": {"est": day(lock.frozen)}}
    amended = {
        "id": "registration.amendments", "label": "Amendments of the registration",
        "value": count, "unit": "count", "status": "design", "decision": "pattern",
        "verdict": "some" if count else "none", "verdicts": VERDICTS["pattern"],
        "text": {"est": str(count), "list": changes}}
    return {entry["id"]: entry for entry in (frozen, amended)}


def ready_texts(entry: dict) -> dict[str, str]:
    """`test`: interval and p as the paper prints them; `stat`: the estimate before them.

    Of shares and counts `part`: "none", "all", or what is printed of them.
    """
    text = entry.get("text", {})
    if entry.get("unit") in ("share", "count") and "est" in text:
        words = {0: "none"} | ({1: "all"} if entry["unit"] == "share" else {})
        return {"part": words.get(entry["value"], text["est"])}
    if "ci" not in text or not ("padj" in text or "p" in text):
        return {}
    p = f"corrected *p* {text['padj']}" if "padj" in text else f"*p* {text['p']}"
    test = f"{100 * entry['ci_level']:.0f}% interval {text['ci']}, {p}"
    unit = entry.get("unit", "").split(",")[0]
    shown = f"{text['est']} {unit}" if unit.endswith("points") else text["est"]
    return {"test": test, "stat": f"{shown}, {test}"}


def listed(names: list[str]) -> str:
    """`a`, `a and b`, `a, b, and c`."""
    return " and ".join(names) if len(names) < 3 else f"{', '.join(names[:-1])}, and {names[-1]}"


class _Naming:
    """Noun phrases of members, and what a set is made of."""

    def __init__(self, registration: Registration, words: dict):
        self.registration, self.words = registration, words

    def member(self, id: str) -> str:
        """The noun phrase of an entry or a level: its own, else that of its last part."""
        last = id.rpartition(".")[2]
        for name in (id, last):
            if isinstance(self.words.get(name), str):
                return self.words[name]
        try:
            label = self.registration.label(last)
        except (KeyError, ValueError):
            return id
        return id if label == last else lower_first(label)

    def noun(self, name: str) -> tuple[str, str, str] | None:
        """Singular, plural and preposition of what a set, or the set it is part of, is made of."""
        while name:
            if isinstance(words := self.words.get(name), list):
                return (*words, "for")[:3]
            name = name.rpartition(".")[0]
        return None


def _plain_sets(registration: Registration, sets: dict) -> Iterator[tuple[str, list[str]]]:
    for comparison in registration.comparisons:
        if comparison.pairs == "reference":
            yield comparison.id, [f"{comparison.id}.{level}" for level in comparison.levels]
    for family in registration.families:
        yield family, [h.id for h in registration.hypotheses if h.family == family]
    yield from sets.items()


def _of_pairs(id: str, levels: list[str], entries: dict, naming: _Naming) -> dict[str, dict]:
    """Of each level, the others that it is higher or lower than; and of the pairs, the order."""
    ids = {pair: f"{id}.{pair[0]}.{pair[1]}" for pair in combinations(levels, 2)}
    if not entries.keys() >= {*ids.values()}:
        return {}
    verdicts: dict[tuple[str, str], str] = {}
    gaps = dict.fromkeys(levels, 0.0)
    for (one, other), pair in ids.items():
        verdict = entries[pair]["verdict"]
        verdicts[one, other], verdicts[other, one] = verdict, FLIPPED.get(verdict, verdict)
        gaps[one] += entries[pair]["value"]
        gaps[other] -= entries[pair]["value"]
    found: dict[str, dict] = {}
    for one in levels:
        others = {other: verdicts[one, other] for other in levels if other != one}
        sources = [ids.get((one, other)) or ids[other, one] for other in others]
        found |= _by_verdict(f"{id}.{one}", others, entries, sources, naming, "other ")
    pairs = {pair: entries[pair]["verdict"] for pair in ids.values()}
    for verdict in ("negligible", "undecided"):
        found |= _entry(f"{id}.{verdict}", f"Pairs of {id} that are {verdict}",
                        [p for p in pairs if pairs[p] == verdict], list(pairs), entries, {})
    order = sorted(levels, key=lambda level: -gaps[level])
    text = {"order": order_text(order, verdicts, naming.member)}
    return found | _entry(f"{id}.apart", f"Pairs of {id} that are separated",
                          [p for p in pairs if pairs[p] in APART], list(pairs), entries, text)


def _by_verdict(
    name: str, came: dict[str, str], entries: dict, sources: list[str], naming: _Naming,
    other: str = "",
) -> dict[str, dict]:
    noun = naming.noun(name)
    noun = noun and (other + noun[0], other + noun[1], noun[2])
    found: dict[str, dict] = {}
    for verdict in VERDICTS[entries[sources[0]]["decision"]]:
        inside = [member for member in came if came[member] == verdict]
        text = {"members": members_text(inside, list(came), noun, naming.member)}
        found |= _entry(f"{name}.{verdict}", f"Members of {name} that are {verdict}", inside,
                        list(came), entries, text, sources)
    return found


def _entry(
    id: str, label: str, inside: list, every: list, entries: dict, text: dict[str, str],
    sources: list[str] | None = None,
) -> dict[str, dict]:
    """One entry: how many of a set's members, and whether that is all, some or none of them."""
    first = entries[(sources or every)[0]]
    statuses = {entries[source]["status"] for source in sources or every}
    count = len(inside)
    made = fact(
        id, count, label, unit="count", decision="pattern",
        verdict={0: "none", len(every): "all"}.get(count, "some"),
        status=statuses.pop() if len(statuses) == 1 else "exploratory",
        notebook=first.get("notebook", ""), cell=first.get("cell", ""),
        text=text if count else text | {"word": "none"})
    return {id: made.record()}


def members_text(inside: list[str], every: list[str], noun: tuple | None, name) -> str:
    """`all four kinds`, `every kind but underspending`, `a purchase and a refusal`, `no kind`."""
    if not inside:
        return f"no {noun[0]}" if noun else "none"
    if len(inside) == len(every) > 1 and noun:
        count = WORDS[len(every)] if len(every) < len(WORDS) else str(len(every))
        return f"both {noun[1]}" if len(every) == 2 else f"all {count} {noun[1]}"
    if noun and len(every) > 2 and len(inside) == len(every) - 1:
        return f"every {noun[0]} but {name(next(m for m in every if m not in inside))}"
    return listed([name(member) for member in inside])


def split_text(came: dict[str, str], noun: tuple | None, name) -> str:
    """What came out for whom, each told once: `lower after X, not shown to differ after Y`."""
    before = f" {noun[2] if noun else 'for'} "
    parts = [(word + before, inside) for verdict, word in SPLIT.items()
             if (inside := [member for member in came if came[member] == verdict])]
    said = [words + members_text(inside, list(came), noun, name) for words, inside in parts]
    if len(parts) == 2 and " but " in said[0]:
        return f"{said[0]}, where it is {parts[1][0].removesuffix(before)}"
    if len(parts) > 1 and len(parts[-1][1]) > 1:
        said[-1] = parts[-1][0] + "the others"
    if set(came.values()) == {"undecided"}:  # "not ... after all" could mean: after some
        said[0] = said[0].replace(" all ", " any of the ").replace(" both ", " either of the ")
    return listed(said)


def order_text(order: list[str], verdicts: dict[tuple[str, str], str], name) -> str:
    """An honest partial order: nothing is said to be ahead but what a pair shows.

    `order` lists the levels from highest to lowest mean; `verdicts` holds those of all pairs.
    In three or more steps, each clear of all that follow, it is told step by step; else as who is
    ahead of whom, or behind whom, whichever takes fewer words.
    """
    steps, current = [], []
    for place, level in enumerate(order):
        current.append(level)
        rest = order[place + 1:]
        if all(verdicts[a, b] == "higher" for a in order[:place + 1] for b in rest):
            steps.append(current)
            current = []
    if len(steps) == len(order):
        return (f"{listed([name(level) for level in order])} stand in this order, "
                "each ahead of all that follow")
    if len(steps) > 2:
        said = [listed([name(level) for level in step])
                + (f" ({_within(step, order, verdicts, name)})" if len(step) > 1 else "")
                for step in steps]
        return f"the order is {'; then '.join(said)}; each step ahead of all that follow"
    if not any(verdict in APART for verdict in verdicts.values()):
        level = all(verdict == "negligible" for verdict in verdicts.values())
        return "all pairs are level within the bound" if level else "no pair is shown to be apart"
    return _within(order, order, verdicts, name)


def _within(levels: list[str], every: list[str], verdicts: dict, name) -> str:
    """What the pairs among some levels show; `every` holds those that "all others" counts."""
    pairs = list(combinations(levels, 2))
    # The first has the higher mean; a pair decides, whatever the means.
    apart = [(a, b) if verdicts[a, b] == "higher" else (b, a)
             for a, b in pairs if verdicts[a, b] in APART]
    left = [verdicts[pair] for pair in pairs if verdicts[pair] not in APART]
    level = all(verdict == "negligible" for verdict in left)
    if not apart:
        return "level within the bound" if level else "not separated"

    def told(first: int, word: str) -> tuple[int, int, list[str]]:
        """Clauses on the levels first (or second) in a pair, those with the same others at once."""
        others: dict[str, list[str]] = {}
        for pair in apart:
            others.setdefault(pair[first], []).append(pair[1 - first])
        alike: dict[tuple, list[str]] = {}
        for one in reversed(levels) if first else levels:
            alike.setdefault(tuple(others.get(one, ())), []).append(one)
        clauses, names = [], 0
        for seconds, ones in alike.items():
            if seconds:
                rest = [name(other) for other in seconds]
                if 1 < len(seconds) == len(every) - len(ones):
                    rest = ["all others"]
                stand = "each stand" if len(ones) > 1 else "stands"
                clauses.append(f"{listed(list(map(name, ones)))} {stand} {word} {listed(rest)}")
                names += len(ones) + len(rest)
        return len(clauses), names, clauses

    clauses = min(told(0, "ahead of"), told(1, "behind"), key=lambda one: one[:2])[-1]
    if left:
        said = "level within the bound" if level else "not separated"
        clauses.append(f"the other pairs are {said}")
    return "; ".join(clauses)
