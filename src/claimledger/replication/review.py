"""The paper for reviewers: without authors, places, thanks and addresses, and searched for them."""

import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, settings, write_atomic
from claimledger.rendering import FILES, press_files
from claimledger.rendering.pages import Press
from claimledger.replication.names import find_names

SHOWN = 20


def render_review(
    run: Run, formats: Iterable[str] = tuple(FILES),
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Path], list[str]]:
    """Render anonymously below `build/review`; return the files and the names looked for.

    Left out are author, affiliation and all that is marked `.identifying`. Nothing is written
    where a name is found.

    Raises:
        LedgerError: a name of `names_of` stands somewhere, with all places.
    """
    with tempfile.TemporaryDirectory(prefix="review-") as folder:
        named = names_of(run, Press(run, Path(folder), ()).paper.options)
        press = Press(run, Path(folder), tuple(formats), review=True)
        files = press_files(press, progress)
    found = find_names(files, named)
    if found:
        raise LedgerError(
            "the version for review", found="\n    ".join(["names in it:", *found[:SHOWN]]),
            expected="no name of an author, a place or a committer",
            mend='mark the passage: `::: {.identifying}` or `[...]{.identifying}`',
        )
    place = run.base / "review"
    return {name: write_atomic(place / name, content) for name, content in files.items()}, named


def names_of(run: Run, options: dict) -> list[str]:
    """Who must not be named: authors and places of the paper, committers, and `ledger: review:`."""
    names = list(settings(run.root)["ledger"].get("review", []))
    people = options.get("author") or []
    for person in people if isinstance(people, list) else [people]:
        names += _strings(person)
    names += [str(run.root)]
    if (run.root / ".git").exists():
        said = subprocess.run(
            ["git", "log", "--format=%an%n%ae%n%cn%n%ce"], cwd=run.root, capture_output=True,
            text=True, check=False,
        )
        names += said.stdout.splitlines()
    return [name for name in dict.fromkeys(names) if len(name) > 3]


def _strings(value: object) -> list[str]:
    """Every text in an author's entry; a name in parts also as a whole, both ways round."""
    if isinstance(value, dict):
        whole = []
        if value.get("given") and value.get("family"):
            given, family = str(value["given"]), str(value["family"])
            return [f"{given} {family}", f"{family}, {given}", family]
        for key, one in value.items():
            whole += _strings(one) if key not in ("corresponding", "roles", "country") else []
        return whole
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    text = str(value).strip()
    given, _, family = text.rpartition(" ")
    turned = [f"{family}, {given}"] if given and len(text.split()) < 5 else []
    return [text, *turned] if text else []
