"""The embedded renderer: the paper as HTML, PDF, DOCX and JATS with pandoc and typst alone.

For machines without Quarto. Same extension, same prose, same numbers.
"""

import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import Run, write_atomic
from claimledger.rendering.pages import FILES, Press


def render(
    run: Run, formats: Iterable[str] = tuple(FILES),
    progress: Callable[[str], None] = lambda _: None, check: Callable[[], None] = lambda: None,
) -> dict[str, Path]:
    """Render the paper of a run and, with HTML, a page for each notebook.

    `progress` is called with the name of each file when it is ready; `check` while pandoc is at
    work: what it raises is told before what pandoc complains of.
    Returns the path of each format's file. Nothing is written before everything is ready.

    Raises:
        LedgerError: an unknown format, id, verdict, label or citation key.
    """
    formats = tuple(formats)
    for name in formats:
        if name not in FILES:
            raise LedgerError("render", found=name, expected=f"one of {', '.join(FILES)}")
    with tempfile.TemporaryDirectory(prefix="render-") as folder:
        ready = press_files(Press(run, Path(folder), formats), progress, check)
    written = {name: write_atomic(run.output / name, content) for name, content in ready.items()}
    if "html" in formats:  # the page of a notebook that has another name now
        for page in set((run.output / "build" / "notebooks").glob("*-preview.html")):
            if page not in written.values():
                page.unlink()
    return {name: written[FILES[name]] for name in formats}


def write_notebook_pages(run: Run, output: Path) -> None:
    """The page of each executed notebook, below `output`, where the paper's links look for it."""
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        press = Press(run, Path(folder), ())
        press.prepare()
        with ThreadPoolExecutor() as pool:
            for name, job in [(n, pool.submit(*call)) for n, *call in _notebook_jobs(press)]:
                write_atomic(output / name, job.result())


def _notebook_jobs(press: Press) -> list[tuple]:
    return [(f"build/notebooks/{book.path.stem}-preview.html", press.notebook_page, book, title)
            for book, title in press.books]


def press_files(
    press: Press, progress: Callable[[str], None], check: Callable[[], None] = lambda: None,
) -> dict[str, bytes]:
    """All files by name, made side by side; the first error stops what has not begun."""
    with ThreadPoolExecutor() as pool:
        try:
            try:
                jobs = _begin(press, pool)
            except LedgerError:
                check()
                raise
            for name, job in jobs.items():
                job.add_done_callback(lambda done, name=name: done.exception() or progress(name))
            check()
            made = {name: job.result() for name, job in jobs.items()}
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return made | (press.figures() if "jats" in press.formats else {})


def _begin(press: Press, pool: ThreadPoolExecutor) -> dict[str, Future]:
    press.prepare()
    calls = _notebook_jobs(press) if "html" in press.formats else []
    jobs = {name: pool.submit(*call) for name, *call in calls}
    _ = press.text  # once, before threads share it; no notebook's page needs it
    slowest_first = ("pdf", "jats", "docx", "html")
    return jobs | {FILES[name]: pool.submit(press.article, name)
                   for name in slowest_first if name in press.formats}
