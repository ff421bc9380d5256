"""A reader of the ledger's partial orders, by its own rules: which of two is told to be ahead."""

import re


def ahead(text: str, names: dict[str, str]) -> set[tuple[str, str]]:
    """All pairs (one, other) of which the text says that the one is ahead of the other.

    `names` maps what the text calls a level to the level.
    """
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, f"<{names[name]}>")

    def levels(part: str) -> list[str]:
        return re.findall(r"<(\w+)>", part)

    found: set[tuple[str, str]] = set()
    steps: list[list[str]] = []
    if "each ahead of all that follow" in text:
        steps = [[level] for level in levels(text)]
    elif "each step ahead of all that follow" in text:
        steps = [levels(step) for step in re.sub(r"\(.*?\)", "", text).split(";")]
    for i, step in enumerate(steps):
        found |= {(a, b) for a in step for later in steps[i + 1:] for b in later}
    for clause in re.split("[();]", text):
        first, word, second = re.split(" (?:each )?stands? (ahead of|behind) ", clause)[:3] \
            if re.search(" stands? (?:ahead of|behind) ", clause) else ("", "", "")
        ones, others = levels(first), levels(second)
        if second.startswith("all others"):
            others = [level for level in names.values() if level not in ones]
        pairs = {(a, b) for a in ones for b in others}
        found |= {(b, a) for a, b in pairs} if word == "behind" else pairs
    return found
