"""Every page, small and whole: links, requests, complaints, weight, accessibility by axe."""

from pathlib import Path

import pytest

WEIGHT = 1_450_000  # bytes of the article's page, with its pictures and its ledger of 450 entries
ANCHORS = """() => [...document.querySelectorAll('a[href^="#"]')]
    .map(link => decodeURIComponent(link.hash.slice(1)))
    .filter(name => !document.getElementById(name))"""
FILES = """() => [...document.querySelectorAll('a[href]')].map(link => link.href)
    .filter(address => address.startsWith('file:') && !address.startsWith(location.href + '#'))"""
SETTINGS = [(width, scheme) for width in (1300, 390) for scheme in ("light", "dark")]


def broken(page) -> list[str]:
    """Links to places that are not there, in this page or in a page beside it."""
    from urllib.parse import unquote, urlsplit

    found = [f"#{name}" for name in page.evaluate(ANCHORS)]
    for address in dict.fromkeys(page.evaluate(FILES)):
        parts = urlsplit(address)
        file = Path(unquote(parts.path))
        label = unquote(parts.fragment)
        if not file.is_file():
            found.append(file.name)
        elif label and f'id="{label}"' not in file.read_text("utf-8"):
            found.append(f"{file.name}#{label}")
    return found


def outside(page) -> list[str]:
    return [url for url in page.asked if not url.startswith(("file:", "data:"))]


def check_access(page) -> list[str]:
    """Violations that axe finds, each with the first element that has it."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response
    assert len(found["passes"]) > 20  # it has looked
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found["violations"]]


@pytest.fixture(params=["paper", "notebook"])
def one(request, small):
    """The small paper, and the page of its notebook."""
    books = (small.parent / "build").rglob("*-preview.html")
    return small if request.param == "paper" else next(books)


def test_links_resolve_and_nothing_is_asked_or_complained_of(one, visit):
    page = visit(one)
    assert broken(page) == [] and outside(page) == [] and page.errors == []


@pytest.mark.parametrize(("width", "scheme"), [SETTINGS[0], SETTINGS[-1]])
def test_axe_finds_no_violation(one, visit, width, scheme):
    assert check_access(visit(one, width, scheme)) == []


def test_axe_finds_no_violation_in_what_opens(small, visit):
    page = visit(small, scheme="dark")
    page.locator('main p a.claim[data-field="ci"]').last.click()
    assert check_access(page) == []
    page.keyboard.press("Escape")
    page.locator("#fig-support img").click()
    assert check_access(page) == []


def test_a_broken_link_is_seen(small, visit):
    page = visit(small)
    page.evaluate("""() => document.body.insertAdjacentHTML('beforeend',
        '<a href="#nowhere">x</a><a href="no.html">y</a><a href="?#nowhere">z</a>')""")
    assert broken(page) == ["#nowhere", "no.html", "index.html#nowhere"]


@pytest.mark.xdist_group("clone")
class TestTheArticle:
    """The paper itself, as the build of a fresh clone left it."""

    def test_it_is_light_whole_and_quiet(self, clone, visit):
        file = clone / "_manuscript/index.html"
        page = visit(file)
        assert file.stat().st_size < WEIGHT
        assert broken(page) == [] and outside(page) == [] and page.errors == []
        for book in sorted(file.parent.rglob("*-preview.html")):
            page = visit(book)
            assert broken(page) == [] and outside(page) == [] and page.errors == [], book.name

    @pytest.mark.slow  # half a minute each
    @pytest.mark.parametrize(("width", "scheme"), SETTINGS)
    def test_axe_finds_no_violation(self, clone, visit, width, scheme):
        page = visit(clone / "_manuscript/index.html", width, scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert check_access(page) == []
