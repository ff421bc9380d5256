"""A text that was parsed before is parsed again where it changed, with the same result."""

import pytest

from claimledger.project import Run
from claimledger.rendering import document, tools
from claimledger.rendering.pages import write_formats
from fixture.project import make_project

PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010806000000" "1f15c489"
                    "0000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082")
TEXT = """Before.

# One {#one}

::: {.when H1="supported"}
# Inside
:::

```
# a comment of code

::: {.none}
```

## Two

::: {#tbl-a}
| a |
:::

After.
"""


def test_a_text_is_cut_outside_of_blocks_and_code():
    assert [piece.split("\n")[0] for piece in document.cut(TEXT)] == [
        "Before.", "# One {#one}", '::: {.when H1="supported"}', "## Two", "::: {#tbl-a}"]
    assert "".join(document.cut(TEXT)) == TEXT


@pytest.mark.parametrize("more", ["A note[^1].\n\n[^1]: Its text.\n", "[a]: https://example.org\n",
                                  "(@first) An example.\n", "As in [Two], below.\n"])
def test_what_refers_over_a_cut_keeps_the_text_whole(more):
    assert document.cut(TEXT + "\n" + more) == [TEXT + "\n" + more]


def test_only_what_changed_is_parsed_and_the_page_is_that_of_a_whole_text(tmp_path, monkeypatch):
    run, texts = Run.open(make_project(tmp_path / "p")), {}

    def pandoc(defaults, text, *rest, call=tools.pandoc):
        texts[defaults.rpartition("/")[2].partition(".")[0]] = text
        return call(defaults, text, *rest)

    monkeypatch.setattr(tools, "pandoc", pandoc)
    write_formats(run, ["html"])
    assert {"parsed", "cited", "paper"} <= set(texts)
    article = run.root / "paper.qmd"
    article.write_text(article.read_text("utf-8").replace("Five measures", "All measures"), "utf-8")
    texts.clear()
    page = write_formats(run, ["html"])["html"].read_bytes()
    assert "All measures" in texts["parsed"] and "Main effect" not in texts["parsed"]
    assert "cited" not in texts
    for path in (run.base / "pages").iterdir():  # damaged, and then not there
        path.write_bytes(path.read_bytes()[:-9] + b"something")
    assert write_formats(run, ["html"])["html"].read_bytes() == page
    for path in (run.base / "pages").iterdir():
        path.unlink()
    assert write_formats(run, ["html"])["html"].read_bytes() == page


def test_a_format_is_made_anew_where_what_it_is_made_of_changed(tmp_path, monkeypatch):
    run, made = Run.open(make_project(tmp_path / "p")), []

    def pandoc(defaults, *rest, call=tools.pandoc):
        made.append(defaults.rpartition("/")[2].partition(".defaults")[0])
        return call(defaults, *rest)

    def again() -> list[str]:
        made.clear()
        write_formats(run, ["html", "docx"])
        return sorted(name for name in made if name.startswith("paper."))

    def edit(path, old, new):
        path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")

    monkeypatch.setattr(tools, "pandoc", pandoc)
    both = ["paper.docx", "paper.html"]
    assert again() == both and again() == [] == made
    ledger = run.ledger.read_text("utf-8")
    edit(run.ledger, '"n": 1202', '"n": 1203')  # on a card of the page, in no sentence
    assert run.ledger.read_text("utf-8") != ledger and again() == both
    edit(next(run.notebooks.glob("*.ipynb")), "<svg ", '<svg data-a=\\"b\\" ')
    assert again() == both
    edit(run.root / "paper.qmd", "Five measures", "All measures")
    assert again() == both and again() == []
    with (run.root / "paper.qmd").open("a", encoding="utf-8") as article:  # may change unseen
        article.write("\n\n![A picture](figure.png)\n")
    (run.root / "figure.png").write_bytes(PNG)
    assert again() == both == again()


def test_headings_of_one_name_get_the_ids_of_a_whole_text(tmp_path):
    run = Run.open(make_project(tmp_path / "p"))
    article = run.root / "paper.qmd"
    article.write_text(article.read_text("utf-8") + "\n# Same\n\nOne.\n", "utf-8")
    write_formats(run, ["html"])
    article.write_text(article.read_text("utf-8") + "\n# Same\n\nOther.\n", "utf-8")
    page = write_formats(run, ["html"])["html"].read_text("utf-8")
    assert 'id="same"' in page and 'id="same-1"' in page
