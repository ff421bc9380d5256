"""Read a published paper or ledger, which anybody may have written: data, never instructions.

Kind, size, depth, types and characters are checked before anything is compared or shown.
"""

import json
import os
import stat
import unicodedata
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from claimledger.errors import LedgerError
from claimledger.replication.documents import read_docx, read_strange_pdf
from claimledger.replication.reading import Page, Unit, read_page

LARGEST = 64_000_000  # bytes of a file; the paper of record has 3 million
IN_FOLDER = ("_manuscript/index.html", "index.html", "results/ledger.json", "ledger.json")
PAGES = "build/notebooks"  # beside the paper: the pages of its notebooks
EXPECTED = "a paper (HTML, PDF or DOCX) or a ledger (JSON)"
NAME_IT = "name the paper's HTML, PDF or DOCX file, or its ledger.json"

Name = Annotated[str, StringConstraints(max_length=200)]
Words = Annotated[str, StringConstraints(max_length=20_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Entry(BaseModel):
    """What a comparison relies on; further fields are kept, and compared leaf by leaf."""

    model_config = ConfigDict(extra="allow", strict=True)
    value: Number
    label: Words = ""
    verdict: Name | None = None
    recorded: bool = False
    text: dict[Name, Words] = {}


class _Ledger(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    header: dict[Name, object]
    entries: Annotated[dict[Name, _Entry], Field(min_length=1, max_length=20_000)]
    exhibits: Annotated[dict[Name, dict[Name, object]], Field(max_length=5_000)] = {}
    deviations: Annotated[list[object], Field(max_length=5_000)] = []


@dataclass(frozen=True)
class Published:
    """A published paper: its ledger if it carries one, and what a reader of it sees.

    `kind` is html, pdf, docx or json (a ledger alone); `notebooks` holds the pages beside it.
    """

    name: str
    kind: str
    ledger: dict | None = None
    page: Page | None = None
    units: list[Unit] = field(default_factory=list)
    notebooks: dict[str, Page] = field(default_factory=dict)


def read_published(target: Path) -> Published:
    """The paper or ledger in a file, or in a folder that holds one.

    Raises LedgerError for a file that is missing, no regular file, too large or malformed.
    """
    path = _file(Path(target))
    content = _content(path)
    kind = path.suffix.lower().removeprefix(".")
    if content.startswith(b"%PDF") or kind == "pdf":
        return Published(path.name, "pdf", units=read_strange_pdf(content, path.name))
    if content.startswith(b"PK\x03\x04") or kind == "docx":
        return Published(path.name, "docx", units=read_docx(content, path.name))
    if kind not in ("html", "htm", "json"):
        raise LedgerError(path.name, found=f"a file named {path.suffix or 'without an ending'}",
                          expected=EXPECTED, mend=NAME_IT)
    if kind == "json":
        return Published(path.name, "json", parse(_decoded(content, path), path.name))
    page = read_page(_decoded(content, path), path.name, partial(_picture, path.parent))
    if page.ledgers != 1:
        number = page.ledgers or "no"
        raise LedgerError(
            path.name, found=f"{number} embedded ledger{'s' if page.ledgers > 1 else ''}",
            expected='a page with one <script id="ledger">, as this project publishes it',
            mend=NAME_IT,
        )
    beside = {
        one.name: read_page(_decoded(_content(one), one), one.name, partial(_picture, one.parent))
        for one in sorted((path.parent / PAGES).glob("*-preview.html"))
    }
    return Published(path.name, "html", parse(page.ledger, path.name), page, page.units, beside)


def parse(text: str, name: str) -> dict:
    """A ledger from JSON, with every type checked, as plain data."""
    try:
        content = json.loads(text, parse_constant=_refuse)
        ledger = _Ledger.model_validate(content)
        return json.loads(ledger.model_dump_json())
    except (ValueError, RecursionError, ValidationError) as error:
        raise _broken(name, error) from None


def plain(text: object) -> str:
    """One line without control characters: a stranger's text cannot steer a terminal."""
    shown = "".join(
        " " if character.isspace() else character for character in str(text)
        if character.isspace() or unicodedata.category(character)[0] != "C"
    )
    return " ".join(shown.split())


def _file(target: Path) -> Path:
    if not os.path.isdir(target):  # False for a name that no system would take
        return target
    for name in IN_FOLDER:
        if (target / name).is_file():
            return target / name
    raise LedgerError(
        target.name or "folder", found="neither a paper nor a ledger",
        expected="one of " + ", ".join(IN_FOLDER), mend="name the file itself",
    )


def _content(path: Path) -> bytes:
    """The bytes of a regular file: a pipe would never end, and a device neither."""
    try:
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            known = os.fstat(file.fileno())
            if not stat.S_ISREG(known.st_mode):
                raise LedgerError(path.name, found="a pipe, a device or a folder",
                                  expected=EXPECTED, mend=NAME_IT)
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise LedgerError(path.name, found=(error.strerror or "no such file").lower(),
                          expected=EXPECTED, mend="correct the name") from None
    except ValueError as error:  # a name with a null
        raise _broken(plain(path.name), error) from None
    if len(content) > LARGEST:
        raise LedgerError(path.name, found=f"{max(known.st_size, LARGEST + 1):,} bytes",
                          expected=f"at most {LARGEST:,}", mend=NAME_IT)
    return content


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _broken(path.name, error) from None


def _picture(folder: Path, name: str) -> bytes | None:
    """A picture that lies beside the page, and nowhere else."""
    path = (folder / name.partition("?")[0]).resolve() if name and "\0" not in name else folder
    if path.is_relative_to(folder.resolve()) and path.is_file():
        return _content(path)
    return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON knows")


def _broken(name: str, error: Exception) -> LedgerError:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        found += f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    else:
        found = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    found = found.encode("utf-8", "replace").decode()
    return LedgerError(
        name, found=plain(found)[:300], expected="a ledger of results, as this project writes it",
    )
