"""Does a published paper hold here? All that it prints, says and does, against this project's own.

The notebooks are run anew in a scratch folder, and the paper is rendered from what they find.
Claims are judged by tolerance. To tell a claim that moved from words that are not this paper's, the
page is compared with one that prints the published numbers: whatever differs then is no claim's.
"""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.ledger.entries import Claim, added, compare, dump, load_ledger
from claimledger.ledger.merging import merge
from claimledger.pipeline import build
from claimledger.progress import Progress
from claimledger.project import Run, write_atomic
from claimledger.prose.source import Source
from claimledger.rendering.pages import OFFERED, Press
from claimledger.replication import elsewhere
from claimledger.replication.differences import (
    Difference,
    Sentence,
    compare_units,
    sentences_of,
)
from claimledger.replication.pdf import read_pdf
from claimledger.replication.published import Published, plain, read_docx, read_published
from claimledger.replication.reading import Unit, read_page
from claimledger.settings import notebook_stems

SAFE = re.compile(r"[\w\s.,;:%()\[\]/+=’'–−-]*|[<>] ?[\d.]+")  # a text that holds no markup
PLACE = re.compile(r'(?<= output = "build)/runs/[\w.-]+(?=")')
MADE_WITH = ("code", "packages")  # of a ledger's header: what another version may change
BY_QUARTO = {
    "html": "made by Quarto: compared by what is seen and what runs, not by its markup",
    "docx": "made by Quarto: compared by its words, pictures and links, not by its styles",
    "pdf": "made by Quarto: compared by all that is read, drawn, linked or run in it, not by where "
           "that is on its pages",
}
VERSION = re.compile(r"[0-9a-f]{64}|\d+(\.\d+)*((a|b|rc|\.post|\.dev)\d+)?")  # no words


@dataclass(frozen=True)
class Here:
    """What this project's notebooks found, where they could be run, and the paper made of it."""

    ledger: dict
    notebooks: int
    failure: str = ""
    units: list[Unit] = field(default_factory=list)
    pages: dict[str, list[Unit]] = field(default_factory=dict)
    commit: str = ""  # of which the words are, where it is not the present state
    then: dict | None = None  # the ledger of that commit


@dataclass(frozen=True)
class Report:
    """The answer: what was compared with what, and everything that differs."""

    target: str
    claims: list[Claim]
    sentences: list[Sentence]
    notes: list[str]
    differences: list[Difference] = field(default_factory=list)
    failure: str = ""
    first: str = ""  # said before anything else: the page is of another state of the project
    amended: dict[str, list[str]] = field(default_factory=dict)  # what touched a claim's analysis

    @property
    def fallen(self) -> list[Claim]:
        """The claims that do not hold here."""
        return [claim for claim in self.claims if not claim.survives]

    @property
    def survives(self) -> bool:
        """Whether everything that was published holds here."""
        return not self.fallen and not self.differences and not self.failure

    def sentences_of(self, id: str) -> list[Sentence]:
        """The sentences that a claim touches."""
        return [one for one in self.sentences if id in one.ids]


def verify(published: Published, run: Run) -> Report:
    """Run this project's notebooks in a scratch folder, render, and compare with the published."""
    progress, folder = Progress(), run.root / "build" / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
            dir=folder, prefix="verify-", ignore_cleanup_errors=True) as place:
        apart = replace(run, name=Path(place).name)
        here = recompute(apart, progress)
        if published.kind != "json" and not here.failure:
            progress.say("verify: rendering the paper")
            here = of_commit(published, here, apart, progress) or rendered(published, here, apart)
    return judge(published, here, build.prose_of(run))


def recompute(run: Run, progress: Progress) -> Here:
    """All notebooks anew; where one fails, what the others found, and the failure."""
    stems = notebook_stems(run.root)
    try:
        build.build(run, progress=progress, proceed=True)
        return Here(load_ledger(run.ledger), len(stems))
    except LedgerError as error:
        done = [stem for stem in stems if (run.fragments / f"{stem}.json").is_file()]
        if not done:
            raise
        return Here(load_ledger(merge(run, done)), len(done), str(error))


def rendered(published: Published, here: Here, run: Run) -> Here:
    """What is found here, with the paper rendered in the format of the published one."""
    ledger = as_published(published.ledger or here.ledger, here.ledger)
    write_atomic(run.ledger, dump(ledger))
    named = {file: name for name, file in OFFERED.items()}  # the formats that the page links to
    linked = dict.fromkeys(named[link.target] for unit in published.units for link in unit.links
                           if unit.place == "title" and link.target in named)
    with tempfile.TemporaryDirectory(prefix="verify-") as folder:
        press = Press(run, Path(folder), tuple({"html": None} | linked))
        press.prepare()
        units = read_page(press.html().decode()).units
        if published.kind != "html":
            read = read_pdf if published.kind == "pdf" else read_docx
            content = getattr(press, published.kind)()
            return replace(here, units=read(content, published.name), pages={"index.html": units})
        pages = {}
        for book, title in press.books:
            name = f"{book.path.stem}-preview.html"
            if name in published.notebooks:
                pages[name] = read_page(press.notebook_page(book, title).decode(), name).units
    return replace(here, units=units, pages=pages)


def of_commit(published: Published, here: Here, run: Run, progress: Progress) -> Here | None:
    """The words of the commit that a page is of, where it is another state of the project."""
    named = [words[1] for unit in published.units if unit.place == "colophon"
             and (words := re.match(r"Words: .*\b([0-9a-f]{40})\b", unit.text))]
    now = elsewhere.words_here(run), _sha(here.ledger["header"].get("code"))
    engine = _sha((published.ledger or here.ledger)["header"].get("code"))
    if not named or (named[0], engine) == now:
        return None
    found = elsewhere.find(run, named[0], engine)
    if named[0] == now[0] and not (found and found.exact):
        return None
    said = "this page has words that no commit known here has: it is compared with the present ones"
    if found:
        progress.say(f"verify: the page is of {found}; building its paper")
        said = f"this page is of another state of the project, {found}"
        with tempfile.TemporaryDirectory(prefix="verify-") as folder:
            if built := elsewhere.build(run, found, Path(folder)):
                then = read_published(built.output / "index.html")
                pages = {name: page for name, page in then.notebooks.items()
                         if name in published.notebooks}
                return replace(here, units=then.units, pages=pages, then=then.ledger, commit=(
                    f"{said}: its words are compared with those of that commit, its claims with "
                    "what is found now"))
        said += ", which could not be built here: it is compared with the present words"
    return replace(rendered(published, here, run), commit=said)


def as_published(old: dict, new: dict) -> dict:
    """The ledger found here with the numbers, texts and verdicts that were published.

    Only what can be no markup is taken over, and only verdicts that the sentences know.
    """
    entries = {}
    for id, entry in new["entries"].items():
        was = old["entries"].get(id, {})
        kept = ["id", "decision", "verdicts"]  # what the sentences rely on
        kept += ["verdict"] if was.get("verdict") not in entry.get("verdicts", []) else []
        entries[id] = _taken(entry, was) | {key: entry[key] for key in kept if key in entry}
    header = new["header"] | {key: _taken(new["header"][key], old["header"].get(key), VERSION)
                              for key in MADE_WITH}
    return new | {"header": header, "entries": entries}


def _taken(here: object, published: object, allowed: re.Pattern = SAFE) -> object:
    """`published` in the form of `here`: the same keys and types, and texts that are `allowed`."""
    if isinstance(here, dict) and isinstance(published, dict):
        return {key: _taken(value, published.get(key), allowed) for key, value in here.items()}
    if isinstance(here, list) and isinstance(published, list) and len(here) == len(published):
        return [_taken(a, b, allowed) for a, b in zip(here, published, strict=True)]
    if isinstance(here, bool) or isinstance(published, bool):
        return here
    if isinstance(here, int | float) and isinstance(published, int | float):
        return published
    if isinstance(here, str) and isinstance(published, str) and allowed.fullmatch(published):
        return published
    return here


def judge(published: Published, here: Here, sources: list[Source]) -> Report:
    """Compare what was published with what was found here."""
    found = _found(published, here)
    old = published.ledger or here.ledger
    claims = compare(old, here.ledger)
    if published.kind in ("pdf", "docx"):
        printed = {one.target for units in here.pages.values() for unit in units
                   for one in unit.claims}
        claims = [one for one in claims if one.id in printed]
    misprints = [one for one in found if one.group == "claims"]
    differences = [one for one in found if one.group != "claims"]
    if published.ledger:
        differences += _of_ledgers(published.ledger, here, differences)
    claims = _with_misprints(claims, misprints)
    shown = {one.id: [] for one in claims if not one.survives}
    for one in misprints:
        shown[one.id] += [one.shown] if one.shown else []
    return Report(published.name, claims, sentences_of(sources, shown, old, here.ledger),
                  list(_notes(published, here)), differences, here.failure, here.commit,
                  _amended(here.ledger))


def _amended(ledger: dict) -> dict[str, list[str]]:
    """By claim, the amendments of the registration that touched its analysis."""
    listed = ledger["header"].get("registration", {}).get("amendments", [])
    said = {one["number"]: f"amendment {one['number']} of {one['date']}: {one['what']} "
            f"({one['why']})" for one in listed}
    return {id: [said[number] for number in entry["amended"] if number in said]
            for id, entry in ledger["entries"].items() if entry.get("amended")}


def _found(published: Published, here: Here) -> list[Difference]:
    """What the page, and the pages of its notebooks, print otherwise than those made here."""
    if published.kind == "json" or here.failure or not here.units:
        return []
    strict = not published.quarto
    both = [units if here.then is None else _without_files(units)
            for units in (published.units, here.units)]
    found = compare_units(*both, strict)
    for name, units in here.pages.items() if published.kind == "html" else ():
        both = ([_without_place(unit) for unit in one]
                for one in (published.notebooks[name], units))
        others = compare_units(*both, strict)
        found += [replace(one, place=f"{name}: {one.place}") for one in others]
    if published.kind in ("pdf", "docx"):
        found = [other for one in found for other in _as_claims(one, here)]
    return found


def _without_files(units: list[Unit]) -> list[Unit]:
    """Without the links to other formats, which an old state of the project is not built in."""
    return [one for one in units if one.group != "file" and not (
        one.place == "title" and one.links and all(
            link.target in OFFERED.values() for link in one.links))]


def _without_place(unit: Unit) -> Unit:
    """A cell of parameters without the folder that its run wrote into."""
    found = PLACE.search(unit.text) if unit.text.startswith("# Parameters ") else None
    if not found:
        return unit
    text = unit.text[:found.start()] + unit.text[found.end():]
    turns = tuple(turn - max(0, min(turn, found.end()) - found.start()) for turn in unit.turns)
    return replace(unit, text=text, masked=text, turns=turns)


def _as_claims(one: Difference, here: Here) -> list[Difference]:
    """A sentence without bindings that differs in nothing but what the page binds to claims."""
    if not (one.published and one.here):
        return [one]
    same = re.sub(r"\W", "", one.here)
    for unit in here.pages["index.html"]:
        if unit.claims and re.sub(r"\W", "", unit.text) == same:
            pattern = "(.+?)".join(re.escape(" ".join(part.split()))
                                   for part in unit.masked.split("…"))
            matched = re.fullmatch(pattern, " ".join(one.published.split()))
            texts = zip(unit.claims, matched.groups() if matched else (), strict=False)
            moved = [Difference("claims", one.place, f"“{text}”", f"“{claim.text}”",
                                id=claim.target, shown=claim.text)
                     for claim, text in texts if text != claim.text]
            return moved or [one]
    return [one]


def _with_misprints(claims: list[Claim], misprints: list[Difference]) -> list[Claim]:
    """Mark claims that hold in the ledger but are printed otherwise; add those nobody knows."""
    faults: dict[str, tuple[str, ...]] = {}
    for one in misprints:
        fault = f"{one.published or 'nothing'} in place of {one.here or 'nothing'} ({one.place})"
        faults[one.id] = (*faults.get(one.id, ()), plain(fault)[:400])
    marked = [replace(claim, outcome="page", differs=faults[claim.id])
              if claim.survives and claim.id in faults else claim for claim in claims]
    unknown = faults.keys() - {claim.id for claim in claims}
    return marked + [Claim(id, "", "page", differs=faults[id]) for id in sorted(unknown)]


def _of_ledgers(old: dict, here: Here, known: list[Difference]) -> list[Difference]:
    """What the ledgers' headers, exhibits and deviations say otherwise, unless the page showed it.

    Another engine and other packages are a note: they are what a replication may change.
    """
    new, shown = here.then or here.ledger, {one.place for one in known}
    parts = [("header", f"the ledger's header: {key}", old["header"].get(key),
              new["header"].get(key))
             for key in sorted({*old["header"], *new["header"]} - {*MADE_WITH})]
    parts += [("header", f"the ledger: {key}", old.get(key), new.get(key))
              for key in sorted({*old, *new} - {"header", "entries", "exhibits"})]
    parts += [("exhibits", label, old["exhibits"].get(label), new["exhibits"].get(label))
              for label in sorted({*old["exhibits"], *new["exhibits"]} - shown)]
    return [Difference(group, place, plain(_parts(a, b))[:400], plain(_parts(b, a))[:400],
                       "as the ledger has it") for group, place, a, b in parts if a != b]


def _parts(one: object, other: object) -> object:
    """Of two descriptions, what the first says otherwise."""
    if isinstance(one, dict) and isinstance(other, dict):
        return ", ".join(f"{key} {_parts(value, other.get(key))}"
                         for key, value in sorted(one.items()) if other.get(key) != value)
    return "" if one is None else one


def _notes(published: Published, here: Here) -> Iterator[str]:
    """What a reader must know of the comparison, but what is no difference."""
    new = here.ledger["header"]
    ran = f"{here.notebooks} notebook{'s' if here.notebooks != 1 else ''}"
    yield (f"re-run: the {ran} of this project, on {new['data'].get('file')}; nothing that is in "
           f"{plain(published.name)} was executed")
    if (new.get("status") or new["data"].get("status")) == "simulated":
        yield "the data are simulated: no claim is a finding about anybody"
    if here.failure and published.kind != "json":
        yield "the words were not compared, because a notebook failed"
    elif published.kind == "json":
        yield "a ledger alone: no words were compared"
    elif published.kind in ("pdf", "docx"):
        yield (f"{published.kind.upper()} carries no ledger: numbers are compared as they are "
               "printed")
    if published.quarto:
        yield BY_QUARTO[published.kind]
    touched = _amended(here.ledger)
    for said in dict.fromkeys(said for listed in touched.values() for said in listed):
        ids = [id for id, listed in touched.items() if said in listed]
        yield f"{said}; it touched the analysis of {', '.join(ids)}"
    missing = sorted(here.pages.keys() ^ published.notebooks.keys())
    if published.kind == "html" and missing and not here.failure:
        yield f"not of this paper, not compared: {plain(', '.join(missing))}"
    if published.ledger:
        yield from _versions(published.ledger, here.ledger)


def _versions(published: dict, here: dict) -> Iterator[str]:
    old, new = published["header"], here["header"]
    for key, name in (("data", "data file"), ("registration", "registration"),
                      ("code", "engine")):
        theirs, ours = _sha(old.get(key)), _sha(new.get(key))
        if ours and theirs != ours:
            yield f"another {name}: published {theirs[:12] or 'none'}, here {ours[:12]}"
    packages = old.get("packages") if isinstance(old.get("packages"), dict) else {}
    for name, version in new.get("packages", {}).items():
        if packages.get(name) != version:
            yield f"{name}: published {plain(packages.get(name))[:40]}, here {version}"
    extra = added(published, here)
    if extra:
        shown = ", ".join(extra[:5]) + (" ..." if len(extra) > 5 else "")
        yield f"found here, but not in the published ledger: {len(extra)} ({shown})"


def _sha(part: object) -> str:
    value = part.get("sha256") if isinstance(part, dict) else None
    return plain(value) if isinstance(value, str) else ""
