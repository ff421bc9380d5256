"""Nothing typed where results are told: each rule of the lint, and what it passes over."""

import json
import subprocess
import sys

import pytest

from claimledger.prose.lint import lint_sources, refuse_markup, report
from claimledger.prose.source import Source, read_sources
from prose_ledger import small_ledger

LEDGER = small_ledger()


def linted(text: str, *sections: str) -> list[str]:
    """The words found, without the sentence around them."""
    source = Source("paper.qmd", f"# Results {{#sec-r}}\n\n{text}\n")
    return [p.found for p in lint_sources([source], LEDGER, list(sections or ["sec-r"]))]


def numeral(*words: str) -> list[str]:
    return [f"typed numeral “{word}”" for word in words]


def verdict_word(*words: str) -> list[str]:
    return [f"typed verdict word “{word}”" for word in words]


@pytest.mark.parametrize("word", [
    "0.21", "−0.21", "1,202", "5", "53.3%", ".001", "2013", "3rd", "½", "two", "Twelve",
    "forty-one", "hundred", "percent", "per cent", "half", "a third", "twice", "doubled", "tenfold",
])
def test_numerals_in_digits_and_in_words(word):
    assert linted(f"It was {word} in all.") == numeral(word)


@pytest.mark.parametrize("word", [
    "significant", "insignificant", "significance", "supports", "supported", "refuted", "confirms",
    "rejected", "no evidence", "evidence for", "no effect", "no difference", "differs",
    "negligible", "undecided", "none of", "majority", "more", "less", "fewest", "higher", "lower",
    "lowest", "greater", "larger", "smaller", "stronger", "weaker", "worse", "increases",
    "decreased", "reduce", "rises", "rose", "falls", "drop", "exceeds", "positive",
    "Higher", "no\nevidence", "harsher", "preferred", "slower than"])
def test_verdict_words(word):
    assert linted(f"It was {word} there.") == verdict_word(" ".join(word.split()))


@pytest.mark.parametrize("text", [
    "It is {{< num H1 >}} and {{< num H1 abs >}} percent.",
    "As [@key2013, p. 12; @other2024] and @third2020, see @tbl-5 and [Appendix A](#sec-2 'x 5').",
    "See [A](x5.html), <https://x.org/5>, https://x.org/more-5 and note.[^2]\n\n[^2]: A note.",
    "`b = 5 more` <!-- 5 more --> $x_1 + \\frac{1}{2}$ <span data-x=5>a</span> a&#160;b",
    "```\n5 more\n```",
    "## Part {#sec-5 .more data-n=5}",
    "1. First\n2. Second\n\n[ref]: x5.html",
    "Hypothesis H3a with CR2 and R^2^ and H~1~ and O'Neill2.",
    "[Five]{.typed reason='ends of the scale'} points.",
    "{{{< num 5 >}}}\n\n::: {.callout-5 more=5}\nx\n:::",
    "An ally falls short; at least the two-sided tests and the smallest effect of interest.",
    "Other than that, and rather than this, with weights or none.",
    "Support for moreover, lesson, nonetheless, belowground, feast."])
def test_what_is_passed_over(text):
    assert linted(text) == []


def test_what_only_looks_like_something_passed_over():
    assert linted("It falls 5 short of [5 more] (see 5), [a](5.html) 6.") == (
        verdict_word("falls") + numeral("5", "5") + verdict_word("more") + numeral("5", "6"))
    assert linted("Nearly 5 percent.") == numeral("5", "percent")


def when(condition: str, text: str) -> str:
    return f"::: {{.when {condition}}}\n{text}\n:::"


def says(**phrases: str) -> str:
    return "{{< says H1 " + " ".join(f'{v}="{p}"' for v, p in phrases.items()) + " >}}"


ALWAYS = "supported refuted negligible undecided"
EVERY = dict.fromkeys(ALWAYS.split(), "significant")
BOTH = "“{}” under a condition that admits opposite verdicts"


@pytest.mark.parametrize(("text", "found"), [
    # Formulas may count, and not claim.
    ("$y_1 = x_2$, $\\frac{1}{2}$, $2k$, $\\sum_{i=1}^5 x_i$", []),
    ("$b = -0.21$ and $p < .05$ and $0.5$", numeral("-0.21", ".05", "0.5")),
    # A condition vouches for verdict words, and never for numerals.
    (when('H1="supported"', "Support is significantly lower by 5."), numeral("5")),
    ('So [it is lower by 5]{.when a.b="lower"}.', numeral("5")),
    (when('H1="supported"', "x") + "\n\nIt is lower.", verdict_word("lower")),
    # One that cannot fail, and the status of the data, vouch for nothing.
    (when(f'H1="{ALWAYS}"', "It is significant."), verdict_word("significant")),
    (when('data.status="simulated"', "It is lower."), verdict_word("lower")),
    # A direction needs a condition that has one.
    (when('H1="supported refuted"', "It is significantly lower."), [BOTH.format("lower")]),
    (when('a.b="higher lower"', "It is lower."), [BOTH.format("lower")]),
    (when('H1="supported undecided"', "It is not clearly lower."), []),
    (when('H1="supported refuted"', 'It is [lower]{.when H1="supported"}.'), []),
    # The name of an excluded verdict is refused; names that are ordinary words are none.
    (when('H1="supported"', "It refutes the other view; H2 is not undecided."),
     ["“refutes” where H1 is supported", "“undecided” where H1 is supported"]),
    (when('H1="supported"', "H1 is supported."), []),
    (when('H.pattern="some all"', "But none of it is new."), []),
    # Phrases are vouched for by the verdicts that share them.
    (says(supported="less", refuted="more", negligible="no less"), []),
    (says(supported="less", refuted="less", negligible="x"),
     [BOTH.format("less") + ", in a phrase of says"]),
    (says(**EVERY), ["typed verdict word “significant”, in a phrase of says"]),
    (says(supported="by 5", refuted="x"), ["typed numeral “5”, in a phrase of says"]),
    (says(supported="rather than less", refuted="at least x"), []),
    (says(**dict.fromkeys(EVERY, "at least as often")), []),
    (says(supported="not refuted", refuted="x"),
     ["“refuted” where H1 is supported, in a phrase of says"]),
    # Words are marked as typed, not blocks; and only words that need it.
    ("::: {.typed reason='all of it'}\n5 more\n:::", numeral("5") + verdict_word("more")),
    ('[cat]{.typed reason="x"} [5]{.typed reason="y"}',
     ["marked as typed, but no word in it needs the mark"])])
def test_what_vouches_for_a_word(text, found):
    assert linted(text) == found


PAPER = """---
title: 5 more
abstract: |
  Six are shown.
date: 2026-01-01
---
# Introduction {#sec-intro}
Five more.
# Results {#sec-r}
## Part
Seven.
# Discussion {#sec-d}
Eight.
"""


def test_only_the_named_sections_with_their_subsections():
    def words(*names):
        return [(p.line, p.found) for p in lint_sources([Source("p", PAPER)], LEDGER, list(names))]

    assert words("sec-r") == [(11, *numeral("Seven"))]
    assert words("abstract", "sec-d") == [(4, *numeral("Six")), (13, *numeral("Eight"))]
    assert words() == []


def test_phrases_formulas_and_notebooks_outside_of_the_sections_are_left_alone():
    text = "# I {#sec-i}\n\n" + says(supported="by 5") + " $p < .05$ [x]{.typed reason='y'}\n\n"
    paper = Source("paper.qmd", text + "# Results {#sec-r}\n\nNothing.\n")
    cell = Source("x.ipynb", "# Results {#sec-r}\n\n5 more\n", "cell")
    assert lint_sources([paper, cell], LEDGER, ["sec-r"]) == []


def test_a_section_that_does_not_exist_would_be_passed_over_in_silence():
    (problem,) = lint_sources([Source("p", PAPER)], LEDGER, ["sec-result"])
    assert problem.found == "ledger.lint: no section `sec-result`"
    assert problem.mend.startswith("did you mean sec-r")
    (problem,) = lint_sources([Source("p", PAPER)], LEDGER, ["xyz"])
    assert problem.mend .startswith("one of abstract, date, sec-d")


def mend(text: str) -> str:
    source = Source("paper.qmd", f"# R {{#sec-r}}\n\n{text}\n")
    return lint_sources([source], LEDGER, ["sec-r"])[0].mend


def test_the_entry_whose_text_is_the_typed_number_is_suggested():
    assert mend("It fell by x.").startswith("say it with {{< says ID")
    for text, shown in [("By 0.21 points.", "H1 abs"), ("By -0.21 points.", "H1"),
                        ("Of 1202 people.", "H1 n"), ("Five arms.", "design.arms word")]:
        assert mend(text) == f"in the ledger: {{{{< num {shown} >}}}}"
    assert mend("By 0.77.") == "bind it with `num`, or mark it as typed"


def test_captions_of_notebooks_are_linted_and_placed_in_their_cell(tmp_path):
    code = ["#| label: fig-x\n", '#| fig-cap: "é of 1,202."\n', "5"]
    cell = {"cell_type": "code", "source": code}
    text = {"cell_type": "markdown", "source": ["5 more, as noted by hand"]}
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [text, cell]}, indent=1, ensure_ascii=False))
    (problem,) = lint_sources(read_sources([path]), LEDGER, [])
    assert problem.file == f"{path}, cell 2, fig-cap"
    assert problem.mend == "in the ledger: {{< num H1 n >}}"


def test_the_report_is_one_line_a_problem_with_its_mend():
    shown = report(lint_sources([Source("p.qmd", PAPER)], LEDGER, ["sec-d"]))
    assert shown.splitlines()[0] == "p.qmd:13:1: typed numeral “Eight”"
    assert shown.endswith("1 to mend")
    assert report([]) == ""


def test_the_lint_starts_without_the_libraries_of_the_analysis():
    code = "import sys, claimledger.prose.lint; print({'pandas', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(("text", "line"), [
    ("One.\nA <b>word</b>.", 2), ("[x](javascript:alert(1))", 1), ("`<u>`{=html}", 1),
    ("[x](java&#115;cript:alert(1))", 1), ("[x](JavaScript%3Aalert(1))", 1),
    ("[x](< data:text/html,1)", 1), ("\n[x]: vbscript:1", 2), ("```{=html}\n<i>x</i>\n```", 1),
    ("<javascript:alert(1)>", 1), ("<img src=x onerror=alert(1)>", 1)])
def test_raw_html_and_links_that_run_are_refused(text, line):
    problems = refuse_markup([Source("paper.qmd", text)])
    assert problems and {problem.line for problem in problems} == {line}
    assert "raw HTML or a link that runs" in problems[0].found


def test_code_comments_formulas_and_addresses_are_no_html():
    text = ("`<b>` and <https://example.org>, 1 <2 and 3> 2, $a<b>c$ [x](https://a.org)\n"
            "<!-- a <b> -->\n```\n<i>x</i>\n```\n[y]: https://a.org\n")
    assert refuse_markup([Source("paper.qmd", text)]) == []
    labels = Source("registration.yml", "label: '<script>alert(1)</script>'\n", "registration")
    assert len(refuse_markup([labels])) == 2
