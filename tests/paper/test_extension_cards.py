"""The cards in a real browser: keyboard, pointer, phone, and no scripts at all."""

import json
import shutil
import subprocess
import urllib.request
from time import monotonic, sleep

import pytest
from fixture.project import make_project
from websocket import create_connection

from claimledger.files import Run
from claimledger.paper.render import render

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no chromium on this machine")

CLAIM = """document.querySelector('main p a.claim[data-field="ci"]')"""
OPEN = "document.querySelector('#claim-card')?.matches(':popover-open') === true"
KEYS = {"Enter": (13, "\r"), " ": (32, " "), "Escape": (27, ""), "Tab": (9, "")}


class Browser:
    """Chromium by its debugging protocol."""

    def __init__(self, profile):
        self.process = subprocess.Popen(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0",
             "--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"],
            stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )
        file = profile / "DevToolsActivePort"
        until(lambda: file.is_file() and file.read_text().strip(), 60)
        port = file.read_text().split()[0]
        pages = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        page = next(p for p in pages if p["type"] == "page")
        self.socket = create_connection(page["webSocketDebuggerUrl"], timeout=60)
        self.number, self.events = 0, []
        self("Network.enable")
        self("Page.enable")

    def __call__(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def do(self, script):
        answer = self("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def visit(self, url):
        self("Page.navigate", url="about:blank")
        self("Page.navigate", url=url)
        until(lambda: self.do("location.protocol == 'file:' && document.readyState == 'complete'"))

    def press(self, key):
        number, text = KEYS[key]
        known = {"key": key, "windowsVirtualKeyCode": number}
        self("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self("Input.dispatchKeyEvent", type="keyUp", **known)

    def click(self, element):
        box = f"(r => [r.left + 3, r.top + 3])({element}.getClientRects()[0])"
        x, y = self.do(box)
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def close(self):
        self.socket.close()
        self.process.terminate()
        self.process.wait(30)


def until(condition, seconds=10):
    end = monotonic() + seconds
    while not condition():
        assert monotonic() < end, "it did not happen"
        sleep(0.05)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = Run.open(make_project(tmp_path_factory.mktemp("cards") / "project"))
    return render(run, ["html"])["html"].as_uri()


@pytest.fixture
def browser(tmp_path, page):
    browser = Browser(tmp_path)
    browser.visit(page)
    browser.do(f"{CLAIM}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    yield browser
    browser.close()


@pytest.mark.parametrize("key", ["Enter", " "])
def test_the_keyboard_opens_the_card_and_escape_gives_the_focus_back(browser, key):
    browser.do(f"{CLAIM}.focus()")
    browser.press(key)
    until(lambda: browser.do(OPEN))
    assert browser.do("document.activeElement.getAttribute('role')") == "dialog"
    assert browser.do(f"{CLAIM}.getAttribute('aria-expanded')") == "true"
    label = "document.activeElement.getAttribute('aria-labelledby')"
    title = browser.do(f"document.getElementById({label}).textContent")
    assert title == "H1 Support for correcting the ally, failing against keeping"
    browser.press("Escape")
    until(lambda: not browser.do(OPEN))
    until(lambda: browser.do(f"document.activeElement === {CLAIM}"))
    assert browser.do(f"{CLAIM}.getAttribute('aria-expanded')") == "false"


def test_tab_goes_through_the_card_and_back_to_the_text(browser):
    browser.do(f"{CLAIM}.focus()")
    browser.press("Enter")
    for _ in range(2):
        browser.press("Tab")
    assert browser.do("document.activeElement.closest('#claim-card') !== null")
    browser.press("Tab")
    until(lambda: browser.do(f"!({OPEN}) && document.activeElement === {CLAIM}"))


def test_a_click_opens_the_card_with_full_precision_and_origin(browser):
    browser.click(CLAIM)
    until(lambda: browser.do(OPEN))
    text = browser.do("document.querySelector('#claim-card').textContent")
    assert "0.2123456789 points" in text and "0123456789abcdef" in text and "(simulated)" in text
    browser.click(CLAIM)
    until(lambda: not browser.do(OPEN))


@pytest.mark.parametrize("width", [320, 390, 800, 1300])
def test_no_width_scrolls_sideways_and_the_card_stays_on_the_screen(browser, width):
    browser("Emulation.setDeviceMetricsOverride",
            width=width, height=700, deviceScaleFactor=1, mobile=width < 800)
    assert browser.do("document.documentElement.scrollWidth") <= width
    browser.do(f"{CLAIM}.scrollIntoView({{block: 'center', behavior: 'instant'}}); {CLAIM}.click()")
    until(lambda: browser.do(OPEN))
    box = "(r => [r.left, r.top, r.right, r.bottom])"
    left, top, right, bottom = browser.do(
        f"{box}(document.querySelector('#claim-card').getBoundingClientRect())"
    )
    assert left >= 0 and top >= 0 and right <= width and bottom <= 700


def test_without_scripts_the_link_opens_the_entry_in_the_list(browser, page):
    browser("Emulation.setScriptExecutionDisabled", value=True)
    browser.visit(page)
    row = "document.getElementById('claim-H1')"
    assert not browser.do(f"{row}.checkVisibility()")
    browser.do(f"{CLAIM}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    browser.click(CLAIM)
    until(lambda: browser.do(f"{row}.checkVisibility() && {row}.matches(':target')"))


def test_the_page_fetches_nothing(browser):
    asked = [e["params"]["request"]["url"] for e in browser.events
             if e.get("method") == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
    assert any(url.startswith("file:") for url in asked)
