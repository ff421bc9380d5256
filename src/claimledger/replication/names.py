"""Whether files name anyone: every byte, and every part that a file hides by packing.

Looked into are the members of zip files (Word), the streams and the text of PDFs, what is embedded
in base64 or percent signs, and text whose words are split over tags or lines.
"""

import base64
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator
from html import unescape
from urllib.parse import unquote_to_bytes

from pypdf import PdfReader
from pypdf.errors import PyPdfError
from pypdf.generic import StreamObject

_BASE64 = re.compile(rb"base64,([A-Za-z0-9+/=\s]{16,})")
_PERCENT = re.compile(rb"(?:[\w.~+/:;,=&?@-]*%[0-9A-Fa-f]{2})+[\w.~+/:;,=&?@%-]*")


def find_names(files: dict[str, bytes], names: Iterable[str]) -> list[str]:
    """Each place where a name stands: `paper.docx: docProps/core.xml: 'Ada Example'`.

    A name is found as it is written and in capitals; an address (with @, / or digits) in any case.
    """
    wanted = {name: _pattern(name) for name in dict.fromkeys(map(_plain, names)) if name}
    found = []
    for file, content in sorted(files.items()):
        for place, data in [(file, file.encode()), *_parts(file, content)]:
            texts = _texts(data)
            found += [f"{place}: '{name}'" for name, pattern in wanted.items()
                      if any(pattern.search(text) for text in texts)]
    return list(dict.fromkeys(found))


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
    """One form of each letter, no soft or line-end hyphen, one space between words."""
    text = unicodedata.normalize("NFKC", text).replace("\u00ad", "")
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
