"""The paper for reviewers: without authors, places, thanks and addresses, and searched for them."""

import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.rendering import FILES, press_files
from claimledger.rendering.pages import Press
from claimledger.survey.disclosure import find_names, names_of

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
