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


def test_unknown_field_verdict_and_wrong_forms():
    assert "no text `pp`" in problems("{{< num H1 pp >}}")[0]
    assert "did you mean p?" in problems("{{< num H1 pp >}}")[0]
    assert "more than an id and a field" in problems("{{< num H1 p n >}}")[0]
    assert "num without an id" in problems("{{< num >}}")[0]
    assert "`suported` is no verdict of `H1`" in problems('::: {.when H1="suported"}\nx\n:::')[0]
    assert "`` is no verdict" in problems('::: {.when H1=""}\nx\n:::')[0]
    assert "when without an id" in problems("[x]{.when}")[0]
    assert "`design.arms` has no verdict" in problems('[x]{.when design.arms="all"}')[0]
    assert "no set of phrases `less`" in problems(f'{{{{< says H1 "less" {ALL} >}}}}')[0]


def test_says_needs_a_phrase_for_verdicts_that_did_not_come_out():
    assert problems(f"{{{{< says H1 {ALL} >}}}}") == []
    (problem,) = problems('{{< says H1 supported="a" refuted="b" negligible="" >}}')
    assert 'no phrase for undecided\n    to mend: add undecided="..."' in problem


def test_a_set_of_phrases_is_named_once_and_the_verdicts_own_word_is_the_default():
    ledger = small_ledger() | {"phrases": {"rank": {"higher": "ahead of", "lower": "behind"}}}

    def said(text: str) -> str | list[str]:
        source = Source("paper.qmd", text)
        wrong = [p.found for p in check_tokens([source], ledger)]
        return wrong or printed(tokens(source)[0], ledger)

    rest = 'negligible="level with" undecided="not separated from"'
    assert said("{{< says H2 >}}") == "negligible"
    assert said(f"{{{{< says a.b rank {rest} >}}}}") == "ahead of"
    assert said(f'{{{{< says a.b rank {rest} higher="far ahead of" >}}}}') == "far ahead of"
    assert said("{{< says a.b rank >}}") == ["says a.b has no phrase for negligible, undecided"]
    assert said("{{< says a.b rnk >}}")[0] == "no set of phrases `rnk`"
    more = said("{{< says a.b rank x >}}")
    assert more[0] == "says a.b: more than an id and the name of a set of phrases"


def test_members_of_a_set():
    ledger = small_ledger()
    ledger["entries"]["H.supported"] = entry("pattern", "some", members="a and b")

    def said(text: str) -> str | list[str]:
        source = Source("paper.qmd", text)
        wrong = [p.found for p in check_tokens([source], ledger)]
        return wrong or printed(tokens(source)[0], ledger)

    assert said("{{< members H supported >}}") == "a and b"
    assert said('{{< members H supported some="a few" none="x" >}}') == "a few"
    assert said("{{< members H refuted >}}") == ["no entry `H.refuted` in the ledger"]
    assert said('{{< members H supported many="x" >}}') == ["`many` is no verdict of `H.supported`"]
    assert said("{{< members H pattern >}}") == ["`H.pattern` is no set with members"]
    assert said("{{< members H >}}") == ["members without an id"]
    assert said("{{< members H supported now >}}") == [
        "members H.supported: more than a set and a verdict"]


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


def test_within_a_block_says_needs_only_the_verdicts_that_the_block_admits():
    phrases = '{{< says H1 negligible="a" undecided="b" >}}'
    assert problems(f'[{phrases}]{{.when H1="negligible undecided"}}') == []
    assert "no phrase for refuted" in problems(
        f'[{phrases}]{{.when H1="negligible undecided refuted"}}'
    )[0]
    assert "no phrase for supported, refuted" in problems(
        f'[{phrases}]{{.when H2="negligible undecided"}}'
    )[0]


def test_a_token_inside_a_phrase_or_a_formula_never_resolves():
    inside = ALL.replace('"a"', '"{{< num H1 >}}"')
    assert "inside a phrase" in problems(f"{{{{< says H1 {inside} >}}}}")[0]
    assert "inside mathematics" in problems("$b = {{< num H1 >}}$")[0]


def test_an_open_block_would_swallow_the_paper():
    text = '::: {.when H1="supported refuted negligible undecided"}\nx\n'
    assert "never closed" in problems(text)[0]


def test_an_exception_needs_a_reason_and_marks_words_only():
    assert problems('[five]{.typed reason="ends of the scale"}') == []
    assert "without a reason" in problems("[five]{.typed}")[0]
    assert "without a reason" in problems('[five]{.typed reason=" "}')[0]
    assert "a whole block" in problems('::: {.typed reason="all of it"}\nfive\n:::')[0]


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
