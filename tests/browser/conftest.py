"""Pages in Debian's Chromium, by Playwright."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from claimledger.project import Run
from claimledger.rendering.pages import write_formats
from claimledger.rendering.quarto import polish
from fixture.project import make_project

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PANEL = '\n\n::: {.power-panel grid="fig-power"}\nHow often the rules would find an effect.\n:::\n'


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of a worker."""
    if not CHROMIUM:
        pytest.skip("no chromium on this machine: the pages are not tried in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser):
    """Open a page; what it asked for and what it complained of stand in `asked` and `errors`."""
    contexts = []

    def open_page(path: Path, width: int = 1300, scheme: str = "light", **options):
        options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme,
                   "reduced_motion": "reduce"} | options
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.asked, page.errors = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda said: page.errors.append(said.text)
                if said.type in ("error", "warning") else None)
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session", params=["embedded", "quarto"])
def small(request, tmp_path_factory):
    """The small paper of the renderer's tests, with the panel of the design's power, from each."""
    quarto = shutil.which("quarto")
    if request.param == "quarto" and not quarto:
        pytest.skip("no Quarto on this machine: its page is not tried in a browser")
    root = make_project(tmp_path_factory.mktemp("browser") / "project")
    with (root / "paper.qmd").open("a", encoding="utf-8") as paper:
        paper.write(PANEL)
    if request.param == "embedded":
        return write_formats(Run.open(root), ["html"])["html"]
    call = [quarto, "render", "--to", "html"]
    done = subprocess.run(call, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    polish(root, root / "_manuscript")
    return root / "_manuscript" / "index.html"
