"""Tokens are found where they stand, and one that the ledger cannot answer is a problem there."""

import json
from pathlib import Path

import pytest

from claimledger.errors import LedgerError
from claimledger.prose.source import Source, read_sources
from claimledger.prose.tokens import check_tokens, holds, printed, tokens
from prose_ledger import entry, small_ledger

ALL = 'supported="a" refuted="b" negligible="c" undecided="d"'


def problems(text: str) -> list[str]:
    return [str(p) for p in check_tokens([Source("paper.qmd", text)], small_ledger())]


def test_num_with_and_without_a_field():
    first, second = tokens(Source("paper.qmd", "It is {{< num H1 >}}\nor {{<num H1 abs>}}."))
    assert (first.kind, first.args, first.source.where(first.start)[1:]) == ("num", ("H1",), (1, 7))
    assert (second.args, second.source.where(second.start)[1:]) == (("H1", "abs"), (2, 4))


def test_phrases_keep_spaces_markdown_quotes_and_signs():
    text = """{{< says H1 supported="less, *by far*" refuted='a "word"' negligible="a > b" """ \
        """undecided="the ally's \\"own\\"" >}}"""
    (token,) = tokens(Source("paper.qmd", text))
    assert token.options == {
        "supported": "less, *by far*", "refuted": 'a "word"', "negligible": "a > b",
        "undecided": 'the ally\'s "own"'}


def test_blocks_nest_and_end_at_their_own_fence():
    text = (
        '::: {.when H1="supported refuted"}\nouter\n:::: {.callout}\nx\n::::\n'
        '::: {.when H2="negligible"}\ninner\n:::\nstill outer\n:::\nafter\n')
    outer, inner = tokens(Source("paper.qmd", text))
    assert outer.options == {"H1": "supported refuted"} and outer.block
    assert inner.body.strip() == "inner"
    assert outer.body.strip().endswith("still outer")


def test_spans_nest_and_hold_links_and_citations():
    five = '[five]{.typed reason="r"}'
    text = f'A [so, see [here](x.html) and [@key, p. 3], {five}]{{.when H1="refuted"}}.'
    when, typed = tokens(Source("paper.qmd", text))
    assert when.body.startswith("so, see") and when.options == {"H1": "refuted"} and not when.block
    assert (typed.kind, typed.body, typed.options) == ("typed", "five", {"reason": "r"})


@pytest.mark.parametrize("text", [
    "```\n{{< num H9 >}}\n```", "~~~~ markdown\n{{< num H9 >}}\n~~~\n~~~~", "`{{< num H9 >}}`",
    "<!-- {{< num H9 >}} -->", "{{{< num H9 >}}}", "{{</* num H9 */>}}",
    "{{< embed x.ipynb#fig >}}",
])
def test_no_token_in_code_comments_and_escapes(text):
    assert tokens(Source("paper.qmd", text)) == []


def test_a_dollar_in_a_phrase_starts_no_formula():
    text = f"{{{{< says H1 {ALL.replace('a', '$5')} >}}}} and {{{{< num H9 >}}}} for $5"
    assert [token.kind for token in tokens(Source("paper.qmd", text))] == ["says", "num"]


def test_front_matter_is_read():
    (token,) = tokens(Source("paper.qmd", "---\nabstract: |\n  By {{< num H1 >}}.\n---\n"))
    assert token.source.where(token.start) == ("paper.qmd", 3, 6)


def test_unknown_id_names_the_place_and_the_nearest():
    assert problems("\n It is {{< num h1 >}}") == [
        "paper.qmd:2:8: no entry `h1` in the ledger\n    to mend: did you mean H1?"]
    assert "did you mean p?" in problems("{{< num H1 pp >}}")[0]
    assert 'add lower="..."' in problems('{{< says a.b higher="" negligible="" undecided="" >}}')[0]


KNOWN = small_ledger() | {"phrases": {"rank": {"higher": "ahead of", "lower": "behind"}}}
KNOWN["entries"]["H.supported"] = entry("pattern", "some", members="a and b")
REST = 'negligible="level with" undecided="not separated from"'
SOME = '{{< says H1 negligible="a" undecided="b" >}}'
INSIDE = ALL.replace('"a"', '"{{< num H1 >}}"')


@pytest.mark.parametrize(("text", "told"), [
    ("{{< num H1 pp >}}", "entry `H1` has no text `pp`"),
    ("{{< num H1 p n >}}", "num H1: more than an id and a field"),
    ("{{< num >}}", "num without an id"),
    ('::: {.when H1="suported"}\nx\n:::', "`suported` is no verdict of `H1`"),
    ('::: {.when H1=""}\nx\n:::', "`` is no verdict of `H1`"),
    ("[x]{.when}", "when without an id"),
    ('[x]{.when design.arms="all"}', "entry `design.arms` has no verdict"),
    # A phrase for each verdict, also for those that did not come out; by default its own word.
    (f"{{{{< says H1 {ALL} >}}}}", "a"), ("{{< says H2 >}}", "negligible"),
    ('{{< says H1 supported="a" refuted="b" negligible="" >}}',
     "says H1 has no phrase for undecided"),
    (f"{{{{< says a.b rank {REST} >}}}}", "ahead of"),
    (f'{{{{< says a.b rank {REST} higher="far ahead of" >}}}}', "far ahead of"),
    ("{{< says a.b rank >}}", "says a.b has no phrase for negligible, undecided"),
    ("{{< says a.b rnk >}}", "no set of phrases `rnk`"),
    ("{{< says a.b rank x >}}", "says a.b: more than an id and the name of a set of phrases"),
    # Within a block only for the verdicts that it admits.
    (f'[{SOME}]{{.when H1="negligible undecided"}}', ""),
    (f'[{SOME}]{{.when H1="negligible undecided refuted"}}', "says H1 has no phrase for refuted"),
    (f'[{SOME}]{{.when H2="negligible"}}', "says H1 has no phrase for supported, refuted"),
    ("{{< members H supported >}}", "a and b"),
    ('{{< members H supported some="a few" none="x" >}}', "a few"),
    ("{{< members H refuted >}}", "no entry `H.refuted` in the ledger"),
    ('{{< members H supported many="x" >}}', "`many` is no verdict of `H.supported`"),
    ("{{< members H pattern >}}", "`H.pattern` is no set with members"),
    ("{{< members H >}}", "members without an id"),
    ("{{< members H supported now >}}", "members H.supported: more than a set and a verdict"),
    # What would never resolve, or swallow the paper.
    (f"{{{{< says H1 {INSIDE} >}}}}", "says H1: a token inside a phrase"),
    ("$b = {{< num H1 >}}$", "a token inside mathematics"),
    ('::: {.when H1="supported refuted"}\nx\n', "a block that is never closed"),
    # An exception has a reason, and marks words only.
    ('[five]{.typed reason="ends of the scale"}', ""),
    ("[five]{.typed}", "a marked exception without a reason"),
    ('[five]{.typed reason=" "}', "a marked exception without a reason"),
    ('::: {.typed reason="all of it"}\nfive\n:::', "a whole block marked as typed")])
def test_what_a_token_prints_or_what_is_wrong_with_it(text, told):
    source = Source("paper.qmd", text)
    first = next(iter(tokens(source)), None)
    prints = first and first.kind in ("num", "says", "members")
    wrong = [problem.found for problem in check_tokens([source], KNOWN)]
    assert (wrong[0] if wrong else printed(first, KNOWN) if prints else "") == told


def test_a_file_that_is_included_keeps_its_own_name_and_lines(tmp_path):
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "one.qmd").write_text("First.\n\n{{< num H7 >}} there.\n")
    (tmp_path / "paper.qmd").write_text(
        "Before.\n\n{{< include paper/one.qmd >}}\n\n{{< num H8 >}} behind.\n"
        "<!--\n{{< include paper/two.qmd >}}\n-->\n")
    (source,) = read_sources([tmp_path / "paper.qmd"])
    assert source.text.startswith("Before.\n\nFirst.\n\n{{< num H7 >}} there.\n\n{{< num H8")
    inner, behind = check_tokens([source], small_ledger())
    assert (inner.file, inner.line) == (str(tmp_path / "paper" / "one.qmd"), 3)
    assert (behind.file, behind.line, behind.column) == (str(tmp_path / "paper.qmd"), 5, 1)
    (tmp_path / "paper.qmd").write_text("\n{{< include paper/two.qmd >}}\n")
    with pytest.raises(LedgerError, match="paper/two.qmd") as caught:
        read_sources([tmp_path / "paper.qmd"])
    assert caught.value.where == "paper.qmd:2"


def test_all_conditions_must_hold():
    (token,) = tokens(Source("paper.qmd", '[x]{.when H1="supported refuted" H2="negligible"}'))
    assert holds(token, {"H1": "refuted", "H2": "negligible"})
    assert not holds(token, {"H1": "refuted", "H2": "undecided"})


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    code = [
        "#| label: fig-x\n", '#| fig-cap: "Of {{< num H9 >}} – \\"so\\" {{< num H8 >}}"\n',
        "#| tbl-cap: >\n", "#|   folded {{< num H7 >}}\n", "#|   and {{< num H6 >}}\n",
        "x = '{{< num H5 >}}'\n"]
    table = {"data": {"text/markdown": ["| a |\n", "| {{< num H4 >}} |\n"]}}
    cells = [
        {"cell_type": "markdown", "id": "a", "source": ["Text\n", "é {{< num H3 >}}"]},
        {"cell_type": "code", "id": "b", "outputs": [table], "source": code}]
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": cells}, indent=1, ensure_ascii=False, sort_keys=True))
    return path


def test_notebooks_are_read_and_every_place_is_in_its_cell(notebook):
    found = {token.args[0]: token.source.where(token.start)
             for source in read_sources([notebook]) for token in tokens(source)}
    assert {id: (place.partition(", ")[2], *at) for id, (place, *at) in found.items()} == {
        "H3": ("cell 1", 2, 3), "H4": ("cell 2, output", 2, 3), "H9": ("cell 2, fig-cap", 1, 6),
        "H8": ("cell 2, fig-cap", 1, 28), "H7": ("cell 2, tbl-cap", 1, 11),
        "H6": ("cell 2, tbl-cap", 1, 30)}


def test_quotation_marks_in_a_caption_are_those_of_yaml(notebook):
    caption = next(s for s in read_sources([notebook]) if s.kind == "caption")
    assert '– "so" {{<' in caption.text


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "x.ipynb").write_text("{")
    with pytest.raises(LedgerError, match=r"x\.ipynb"):
        read_sources([tmp_path / "x.ipynb"])
