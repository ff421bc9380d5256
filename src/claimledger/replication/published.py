"""Read a published ledger, which anybody may have written: data, never instructions.

Size, depth, types and characters are checked before anything is compared or shown.
"""

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from claimledger.errors import LedgerError
from claimledger.replication.readback import Page, read_html

LARGEST = 64_000_000  # bytes of a file; the paper of record has 3 million
IN_FOLDER = ("_manuscript/index.html", "index.html", "results/ledger.json", "ledger.json")
_ID = re.compile(r"\bid\s{0,9}=\s{0,9}[\"']?ledger[\"'\s>]", re.IGNORECASE)

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
    model_config = ConfigDict(extra="ignore", strict=True)
    header: dict[Name, object]
    entries: Annotated[dict[Name, _Entry], Field(min_length=1, max_length=20_000)]
    exhibits: Annotated[dict[Name, dict[Name, object]], Field(max_length=5_000)] = {}
    deviations: Annotated[list[object], Field(max_length=5_000)] = []


@dataclass(frozen=True)
class Published:
    """A published ledger, and the page that carried it, if it was one."""

    name: str
    ledger: dict
    page: Page | None = None


def read_published(target: Path) -> Published:
    """The ledger in a page, in a JSON file, or in a folder that holds one of the two.

    Raises LedgerError for a file that is missing, too large, without a ledger, or malformed.
    """
    path = _file(Path(target))
    text = _text(path)
    if path.suffix.lower() == ".json":
        return Published(path.name, parse(text, path.name))
    number = _embedded(text)
    if number != 1:
        raise LedgerError(
            path.name, found=f"{number or 'no'} embedded ledger{'s' if number > 1 else ''}",
            expected='a page with one <script id="ledger">, as this project publishes it',
            mend="name the paper's HTML file, or its ledger.json",
        )
    try:
        page = read_html(text, path.name)
    except (ValueError, RecursionError) as error:
        raise _broken(path.name, error) from None
    return Published(path.name, parse(json.dumps(page.ledger), path.name), page)


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


def _embedded(text: str) -> int:
    """How many scripts of a page call themselves its ledger; in time linear in the text."""
    before = (text[max(0, found.start() - 300):found.start()] for found in _ID.finditer(text))
    tags = [piece.rpartition("<")[2].lower() for piece in before]
    return sum(tag.startswith("script") and ">" not in tag for tag in tags)


def _file(target: Path) -> Path:
    if not target.is_dir():
        return target
    for name in IN_FOLDER:
        if (target / name).is_file():
            return target / name
    raise LedgerError(
        target.name or "folder", found="neither a paper nor a ledger",
        expected="one of " + ", ".join(IN_FOLDER), mend="name the file itself",
    )


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise LedgerError(
                path.name, found=f"{size:,} bytes", expected=f"at most {LARGEST:,}",
                mend="name the paper's HTML file, or its ledger.json",
            )
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise LedgerError(
            path.name, found=(error.strerror or "no such file").lower(),
            expected="a paper (HTML) or a ledger (JSON)", mend="correct the name",
        ) from None
    except UnicodeDecodeError as error:
        raise _broken(path.name, error) from None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number that JSON knows")


def _broken(name: str, error: Exception) -> LedgerError:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        found = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        found += f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    else:
        found = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return LedgerError(
        name, found=plain(found)[:300], expected="a ledger of results, as this project writes it",
    )
