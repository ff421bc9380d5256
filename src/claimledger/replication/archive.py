"""One deterministic zip, ready for a data archive."""

import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.registration.codebook import instrument_table, vignette_table
from claimledger.registration.loading import load
from claimledger.replication.contents import CHECKSUMS, Contents, checksums
from claimledger.replication.description import codemeta, crate, readme

README, CODEMETA, CRATE = "README-replication.md", "codemeta.json", "ro-crate-metadata.json"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MADE = (README, CODEMETA, CRATE, CHECKSUMS, "codebook/items.csv", "codebook/vignette.csv")


def archive(run: Run, target: Path) -> tuple[Path, Contents]:
    """Write the zip of a built paper of record; return it with what is in it.

    Raises LedgerError where the run is not that of record, or a file that it needs is missing.
    """
    if not run.is_record:
        raise LedgerError(
            "archive", found=f"the run {run.name}", expected="the run of record",
            mend="name the data at `ledger: data:` in _quarto.yml",
        )
    contents = Contents(run)
    return write_atomic(target, pack(collect(contents), contents.moment)), contents


def collect(contents: Contents) -> dict[str, bytes]:
    """Every file of the archive by name: sources, outputs, and what is generated of them."""
    root = contents.run.root
    names = [name for name in contents.sources if name not in MADE]
    files = {name: _read(root, name) for name in [*names, *contents.outputs]}
    promise = load(contents.run.registration)
    for name, table in (("items", instrument_table), ("vignette", vignette_table)):
        files[f"codebook/{name}.csv"] = table_of(table(promise))
    files[README] = readme(contents, files).encode()
    files[CODEMETA] = codemeta(contents).encode()
    files[CRATE] = crate(contents, files).encode()
    files[CHECKSUMS] = checksums(files).encode()
    return files


def table_of(frame: pd.DataFrame) -> bytes:
    """A table as CSV in which a spreadsheet program finds no formula."""
    return frame.map(
        lambda cell: f"'{cell}" if isinstance(cell, str) and cell[:1] in FORMULA else cell
    ).to_csv(index=False).encode()


def pack(files: dict[str, bytes], moment: int) -> bytes:
    """A zip with sorted names, one date and fixed permissions.

    Nothing is compressed: compressed bytes differ between versions of zlib.
    """
    stamp = max(datetime.fromtimestamp(moment, UTC), datetime(1980, 1, 1, tzinfo=UTC))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as packed:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, stamp.timetuple()[:6])
            entry.create_system = 3  # Unix, so that permissions are understood
            entry.external_attr = (0o100755 if name == ".ci/run" else 0o100644) << 16
            packed.writestr(entry, files[name])
    return buffer.getvalue()


def _read(root: Path, name: str) -> bytes:
    try:
        return (root / name).read_bytes()
    except OSError as error:
        raise LedgerError(
            name, found=(error.strerror or "no such file").lower(),
            expected="a file of the archive", mend="run `make paper`",
        ) from None
