"""The embedded renderer: the paper in each format, and a page for each notebook, without Quarto.

Same extension, same prose, same numbers.
"""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.ledger.entries import load_ledger
from claimledger.project import Run, sha256_file, sha256_tree, write_atomic
from claimledger.prose.source import read_sources
from claimledger.rendering import document, tools
from claimledger.rendering.document import Paper, epoch, metadata, read_paper, set_aside
from claimledger.rendering.notebook_pages import Notebook, as_page, extract_figures
from claimledger.settings import notebook_titles

# No column of a pipe table is given a width: each format fits the columns to their content. Code is
# not colored here: notebooks bring their own.
COMMON = {"standalone": True, "columns": 10000, "wrap": "none", "strip-comments": True,
          "syntax-highlighting": "none", "fail-if-warnings": True}
PARSE, PRESS = ["source"], ["embedded"]  # scripts of the extension
CITING = ("bibliography", "csl", "link-citations", "reference-section-title")
FOUND = ("Header", "Cite", "Div")  # what of a tree is looked at
PAGES = "build/notebooks"  # below the folder of the paper's own page
FILES = {"html": "index.html", "pdf": "paper.pdf", "docx": "paper.docx", "jats": "paper.xml"}
OFFERED = FILES | {"meca": "paper-meca.zip"}  # what a page may point to: the last is Quarto's alone
IDENTIFYING = ("author", "affiliation", "affiliations", "institute", "thanks", "acknowledgments",
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
    def ledger(self) -> dict:
        """The ledger of results."""
        return load_ledger(self.run.ledger)

    @cached_property
    def paper(self) -> Paper:
        """The article that `_quarto.yml` names."""
        paper = read_paper(self.run, self.alts)
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
        named = notebook_titles(self.run.root)
        books = [Notebook.read(self.run.notebooks / f"{stem}.ipynb") for stem in named]
        return [(book, named[book.path.stem] or book.title) for book in books]

    @property
    def moment(self) -> int:
        """The date of all outputs, in seconds."""
        return epoch(self.paper.options)

    @property
    def extension(self) -> Path:
        """The Quarto extension, whose Lua scripts both renderers share."""
        return self.run.root / "_extensions" / "ledger"

    def files(
        self, progress: Callable[[str], None] = lambda _: None,
        check: Callable[[], None] = lambda: None,
    ) -> dict[str, bytes]:
        """All files by name, made side by side; the first error stops what has not begun.

        `progress` is called with the name of each when it is ready; `check` while pandoc is at
        work: what it raises is told before what pandoc complains of.

        Raises:
            LedgerError: an unknown id, verdict, label or citation key.
        """
        with ThreadPoolExecutor() as pool:
            try:
                try:
                    jobs = self._begin(pool)
                except LedgerError:
                    check()
                    raise
                for name, job in jobs.items():
                    job.add_done_callback(lambda one, name=name: one.exception() or progress(name))
                check()
                made = {name: job.result() for name, job in jobs.items()}
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return made | (self.figures() if "jats" in self.formats else {})

    def _begin(self, pool: ThreadPoolExecutor) -> dict[str, Future]:
        self.prepare()
        jobs = self.notebook_pages(pool) if "html" in self.formats else {}
        _ = self.text  # once, before threads share it; no notebook's page needs it
        slowest_first = ("pdf", "jats", "docx", "html")
        return jobs | {FILES[form]: pool.submit(self.article, form)
                       for form in slowest_first if form in self.formats}

    def notebook_pages(self, pool: ThreadPoolExecutor) -> dict[str, Future]:
        """The page of each executed notebook, by its name where the paper's links look for it."""
        return {f"{PAGES}/{book.path.stem}-preview.html":
                pool.submit(self.notebook_page, book, title) for book, title in self.books}

    def prepare(self) -> None:
        """Read all once, before threads share it; write the pictures into the folder."""
        (self.folder / "cells").mkdir()
        for book, _ in self.books:
            extract_figures(book, self.folder / "cells")
        _ = self._behind, self._meta

    def article(self, form: str) -> bytes:
        """The paper in a format; kept as long as all that it is made of is the same.

        A comment in a notebook, or a format asked for again, costs nothing here. A paper that
        shows files of its own beside the exhibits is made each time.
        """
        if _ASIDE.search(self.paper.body):
            return getattr(self, form)()
        source = read_sources([self.paper.path])[0]
        files = [self.paper.path, self.run.ledger, tools.REFERENCE,
                 *sorted(self.folder.glob("cells/*")),
                 *(self.paper.path.parent / piece.file for piece in source.pieces if piece.file),
                 *sorted(self.run.figures.glob("*.json"))]
        told = [self.text, self._meta, self.paper.formats, self.formats, self.moment,
                os.environ.get("SOURCE_DATE_EPOCH"), *map(sha256_file, files)]
        return self._kept(FILES[form], told, getattr(self, form))

    def _kept(self, name: str, told: list, make: Callable[[], bytes]) -> bytes:
        """What was made before of what is told and of all pages' own sources, or what is made."""
        path, key = self.run.kept / name, document.digest(told, self._behind)
        known = document.kept(path, key)
        return document.keep(path, key, make()) if known is None else known

    @cached_property
    def text(self) -> str:
        """The article as pandoc's JSON, the same for all formats."""
        tree = self._parsed(document.cut(self.paper.body))
        found = list(document.nodes(tree, *FOUND))
        if document.repeated(found):
            tree = self._parsed([self.paper.body])
            found = list(document.nodes(tree, *FOUND))
        return json.dumps(self._cited(tree, found), ensure_ascii=False, separators=(",", ":"))

    def _parsed(self, pieces: list[str]) -> dict:
        """The tree of the article, of which only what is new is parsed."""
        path, key = self.run.kept / "parsed.json", document.digest(self._behind)
        known = json.loads(document.kept(path, key) or "{}")
        meta = document.digest(self._meta, self.paper.tokens)
        new = {name: piece for piece in pieces if (name := document.digest(piece)) not in known}
        if new or meta not in known:
            tokens = [*self.paper.tokens]
            text = set_aside(f"\n\n{document.MARK}\n\n".join(new.values()), tokens)
            made = json.loads(self._pandoc("parsed", "json", text, PARSE, self._meta, tokens))
            known[meta] = {"pandoc-api-version": made["pandoc-api-version"], "meta": made["meta"]}
            known |= zip(new, document.parts(made["blocks"]), strict=False)
            known = {name: known[name] for name in (meta, *map(document.digest, pieces))}
            document.keep(path, key, json.dumps(known).encode())
        blocks = [block for piece in pieces for block in known[document.digest(piece)]]
        return known[meta] | {"blocks": blocks}

    def _cited(self, tree: dict, found: list[dict]) -> dict:
        """The tree with its citations resolved: those of a style that sets them in the text by
        themselves, as long as they are the same; notes are numbered with all the others."""
        cites = [one for one in found if one["t"] == "Cite"]
        if not cites:
            return tree
        style = self.paper.options.get("csl")
        alone = not style or b'class="in-text"' in (self.run.root / style).read_bytes()
        few = tree | {"meta": {}, "blocks": [{"t": "Para", "c": cites}]} if alone else tree
        told = {key: self._meta[key] for key in (*CITING, "lang") if key in self._meta}
        path = self.run.kept / "citations.json"
        key = document.digest(few, told, self._sources, tools.versions())
        made = document.kept(path, key) or document.keep(path, key, self._pandoc(
            "cited", "json", json.dumps(few), [], told, citeproc=True))
        return document.cite(tree, found, json.loads(made)) if alone else json.loads(made)

    def html(self) -> bytes:
        """The paper as one self-contained page."""
        others = [{"name": n.upper(), "href": OFFERED[n]} for n in self.formats if n != "html"]
        depth = int(self.paper.option("html", "toc-depth", 3)) + 1  # the title is the first
        toc = bool(self.paper.option("html", "toc", True))
        made = self._article(
            "html", "html5", {"files": others}, **{"table-of-contents": toc, "toc-depth": depth},
            **self._page(self.paper.body))
        return self._light(made)

    def notebook_page(self, book: Notebook, title: str) -> bytes:
        """A notebook's code and outputs as a page of the same design; kept while it is the same."""
        meta = {"title": title, "notebook": True, "lang": str(self.paper.options.get("lang", "en"))}
        meta |= {k: v for k, v in self._meta.items() if k in (*CITING, "simulated")}

        def make() -> bytes:
            text = set_aside(as_page(book, self.alts), tokens := [])
            scripts = [*PARSE, *(["citeproc"] if "@" in text else []), *PRESS]
            return self._light(self._pandoc(
                f"{book.path.stem}.html", "html5", text, scripts, meta, tokens,
                source=book.path, **self._page(text)))

        told = [sha256_file(book.path), self.alts, meta]
        return self._kept(f"{book.path.stem}.html", told, make)

    @cached_property
    def _behind(self) -> list:
        """What every page depends on besides its text."""
        entries = {name: (one.get("text"), one.get("verdict"), one.get("verdicts"))
                   for name, one in self.ledger["entries"].items()}
        files = [path for path in sorted(self.extension.rglob("*")) if path.is_file()]
        return [entries, self.ledger.get("phrases"), self.review, tools.versions(), self._sources,
                sha256_tree(Path(__file__).parent), [sha256_file(path) for path in files]]

    @cached_property
    def _sources(self) -> list[str]:
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
        return tools.reference_docx(self.folder, head, paper)

    def jats(self) -> bytes:
        """The paper as JATS XML, which names its drawings as files in `figures/`."""
        made = self._article("jats", "jats_publishing+element_citations", {},
                             template=str(self.extension / "page" / "article.xml"))
        return tools.valid_jats(made.decode()).encode()

    def figures(self) -> dict[str, bytes]:
        """The drawings that the article embeds, which JATS names."""
        labels = re.findall(r"!\[\]\(cells/([\w-]+)\)", self.paper.body)
        return {f"figures/{label}.svg": (self.folder / "cells" / f"{label}.svg").read_bytes()
                for label in dict.fromkeys(labels)}

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

    def _light(self, page: bytes) -> bytes:
        return tools.light(page.decode(), self.folder / "cells").encode()

    def _article(self, form: str, to: str, told: dict, **options: object) -> bytes:
        """The article in a format, with its own metadata beside those of all formats."""
        own = {k: v for k, v in self.paper.formats.get(form, {}).items() if k != "toc"}
        return self._pandoc(f"paper.{form}", to, self.text, PRESS, self._meta,
                            metadata=own | told, **options)

    def _pandoc(
        self, name: str, to: str, text: str, scripts: Iterable[str], meta: dict,
        tokens: list[dict] | None = None, source: Path | None = None, **options: object,
    ) -> bytes:
        """Run pandoc with scripts of the extension: on Markdown with tokens, or on a tree."""
        def beside(kind: str, content: object) -> str:
            path = self.folder / f"{name}.{kind}.json"
            path.write_text(json.dumps(content, default=str), encoding="utf-8")
            return str(path)

        told = {
            "root": self.run.root, "ledger": self.run.ledger, "notebooks": self.run.notebooks,
            "figures": self.run.figures, "input": self.paper.path, "review": self.review,
            "date": os.environ.get("SOURCE_DATE_EPOCH"), "renderer": tools.versions(),
            "complaint": self.folder / tools.COMPLAINT,
            "page": "notebook" if meta.get("notebook") else "paper",
            "tokens": None if tokens is None else beside("tokens", tokens)}
        filters = [one if one == "citeproc" else str(self.extension / f"{one}.lua")
                   for one in scripts]
        defaults = COMMON | {
            "from": "json" if tokens is None else tools.reading(text),
            "to": to, "output-file": name,
            "metadata-files": [beside("meta", meta)],
            "number-sections": bool(meta.get("number-sections")),
            "resource-path": [str(self.folder), str(self.run.root)],
            "variables": {"claimledger": {k: str(v) for k, v in told.items() if v}},
            "filters": filters,
        } | options
        tools.pandoc(beside("defaults", defaults), text, self.folder, self.moment,
                     source or self.paper.path)
        return (self.folder / name).read_bytes()


@contextmanager
def pressing(run: Run, formats: Iterable[str] = (), review: bool = False) -> Iterator[Press]:
    """One render, in a folder that is there as long as it lasts."""
    with tempfile.TemporaryDirectory(prefix="render-") as folder:
        yield Press(run, Path(folder), tuple(formats), review)


def write_formats(
    run: Run, formats: Iterable[str] = tuple(FILES),
    progress: Callable[[str], None] = lambda _: None, check: Callable[[], None] = lambda: None,
) -> dict[str, Path]:
    """Write the paper of a run and, with HTML, a page for each notebook, once all are ready.

    `progress` and `check` are those of `Press.files`. Returns the path of each format's file.
    """
    formats = tuple(formats)
    with pressing(run, formats) as press:
        ready = press.files(progress, check)
    written = {name: write_atomic(run.output / name, content) for name, content in ready.items()}
    if "html" in formats:  # the page of a notebook that has another name now
        for page in set((run.output / PAGES).glob("*-preview.html")) - set(written.values()):
            page.unlink()
    keep_output(run)
    return {name: written[FILES[name]] for name in formats}


def keep_output(run: Run) -> None:
    """Copy the output folder of record to `build/manuscript`, for a render that is refused.

    Quarto empties it before it asks anybody whether it may render.
    """
    if run.is_record and run.output.is_dir():
        shutil.rmtree(run.base / "manuscript", ignore_errors=True)
        shutil.copytree(run.output, run.base / "manuscript")


def write_notebook_pages(run: Run, output: Path) -> None:
    """Write the page of each executed notebook below `output`."""
    with pressing(run) as press, ThreadPoolExecutor() as pool:
        press.prepare()
        for name, job in press.notebook_pages(pool).items():
            write_atomic(output / name, job.result())
