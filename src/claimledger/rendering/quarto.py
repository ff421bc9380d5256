"""Around Quarto: refuse before it what it would pass over in silence; mend its files after it.

Before: Quarto drops parameters for notebooks that it does not execute, overrides of settings that
only the engine reads, and profiles that do not exist; and its `pdf` is LaTeX, for which this paper
has no template. (A notebook of `notebooks/` it renders without calling the project's first step.)

After: Quarto starts the headings of the text at the level of the title, and ends with status 0
when a label, a key or a variable is unknown. The page must also ask for nothing outside itself,
and a file may hold no time of its making. The notebooks' pages are the engine's own: Quarto would
convert each four times.
"""

import fcntl
import io
import os
import re
import shutil
import sys
import zipfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from html import unescape
from pathlib import Path

import psutil

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.rendering import renderer, tools
from claimledger.rendering.pages import FILES, OFFERED, keep_output, pressing, write_notebook_pages
from claimledger.rendering.tools import light, repack, valid_jats
from claimledger.settings import CONFIG

# Below `build/`; `_quarto.yml` names them as docx: reference-doc, and in metadata-files.
REFERENCE, READING = "reference.docx", "quarto.yml"
BROUGHT = 0.0  # the time of change of what this render has not made
FAST = "fast"  # the profile in which Quarto makes the page, and the embedded renderer the rest
REFUSED = [  # options, what is given to them, what was expected, how to get what was meant
    (("-P", "--execute-param", "--execute-params"), "", "no parameters for the notebooks",
     f"set `ledger: seed` or `ledger: data` in {CONFIG}, or use: claimledger render --data FILE"),
    (("-M", "--metadata"), r"^ledger(\.|:|$)", f"`ledger` as {CONFIG} has it",
     f"write it in {CONFIG}: the results depend on it, and not only the page"),
    (("-t", "--to"), r"(^|,)(pdf|latex|beamer)(,|$)", "html, typst, docx or jats",
     "quarto render --to typst, which makes the PDF"),
]
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
WORDS = ("word/document.xml", "word/footnotes.xml")
SHOWN = re.compile(r"<(script|pre|code)\b.*?</\1>", re.S)  # where a shortcode may be spoken of
# With `google-scholar`, the title and abstract as they were written; our own head has the title.
SCHOLAR = re.compile(r'<meta name="citation_\w+" content="[^"]*\{\{[^"]*">\s*')
# What Quarto adds for widgets where any output of a notebook is HTML, a bare data frame even.
WIDGETS = re.compile(
    r"""<script src="https://cdn\.jsdelivr\.net/npm/(?:jquery|requirejs)@[^>]*></script>\s*"""
    r"""|<script type="application/javascript">define\('jquery'.*?</script>\s*"""
)
FONTS = re.compile(r"""@import\s*(?:url\()?(["']?)https://fonts\.googleapis\.com/.*?\1\)?;""")
PLACE = re.compile(r'\sdata-notebook(?:-title|-cellid)?="[^"]*"')  # a path of this machine
LABEL = re.compile(r"(<figcaption\b[^>]*>\s*)((?:Figure|Table)(?:&nbsp;|\u00a0)\d+:)\s*")
SECTION, ENTRIES = "<!-- ledger-section -->", "build/ledger-section.html"
HEADING = re.compile(r"<(/?)h([1-5])\b")
BODY = re.compile(
    r"(?<=</header>)(\s*<section class=\"abstract\".*?</section>)?(.*?)"
    r"(?=<section class=\"notebooks\"|</main>)", re.S,
)


# --- before it --------------------------------------------------------------------------------


def calling() -> tuple[psutil.Process | None, list[str]]:
    """The Quarto that called this process, and the words after `quarto`; None without one."""
    for parent in psutil.Process().parents():
        with suppress(psutil.Error):
            words = parent.cmdline()
            for place, word in enumerate(words):
                if Path(word).name == "quarto.js":
                    return parent, words[place + 1:]
    return None, []


@contextmanager
def before(run: Run) -> Iterator[None]:
    """Around the first step of a render, which may be refused, may have to wait, and may fail.

    Quarto has emptied the output folder by then; what was there comes back, of the date 1970, in
    case that the render goes no further. What it does not make anew, `main` removes.
    """
    quarto, words = calling()
    try:
        check_request(words)
        if quarto and words[:1] == ["render"]:
            take_turn(run.base, quarto)
        yield
        prepare(run)
    except BaseException:
        bring_back(run)
        raise
    bring_back(run, BROUGHT)


def bring_back(run: Run, date: float | None = None) -> None:
    """Into an empty folder, the pages of the last render that went well; all of that `date`."""
    kept = run.base / "manuscript"
    if kept.is_dir() and not list(run.output.glob("*.*")):
        shutil.copytree(kept, run.output, dirs_exist_ok=True)
        for path in run.output.rglob("*") if date is not None else ():
            os.utime(path, (date, date))


def take_turn(base: Path, quarto: psutil.Process) -> None:
    """Wait while another Quarto renders this project: both would empty the same folders.

    The turn, in `quarto.turn` below `base`, is a process's own, and is over when that one ends.
    """
    base.mkdir(exist_ok=True)
    with (base / "quarto.turn").open("a+", encoding="utf-8") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        turn.seek(0)
        with suppress(ValueError, psutil.Error):
            number, begun = turn.read().split()
            other = psutil.Process(int(number))
            if other != quarto and str(other.create_time()) == begun:
                print(f"another quarto render (process {number}) is at work: waiting for it",
                      file=sys.stderr, flush=True)
                other.wait()
        turn.truncate(0)
        turn.write(f"{quarto.pid} {quarto.create_time()}")


def check_request(words: list[str]) -> None:
    """Refuse what Quarto would take without effect.

    Raises
    ------
    LedgerError
        Parameters for the notebooks, an override of a key under `ledger`, or LaTeX's PDF, with the
        way to get what was meant.
    """
    parser = ArgumentParser(add_help=False, allow_abbrev=False)
    for names, *_ in REFUSED:
        parser.add_argument(*names, action="append", nargs="?", const="", default=[], dest=names[0])
    given = vars(parser.parse_known_args(words)[0])
    for names, pattern, expected, mend in REFUSED:
        for value in given[names[0]]:
            if re.search(pattern, value):
                raise LedgerError(" ".join(["quarto", *words]), found=f"{names[0]} {value}",
                                  expected=expected, mend=mend)


def prepare(run: Run) -> None:
    """Write what Quarto reads besides the sources: how to read, and its Word file's reference."""
    with pressing(run) as press:
        reading = f"from: {tools.reading(press.paper.body)}\n".encode()
        for name, made in {REFERENCE: press.reference().read_bytes(), READING: reading}.items():
            path = run.base / name
            if not path.is_file() or path.read_bytes() != made:
                write_atomic(path, made)


# --- after it ---------------------------------------------------------------------------------


def polish(root: Path, output: Path) -> list[Path]:
    """Mend the files below `output`; return those that were changed.

    Raises:
        LedgerError: something unresolved or a request outside, with all places.
    """
    run, changed, problems = Run.open(root), [], []
    moment = renderer.moment(run)
    for path in sorted(output.rglob("*")):
        beside = path.parent == output and path.suffix in (".xml", ".docx")
        if not (beside or path.suffix in (".html", ".css")):
            continue
        before = path.read_bytes()
        after = _mended(path, before, root, output, moment)
        if after != before:
            changed.append(write_atomic(path, after))
        name, shown = path.relative_to(output).as_posix(), _shown(path.suffix, after)
        problems += _problems(name, shown, run.article)
        if path.suffix in (".html", ".css"):
            problems += [f"{name}: asks for {m[0][:120]}" for m in OUTSIDE.finditer(shown)]
    if problems:
        raise LedgerError(
            output, found="\n    ".join(dict.fromkeys(problems)),
            expected="everything resolved, and no request outside the page")
    return changed


def _mended(path: Path, content: bytes, root: Path, output: Path, moment: int) -> bytes:
    if path.suffix == ".docx":
        return repack(content, moment)
    text = content.decode()
    if path.suffix == ".css":
        text = FONTS.sub("", text)
    elif path.suffix == ".xml":
        text = valid_jats(text)
    else:
        text = as_ours(light(WIDGETS.sub("", SCHOLAR.sub("", text)), root / "figures"), output)
        if SECTION in text:  # written by the filter, so that Quarto need not read it
            text = text.replace(SECTION, (root / ENTRIES).read_text(encoding="utf-8"))
    return text.encode()


def _shown(suffix: str, content: bytes) -> str:
    """What may tell of something unresolved: of a Word file the text, of JATS all but code."""
    if suffix == ".docx":
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            xml = [parts.read(part).decode() for part in parts.namelist() if part in WORDS]
        return re.sub(r"<[^>]+>", "", "\n".join(xml))
    text = content.decode()
    code = r"<(code|sub-article)\b.*?</\1>" if suffix == ".xml" else "$^"
    return re.sub(code, "", text, flags=re.S)


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


def as_ours(page: str, output: Path) -> str:
    """The page with our bar, headings and captions; `output` holds the files to point to."""
    if '<main id="text">' not in page:
        return page  # the page of another theme, which a reader of `_quarto.yml` has chosen
    page = PLACE.sub("", page)
    page = LABEL.sub(r"\1<strong>\2</strong> ", page)
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
    run = Run.open(Path.cwd())
    try:
        finish(run, Path(os.environ["QUARTO_PROJECT_OUTPUT_DIR"]))
    except LedgerError as error:
        if (run.base / "manuscript").is_dir():
            shutil.rmtree(run.output)
            bring_back(run)
        sys.exit(f"Error {error}")


def finish(run: Run, output: Path) -> None:
    """All that follows once Quarto has written a render's files below `output`."""
    for path in sorted(output.rglob("*"), reverse=True):  # a folder after what is in it
        if path.is_dir():
            with suppress(OSError):  # it holds something
                path.rmdir()
        elif path.stat().st_mtime == BROUGHT:
            path.unlink()
    page = list(output.glob("*.html"))
    if page and FAST in os.environ.get("QUARTO_PROFILE", "").split(","):
        with pressing(run, [name for name in FILES if name != "html"]) as press:
            for name, content in press.files().items():
                write_atomic(output / name, content)
    polish(run.root, output)
    bundle(run.root, output)
    if page:
        write_notebook_pages(run, output)
    keep_output(run)


if __name__ == "__main__":
    main()
