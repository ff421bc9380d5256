"""The paper for reviewers: without authors, places, thanks and addresses, and searched for them.

Every byte is searched, and every part that a file hides by packing: the members of zip files
(Word), the streams and the text of PDFs, what is embedded in base64 or percent signs, and text
whose words are split over tags or lines.
"""

import base64
import getpass
import io
import re
import socket
import subprocess
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote_to_bytes

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import StreamObject

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.rendering import FILES, press_files
from claimledger.rendering.pages import Press
from claimledger.settings import settings

SHOWN = 20
CHANCE = 5  # letters: as long a name may be found in packed bytes, where nobody wrote it
UNACCENTED = {ord(a): b for a, b in {
    "ı": "i", "İ": "I", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "Ae",
    "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "\u00ad": ""}.items()}
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
NOBODY = {"root", "user", "users", "admin", "runner", "ubuntu", "docker", "jovyan", "vagrant",
          "vscode", "codespace", "localhost", "build", "test", "home"}  # of a machine, not a person
_BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=\s]{16,})")
_PERCENT = re.compile(rb"(?:[\w.~+/:;,=&?@-]*%[0-9A-Fa-f]{2})+[\w.~+/:;,=&?@%-]*")


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
        name = person.get("name") if isinstance(person, dict) else person
        names += _parts_of(name) if isinstance(name, str) else []
    names += [str(run.root)]
    if (run.root / ".git").exists():
        said = subprocess.run(
            ["git", "log", "--format=%an%n%ae%n%cn%n%ce"], cwd=run.root, capture_output=True,
            text=True, check=False,
        )
        names += said.stdout.splitlines()
    names += _machine()
    names += [name.translate(UMLAUTS) for name in names]
    return [name for name in dict.fromkeys(names) if len(name) > 2]


def _parts_of(name: str) -> list[str]:
    """Given and family name of a person, each alone; an institution's has lower case, or `of`."""
    words = name.split()
    person = 1 < len(words) < 5 and all(word[:1].isupper() for word in words)
    return [word for word in words if len(word.strip(".")) > 2] if person else []


def _machine() -> list[str]:
    """Who is at work on which machine, unless it is called as any machine may be."""
    try:
        found = [getpass.getuser(), socket.gethostname(), Path.home().name]
    except (OSError, KeyError, ImportError, RuntimeError):
        found = []
    return [name for name in found if len(name) > 3 and name.lower() not in NOBODY]


def _strings(value: object) -> list[str]:
    """Every text in an author's entry; a name in parts also as a whole, both ways round."""
    if isinstance(value, dict):
        whole = []
        if value.get("given") and value.get("family"):
            given, family = str(value["given"]), str(value["family"])
            return [f"{given} {family}", f"{family}, {given}", family, given]
        for key, one in value.items():
            whole += _strings(one) if key not in ("corresponding", "roles", "country") else []
        return whole
    if isinstance(value, list):
        return [text for one in value for text in _strings(one)]
    text = str(value).strip()
    given, _, family = text.rpartition(" ")
    if not given or len(text.split()) > 4 or not re.fullmatch(r"[^\W\d_][^\d@/]*", text):
        return [text] if text else []
    return [text, f"{family}, {given}"]


def find_names(files: dict[str, bytes], names: Iterable[str]) -> list[str]:
    """Each place where a name stands: `paper.docx: docProps/core.xml: 'Ada Example'`.

    A name is found as it is written and in capitals; an address (with @, / or digits) in any case.
    """
    wanted = {name: _pattern(name) for name in dict.fromkeys(map(_plain, names)) if name}
    found = []
    for file, content in sorted(files.items()):
        for place, data in [(file, file.encode()), *_parts(file, content)]:
            texts = _texts(data)
            legible = _legible(data)
            found += [f"{place}: '{name}'" for name, pattern in wanted.items()
                      if (legible or len(name) > CHANCE) and any(map(pattern.search, texts))]
    return list(dict.fromkeys(found))


def _legible(data: bytes) -> bool:
    """Whether it is text and not packed, where a short name would stand by chance."""
    try:
        return "\0" not in data.decode("utf-8")
    except UnicodeDecodeError:
        return False


def _pattern(name: str) -> re.Pattern:
    either = {re.escape(name), re.escape(name.upper())}
    flags = re.IGNORECASE if re.search(r"[@/\d]", name) else 0
    return re.compile(rf"(?<!\w)(?:{'|'.join(sorted(either))})(?!\w)", flags)


def _texts(data: bytes) -> list[str]:
    """Bytes as words: in each encoding that our formats use, with and without tags."""
    encodings = ["utf-8", "latin-1"] + (["utf-16-be", "utf-16-le"] if b"\0" in data else [])
    texts = [data.decode(encoding, errors="ignore") for encoding in encodings]
    bare = [unescape(re.sub(r"<[^>]*>", "", texts[0]))] if "<" in texts[0] else []
    return [_plain(text) for text in [*texts, *bare]]


def _plain(text: str) -> str:
    """Letters without their accents, no soft or line-end hyphen, one space between words."""
    text = unicodedata.normalize("NFKD", text.translate(UNACCENTED))
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    return re.sub(r"\s+", " ", re.sub(r"-\s*\n\s*", "", text)).strip()


def _parts(place: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and whatever is packed in it."""
    yield place, content
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            yield f"{place}: zip directory", b"\n".join(
                [packed.comment, *(part for one in packed.infolist()
                                   for part in (one.filename.encode(), one.comment, one.extra))]
            )
            for member in packed.namelist():
                yield from _parts(f"{place}: {member}", packed.read(member))
    elif content.startswith(b"%PDF"):
        yield from _pdf_parts(place, content)
    else:
        for hidden in _BASE64.findall(content):
            packed = base64.b64decode(re.sub(rb"\s", b"", hidden) + b"==")
            yield from _parts(f"{place}: base64", packed)
        for hidden in _PERCENT.findall(content):
            yield f"{place}: percent-encoded", unquote_to_bytes(hidden)


def _pdf_parts(place: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Every object (an object stream's too), every stream unpacked, and the text of the pages."""
    pdf = PdfReader(io.BytesIO(content))
    yield f"{place}: metadata", repr(dict(pdf.metadata or {})).encode()
    for number in sorted({*pdf.xref.get(0, {}), *pdf.xref_objStm}):
        one = pdf.get_object(number)
        yield f"{place}: object {number}", repr(one).encode()
        if isinstance(one, StreamObject):
            try:
                yield f"{place}: stream {number}", one.get_data()
            except (PyPdfError, NotImplementedError):  # a picture's own coding
                yield f"{place}: stream {number}", one._data
    for number, page in enumerate(pdf.pages, start=1):
        yield f"{place}: page {number}", page.extract_text().encode()
