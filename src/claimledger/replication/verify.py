"""Does a published paper hold here? Its claims against this project's notebooks, run anew."""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.ledger.comparison import RELATIVE, Claim, added, compare
from claimledger.ledger.entries import load_ledger
from claimledger.pipeline import build
from claimledger.pipeline import notebooks as execute
from claimledger.progress import Progress
from claimledger.project import Run
from claimledger.prose.source import Problem, Source, read_sources
from claimledger.replication.published import Published, plain
from claimledger.replication.readback import check_page, check_text
from claimledger.replication.sentences import Sentence, changed, of_claim


@dataclass(frozen=True)
class Here:
    """What this project's notebooks found, where they could be run."""

    ledger: dict
    notebooks: int
    failure: str = ""


@dataclass(frozen=True)
class Report:
    """The answer: what was compared with what, claim by claim, sentence by sentence."""

    target: str
    claims: list[Claim]
    sentences: list[Sentence]
    notes: list[str]
    passages: list[str] = field(default_factory=list)
    relative: float = RELATIVE
    failure: str = ""

    @property
    def fallen(self) -> list[Claim]:
        """The claims that do not hold here."""
        return [claim for claim in self.claims if not claim.survives]

    @property
    def survives(self) -> bool:
        """Whether everything that was published holds here."""
        return not self.fallen and not self.passages and not self.failure

    def sentences_of(self, id: str) -> list[Sentence]:
        """The sentences that a claim touches."""
        return [sentence for sentence in self.sentences if id in sentence.ids]


def verify(
    published: Published, run: Run, relative: float = RELATIVE, progress: Progress | None = None
) -> Report:
    """Run this project's notebooks in a scratch folder, and compare with what was published."""
    with scratch(run) as apart:
        here = recompute(apart, progress or Progress())
    sources = [build.article(run), *(execute.source_of(run, stem) for stem in build.stems(run))]
    read = read_sources(sources)
    named = [replace(one, file=os.path.relpath(one.file, run.root)) for one in read]
    return judge(published, here, named, relative)


def judge(
    published: Published, here: Here, sources: list[Source], relative: float = RELATIVE
) -> Report:
    """Compare a published ledger, and the page that carried it, with what was found here."""
    claims = compare(published.ledger, here.ledger, relative)
    sentences, passages = changed(sources, published.ledger, here.ledger), []
    if published.page and not here.failure:
        page = replace(published.page, ledger=None)
        claims, wrong = _with_page(claims, check_page(page, here.ledger, sources))
        for id in wrong:
            sentences += of_claim(sources, id, here.ledger)
        if all(claim.survives for claim in claims):
            passages = [
                f"{one.file}:{one.line}: {plain(one.found)}"
                for one in check_text(page.text, here.ledger, sources)
            ]
    notes = list(_notes(published, here))
    return Report(published.name, claims, sentences, notes, passages, relative, here.failure)


@contextlib.contextmanager
def scratch(run: Run) -> Iterator[Run]:
    """The same data and promise in a run of its own, which is removed afterwards."""
    folder = run.root / "build" / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=folder, prefix="verify-"))
    except OSError as error:
        raise LedgerError(
            folder.relative_to(run.root), found=error.strerror,
            expected="a folder that can be written to", mend="change the folder's permissions",
        ) from None
    try:
        yield replace(run, name=place.name)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def recompute(run: Run, progress: Progress) -> Here:
    """All notebooks anew; where one fails, what the others found, and the failure."""
    stems = build.stems(run)
    try:
        build.build(run, progress=progress, proceed=True)
        return Here(load_ledger(run.ledger), len(stems))
    except LedgerError as error:
        found = [run.fragments / f"{stem}.json" for stem in stems]
        parts = [json.loads(path.read_text("utf-8")) for path in found if path.is_file()]
        if not parts:
            raise
        ledger = {"header": {"data": parts[0]["data"]}, "entries": {}, "exhibits": {}}
        ledger["deviations"] = [row for part in parts for row in part["deviations"]]
        for part in parts:
            ledger["entries"] |= part["entries"]
            ledger["exhibits"] |= {
                label: known | {"notebook": part["notebook"]}
                for label, known in part["exhibits"].items()
            }
        return Here(ledger, len(parts), str(error))


def _with_page(claims: list[Claim], problems: list[Problem]) -> tuple[list[Claim], list[str]]:
    """Mark claims that hold in the ledger but are printed otherwise; and the ids of those."""
    faults: dict[str, str] = {}
    for problem in problems:  # "num H1a “0.91”: not the text of the ledger"
        _, id, fault = problem.found.split(" ", 2)
        faults.setdefault(id, plain(fault))
    known = {claim.id: claim for claim in claims}
    wrong = [id for id in faults if id not in known or known[id].survives]
    marked = [
        replace(claim, outcome="page", differs=(faults[claim.id],)) if claim.id in wrong else claim
        for claim in claims
    ]
    strangers = [id for id in wrong if id not in known]
    marked += [Claim(id, "", "page", differs=(faults[id],)) for id in strangers]
    return marked, wrong


def _notes(published: Published, here: Here) -> Iterator[str]:
    """What a reader must know of the comparison, but what is no claim."""
    old, new = published.ledger["header"], here.ledger["header"]
    ran = f"{here.notebooks} notebook{'s' if here.notebooks != 1 else ''}"
    yield (f"re-run: the {ran} of this project, on {new['data'].get('file')}; nothing that is in "
           f"{plain(published.name)} was executed")
    status = new.get("status") or new["data"].get("status")
    if status == "simulated":
        yield "the data are simulated: no claim is a finding about anybody"
    for key, name in (("data", "data file"), ("registration", "registration"),
                      ("code", "engine")):
        theirs, ours = _sha(old.get(key)), _sha(new.get(key))
        if ours and theirs != ours:
            yield f"another {name}: published {theirs[:12] or 'none'}, here {ours[:12]}"
    if "seed" in new and old.get("seed") != new["seed"]:
        yield f"another seed: published {plain(old.get('seed'))[:40]}, here {new['seed']}"
    packages = old.get("packages") if isinstance(old.get("packages"), dict) else {}
    for name, version in new.get("packages", {}).items():
        if packages.get(name) != version:
            yield f"{name}: published {plain(packages.get(name))[:40]}, here {version}"
    extra = added(published.ledger, here.ledger)
    if extra:
        shown = ", ".join(extra[:5]) + (" ..." if len(extra) > 5 else "")
        yield f"found here, but not in the published ledger: {len(extra)} ({shown})"


def _sha(part: object) -> str:
    value = part.get("sha256") if isinstance(part, dict) else None
    return plain(value) if isinstance(value, str) else ""
