"""The paper in each format, and a page for each notebook, as bytes."""

import json
import os
import re
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, settings, write_atomic
from claimledger.prose.source import read_sources
from claimledger.prose.tokens import require_tokens
from claimledger.rendering import tools
from claimledger.rendering.document import Paper, Tokens, epoch, metadata, read_paper
from claimledger.rendering.notebook_pages import Notebook, as_page, extract_figures

ASSETS = Path(__file__).parent / "assets"
# No column of a pipe table is given a width: each format fits the columns to their content.
COMMON = ["--standalone", "--columns=10000", "--wrap=none", "--strip-comments",
          "--syntax-highlighting=none"]  # of code: notebooks bring their own
CITING = ("bibliography", "csl", "link-citations", "reference-section-title")
FILES = {"html": "index.html", "pdf": "paper.pdf", "docx": "paper.docx", "jats": "paper.xml"}
IDENTIFYING = ("author", "affiliation", "affiliations", "institute", "thanks", "acknowledgements",
               "repo-url", "citation", "funding")
# What a page would ask for beside itself: any picture but an exhibit's, which is a part of it.
_ASIDE = re.compile(
    r"!\[[^\]]*\]\((?!cells/)|<(?:img|video|audio|source|script|link|iframe)\b", re.I)
_SPOKEN = re.compile(rb' role="img" aria-label="[^"]*"(?=[^>]* alt=")')  # the alt says it


@dataclass
class Press:
    """One render: a run, a folder to work in, and the formats that the page may point to."""

    run: Run
    folder: Path
    formats: tuple[str, ...]
    review: bool = False  # leave out who wrote it

    @cached_property
    def config(self) -> dict:
        """`_quarto.yml`."""
        return settings(self.run.root)

    @cached_property
    def ledger(self) -> dict:
        """The ledger of results."""
        try:
            return json.loads(self.run.ledger.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise LedgerError(
                self.run.ledger, found=str(error), expected="the ledger", mend="claimledger build"
            ) from error

    @cached_property
    def paper(self) -> Paper:
        """The article that `_quarto.yml` names."""
        article = self.config.get("manuscript", {}).get("article", "paper.qmd")
        paper = read_paper(self.run.root / article, self.config, self.run.notebooks, self.alts)
        for key in IDENTIFYING if self.review else ():
            paper.options.pop(key, None)
        return paper

    @property
    def alts(self) -> dict[str, str]:
        """The alt texts that the notebooks recorded, by label."""
        exhibits = self.ledger.get("exhibits") or {}
        return {label: known.get("alt") or "" for label, known in exhibits.items()}

    @cached_property
    def books(self) -> list[tuple[Notebook, str]]:
        """The executed notebooks in the order of `_quarto.yml`, each with its title."""
        named = self.config.get("manuscript", {}).get("notebooks") or []
        named = [n if isinstance(n, dict) else {"notebook": n} for n in named]
        books = [Notebook.read(self.run.notebooks / Path(n["notebook"]).name) for n in named]
        return [(b, n.get("title", b.title)) for b, n in zip(books, named, strict=True)]

    @property
    def moment(self) -> int:
        """The date of all outputs, in seconds."""
        return epoch(self.paper.options, os.environ)

    @property
    def extension(self) -> Path:
        """The Quarto extension, whose Lua scripts both renderers share."""
        return self.run.root / "_extensions" / "ledger"

    def prepare(self) -> None:
        """Read everything once, before threads share it; write the pictures into the folder."""
        article = self.run.root / self.config.get("manuscript", {}).get("article", "paper.qmd")
        paths = [article, *(book.path for book, _ in self.books)]
        named = [replace(source, file=os.path.relpath(source.file, self.run.root))
                 for source in read_sources(path for path in paths if path.is_file())]
        require_tokens(named, self.ledger)
        (self.folder / "cells").mkdir()
        for book, _ in self.books:
            extract_figures(book, self.folder / "cells")
        _ = self.paper, self._behind

    def html(self) -> bytes:
        """The paper as one self-contained page."""
        others = [{"name": n.upper(), "href": FILES[n]} for n in self.formats if n != "html"]
        return self._page("paper", self.paper.body, self.paper.tokens, self._meta("html") | {
            "files": others,
        })

    def notebook_page(self, book: Notebook, title: str) -> bytes:
        """A notebook's code and outputs as a page of the same design; kept while it is the same."""
        tokens = Tokens()
        text = tokens.replace(as_page(book, self.alts))
        meta = {"title": title, "notebook": True, "lang": self._lang}
        shared = {k: v for k, v in self._meta("html").items() if k in CITING}
        meta = shared | meta | self._status
        kept = self.run.base / "pages" / f"{book.path.stem}.html"
        key = sha256(json.dumps([text, tokens.found, meta, self._behind], default=str).encode())
        mark = f"<!-- {key.hexdigest()} -->".encode()
        if kept.is_file() and (known := kept.read_bytes()).startswith(mark):
            return known.removeprefix(mark)
        made = self._page(book.path.stem, text, tokens, meta, book.path)
        write_atomic(kept, mark + made)
        return made

    @cached_property
    def _behind(self) -> list:
        """What every notebook's page depends on besides its text."""
        entries = {name: (one.get("text"), one.get("verdict"), one.get("verdicts"))
                   for name, one in self.ledger["entries"].items()}
        named = [self.paper.options.get("bibliography"), self.paper.options.get("csl")]
        cited = [self.run.root / str(name) for name in named if isinstance(name, str)]
        files = [*sorted(self.extension.rglob("*")), *sorted(ASSETS.glob("*.lua")), *cited]
        return [entries, self.ledger.get("phrases"), self.review, tools.versions(),
                [sha256(path.read_bytes()).hexdigest() for path in files if path.is_file()]]

    def docx(self) -> bytes:
        """The paper as a Word file."""
        meta = self._meta("docx")
        meta["author"] = [", ".join(filter(None, (p["name"], p["place"]))) for p in meta["by"]]
        if meta.get("abstract") and meta.get("keywords"):
            meta["abstract"] += "\n\n*Keywords:* " + ", ".join(meta["keywords"])
        extra = ["--to=docx", f"--reference-doc={self.reference()}"]
        return self._pandoc("paper.docx", self.paper.body, self.paper.tokens, meta, extra)

    def reference(self) -> Path:
        """The document that a Word file takes its styles, page, head and foot from."""
        styles = (ASSETS / "word-styles.xml").read_text(encoding="utf-8")
        status = "Simulated data: see the notice on the first page"
        title = self.paper.options.get("running-head", "")
        head = f"{title}\t{status if self._status['simulated'] else ''}"
        paper = str(self.paper.option("typst", "papersize", "a4"))
        return tools.reference_docx(self.folder, styles, head, paper)

    def jats(self) -> bytes:
        """The paper as JATS XML, which names its drawings as files in `figures/`."""
        extra = ["--to=jats_publishing+element_citations",
                 f"--template={self.extension / 'page' / 'article.xml'}"]
        made = self._pandoc(
            "paper.xml", self.paper.body, self.paper.tokens, self._meta("jats"), extra)
        return tools.valid_jats(made.decode()).encode()

    def figure(self, name: str) -> bytes:
        """A drawing that JATS names."""
        return (self.folder / "cells" / name).read_bytes()

    def figures(self) -> list[str]:
        """The drawings that the article embeds."""
        labels = re.findall(r"!\[\]\(cells/([\w-]+)\)", self.paper.body)
        return [f"{label}.svg" for label in dict.fromkeys(labels)]

    def pdf(self) -> bytes:
        """The paper as a tagged PDF."""
        extra = ["--to=typst", f"--template={self.extension / 'page' / 'article.typ'}",
                 "--extract-media=media"]
        meta = {"papersize": "a4"} | self._meta("typst")
        self._pandoc("paper.typ", self.paper.body, self.paper.tokens, meta, extra)
        about = {"authors": meta["author"], "keywords": meta.get("keywords") or []}
        return tools.compile_pdf(self.folder / "paper.typ", about, self.moment, self.paper.path)

    @property
    def _lang(self) -> str:
        return str(self.paper.options.get("lang", "en"))

    @property
    def _status(self) -> dict:
        return {"simulated": self.ledger["header"]["status"] == "simulated"}

    def _meta(self, form: str) -> dict:
        own = self.paper.formats.get(form, {})
        base = {"link-citations": True, "reference-section-title": "References"}
        meta = base | metadata(self.paper.options | own, self.moment) | self._status
        meta.pop("toc", None)  # pandoc's template variable of that name is the table itself
        return meta

    def _page(
        self, name: str, text: str, tokens: Tokens, meta: dict, source: Path | None = None
    ) -> bytes:
        kind = "notebook" if meta.get("notebook") else "paper"
        extra = [
            "--to=html5", "--mathml", *(["--embed-resources"] if _ASIDE.search(text) else []),
            f"--template={self.extension / 'page' / 'article.html'}",
        ]
        if kind == "paper" and self.paper.option("html", "toc", True):
            depth = int(self.paper.option("html", "toc-depth", 3)) + 1  # the title is the first
            extra += ["--toc", f"--toc-depth={depth}"]
        made = self._pandoc(f"{name}.html", text, tokens, meta, extra, source)
        return _SPOKEN.sub(b"", made)

    def _pandoc(
        self, output: str, text: str, tokens: Tokens, meta: dict, extra: list[str],
        source: Path | None = None,
    ) -> bytes:
        """Run pandoc with the extension's filter, the renderer's own and citeproc."""
        files = {"tokens": tokens.found, "meta": meta}
        for kind, content in files.items():
            path = self.folder / f"{output}.{kind}.json"
            path.write_text(json.dumps(content, default=str), encoding="utf-8")
        environment = {
            "SOURCE_DATE_EPOCH": self.moment, "CLAIMLEDGER_ROOT": self.run.root,
            "CLAIMLEDGER_LEDGER": self.run.ledger, "CLAIMLEDGER_NOTEBOOKS": self.run.notebooks,
            "CLAIMLEDGER_FIGURES": self.run.figures,
            "CLAIMLEDGER_TOKENS": self.folder / f"{output}.tokens.json",
            "CLAIMLEDGER_INPUT": self.paper.path, "CLAIMLEDGER_EXTENSION": self.extension,
            "CLAIMLEDGER_REVIEW": "1" if self.review else "",
            "CLAIMLEDGER_DATE": os.environ.get("SOURCE_DATE_EPOCH", ""),
            "CLAIMLEDGER_RENDERED_BY": tools.versions(),
            "CLAIMLEDGER_PAGE": "notebook" if meta.get("notebook") else "paper",
        }
        citing = ["--citeproc"] if "@" in text else []
        numbers = ["--number-sections"] if meta.get("number-sections") else []
        arguments = [
            *COMMON, f"--metadata-file={output}.meta.json", f"--output={output}", *numbers,
            f"--resource-path={self.folder}{os.pathsep}{self.run.root}",
            f"--lua-filter={self.extension / 'when.lua'}",
            f"--lua-filter={self.extension / 'filter.lua'}",
            f"--lua-filter={ASSETS / 'render.lua'}", *citing, *extra,
        ]
        tools.pandoc(arguments, text, self.folder, environment, source or self.paper.path)
        return (self.folder / output).read_bytes()
