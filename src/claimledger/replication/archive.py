"""One deterministic zip, ready for a data archive, and what it says of itself.

README, codemeta.json, and an RO-Crate that names what made every exhibit. The README has the
headings that the data editors of the social sciences ask for; what stands below them is generated
from what is known.
"""

import ast
import io
import json
import mimetypes
import re
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.ledger.external import external_of
from claimledger.pipeline import notebooks as execute
from claimledger.project import Run, settings, write_atomic
from claimledger.registration.codebook import instrument_table, vignette_table
from claimledger.registration.loading import load
from claimledger.replication.contents import CHECKSUMS, Contents, Exhibit, checksums

README, CODEMETA, CRATE = "README-replication.md", "codemeta.json", "ro-crate-metadata.json"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MADE = (README, CODEMETA, CRATE, CHECKSUMS, "codebook/items.csv", "codebook/vignette.csv")
MIT = "https://spdx.org/licenses/MIT"
CC_BY = "https://creativecommons.org/licenses/by/4.0/"
CODE = ("src/", "tests/", "_extensions/", ".ci/", ".github/", "benchmarks/")
TYPES = {".qmd": "text/markdown", ".yml": "application/yaml", ".lua": "text/x-lua",
         ".ipynb": "application/x-ipynb+json", ".lock": "text/plain", ".bib": "text/x-bibtex",
         ".cff": "application/yaml", ".toml": "application/toml", ".md": "text/markdown"}
NOTEBOOK_OF = "notebooks/{}.ipynb"
TIMES = "benchmarks/steps.json"


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


def codemeta(contents: Contents) -> str:
    """CodeMeta 3.0, from CITATION.cff and the ledger's header."""
    citation = contents.citation
    return _dump({
        "@context": "https://w3id.org/codemeta/3.0", "@type": "SoftwareSourceCode",
        "name": citation["title"], "description": " ".join(citation["abstract"].split()),
        "version": str(citation["version"]), "license": MIT,
        "author": [_agent(author) for author in citation["authors"]],
        "programmingLanguage": ["Python", "Lua"],
        "runtimePlatform": "CPython 3.11 to 3.13",
        "operatingSystem": ["Linux", "macOS"],
        "softwareRequirements": [
            f"{name} {version}" for name, version in sorted(contents.header["packages"].items())
        ],
        "keywords": citation.get("keywords", []), "readme": "README.md",
        "buildInstructions": "README-replication.md",
    })


def crate(contents: Contents, files: dict[str, bytes]) -> str:
    """RO-Crate 1.1: every file, and an action for everything that was made from others."""
    graph = [
        {"@id": "ro-crate-metadata.json", "@type": "CreativeWork",
         "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"}, "about": {"@id": "./"}},
        _root(contents, files), *_context(contents),
        *(_file(name, content) for name, content in sorted(files.items())),
        *_actions(contents),
    ]
    return _dump({"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": graph})


def _root(contents: Contents, files: dict[str, bytes]) -> dict:
    citation = contents.citation
    return {
        "@id": "./", "@type": "Dataset", "name": citation["title"],
        "description": " ".join(citation["abstract"].split()),
        "datePublished": datetime.fromtimestamp(contents.moment, UTC).date().isoformat(),
        "license": [{"@id": CC_BY}, {"@id": MIT}],
        "author": _ids(_agent_id(author) for author in citation["authors"]),
        "keywords": ", ".join(citation.get("keywords", [])),
        "hasPart": _ids(sorted(files)), "mentions": _ids(one["@id"] for one in _actions(contents)),
        "mainEntity": {"@id": "_manuscript/index.html"},
    }


def _context(contents: Contents) -> list[dict]:
    licences = [
        {"@id": CC_BY, "@type": "CreativeWork", "name": "CC BY 4.0 (text and data)",
         "description": "Creative Commons Attribution 4.0 International"},
        {"@id": MIT, "@type": "CreativeWork", "name": "MIT License (code)",
         "description": "The text of the licence is in LICENSE"},
    ]
    packages = [
        {"@id": f"#package-{name}", "@type": "SoftwareApplication", "name": name,
         "version": version, "softwareVersion": version}
        for name, version in sorted(contents.header["packages"].items())
    ]
    agents = [{"@id": _agent_id(one), **_agent(one)} for one in contents.citation["authors"]]
    return licences + packages + agents


def _file(name: str, content: bytes) -> dict:
    path = Path(name)
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
    entity = {
        "@id": name, "@type": "File", "name": path.name, "contentSize": str(len(content)),
        "encodingFormat": kind, "license": {"@id": MIT if _is_code(name) else CC_BY},
    }
    if name.startswith("notebooks/") or (_is_code(name) and path.suffix == ".py"):
        entity["@type"] = ["File", "SoftwareSourceCode"]
    return entity


def _is_code(name: str) -> bool:
    return name.startswith(CODE) or name in ("Makefile", "pyproject.toml", "requirements.lock")


def _actions(contents: Contents) -> list[dict]:
    """Which notebook made which exhibit from which data; then the ledger, then the paper."""
    run, header = contents.run, contents.header
    given = [name for name in [
        header["data"]["file"], header["registration"]["file"], "registration.lock",
        "data/population-margins.csv"] if name in contents.sources]
    actions = []
    for exhibit in contents.exhibits:
        executed = f"{run.relative(run.notebooks)}/{exhibit.notebook}.ipynb"
        actions.append({
            "@id": f"#make-{exhibit.label}", "@type": "CreateAction",
            "name": exhibit.caption or f"{exhibit.kind} {exhibit.label}",
            "description": f"Cell {exhibit.label} of {exhibit.notebook}",
            "instrument": {"@id": NOTEBOOK_OF.format(exhibit.notebook)},
            "object": _ids(inputs(contents, exhibit.notebook, given)),
            "result": _ids([*exhibit.files, executed]),
        })
    entries = contents.ledger["entries"].values()
    notebooks = sorted({entry["notebook"] for entry in entries if entry.get("notebook")})
    sources = [NOTEBOOK_OF.format(stem) for stem in notebooks]
    packages = [f"#package-{name}" for name in sorted(header["packages"])]
    actions.append({
        "@id": "#make-ledger", "@type": "CreateAction", "name": "The ledger of results",
        "description": f"{len(contents.ledger['entries'])} entries, seed {header['seed']}",
        "instrument": _ids([*(name for name in sources if name in contents.sources), *packages]),
        "object": _ids(dict.fromkeys(
            name for stem in notebooks for name in inputs(contents, stem, given))),
        "result": {"@id": run.relative(run.ledger)},
    })
    paper = [name for name in contents.outputs if name.startswith("_manuscript/")]
    actions.append({
        "@id": "#make-paper", "@type": "CreateAction", "name": "The paper from prose and ledger",
        "description": "Numbers and verdict words of paper.qmd come from the ledger",
        "instrument": {"@id": "src/claimledger/cli.py"},
        "object": _ids(["paper.qmd", "references.bib", run.relative(run.ledger)]),
        "result": _ids(paper),
    })
    return actions


def inputs(contents: Contents, notebook: str, given: list[str]) -> list[str]:
    """The files that a notebook reads: of another study its own, and tables that its code names."""
    run, other = contents.run, external_of(contents.run, notebook)
    if other:
        given = [run.relative(path) for path in other.inputs()]
    code = execute.source_of(run, notebook).read_text("utf-8")
    tables = [name for name in contents.sources if re.fullmatch(r"data/[^/]+\.csv", name)
              and re.search(rf"\b{re.escape(Path(name).name)}\b", code)]
    return [name for name in dict.fromkeys([*given, *tables]) if name in contents.sources]


def _agent(author: dict) -> dict:
    """A person, or whoever stands in a person's place, as CITATION.cff has it."""
    if "family-names" in author:
        name = f"{author.get('given-names', '')} {author['family-names']}".strip()
        return {"@type": "Person", "name": name}
    return {"@type": "Organization", "name": author["name"]}


def _agent_id(author: dict) -> str:
    return author.get("orcid") or "#" + "-".join(_agent(author)["name"].lower().split())


def _ids(names: Iterable[str]) -> list[dict] | dict:
    """References; one alone stands without a list, as RO-Crate recommends."""
    listed = [{"@id": name} for name in names]
    return listed[0] if len(listed) == 1 else listed


def _dump(content: dict) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def readme(contents: Contents, files: dict[str, bytes]) -> str:
    """The README as Markdown, one sentence a line."""
    parts = [
        _overview(contents), _availability(contents), _datasets(contents), _needs(contents, files),
        _programs(contents), _instructions(contents), _exhibits(contents), _references(contents),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _overview(contents: Contents) -> list[str]:
    books = len(settings(contents.run.root)["manuscript"]["notebooks"])
    return [
        f"# {contents.citation['title']}", "", "## Overview", "",
        f"The code in this archive runs {books} notebooks on one data file, "
        "writes what they find to `results/ledger.json`, "
        "and renders the paper from that ledger as HTML, PDF and DOCX.",
        f"It makes {len(contents.exhibits)} figures and tables and "
        f"{len(contents.ledger['entries'])} ledger entries.",
        f"Run time: {_time(contents)}.",
        "Authors: " + "; ".join(_agent(one)["name"] for one in contents.citation["authors"]) + ".",
    ]


def _availability(contents: Contents) -> list[str]:
    simulated = contents.header["status"] == "simulated"
    lines = ["## Data Availability and Provenance Statements", ""]
    if simulated:
        lines += [
            "This paper does not involve analysis of collected data in this version: "
            "the answers are simulated by code in this archive, and no person gave them.",
            "The answers of the original study's respondents are not part of this archive.",
        ]
    else:
        lines += ["The answers were collected from respondents.", _withheld(contents)]
    lines += [
        "", "### Statement about Rights", "",
        "The simulated data were made by this project, which may redistribute them."
        if simulated else
        "Whoever holds the collected export decides about its use; nothing here grants it.",
        "", "### License for Data", "",
        "Creative Commons Attribution 4.0 International (CC BY 4.0); see `LICENSE`.",
        "", "### Summary of Availability", "",
    ]
    box = {True: "[x]", False: "[ ]"}
    everything = not contents.withheld and contents.header["data"]["file"] in contents.sources
    return [
        *lines,
        f"- {box[everything]} All data that this version analyses **are** publicly available.",
        f"- {box[not everything]} Some data **cannot be made** publicly available.",
        "", "### Details on each Data Source", "",
        "`data/README.md` describes each file, its source, and everything that is assumed.",
    ]


def _withheld(contents: Contents) -> str:
    names = ", ".join(f"`{name}`" for name in contents.withheld) or "none"
    return ("Raw files that are withheld, because a survey platform's export holds what "
            f"identifies people: {names}.")


def _datasets(contents: Contents) -> list[str]:
    data = contents.header["data"]
    rows = [
        (name, contents.sha256(name), "yes") for name in contents.sources
        if name.startswith("data/") and not name.endswith(".md")
    ]
    rows += [(name, contents.sha256(name), "no") for name in contents.withheld]
    if data["file"] not in {row[0] for row in rows}:
        rows.append((data["file"], data["sha256"], "no"))
    table = [f"| `{name}` | {_source(contents, name)} | {given} | `{sha[:16]}` |"
             for name, sha, given in rows]
    return [
        "## Dataset list", "", "| Data file | Source | Provided | SHA-256 begins |",
        "|---|---|---|---|", *table, "",
        "`codebook/items.csv` and `codebook/vignette.csv` say what was asked and shown.",
    ]


def _source(contents: Contents, name: str) -> str:
    if name.startswith("data/raw/"):
        manifest = name.endswith(".manifest.json")
        return "says what was simulated" if manifest else (
            "simulated by this project" if name in contents.sources else "collected")
    return "this project" if name.endswith(".yml") else "see `data/README.md`"


def _needs(contents: Contents, files: dict[str, bytes]) -> list[str]:
    header = contents.header
    packages = [f"  - {name} {version}" for name, version in sorted(header["packages"].items())]
    megabytes = sum(map(len, files.values())) / 1e6
    return [
        "## Computational requirements", "", "### Software Requirements", "",
        "- Python 3.11, 3.12 or 3.13, with its `venv` module, and GNU make",
        "- the packages in `requirements.lock`, each with version and SHA-256, which `make paper` "
        "installs; among them", *packages,
        "- Quarto is used where it is installed, and not needed", "",
        "### Controlled Randomness", "",
        f"The seed of the analysis is {header['seed']}, set at `ledger: seed:` in `_quarto.yml`; "
        "each notebook draws from a stream of its own, made from the seed and its name.", "",
        "### Memory, Runtime, Storage Requirements", "",
        f"- run time: {_time(contents)}", f"- storage: {megabytes:.0f} MB for this archive",
        *_memory(contents),
    ]


def _times(contents: Contents) -> dict:
    path = contents.run.root / TIMES
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _time(contents: Contents) -> str:
    times = _times(contents)
    if not times:
        return "not measured in this version"
    cold = times["cases"][0]
    return (f"{cold['seconds']:.0f} seconds on {times['machine']} at a load average of "
            f"{times['load']}, of which {cold['work']:.0f} seconds of processor time; measured "
            "with the environment in place, which takes a minute or two to make")


def _memory(contents: Contents) -> list[str]:
    peak = _times(contents).get("peak_megabytes")
    return [f"- memory: {peak:.0f} MB at the peak of the largest process"] if peak else []


def _programs(contents: Contents) -> list[str]:
    listed = settings(contents.run.root)["manuscript"]["notebooks"]
    rows = [f"| `notebooks/{Path(one['notebook']).name}` | {one.get('title', '')} |"
            for one in listed]
    parts = sorted({
        name.split("/")[2] for name in contents.sources
        if name.startswith("src/claimledger/") and name.count("/") == 3
        and name.endswith("/__init__.py")
    })
    engine = [f"| `src/claimledger/{part}/` | {_docstring(contents, part)} |" for part in parts]
    return [
        "## Description of programs/code", "", "| Program | What it does |", "|---|---|", *rows,
        *engine, "| `_extensions/ledger/` | the Quarto extension that prints the ledger |", "",
        "### License for Code", "", "MIT License; see `LICENSE`.",
    ]


def _docstring(contents: Contents, part: str) -> str:
    """The first line of what a package says of itself."""
    folder = contents.run.root / "src" / "claimledger" / part
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    return text.partition("\n")[0]


def _instructions(contents: Contents) -> list[str]:
    data = contents.header["data"]["file"]
    first = [] if data in contents.sources else [f"1. Put the export at `{data}`."]
    steps = [
        *first, "1. `make paper` makes the environment in `.venv`, runs all notebooks and renders "
        "the paper to `_manuscript/`.",
        "1. `make verify` runs the notebooks anew and compares every claim with the paper; "
        "it ends with an error unless all survive.",
        "1. `sha256sum --check --quiet SHA256SUMS`, before the first build, tells whether the "
        "files are those of the archive.",
    ]
    return ["## Instructions to Replicators", "", *steps]


def _exhibits(contents: Contents) -> list[str]:
    return [
        "## List of tables and programs", "",
        "The numbers in the text are listed in `results/ledger.json`, each with its notebook and "
        "cell.", "", "| Exhibit | Program | Cell | Output file |", "|---|---|---|---|",
        *(_row(one) for one in contents.exhibits),
    ]


def _row(exhibit: Exhibit) -> str:
    shown = exhibit.caption.split(".")[0].replace("|", "/") or f"{exhibit.label}, not in the paper"
    files = ", ".join(f"`{name}`" for name in exhibit.files) or "in the paper"
    return f"| {shown} | `notebooks/{exhibit.notebook}.ipynb` | `{exhibit.label}` | {files} |"


def _references(contents: Contents) -> list[str]:
    listed = [_reference(one) for one in contents.citation.get("references", [])]
    return ["## References", "", *listed, "", "All works cited: `references.bib`."]


def _reference(work: dict) -> str:
    people = "; ".join(_agent(one)["name"] for one in work["authors"])
    place = f"*{work['journal']}* {work['volume']}({work['issue']})" if "journal" in work else ""
    return f"- {people} ({work['year']}). “{work['title']}.” {place}.".replace(" .", ".")
