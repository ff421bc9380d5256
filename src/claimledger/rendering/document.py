"""The paper's source: front matter, options, shortcodes as tokens, embedded cells; and its tree.

Pandoc must not parse a shortcode as prose (its quotation marks would become curly, its Markdown
would be set), so each one is replaced by a token of private-use characters before parsing;
`source.lua` puts the answer of the shortcode's handler in the token's place.

The tree is pandoc's JSON (https://hackage.haskell.org/package/pandoc-types). Of a text that was
parsed before, only the pieces that changed are parsed again; citations are resolved again where one
of them changed. Both are kept in `build/pages`, each with what it was made of.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.prose.source import ESCAPED, HEADING, SHORTCODE, Source, arguments, read_sources
from claimledger.rendering.notebook_pages import Notebook, exhibit
from claimledger.settings import settings
from claimledger.yaml_files import parse_yaml

MARK = "\ue002"  # a paragraph of its own between two pieces
# Definitions that another piece may refer to: of notes, links and numbered examples.
_DEFINED = re.compile(r"^ {0,3}\[[^\]\n]+\]:|^\(@[\w-]*\)", re.MULTILINE)
OPEN, CLOSE = "\ue000", "\ue001"
EMBED = re.compile(r"^\{\{<\s*embed\s+(\S+?)(?:#(\S+))?(\s[^\n]*?)?\s*>\}\}[ \t]*$", re.M)
_SHORTCODE = re.compile(rf"(?P<shown>{ESCAPED})|{SHORTCODE}", re.S)
# Keys of `_quarto.yml` that steer Quarto or this project and are nothing to pandoc.
STEERING = ("project", "format", "filters", "execute", "ledger", "website", "metadata-files")


def set_aside(text: str, found: list[dict]) -> str:
    """The text with a token in the place of each shortcode; these are added to what is found.

    A token's number is the place of its shortcode in the list, from one.
    """
    def token(match: re.Match) -> str:
        if match["shown"]:  # {{{< x >}}} shows {{< x >}}
            inner = match[0].strip("{}").strip("<>").removeprefix("/*").removesuffix("*/")
            found.append({"shown": "{{<" + inner + ">}}"})
        else:
            raw = match[0][3:-3].strip()
            args, options = arguments(raw)
            found.append({"name": "".join(args[:1]), "args": args[1:], "kwargs": options,
                          "raw": raw})
        return f"{OPEN}{len(found)}{CLOSE}"

    return _SHORTCODE.sub(token, text)


def embed_cells(source: Source, notebooks: Path, alts: dict[str, str]) -> str:
    """Each embed line replaced by the Markdown of the cell that it names.

    `notebooks` is the run's folder of executed notebooks, whatever folder the line names.
    """
    def fill(match: re.Match) -> str:
        file, line, _ = source.where(match.start())
        where = f"{os.path.relpath(file, Path(source.file).parent)}:{line}"
        label = match[2]
        if not label:
            raise LedgerError(where, found=match[0], expected="NOTEBOOK.ipynb#label",
                              mend="name the cell by its label")
        book = Notebook.read(notebooks / Path(match[1]).name, where)
        return exhibit(book, label, where, alts.get(label, ""))

    return EMBED.sub(fill, source.text)


@dataclass
class Paper:
    """A read `.qmd`: body, options of all formats, and the shortcodes set aside in these."""

    path: Path
    body: str
    options: dict
    formats: dict
    tokens: list[dict]

    def option(self, form: str, key: str, default: object = None) -> object:
        """An option of a format, else of the document, else the default."""
        own = self.formats.get(form)
        return (own if isinstance(own, dict) else {}).get(key, self.options.get(key, default))


def read_paper(run: Run, alts: dict[str, str] | None = None) -> Paper:
    """Read the article; its front matter wins over `_quarto.yml`.

    With alt texts by label, cells of the run's executed notebooks are embedded.
    """
    path, config = run.article, settings(run.root)
    if not path.is_file():
        raise LedgerError(path, found="no file", expected="the article named in `_quarto.yml`")
    source = read_sources([path])[0]
    text = source.text if alts is None else embed_cells(source, run.notebooks, alts)
    tokens: list[dict] = []
    match = re.match(r"---[ \t]*\n(.*?)\n---[ \t]*\n", text, re.S)
    front = match and parse_yaml(set_aside(match[1], tokens), path.name, "front matter") or {}
    formats = _merged(config.get("format"), front.pop("format", None))
    options = {k: v for k, v in config.items() if k not in STEERING} | front
    return Paper(path, text[match.end():] if match else text, options, formats, tokens)


def _merged(*maps: object) -> dict:
    """Options of formats, later maps winning key by key; `html: default` means none."""
    merged: dict = {}
    for formats in maps:
        for name, own in (formats if isinstance(formats, dict) else {}).items():
            merged[name] = merged.get(name, {}) | (own if isinstance(own, dict) else {})
    return merged


def epoch(options: dict) -> int:
    """The one date of all outputs, in seconds: SOURCE_DATE_EPOCH, else the paper's own date."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    day = _day(options.get("date")) or date(1980, 1, 1)
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        return None


def metadata(options: dict, moment: int) -> dict:
    """Front matter as the templates want it: `author` names, `by` with marks, `places`."""
    people = [_person(person) for person in _listed(options.get("author"))]
    places = list(dict.fromkeys(place for person in people for place in person["places"]))
    marks = {place: str(number) for number, place in enumerate(places, 1) if len(places) > 1}
    for person in people:
        own = person.pop("places")
        person |= {"place": "; ".join(own), "marks": [marks[p] for p in own] if marks else []}
    meta = {k: v for k, v in options.items() if k not in ("author", "date")} | {
        "author": [person["name"] for person in people], "by": people,
        "places": [{"mark": marks.get(place, ""), "name": place} for place in places]}
    if options.get("date") is not None:
        day = _day(options["date"])
        if options["date"] in ("today", "now", "last-modified"):
            day = datetime.fromtimestamp(moment, UTC).date()
        meta["date"] = f"{day:%B} {day.day}, {day.year}" if day else str(options["date"])
    return meta


def _person(person: object) -> dict:
    """An author in any of Quarto's spellings: name, url, email, orcid, places."""
    person = person if isinstance(person, dict) else {"name": str(person)}
    name = person.get("name", "")
    if not isinstance(name, dict):  # as Quarto does: the last word is the family's name
        given, _, family = str(name).rpartition(" ")
        name = {"given": given, "family": family}
    given, family = name.get("given", ""), name.get("family", "")
    places = map(_place, _listed(person.get("affiliations", person.get("affiliation"))))
    kept = {k: str(person[k]) for k in ("url", "email", "orcid") if person.get(k)}
    shown = str(name.get("literal") or f"{given} {family}".strip())
    return {"name": shown, "given": given, "family": family, "places": [*places],
            **kept}


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [value] if value else []


def _place(place: object) -> str:
    if not isinstance(place, dict):
        return str(place)
    parts = ("department", "name", "city", "region", "state", "country")
    return ", ".join(str(place[p]) for p in parts if place.get(p))


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
