"""`claimledger preview`: the page in a browser, made anew while one writes.

HTML only, by the embedded renderer, into `build/preview`. An edited sentence presses the paper
alone; an edited notebook (or registration, or data) is run first. What the checks of the prose
find is told and stops nothing: a page is read while it is unfinished.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.pipeline import build
from claimledger.project import Run, write_atomic
from claimledger.rendering.pages import pressing
from claimledger.settings import CONFIG

PAUSE = 0.2      # seconds between two looks at the files
NEWS = "changed"  # the file that holds the number of the newest page
RELOAD = b"""<script>
(function ask(last) {
  fetch("/changed", {cache: "no-store"}).then(r => r.text())
    .then(now => { if (last && now !== last) location.reload(); else setTimeout(ask, 200, now); })
    .catch(() => setTimeout(ask, 1000, last));
})("");
</script>"""


class Preview:
    """The files that are watched, and the pages as they were last made."""

    def __init__(self, run: Run, say: Callable[[str], None] = print) -> None:
        """`say` is given each line for the person who writes."""
        self.run, self.say = run, say
        self.folder = run.base / "preview"
        self.version = 0
        self._seen: dict[Path, tuple[int, int]] = {}

    def look(self) -> bool:
        """Make anew what the files that changed ask for; whether anything was made."""
        root = self.run.root
        sources = _states(  # what the results depend on; the others are read for a page only
            self.run.registration, self.run.data, *(root / "data").glob("*.*"),
            *(root / "notebooks").glob("*.ipynb"))
        now = sources | _states(
            self.run.article, root / CONFIG, *root.glob("*.bib"), *root.glob("*.csl"),
            *(root / "paper").glob("*.qmd"), *(root / "_extensions").rglob("*"))
        if now == self._seen:
            return False
        results = any(self._seen.get(path) != state for path, state in sources.items())
        self._seen = now
        start = time.monotonic()
        try:
            if results:
                build.build(self.run)
            self._press()
        except LedgerError as error:
            self.say(f"Error {error}")
            return False
        self.say(f"{time.strftime('%H:%M:%S')} made in {time.monotonic() - start:.1f} s")
        self.version += 1
        write_atomic(self.folder / NEWS, str(self.version))
        for problem in build.lint(self.run)[:build.SHOWN]:
            self.say(f"  {problem}")
        return True

    def _press(self) -> None:
        with pressing(self.run, ["html"]) as press:
            ready = press.files()
        for name, content in ready.items():
            path = self.folder / name
            if path.suffix == ".html":
                content = content.replace(b"</body>", RELOAD + b"</body>")
            if not path.is_file() or path.read_bytes() != content:
                write_atomic(path, content)


def _states(*paths: Path) -> dict[Path, tuple[int, int]]:
    states = {}
    for path in paths:
        with suppress(FileNotFoundError):  # an editor replaces it at this moment
            if path.is_file() and "__pycache__" not in path.parts:
                states[path] = (path.stat().st_mtime_ns, path.stat().st_size)
    return states


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing: the terminal is for what is made."""


def serve(preview: Preview, port: int) -> ThreadingHTTPServer:
    """A server of the preview on this machine alone, running in a thread of its own."""
    try:
        handler = partial(_Handler, directory=str(preview.folder))
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise LedgerError(f"--port {port}", found=error.strerror, mend="name another, 0 for any",
                          expected="a free port of this machine") from error
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def preview(run: Run, port: int) -> None:
    """Make the page, serve it, and watch the files until Ctrl+C."""
    shown = Preview(run)
    shown.folder.mkdir(parents=True, exist_ok=True)
    server = serve(shown, port)
    print(f"http://127.0.0.1:{server.server_port}/  (Ctrl+C ends it)", flush=True)
    try:
        while True:
            shown.look()
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        print()
    finally:
        server.shutdown()
