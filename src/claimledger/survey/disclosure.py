"""What must not be published: who answered, cells that are small, and, for reviewers, who wrote.

For reviewers every byte is searched, and every part that a file hides by packing: the members of
zip files (Word), the streams and the text of PDFs, what is embedded in base64 or percent signs, and
text whose words are split over tags or lines.

k-anonymity (Samarati and Sweeney 1998): a table is k-anonymous when every combination of the
variables by which somebody might be known stands in it at least k times.
"""

import base64
import getpass
import io
import ipaddress
import json
import re
import socket
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from html import unescape
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.project import Run, git
from claimledger.registration.loading import load
from claimledger.registration.models import Registration
from claimledger.settings import settings
from claimledger.survey import qualtrics
from claimledger.survey.tables import distinct, plain

_PATTERNS = {
    "an e-mail address": re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(\.[\w-]+)+"),
    "the id of a response": re.compile(r"\bR_[0-9A-Za-z]{11,17}\b"),
    "coordinates": re.compile(r"(?i)\b(lat|lon|lng)[a-z]*\W{1,3}-?\d{1,3}\.\d{2,}"),
    "a phone number": re.compile(
        r"(?<![\w.-])(\+\d{1,3}[ -]?)?(\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?![\w-])"
        r"|(?<![\w.])\+\d{1,3}([ -]?\d{2,4}){3,4}(?![\w.])"),
}
_ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")
_ADDRESS_6 = re.compile(r"(?<![\w:])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:])")
_VERSION = re.compile(r"(?i)(version|release|[=<>~]=?|\bv|[\w]-)\s*$")   # before a version's number
_COLUMNS = re.compile(
    r"latitude|longitude|ipaddress|ip_address|e-?mail|recipient|externalref|phone|first_?name|"
    r"last_?name|(^|_)zip(code)?$|postal_?code|street|user_?agent", re.IGNORECASE)
# Columns in which panels and crowd-work platforms say who somebody is.
PANEL = re.compile(
    r"(?i)(.*panel_?id|prolific(_?p)?id|.*worker_?id|participant_?id|respondent_?id|rid|psid|mid|"
    r"transaction_?id|ExternalReference)")
_BUNDLED = re.compile(r"data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+")
_OUTLINE = re.compile(r'(?<=\sd=")[MLHVCSQTAZmlhvcsqtaz\d\s.,-]+(?=")')  # how a drawing's lines run
CHANCE = 5  # letters: as long a name may be found in packed bytes, where nobody wrote it
UNACCENTED = {ord(a): b for a, b in {
    "ı": "i", "İ": "I", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "ß": "ss", "æ": "ae", "Æ": "Ae",
    "œ": "oe", "đ": "d", "ð": "d", "þ": "th", "\u00ad": ""}.items()}
UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})
NOBODY = {"root", "user", "users", "admin", "runner", "ubuntu", "docker", "jovyan", "vagrant",
          "vscode", "codespace", "localhost", "build", "test", "home"}  # of a machine, not a person
_BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=\s]{16,})")
_PERCENT = re.compile(rb"(?:[\w.~+/:;,=&?@-]*%[0-9A-Fa-f]{2})+[\w.~+/:;,=&?@%-]*")
LIMIT = 5                # the smallest cell that may be published
WITHHELD = "withheld"    # what stands in the place of a value that would make a cell too small
_LETTERS = 20    # a free text at least this long is looked for word by word


def private_columns(columns: Iterable[str]) -> list[str]:
    """Those among the columns of an export that may tell who answered, by their names."""
    return [c for c in columns if qualtrics.canonical(str(c)) in _TELLING
            or c in _TELLING or _COLUMNS.search(str(c)) or PANEL.fullmatch(str(c))]


_TELLING = frozenset(qualtrics.BEFORE) - {
    "Status", "Progress", "Duration (in seconds)", "Finished", "DistributionChannel",
    "UserLanguage", *qualtrics.DATES}


def known_private(
    cells: pd.DataFrame, registration: Registration, words: set[str]
) -> set[str]:
    """What this export itself says of who answered: ids, addresses, full names and free texts.

    Of ids and names only those are wanted that are among `words` (see `words_of`). Short words and
    numbers are left out, for they would be found anywhere; so is what stands in the registration,
    which is public: a comment may be the wording of a label.
    """
    known, telling = set(), {word for word in words if _telling(word)}
    names = [c for c in cells if qualtrics.canonical(str(c)) in _NAMES]
    for column in {*private_columns(cells), *qualtrics.key_columns(registration)} - {*names}:
        if column in cells:
            known |= {*distinct(cells[column][cells[column].isin(telling)])}
    if len(names) == len(_NAMES):
        first, last = (cells[c] for c in sorted(names, key=qualtrics.canonical))
        there = last.isin([one for one in distinct(last) if not words.isdisjoint(one.split())])
        known |= {f"{given.strip()} {family.strip()}" for given, family in zip(
            first[there], last[there], strict=True) if given.strip()}
    public = plain("\n".join(_strings(registration.model_dump())))
    for name, item in registration.instrument.items.items():
        if registration.instrument.scales[item.scale].kind == "text" and name in cells:
            known |= {text for text in distinct(cells[name]) if len(text) >= _LETTERS}
    return {text for text in known if plain(text) not in public}


def _strings(value: object) -> Iterable[str]:
    """Every text in nested lists and dictionaries."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _strings(key)
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)


_NAMES = ("RecipientFirstName", "RecipientLastName")
_MIXED = re.compile(r"(?=.*\d)(?=.*[^\W\d_]).{6,}", re.DOTALL)


def _telling(value: str) -> bool:
    """A text with digits and letters, of six signs or more, or an address."""
    return _MIXED.match(value) is not None or _ADDRESS.fullmatch(value) is not None


def assert_public(content: pd.DataFrame | str, known: Iterable[str] = ()) -> None:
    """Raise unless a frame, or a text, is free of addresses, coordinates, and ids of persons.

    `known` are identifiers to look for besides, such as the panel's ids of this export.
    """
    known = set(known) - {""}
    for name in () if isinstance(content, str) else content.columns:
        if name in qualtrics.PLATFORM or _COLUMNS.search(str(name)):
            raise LedgerError(
                f"column {name}", found="a column that can tell who answered",
                expected="answers only", mend="drop the column",
            )
    for where, texts in _texts(content).items():
        text = "\n".join(texts)
        found = [what for what, pattern in _PATTERNS.items() if pattern.search(text)]
        if any(_is_address(match, text) for form in (_ADDRESS, _ADDRESS_6)
               for match in form.finditer(text)):
            found.append("an IP address")
        whole, there = " ".join(text.split()), set(text.split())
        # A text of several words stands only where each of its inner words does: soon told.
        several = (one.split() for one in known if one.count(" ") > 1)
        if not known.isdisjoint(_words(texts)) or any(
                there.issuperset(one[1:-1]) and " ".join(one) in whole for one in several):
            found.append("what a respondent wrote, or the id of a person")
        if found:
            raise LedgerError(
                where, found=" and ".join(found), expected="nothing that can tell who answered",
                mend="remove it before anything is published",
            )


def words_of(content: pd.DataFrame | str) -> set[str]:
    """The texts of a frame, their words, and pairs of words: where an id could stand."""
    return set().union(*map(_words, _texts(content).values()))


def _texts(content: pd.DataFrame | str) -> dict[str, list[str]]:
    """The different texts of each column that has some, or the one text."""
    if isinstance(content, str):
        return {"text": [content]}
    return {f"column {name}": list(map(str, distinct(content[name]))) for name in content
            if not pd.api.types.is_numeric_dtype(content[name])}


def _words(texts: list[str]) -> set[str]:
    """The texts, their words with and without the signs around them, and pairs of words."""
    text = "\n".join(texts)
    there = {*texts, *re.findall(r"[\w-]+", text), *map(" ".join, pairwise(text.split()))}
    return there | {word.strip(".,:;-+") for word in re.findall(r"[\w.@+:-]+", text)}


def _is_address(match: re.Match, text: str) -> bool:
    """An address, and not the number of a version: small parts throughout, or named as one."""
    try:
        address = ipaddress.ip_address(match[0])
    except ValueError:
        return False
    if address.version == 4:
        small = all(int(part) < 20 for part in match[0].split("."))
        before = text[max(0, match.start() - 12):match.start()]
        if small or _VERSION.search(before):
            return False
    return not (address.is_unspecified or address.is_loopback)


# --- what is published: nothing of who answered --------------------------------------------------


def check_private(run: Run, files: list[Path]) -> None:
    """Raise for the first of the files that holds an address, an id, a free text of the export.

    `files` are what all formats of the paper are made from: what the notebooks recorded, and the
    executed notebooks with their drawings. Pictures in pixels are not looked into.
    """
    from claimledger.survey.reading import read_export

    registration, texts = load(run.registration), {path: text_of(path) for path in files}
    known = known_private(read_export(run.data, registration, run.mapping).columns, registration,
                          set().union(*map(words_of, texts.values())))
    for path, text in texts.items():
        try:
            assert_public(text, known)
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
    shown = "\n".join(part for cell in cells for part in _shown(cell))
    return _OUTLINE.sub("", _BUNDLED.sub("", shown))


def _shown(cell: dict) -> list[str]:
    found = ["".join(cell["source"])]
    for output in cell.get("outputs", []):
        found.append("".join(output.get("text", "")))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/") or kind == "image/svg+xml":
                found.append("".join(data))
            elif kind.endswith("json"):
                found.append(json.dumps(data, ensure_ascii=False))
    return found


# --- how many share a background -----------------------------------------------------------------


def identifying_variables(registration: Registration) -> list[str]:
    """The background variables by which somebody might be known.

    Those that are also known of the population: the variables to whose margins weights are raked.
    """
    return list(registration.weighting.variables) if registration.weighting else []


def anonymity(frame: pd.DataFrame, variables: list[str], limit: int = LIMIT) -> pd.DataFrame:
    """How small the combinations of the variables are, as two columns for people.

    A missing value is a value of its own.
    """
    sizes = _sizes(frame, variables)
    return pd.DataFrame([
        ("rows", len(frame)), ("combinations that occur", round((1 / sizes).sum())),
        ("rows in the smallest combination (k)", int(sizes.min()) if len(sizes) else 0),
        ("rows that are alone in theirs", int((sizes == 1).sum())),
        (f"rows in combinations of fewer than {limit}", int((sizes < limit).sum())),
    ], columns=["what", "number"])


def coarsen(frame: pd.DataFrame, variables: list[str], limit: int = LIMIT) -> pd.DataFrame:
    """The variables as texts, with as few values withheld as a simple rule needs.

    Rows in a cell under the limit lose the value of the last variable, then of the one before,
    until their cell is large enough. Where the rows that lost everything are still too few, whole
    cells join them, the smallest first. The result is k-anonymous for k = limit, or all withheld.
    """
    coarse = frame[variables].astype(object).where(frame[variables].notna(), "").astype(str)
    for name in reversed(variables):
        coarse.loc[_sizes(coarse, variables) < limit, name] = WITHHELD
    while True:
        sizes = _sizes(coarse, variables)
        blank = (coarse == WITHHELD).all(axis=1)
        if not (blank & (sizes < limit)).any() or blank.all():
            return coarse
        nearest = sizes[~blank].idxmin()
        coarse.loc[(coarse == coarse.loc[nearest]).all(axis=1)] = WITHHELD


def _sizes(frame: pd.DataFrame, variables: list[str]) -> pd.Series:
    """For each row, how many rows share its combination."""
    if not variables:
        return pd.Series(len(frame), index=frame.index)
    number = frame.groupby(variables, dropna=False, observed=True).ngroup()
    return number.map(number.value_counts())


# --- the version for review: nobody who wrote ----------------------------------------------------


def names_of(run: Run, options: dict) -> list[str]:
    """Who must not be named: authors and places of the paper, committers, and `ledger: review:`."""
    names = list(settings(run.root)["ledger"].get("review", []))
    people = options.get("author") or []
    for person in people if isinstance(people, list) else [people]:
        names += _written(person)
        name = person.get("name") if isinstance(person, dict) else person
        names += _alone(name) if isinstance(name, str) else []
    committers = git(run.root, "log", "--format=%an%n%ae%n%cn%n%ce").decode().splitlines()
    names += [str(run.root), *committers, *_machine()]
    names += [name.translate(UMLAUTS) for name in names]
    return [name for name in dict.fromkeys(names) if len(name) > 2]


def _alone(name: str) -> list[str]:
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


def _written(value: object) -> list[str]:
    """Every text in an author's entry; a name in parts also as a whole, both ways round."""
    if isinstance(value, dict):
        if value.get("given") and value.get("family"):
            given, family = str(value["given"]), str(value["family"])
            return [f"{given} {family}", f"{family}, {given}", family, given]
        return [text for key, one in value.items()
                if key not in ("corresponding", "roles", "country") for text in _written(one)]
    if isinstance(value, list):
        return [text for one in value for text in _written(one)]
    text = str(value).strip()
    given, _, family = text.rpartition(" ")
    if not given or len(text.split()) > 4 or not re.fullmatch(r"[^\W\d_][^\d@/]*", text):
        return [text] if text else []
    return [text, f"{family}, {given}"]


def find_names(files: dict[str, bytes], names: Iterable[str]) -> list[str]:
    """Each place where a name stands: `paper.docx: docProps/core.xml: 'Ada Example'`.

    A name is found as it is written and in capitals; an address (with @, / or digits) in any case.
    """
    wanted = {name: _pattern(name) for name in dict.fromkeys(map(_bare, names)) if name}
    found = []
    for file, content in sorted(files.items()):
        for place, data in [(file, file.encode()), *_parts(file, content)]:
            texts = _readings(data)
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


def _readings(data: bytes) -> list[str]:
    """Bytes as words: in each encoding that our formats use, with and without tags."""
    encodings = ["utf-8", "latin-1"] + (["utf-16-be", "utf-16-le"] if b"\0" in data else [])
    texts = [data.decode(encoding, errors="ignore") for encoding in encodings]
    bare = [unescape(re.sub(r"<[^>]*>", "", texts[0]))] if "<" in texts[0] else []
    return [_bare(text) for text in [*texts, *bare]]


def _bare(text: str) -> str:
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
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError
    from pypdf.generic import StreamObject

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
