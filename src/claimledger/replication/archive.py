"""What is sent away: one deterministic zip for a data archive, and the version for reviewers.

README, codemeta.json, and an RO-Crate that names what made every exhibit. The README has the
headings that the data editors of the social sciences ask for; what stands below them is generated
from what is known.
"""

import hashlib
import io
import json
import mimetypes
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from html import unescape
from pathlib import Path
from string import Template

import pandas as pd

from claimledger.errors import LedgerError
from claimledger.ledger.entries import load_ledger
from claimledger.ledger.external import external_of
from claimledger.pipeline import build
from claimledger.pipeline import notebooks as execute
from claimledger.project import Run, git, sha256_file, write_atomic
from claimledger.registration.codebook import instrument_table, vignette_table
from claimledger.registration.loading import load
from claimledger.rendering import renderer
from claimledger.rendering.document import read_paper
from claimledger.rendering.pages import FILES, pressing
from claimledger.settings import notebook_stems, settings
from claimledger.survey.disclosure import find_names, names_of
from claimledger.survey.loading import manifest_of, manifest_path
from claimledger.yaml_files import load_yaml

CHECKSUMS = "SHA256SUMS"
RAW = "data/raw"
GENERATED = ("build", "_manuscript", "figures", "__pycache__")
README, CODEMETA, CRATE = "README-replication.md", "codemeta.json", "ro-crate-metadata.json"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
MADE = (README, CODEMETA, CRATE, CHECKSUMS, "codebook/items.csv", "codebook/vignette.csv")
MIT = "https://spdx.org/licenses/MIT"
CC_BY = "https://creativecommons.org/licenses/by/4.0/"
TYPES = {".qmd": "text/markdown", ".yml": "application/yaml", ".lua": "text/x-lua",
         ".ipynb": "application/x-ipynb+json", ".lock": "text/plain", ".bib": "text/x-bibtex",
         ".cff": "application/yaml", ".toml": "application/toml", ".md": "text/markdown"}
CODE = ("src/", "tests/", "_extensions/", ".ci/", ".github/", "benchmarks/")
NOTEBOOK_OF = "notebooks/{}.ipynb"
TIMES = "benchmarks/steps.json"
SIMULATED = (
    "This paper does not involve analysis of collected data in this version: the answers are "
    "simulated by code in this archive, and no person gave them.\n"
    "The answers of the original study's respondents are not part of this archive.")
COLLECTED = (
    "The answers were collected from respondents.\nRaw files that are withheld, because a survey "
    "platform's export holds what identifies people: {}.")


@dataclass(frozen=True)
class Exhibit:
    """A figure or table: its label, the caption as printed, and the notebook that makes it."""

    label: str
    kind: str
    caption: str
    notebook: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """A built paper of record, as an archive wants to describe it."""

    run: Run

    @cached_property
    def ledger(self) -> dict:
        """The ledger of record."""
        return load_ledger(self.run.ledger)

    @property
    def header(self) -> dict:
        """The header of the ledger."""
        return self.ledger["header"]

    @property
    def moment(self) -> int:
        """The one date of all outputs, in seconds."""
        return renderer.moment(self.run)

    @cached_property
    def citation(self) -> dict:
        """`CITATION.cff`: title, authors, licenses, version."""
        path = self.run.root / "CITATION.cff"
        content = load_yaml(path, "how this paper is cited, in the Citation File Format, 1.2.0")
        for key in ("title", "authors", "version", "abstract"):
            if not isinstance(content, dict) or not content.get(key):
                raise LedgerError(f"{path.name}: {key}", found="nothing", expected="a value")
        return content

    @cached_property
    def sources(self) -> list[str]:
        """Files of the project, without raw data that may not be published."""
        return [name for name in _listed(self.run.root) if name not in self.withheld]

    @cached_property
    def withheld(self) -> list[str]:
        """Raw files that are not shown to be simulated: they may hold what identifies people."""
        raw = [name for name in _listed(self.run.root) if name.startswith(f"{RAW}/")]
        open_files = {name for name in raw if _is_simulated(self.run.root / name)}
        beside = {str(manifest_path(Path(name))) for name in open_files}
        return [name for name in raw if name not in open_files | beside and
                Path(name).name != "README.md"]

    @cached_property
    def outputs(self) -> list[str]:
        """What the build made: the paper, its pages, the executed notebooks, the figures."""
        made = [self.run.output / name for name in build.FILES.values()]
        made += sorted((self.run.output / "build" / "notebooks").glob("*.html"))
        made += [execute.executed_of(self.run, stem) for stem in notebook_stems(self.run.root)]
        made += sorted(path for path in self.run.figures.glob("*.*") if path.suffix != ".md")
        return [self.run.relative(path) for path in made]

    @cached_property
    def exhibits(self) -> list[Exhibit]:
        """Every figure and table, in the order of the paper, those that it does not show last."""
        page = (self.run.output / build.FILES["html"]).read_text("utf-8")
        place = {label: page.find(f'id="{label}"') for label in self.ledger["exhibits"]}
        order = sorted(place, key=lambda label: (place[label] < 0, place[label], label))
        return [
            Exhibit(
                label, known["kind"], _caption(page, place[label]), known["notebook"],
                tuple(name for name in self.outputs if Path(name).stem == label))
            for label in order for known in [self.ledger["exhibits"][label]]
        ]


def checksums(files: dict[str, bytes]) -> str:
    """One line a file, as `sha256sum --check` reads it."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n"
                   for name in sorted(files))


def _listed(root: Path) -> list[str]:
    """The files that belong to the project: as git has them, as an archive lists them, or all.

    In a folder that is neither, such as a new study's, all files are the project's but for what is
    hidden or generated.
    """
    if (root / CHECKSUMS).is_file() and not (root / ".git").exists():
        lines = (root / CHECKSUMS).read_text("utf-8").splitlines()
        names = [line.split("  ", 1)[1] for line in lines if "  " in line]
    elif not (names := git(root, "ls-files", "-z").decode().split("\0")[:-1]):
        if (root / ".git").exists() and not shutil.which("git"):
            raise LedgerError(
                "archive", found="a checkout, and no git on this machine", mend="install git",
                expected="a list of the files that belong to the project")
        paths = (path.relative_to(root) for path in root.rglob("*"))
        names = [path.as_posix() for path in paths if path.parts[0] not in GENERATED
                 and not any(part.startswith(".") for part in path.parts)]
    return sorted(name for name in names if _inside(root, name))


def _inside(root: Path, name: str) -> bool:
    """Whether it is a file of the project itself: no link, nothing above the root."""
    path = root / name
    return path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(root)


def _is_simulated(path: Path) -> bool:
    """Whether the manifest beside says so of these very bytes."""
    manifest = manifest_of(path)
    return manifest.get("simulated") is True and manifest.get("sha256") == sha256_file(path)


def _caption(page: str, start: int) -> str:
    """The caption as printed, with its number; empty for what the paper does not show."""
    if start < 0:
        return ""
    found = re.compile(r"<(figcaption|caption)\b[^>]*>(.*?)</\1>", re.S).search(page, start)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", found[2])).split()) if found else ""


def archive(run: Run, target: Path) -> tuple[Path, Contents]:
    """Write the zip of a built paper of record; return it with what is in it."""
    contents = Contents(run)
    return write_atomic(target, pack(collect(contents), contents.moment)), contents


def collect(contents: Contents) -> dict[str, bytes]:
    """Every file of the archive by name: sources, outputs, and what is generated of them."""
    root = contents.run.root
    names = [name for name in contents.sources if name not in MADE]
    files = {name: (root / name).read_bytes() for name in [*names, *contents.outputs]}
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
    """RO-Crate 1.1: every file, and of every exhibit what made it."""
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
    licenses = [
        {"@id": CC_BY, "@type": "CreativeWork", "name": "CC BY 4.0 (text and data)",
         "description": "Creative Commons Attribution 4.0 International"},
        {"@id": MIT, "@type": "CreativeWork", "name": "MIT License (code)",
         "description": "The text of the license is in LICENSE"},
    ]
    agents = [{"@id": _agent_id(one), **_agent(one)} for one in contents.citation["authors"]]
    return licenses + agents


def _file(name: str, content: bytes) -> dict:
    path = Path(name)
    entity = {
        "@id": name, "@type": "File", "name": path.name, "contentSize": str(len(content)),
        "license": {"@id": MIT if _is_code(name) else CC_BY},
        "encodingFormat": TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain",
    }
    if name.startswith("notebooks/") or (_is_code(name) and path.suffix == ".py"):
        entity["@type"] = ["File", "SoftwareSourceCode"]
    return entity


def _is_code(name: str) -> bool:
    return name.startswith(CODE) or name in ("Makefile", "pyproject.toml", "requirements.lock")


def _actions(contents: Contents) -> list[dict]:
    """Which notebook made which exhibit, from which data."""
    run, header = contents.run, contents.header
    given = [name for name in [
        header["data"]["file"], header["registration"]["file"], "registration.lock",
        "data/population-margins.csv"] if name in contents.sources]
    return [{
        "@id": f"#make-{exhibit.label}", "@type": "CreateAction",
        "name": exhibit.caption or f"{exhibit.kind} {exhibit.label}",
        "description": f"Cell {exhibit.label} of {exhibit.notebook}",
        "instrument": {"@id": NOTEBOOK_OF.format(exhibit.notebook)},
        "object": _ids(inputs(contents, exhibit.notebook, given)),
        "result": _ids([*exhibit.files,
                        f"{run.relative(run.notebooks)}/{exhibit.notebook}.ipynb"]),
    } for exhibit in contents.exhibits]


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
    """The README, from `readme.md` beside this module and what is known of the paper."""
    header, sources = contents.header, contents.sources
    data, simulated = header["data"], header["status"] == "simulated"
    listed = settings(contents.run.root)["manuscript"]["notebooks"]
    times = contents.run.root / TIMES
    measured = json.loads(times.read_text("utf-8")) if times.is_file() else {}
    everything = not contents.withheld and data["file"] in sources
    withheld = ", ".join(f"`{name}`" for name in contents.withheld) or "none"
    packages = {name: (contents.run.root / name).read_text("utf-8").splitlines()[0].strip('"')
                for name in sources if re.fullmatch(r"src/claimledger/\w+/__init__\.py", name)}
    values = {
        "title": contents.citation["title"], "books": len(listed), "seed": header["seed"],
        "exhibits": len(contents.exhibits), "entries": len(contents.ledger["entries"]),
        "authors": "; ".join(_agent(one)["name"] for one in contents.citation["authors"]),
        "origin": SIMULATED if simulated else COLLECTED.format(withheld),
        "rights": "The simulated data were made by this project, which may redistribute them."
        if simulated else
        "Whoever holds the collected export decides about its use; nothing here grants it.",
        "all": "x" if everything else " ", "some": " " if everything else "x",
        "data": "\n".join(_data_rows(contents)),
        "packages": "\n".join(f"  - {name} {version}" for name, version
                              in sorted(header["packages"].items())),
        "time": _time(measured), "storage": f"{sum(map(len, files.values())) / 1e6:.0f}",
        "memory": f"{measured['peak_megabytes']:.0f} MB at the peak of the largest process"
        if "peak_megabytes" in measured else "not measured in this version",
        "programs": "\n".join([
            *(f"| `notebooks/{Path(one['notebook']).name}` | {one.get('title', '')} |"
              for one in listed),
            *(f"| `{Path(name).parent}/` | {said} |" for name, said in packages.items())]),
        "first": "" if data["file"] in sources else f"Put the export at `{data['file']}`.\n1. ",
        "exhibit_rows": "\n".join(map(_row, contents.exhibits)),
        "references": "\n".join(map(_reference, contents.citation.get("references", []))),
    }
    text = (Path(__file__).parent / "readme.md").read_text("utf-8")
    return Template(text).substitute(values)


def _data_rows(contents: Contents) -> Iterator[str]:
    data, sources = contents.header["data"], contents.sources
    provided = [name for name in sources if name.startswith("data/") and not name.endswith(".md")]
    listed = {name: sha256_file(contents.run.root / name)
              for name in [*provided, *contents.withheld]}
    for name, sha in ({data["file"]: data["sha256"]} | listed).items():
        source = "this project" if name.endswith(".yml") else "see `data/README.md`"
        if name.endswith(".manifest.json"):
            source = "says what was simulated"
        elif name.startswith("data/raw/"):
            source = "simulated by this project" if name in sources else "collected"
        yield f"| `{name}` | {source} | {'yes' if name in sources else 'no'} | `{sha[:16]}` |"


def _time(measured: dict) -> str:
    if not measured:
        return "not measured in this version"
    cold = measured["cases"][0]
    return (f"{cold['seconds']:.0f} seconds on {measured['machine']} at a load average of "
            f"{measured['load']}, of which {cold['work']:.0f} seconds of processor time; measured "
            "with the environment in place, which takes a minute or two to make")


def _row(exhibit: Exhibit) -> str:
    shown = exhibit.caption.split(".")[0].replace("|", "/") or f"{exhibit.label}, not in the paper"
    files = ", ".join(f"`{name}`" for name in exhibit.files) or "in the paper"
    return f"| {shown} | `notebooks/{exhibit.notebook}.ipynb` | `{exhibit.label}` | {files} |"


def _reference(work: dict) -> str:
    people = "; ".join(_agent(one)["name"] for one in work["authors"])
    place = f"*{work['journal']}* {work['volume']}({work['issue']})" if "journal" in work else ""
    return f"- {people} ({work['year']}). “{work['title']}.” {place}.".replace(" .", ".")


def render_review(
    run: Run, formats: Iterable[str] = tuple(FILES),
    progress: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Path], list[str]]:
    """Render anonymously below `build/review`; return the files and the names looked for.

    Left out are author, affiliation and all that is marked `.identifying`. Nothing is written
    where one of the names stands: a LedgerError lists all places.
    """
    named = names_of(run, read_paper(run).options)
    with pressing(run, formats, review=True) as press:
        files = press.files(progress)
    if found := find_names(files, named):
        raise LedgerError(
            "the version for review", found="\n    ".join(["names in it:", *found[:20]]),
            expected="no name of an author, a place or a committer",
            mend="mark the passage: `::: {.identifying}` or `[...]{.identifying}`")
    place = run.base / "review"
    return {name: write_atomic(place / name, content) for name, content in files.items()}, named
