"""Around Quarto: refuse before it what it would pass over in silence; mend its files after it.

Before: Quarto drops parameters for notebooks that it does not execute, overrides of settings that
only the engine reads, and profiles that do not exist; and its `pdf` is LaTeX, for which this paper
has no template. (A notebook of `notebooks/` it renders without calling the project's first step.)

After: Quarto copies title and abstract into the page's head with shortcodes unresolved, starts
the headings of the text at the level of the title, and ends with status 0 when a label, a key or a
variable is unknown. The page must also ask for nothing outside itself, and a file may hold no time
of its making. The notebooks' pages are the engine's own: Quarto would convert each four times.
"""

import os
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from html import escape, unescape
from pathlib import Path

import psutil

from claimledger.errors import LedgerError
from claimledger.project import Run, find_root, write_atomic
from claimledger.rendering import renderer
from claimledger.rendering.pages import OFFERED, pressing, write_notebook_pages
from claimledger.rendering.tools import light, repack, valid_jats
from claimledger.settings import CONFIG, settings

REFERENCE = "reference.docx"  # below `build/`; `_quarto.yml` names it as docx: reference-doc
UNRESOLVED = [
    (re.compile(r"\{\{(?:&lt;|<)[^{}]*\}\}"), "a shortcode that nothing resolved"),
    (re.compile("\ue000[0-9]*\ue001"), "words that were set aside and did not come back"),
    (re.compile(r"\?@[\w:.-]+"), "a label that the paper does not have"),
    (re.compile(r"\?(?:var|meta|env):[\w.-]*"), "a variable that does not exist"),
    (re.compile(r"(?:#ref-|data-cites=)[^<]*<strong>([\w:.-]+)\?</strong>"),
     "a citation key that the bibliography lacks"),
]
# What a browser would fetch by itself; a link that a reader may follow is none.
OUTSIDE = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*?\s(?:src|data)=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|<link\b[^>]*?rel=["']?(?:stylesheet|preload|preconnect|icon)[^>]*?href=["']?(?:https?:)?//[^"'\s>]+"""
    r"""|url\(["']?(?:https?:)?//[^)]+|@import\s*["'](?:https?:)?//[^"']+"""
)
SHOWN = re.compile(r"<(script|pre|code)\b.*?</\1>", re.S)  # where a shortcode may be spoken of
SAID = {
    "citation_title": r"<h1\b[^>]*>(.*?)</h1>",
    "citation_abstract": r'<section class="abstract"[^>]*>\s*<h2.*?</h2>(.*?)'
                         r'(?:<p class="keywords">|</section>)',
}
# What Quarto adds for widgets where any output of a notebook is HTML, a bare data frame even.
WIDGETS = re.compile(
    r"""<script src="https://cdn\.jsdelivr\.net/npm/(?:jquery|requirejs)@[^>]*></script>\s*"""
    r"""|<script type="application/javascript">define\('jquery'.*?</script>\s*"""
)
FONTS = re.compile(r"""@import\s*(?:url\()?(["']?)https://fonts\.googleapis\.com/.*?\1\)?;""")
PLACE = re.compile(r'\sdata-notebook(?:-title|-cellid)?="[^"]*"')  # a path of this machine
LABEL = re.compile(r"(<figcaption\b[^>]*>\s*)((?:Figure|Table)(?:&nbsp;|\u00a0)\d+:)\s*")
PANEL = re.compile(r'<section class="power-panel".*?</section>', re.S)
CLOSED = re.compile(r"</td>|</tr>(?!</thead>)")  # what Quarto adds to rows
SECTION, ENTRIES = "<!-- ledger-section -->", "build/ledger-section.html"
HEADING = re.compile(r"<(/?)h([1-5])\b")
BODY = re.compile(
    r"(?<=</header>)(\s*<section class=\"abstract\".*?</section>)?(.*?)"
    r"(?=<section class=\"notebooks\"|</main>)", re.S,
)


# --- before it --------------------------------------------------------------------------------


def command_line() -> list[str]:
    """The words after `quarto`, of the process that called this one; [] without such a process."""
    for parent in psutil.Process().parents():
        try:
            words = parent.cmdline()
        except psutil.Error:
            continue
        for place, word in enumerate(words):
            if Path(word).name == "quarto.js":
                return words[place + 1:]
    return []


def check_request(words: list[str]) -> None:
    """Refuse what Quarto would take without effect.

    Raises
    ------
    LedgerError
        Parameters for the notebooks, an override of a key under `ledger`, or LaTeX's PDF, with the
        way to get what was meant.
    """
    given = " ".join(["quarto", *words])
    for option, value in _options(words):
        if option in ("-P", "--execute-param", "--execute-params"):
            raise LedgerError(
                given, found=f"{option} {value}", expected="no parameters for the notebooks",
                mend=f"set `ledger: seed` or `ledger: data` in {CONFIG}, "
                     "or use: claimledger render --data FILE",
            )
        if option in ("-M", "--metadata") and re.match(r"ledger(\.|:|$)", value):
            raise LedgerError(
                given, found=f"{option} {value}", expected=f"`ledger` as {CONFIG} has it",
                mend=f"write it in {CONFIG}: the results depend on it, and not only the page",
            )
        if option in ("-t", "--to") and set(value.split(",")) & {"pdf", "latex", "beamer"}:
            raise LedgerError(
                given, found=f"{option} {value}", expected="html, typst, docx or jats",
                mend="quarto render --to typst, which makes the PDF",
            )


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, joined, value = word.partition("=")
        if name.startswith("--") and joined:
            yield name, value
        elif word.startswith("-P") and word != "-P" or word.startswith("-M") and word != "-M":
            yield word[:2], word[2:]
        elif word.startswith("-"):
            yield word, following


def prepare(run: Run) -> Path:
    """Write what Quarto reads besides the sources: the reference document of its Word file."""
    with pressing(run) as press:
        made = press.reference().read_bytes()
    path = run.base / REFERENCE
    if path.is_file() and path.read_bytes() == made:
        return path
    return write_atomic(path, made)


# --- after it ---------------------------------------------------------------------------------


def polish(root: Path, output: Path, made: list[Path] | None = None) -> list[Path]:
    """Mend the pages below `output`; return those that were changed.

    `made` names the files of this render, all files below `output` by default: what an earlier
    render left there does not stop this one.

    Raises:
        LedgerError: something unresolved or a request outside, with all places.
    """
    run, changed, problems = Run.open(root), [], []
    moment = renderer.moment(run)
    files = sorted(output.rglob("*") if made is None else made)
    for page in (path for path in files if path.suffix == ".html"):
        before = page.read_text(encoding="utf-8")
        after = light(WIDGETS.sub("", _head(before)), root / "figures")
        after = as_ours(after, output)
        if SECTION in after:  # written by the filter, so that Quarto need not read it
            after = after.replace(SECTION, (root / ENTRIES).read_text(encoding="utf-8"))
        if after != before:
            changed.append(write_atomic(page, after))
        problems += _problems(page.relative_to(output).as_posix(), after, run.article)
        problems += [f"{page.name}: asks for {m[0][:120]}" for m in OUTSIDE.finditer(after)]
    for sheet in sorted(output.rglob("*.css")):  # Quarto's theme asks for a font of its own
        before = sheet.read_text(encoding="utf-8")
        after = FONTS.sub("", before)
        if after != before:
            changed.append(write_atomic(sheet, after))
        problems += [f"{sheet.name}: asks for {m[0][:120]}" for m in OUTSIDE.finditer(after)]
    for path in (path for path in files if path.suffix == ".xml" and path.parent == output):
        before = path.read_text(encoding="utf-8")
        if (after := valid_jats(before)) != before:
            changed.append(write_atomic(path, after))
    for path in (path for path in files if path.suffix == ".docx" and path.parent == output):
        before = path.read_bytes()
        if (after := repack(before, moment)) != before:
            changed.append(write_atomic(path, after))
    for name, text in _others(path for path in files if path.parent == output):
        problems += _problems(name, text, run.article)
    if problems:
        raise LedgerError(
            output, found="\n    ".join(dict.fromkeys(problems)),
            expected="everything resolved, and no request outside the page",
        )
    return changed


def bundle(root: Path, output: Path) -> None:
    """The MECA bundle with the files as they are mended, and with the executed notebooks."""
    path, run = output / OFFERED["meca"], Run.open(root)
    if not path.is_file():
        return
    with zipfile.ZipFile(path) as old:
        instead = {name: (output / name).read_bytes() for name in old.namelist()
                   if (output / name).is_file()}
        manifest = old.read("manifest.xml").decode()
    for book in sorted(run.notebooks.glob("*.ipynb")):
        name = book.relative_to(root).as_posix()
        instead[name] = book.read_bytes()
        item = ('  <item item-type="manuscript-supporting-file">\n    <instance media-type='
                f'"application/x-ipynb+json" xlink:href="{name}"/>\n  </item>\n')
        manifest = manifest if name in manifest else manifest.replace(
            "</manifest>", item + "</manifest>")
    instead["manifest.xml"] = manifest.encode()
    write_atomic(path, repack(path.read_bytes(), renderer.moment(run), instead))


def _head(page: str) -> str:
    """Title and abstract in the head as the body has them."""
    for name, pattern in SAID.items():
        body = re.search(pattern, page, re.S)
        if not body:
            continue
        text = " ".join(unescape(re.sub(r"<[^>]+>", "", body[1])).split())
        new = f'<meta name="{name}" content="{escape(text)}">'
        page = re.sub(rf'<meta name="{name}" content="[^"]*">', lambda _, new=new: new, page)
    return page


def _problems(name: str, text: str, article: Path) -> Iterator[str]:
    prose = SHOWN.sub("", text)
    for pattern, what in UNRESOLVED:
        for match in pattern.finditer(prose):
            found = (match[1] if match.lastindex else match[0]).removeprefix("?")
            yield f"{name}: {what}: {unescape(found)}{_line(article, unescape(found))}"


def _line(article: Path, found: str) -> str:
    """Where in the article it stands, for a reader of the message."""
    lines = article.read_text(encoding="utf-8").split("\n") if article.is_file() else []
    word = re.compile(re.escape(found).replace(":", r"[:\s]+") + r"(?![\w-])")
    numbers = [str(n) for n, line in enumerate(lines, 1) if word.search(line)]
    return f" ({article.name}:{', '.join(numbers)})" if numbers else ""


def _others(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """The text of the Word and JATS files."""
    for path in files:
        if path.suffix == ".docx":
            with zipfile.ZipFile(path) as parts:
                for part in ("word/document.xml", "word/footnotes.xml"):
                    if part in parts.namelist():
                        xml = parts.read(part).decode()
                        yield path.name, re.sub(r"<[^>]+>", "", xml)
        elif path.suffix == ".xml":
            xml = path.read_text(encoding="utf-8")
            yield path.name, re.sub(r"<(code|sub-article)\b.*?</\1>", "", xml, flags=re.S)


def as_ours(page: str, output: Path) -> str:
    """The page with our bar, headings and captions; `output` holds the files to point to."""
    if '<main id="text">' not in page:
        return page  # the page of another theme, which a reader of `_quarto.yml` has chosen
    page = PLACE.sub("", page)
    page = LABEL.sub(r"\1<strong>\2</strong> ", page)
    page = PANEL.sub(lambda found: CLOSED.sub("", found[0]), page)
    page = BODY.sub(lambda found: (found[1] or "") + _lowered(found[2]), page, count=1)
    if 'class="files"' in page:
        return page
    links = [f'<a href="{file}">{name.upper()}</a>' for name, file in OFFERED.items()
             if name != "html" and (output / file).is_file()]
    line = f'<p class="files">{" · ".join(links)}</p>\n' if links else ""
    return page.replace("</header>", line + "</header>", 1)


def _lowered(text: str) -> str:
    """Each heading one level down, unless that is done: the title alone is of the first."""
    if "<h1" not in text:
        return text
    return HEADING.sub(lambda found: f"<{found[1]}h{int(found[2]) + 1}", text)


def main() -> None:
    """Polish what Quarto has just written, add to it; for the hook of the extension."""
    try:
        root = find_root(Path(os.environ.get("QUARTO_PROJECT_DIR") or Path.cwd()))
        output = Path(os.environ.get("QUARTO_PROJECT_OUTPUT_DIR") or root / _output(root))
        made = os.environ.get("QUARTO_PROJECT_OUTPUT_FILES", "").splitlines()
        made = [root / name for name in made if (root / name).is_file()]
        polish(root, output, made or None)
        bundle(root, output)
        if not made or any(path.suffix == ".html" for path in made):
            write_notebook_pages(Run.open(root), output)
    except LedgerError as error:
        sys.exit(f"Error {error}")


def _output(root: Path) -> str:
    """The folder that `_quarto.yml` names, else the one that Quarto takes for a manuscript."""
    project = settings(root).get("project", {})
    if project.get("type") not in (None, "manuscript"):
        raise LedgerError(f"{CONFIG}: project.type", found=project["type"], expected="manuscript")
    return project.get("output-dir", "_manuscript")


if __name__ == "__main__":
    main()
