"""Metadata for machines: codemeta.json, and an RO-Crate with the provenance of every exhibit."""

import json
import mimetypes
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from claimledger.ledger.external import external_of
from claimledger.pipeline import notebooks as execute
from claimledger.replication.contents import Contents

MIT = "https://spdx.org/licenses/MIT"
CC_BY = "https://creativecommons.org/licenses/by/4.0/"
CODE = ("src/", "tests/", "_extensions/", ".ci/", ".github/", "benchmarks/")
TYPES = {".qmd": "text/markdown", ".yml": "application/yaml", ".lua": "text/x-lua",
         ".ipynb": "application/x-ipynb+json", ".lock": "text/plain", ".bib": "text/x-bibtex",
         ".cff": "application/yaml", ".toml": "application/toml", ".md": "text/markdown"}
NOTEBOOK_OF = "notebooks/{}.ipynb"


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
    notebooks = sorted({entry["notebook"] for entry in contents.ledger["entries"].values()})
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
