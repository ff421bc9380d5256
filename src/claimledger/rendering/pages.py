"""The paper in each format, and a page for each notebook, as bytes."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, sha256_file, sha256_tree, write_atomic
from claimledger.prose.source import read_sources
from claimledger.prose.tokens import require_tokens
from claimledger.rendering import tools
from claimledger.rendering.document import Paper, Tokens, epoch, metadata, read_paper
from claimledger.rendering.notebook_pages import Notebook, as_page, extract_figures
from claimledger.settings import settings

STYLES = Path(__file__).parent / "assets" / "word-styles.xml"
# No column of a pipe table is given a width: each format fits the columns to their content. Code is
# not colored here: notebooks bring their own.
COMMON = {"standalone": True, "columns": 10000, "wrap": "none", "strip-comments": True,
          "syntax-highlighting": "none", "fail-if-warnings": True}
PARSE, PRESS = ["when", "citations"], ["filter", "embedded"]  # scripts of the extension, in order
PARSED = "paper.json"  # the article, parsed once where several formats are made of it
CITING = ("bibliography", "csl", "link-citations", "reference-section-title")
FILES = {"html": "index.html", "pdf": "paper.pdf", "docx": "paper.docx", "jats": "paper.xml"}
IDENTIFYING = ("author", "affiliation", "affiliations", "institute", "thanks", "acknowledgements",
               "repo-url", "citation", "funding")
# What a page would ask for beside itself: any picture but an exhibit's, which is a part of it.
_ASIDE = re.compile(
    r"!\[[^\]]*\]\((?!cells/)|<(?:img|video|audio|source|script|link|iframe)\b", re.I)


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
        """Read and parse all once, before threads share it; write the pictures into the folder."""
        article = self.run.root / self.config.get("manuscript", {}).get("article", "paper.qmd")
        paths = [article, *(book.path for book, _ in self.books)]
        named = [replace(source, file=os.path.relpath(source.file, self.run.root))
                 for source in read_sources(path for path in paths if path.is_file())]
        require_tokens(named, self.ledger)
        (self.folder / "cells").mkdir()
        for book, _ in self.books:
            extract_figures(book, self.folder / "cells")
        _ = self.paper, self._behind
        if len(self.formats) > 1:
            self._pandoc(PARSED, "json", self.paper.body, self.paper.tokens, self._meta, PARSE)

    def html(self) -> bytes:
        """The paper as one self-contained page."""
        others = [{"name": n.upper(), "href": FILES[n]} for n in self.formats if n != "html"]
        depth = int(self.paper.option("html", "toc-depth", 3)) + 1  # the title is the first
        toc = bool(self.paper.option("html", "toc", True))
        made = self._article(
            "html", "html5", {"files": others}, **{"table-of-contents": toc, "toc-depth": depth},
            **self._page(self.paper.body))
        return tools.light(made.decode()).encode()

    def notebook_page(self, book: Notebook, title: str) -> bytes:
        """A notebook's code and outputs as a page of the same design; kept while it is the same."""
        meta = {"title": title, "notebook": True, "lang": str(self.paper.options.get("lang", "en"))}
        meta |= {k: v for k, v in self._meta.items() if k in (*CITING, "simulated")}
        kept = self.run.base / "pages" / f"{book.path.stem}.html"
        told = [sha256_file(book.path), self.alts, meta, self._behind]
        key = sha256(json.dumps(told, default=str).encode())
        mark, _, known = kept.read_bytes().partition(b"\n") if kept.is_file() else (b"", b"", b"")
        if mark == _mark(key, known):
            return known
        tokens = Tokens()
        text = tokens.replace(as_page(book, self.alts))
        page = self._pandoc(f"{book.path.stem}.html", "html5", text, tokens, meta,
                            source=book.path, **self._page(text))
        made = tools.light(page.decode()).encode()
        write_atomic(kept, _mark(key, made) + b"\n" + made)
        return made

    @cached_property
    def _behind(self) -> list:
        """What every notebook's page depends on besides its text."""
        entries = {name: (one.get("text"), one.get("verdict"), one.get("verdicts"))
                   for name, one in self.ledger["entries"].items()}
        files = [path for path in sorted(self.extension.rglob("*")) if path.is_file()]
        return [entries, self.ledger.get("phrases"), self.review, tools.versions(), self._cited,
                sha256_tree(Path(__file__).parent), [sha256_file(path) for path in files]]

    @cached_property
    def _cited(self) -> list[str]:
        """The contents, as SHA-256, of the style of citations and of what is cited from."""
        named = self.paper.options.get("bibliography") or []
        named = [*(named if isinstance(named, list) else [named]), self.paper.options.get("csl")]
        paths = [self.run.root / str(name) for name in named if name]
        return [sha256_file(path) for path in paths if path.is_file()]

    def docx(self) -> bytes:
        """The paper as a Word file."""
        people = [", ".join(filter(None, (p["name"], p["place"]))) for p in self._meta["by"]]
        reference = str(self.reference())
        made = self._article("docx", "docx", {"author": people}, **{"reference-doc": reference})
        return tools.repack(made, self.moment)

    def reference(self) -> Path:
        """The document that a Word file takes its styles, page, head and foot from."""
        status = "Simulated data: see the notice on the first page"
        title = self.paper.options.get("running-head", "")
        head = f"{title}\t{status if self._meta['simulated'] else ''}"
        paper = str(self.paper.option("typst", "papersize", "a4"))
        return tools.reference_docx(self.folder, STYLES.read_text(encoding="utf-8"), head, paper)

    def jats(self) -> bytes:
        """The paper as JATS XML, which names its drawings as files in `figures/`."""
        made = self._article("jats", "jats_publishing+element_citations", {},
                             template=str(self.extension / "page" / "article.xml"))
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
        size = self.paper.option("typst", "papersize", "a4")
        made = self._article("typst", "typst-citations", {"papersize": size}, **{
            "template": str(self.extension / "page" / "article.typ"), "extract-media": "media"})
        (self.folder / "paper.typ").write_bytes(made)
        about = {"authors": self._meta["author"], "keywords": self._meta.get("keywords") or []}
        return tools.compile_pdf(self.folder / "paper.typ", about, self.moment, self.paper.path)

    @cached_property
    def _meta(self) -> dict:
        """What the templates are told, in any format."""
        base = {"link-citations": True, "reference-section-title": "References"}
        meta = base | metadata(self.paper.options, self.moment)
        meta.pop("toc", None)  # pandoc's template variable of that name is the table itself
        return meta | {"simulated": self.ledger["header"]["status"] == "simulated"}

    def _page(self, text: str) -> dict:
        """Options of any page: nothing that it asks for lies beside it."""
        return {"html-math-method": {"method": "mathml"},
                "embed-resources": bool(_ASIDE.search(text)),
                "template": str(self.extension / "page" / "article.html")}

    def _article(self, form: str, to: str, told: dict, **options: object) -> bytes:
        """The article in a format, with its own metadata beside those of all formats."""
        own = {k: v for k, v in self.paper.formats.get(form, {}).items() if k != "toc"}
        parsed = self.folder / PARSED
        text = parsed.read_text(encoding="utf-8") if parsed.is_file() else self.paper.body
        scripts = PRESS if parsed.is_file() else PARSE + PRESS
        return self._pandoc(f"paper.{form}", to, text, self.paper.tokens, self._meta, scripts,
                            metadata=own | told, **options)

    def _pandoc(
        self, name: str, to: str, text: str, tokens: Tokens, meta: dict,
        scripts: Iterable[str] = (*PARSE, *PRESS), source: Path | None = None, **options: object,
    ) -> bytes:
        """Run pandoc with scripts of the extension, on Markdown or on what was parsed before."""
        def beside(kind: str, content: object) -> str:
            path = self.folder / f"{name}.{kind}.json"
            path.write_text(json.dumps(content, default=str), encoding="utf-8")
            return str(path)

        told = {
            "root": self.run.root, "ledger": self.run.ledger, "notebooks": self.run.notebooks,
            "figures": self.run.figures, "input": self.paper.path, "review": self.review,
            "date": os.environ.get("SOURCE_DATE_EPOCH"), "renderer": tools.versions(),
            "page": "notebook" if meta.get("notebook") else "paper",
            "tokens": beside("tokens", tokens.found),
        } | self._citing
        defaults = COMMON | {
            "from": "markdown" if "when" in scripts else "json", "to": to, "output-file": name,
            "metadata-files": [beside("meta", meta)],
            "number-sections": bool(meta.get("number-sections")),
            "resource-path": [str(self.folder), str(self.run.root)],
            "variables": {"claimledger": {k: str(v) for k, v in told.items() if v}},
            "filters": [str(self.extension / f"{script}.lua") for script in scripts],
        } | options
        tools.pandoc(beside("defaults", defaults), text, self.folder, self.moment,
                     source or self.paper.path)
        return (self.folder / name).read_bytes()

    @cached_property
    def _citing(self) -> dict:
        """Where resolved citations are kept, and what they depend on besides themselves.

        Only for a style that sets them in the text: notes are numbered with all the others.
        """
        style = self.paper.options.get("csl")
        if not style or b'class="in-text"' not in (self.run.root / style).read_bytes():
            return {}
        told = [self._meta.get(key) for key in CITING] + [self.paper.options.get("lang")]
        return {"citations": self.run.base / "pages" / "citations.json",
                "sources": sha256(json.dumps([told, self._cited]).encode()).hexdigest()}


def _mark(key, page: bytes) -> bytes:
    """The first line of a kept page: of what it was made, and of what it consists."""
    return f"<!-- {key.hexdigest()} {sha256(page).hexdigest()} -->".encode()
