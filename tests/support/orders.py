"""A reader of the ledger's partial orders, by its own rules: which of two is told to be ahead."""


def ahead(text: str, names: dict[str, str]) -> set[tuple[str, str]]:
    """All pairs (one, other) of which the text says that the one is ahead of the other.

    `names` maps what the text calls a level to the level.
    """
    for name in sorted(names, key=len, reverse=True):
        text = text.replace(name, f"<{names[name]}>")
    levels = {f"<{level}>": level for level in names.values()}
    found: set[tuple[str, str]] = set()
    if "clear of all that follow" in text:
        steps: list[list[str]] = [[]]
        inner, depth = [], 0
        each = "each clear of" in text
        for word in text.replace("(", " ( ").replace(")", " ) ").replace(";", " ; ").split():
            depth += (word == "(") - (word == ")")
            if depth or word == ")":
                inner.append(word)
            elif word.strip(",.") in levels:
                if each and steps[-1]:
                    steps.append([])
                steps[-1].append(levels[word.strip(",.")])
            elif word == ";":
                steps.append([])
        for i, step in enumerate(steps):
            found |= {(a, b) for a in step for later in steps[i + 1:] for b in later}
        text = " ".join(inner)
    for clause in text.replace("(", ";").replace(")", ";").split(";"):
        if " ahead of " in clause:
            first, _, rest = clause.partition(" ahead of ")
            one = [levels[w.strip(",.")] for w in first.split() if w.strip(",.") in levels]
            found |= {(one[-1], levels[w.strip(",.")]) for w in rest.split()
                      if w.strip(",.") in levels}
    return found
