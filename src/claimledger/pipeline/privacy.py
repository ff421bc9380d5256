"""Nothing that can tell who answered goes into the ledger, or the paper made with it."""

import json
import re
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run

_BUNDLED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+")


def check_private(run: Run, files: list[Path]) -> None:
    """Raise for the first of the files that holds an address, an id, a free text of the export.

    `files` are what all formats of the paper are made from: what the notebooks recorded, and the
    executed notebooks with their drawings. Pictures in pixels are not looked into.
    """
    from claimledger.registration.loading import load
    from claimledger.survey.disclosure import assert_public, known_private
    from claimledger.survey.reading import read_export

    registration = load(run.registration)
    known = known_private(read_export(run.data, registration, run.mapping).cells, registration)
    for path in files:
        try:
            assert_public(text_of(path), known)
        except LedgerError as error:
            raise LedgerError(
                run.relative(path), found=error.found, expected=error.expected,
                mend="take it out of the notebook that wrote it",
            ) from None


def text_of(path: Path) -> str:
    """The text that a reader of the file, or of the page made from it, could find."""
    content = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return _BUNDLED.sub("", content)
    cells = json.loads(content)["cells"]
    return _BUNDLED.sub("", "\n".join(part for cell in cells for part in _parts(cell)))


def _parts(cell: dict) -> list[str]:
    found = ["".join(cell["source"])]
    for output in cell.get("outputs", []):
        found.append("".join(output.get("text", "")))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/") or kind == "image/svg+xml":
                found.append("".join(data))
            elif kind.endswith("json"):
                found.append(json.dumps(data, ensure_ascii=False))
    return found
