"""The article as pandoc's syntax tree, from which each format is made.

Of a text that was parsed before, only the pieces that changed are parsed again; citations are
resolved again where one of them changed. Both are kept in `build/pages`, each with what it was made
of. Trees are pandoc's JSON: https://hackage.haskell.org/package/pandoc-types.
"""

import json
import re
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

from claimledger.project import write_atomic
from claimledger.prose.source import HEADING, Source

MARK = "\ue002"  # a paragraph of its own between two pieces
# Definitions that another piece may refer to: of notes, links and numbered examples.
_DEFINED = re.compile(r"^ {0,3}\[[^\]\n]+\]:|^\(@[\w-]*\)", re.MULTILINE)


def cut(text: str) -> list[str]:
    """The text cut before each heading and each block, outside of any block.

    It stays whole where one piece may refer to another by a definition or by a heading's words.
    """
    cuts, depth, titles = [0], 0, []
    for line in HEADING.finditer(Source("", text).masked):
        opens = line["div"] is None or bool(line["div"])
        if opens and not depth and text[:line.start()].endswith("\n\n"):
            cuts.append(line.start())
        if line["div"] is not None:
            depth = max(0, depth + (1 if opens else -1))
        else:
            end = text.find("\n", line.start())
            titles.append(re.sub(r"\s*(\{.*)?$", "", text[line.start():end].strip("# ")).lower())
    lower = text.lower()
    if _DEFINED.search(text) or any(f"[{title}]" in lower for title in titles if title):
        return [text]
    return [text[start:end] for start, end in zip(cuts, [*cuts[1:], len(text)], strict=True)]


def parts(blocks: list[dict]) -> list[list[dict]]:
    """The blocks of each piece: what stands between the marks."""
    found: list[list[dict]] = [[]]
    for block in blocks:
        if block == {"t": "Para", "c": [{"t": "Str", "c": MARK}]}:
            found.append([])
        else:
            found[-1].append(block)
    return found


def nodes(tree: object, *kinds: str) -> Iterator[dict]:
    """All elements of some kinds, in the order of the text."""
    left = [tree]
    while left:
        node = left.pop()
        if isinstance(node, dict) and "t" in node:
            if node["t"] in kinds:
                yield node
            node = node.get("c")
        if isinstance(node, dict | list):
            left.extend(reversed(node if isinstance(node, list) else node.values()))


def repeated(found: Iterable[dict]) -> bool:
    """Whether two headings have one id, which pandoc would have told apart in a whole text."""
    ids = [one["c"][1][0] for one in found if one["t"] == "Header"]
    return len(set(ids)) < len(ids)


def cite(tree: dict, found: list[dict], resolved: dict) -> dict:
    """The tree with its citations, and the list of what is cited, as they were resolved."""
    cites = (one for one in found if one["t"] == "Cite")
    for old, new in zip(cites, nodes(resolved["blocks"][0], "Cite"), strict=True):
        old["c"] = new["c"]
    own = [one for one in found if one["t"] == "Div" and one["c"][0][0] == "refs"]
    if own:
        own[0]["c"] = resolved["blocks"][-1]["c"]
    else:
        tree["blocks"] += resolved["blocks"][1:]
    return tree


def digest(*told: object) -> str:
    """SHA-256 of what something depends on."""
    return sha256(json.dumps(told, default=str).encode()).hexdigest()


def kept(path: Path, key: str) -> bytes | None:
    """What was kept, if it was made of the same and is whole."""
    mark, _, content = path.read_bytes().partition(b"\n") if path.is_file() else (b"", b"", b"")
    return content if mark == _mark(key, content) else None


def keep(path: Path, key: str, content: bytes) -> bytes:
    """Keep what was made, below a line that says of what."""
    write_atomic(path, _mark(key, content) + b"\n" + content)
    return content


def _mark(key: str, content: bytes) -> bytes:
    return f"{key} {sha256(content).hexdigest()}".encode()
