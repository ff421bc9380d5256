"""A finished paper that says something else than its ledger is found out."""

import json
from copy import deepcopy

import pytest

from claimledger.prose.source import Source
from prose_ledger import small_ledger
from readback import check_page, check_text, read_html, squeeze

LEDGER = small_ledger()
PAPER = Source("paper.qmd", """---
title: A paper
abstract: |
  Democratic allies are {{< says H1 supported="less" refuted="more"
  negligible="about as" undecided="not clearly less" >}} often punished.
---
# Results {#sec-r}

Support is at {{< num H1 >}} in all groups of this study [@key].
::: {.when H1="supported"}
So democracies are spared by those who were asked.
:::
::: {.when H1="refuted"}
So democracies are punished by those who were asked ({{< num H1 p >}}).
:::
And [this came]{.when H1="supported"}[the opposite came]{.when H1="refuted"} in the end.
""")
LESS = '<a class="claim says" href="#claim-H1" data-verdict="supported">less</a>'
EST = '<a class="claim num" href="#claim-H1" data-field="est">−0.21</a>'
SHOWN = [
    f"Democratic allies are {LESS} often punished.",
    f"Support is at {EST} in all groups of this study (Key 2020).",
    "So democracies are spared by those who were asked.",
    "And this came in the end.",
]


def page(*changes: tuple[str, str], ledger: dict = LEDGER) -> str:
    text = "".join(f"<p>{line}</p>\n" for line in SHOWN)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return (
        "<html><head><title>no part of it</title></head><body><nav>nor this</nav>" + text
        + '<section id="ledger-entries"><h2>The ledger</h2><section>nested</section>'
        + '<a class="claim num" href="#claim-H2">9</a>'
        + f'<script type="application/json" id="ledger">{json.dumps(ledger)}</script>'
        + "</section><script>let a = 1;</script></body></html>"
    )


def faults(*changes: tuple[str, str], ledger: dict = LEDGER) -> list[str]:
    """What is found in the page's claims, then in its text."""
    found = read_html(page(*changes, ledger=ledger))
    both = [*check_page(found, LEDGER, [PAPER]), *check_text(found.text, LEDGER, [PAPER])]
    return [problem.found for problem in both]


def test_a_page_is_read_without_navigation_scripts_and_ledger():
    found = read_html(page())
    assert found.text.startswith("Democratic allies are less often punished. Support")
    assert found.text.endswith("in the end.")
    assert [(c.id, c.kind, c.text, c.field, c.verdict) for c in found.claims] == [
        ("H1", "says", "less", None, "supported"), ("H1", "num", "−0.21", "est", None)
    ]
    assert found.ledger == LEDGER


SPARED = '<a class="claim when" href="#claim-H1" data-verdict="{}">{}</a> by those'
OPENING = "So democracies are spared by those"
DROPPED, HOLDS = "printed, although the verdicts drop it", "not printed, although it holds"


@pytest.mark.parametrize(("old", "new", "wrong"), [
    ("", "", []),
    ("−0.21", "−0.22", ["num H1 “−0.22”: not the text of the ledger", HOLDS]),
    # A number of the ledger, but of another field; an entry that does not exist.
    ("−0.21", "0.21", ["num H1 “0.21”: not the text of the ledger"]),
    ('data-field="est">−0.21', 'data-field="abs">0.21',
     ["num H1 “0.21”: no token of the source prints this"]),
    ('#claim-H1" data-field', '#claim-H9" data-field', ["num H9 “−0.21”: no such entry"]),
    # A verdict that did not come out, or its phrase under the right binding; a claim that is gone.
    ('"supported">less', '"refuted">more',
     ["says H1 “more”: bound as refuted, but it is supported", DROPPED]),
    (">less<", ">about as<", ["says H1 “about as”: no token of the source prints this",
                              "says H1 “less” is missing", DROPPED]),
    (SHOWN[1], "x", ["num H1 “−021” is missing", f"{HOLDS}: Support"]),
    # A passage that the verdicts drop; the opening of one is a claim of its verdict.
    (SHOWN[2], "So democracies are punished by those who were asked (= .012).", [DROPPED, HOLDS]),
    (SHOWN[3], "And the opposite came in the end.", [DROPPED, HOLDS]),
    (OPENING, SPARED.format("supported", "So democracies are spared"), []),
    (OPENING, SPARED.format("refuted", "So democracies are spared"),
     ["bound as refuted, but it is supported"]),
    (OPENING, SPARED.format("supported", "So democracies are loved"),
     ["no token of the source prints this"]),
])
def test_what_a_page_says_wrongly_is_named_and_nothing_else(old, new, wrong):
    found = faults((old, new))
    assert all(any(one in said for said in found) for one in wrong), found
    assert bool(found) == bool(wrong)


def test_a_page_made_from_another_ledger():
    other = deepcopy(LEDGER)
    other["entries"]["H2"]["text"]["est"] = "0.02"
    assert faults(ledger=other) == ["the page carries another ledger"]


def test_page_breaks_hyphens_and_ligatures_change_nothing():
    text = read_html(page()).text.replace("often punished", "often pun-\nished")
    broken = text.replace("groups of this", "groups of\n12\f\nSimulated data\n\nthis")
    assert check_text(broken, LEDGER, [PAPER]) == []
    apart = text.replace("groups of this", "groups of\n12\fOnly figures on it.\n13\fthis")
    assert check_text(apart, LEDGER, [PAPER]) == []
    number = text.replace("Support is at −0.21", "Support is at −0.\n27\f21")
    assert check_text(number, LEDGER, [PAPER]) == []
    inserted = text.replace("groups of this", "groups not of this") + "\fNext page."
    assert "not printed" in check_text(inserted, LEDGER, [PAPER])[0].found
    assert squeeze("ﬁnd “it” − at 0.5") == "findit−at05"


def test_a_passage_of_both_a_dropped_and_a_kept_block_may_stand():
    source = Source("paper.qmd", (
        '::: {.when H1="supported"}\nThe same words in both.\nOne.\n:::\n'
        '::: {.when H1="refuted"}\nThe same words in both.\nAnother end of it all.\n:::\n'
    ))
    assert check_text("The same words in both. One.", LEDGER, [source]) == []
    (problem,) = check_text("The same words in both. Another end of it all.", LEDGER, [source])
    assert (problem.line, problem.found) == (
        7, "printed, although the verdicts drop it: Another end of it all."
    )


def test_captions_bind_claims_but_need_not_be_embedded():
    caption = Source("x.ipynb", "Of all {{< num H2 >}} points, as the figure shows.", "caption")
    point = '<a class="claim num" data-field="est" href="#claim-H2">0.01</a>'
    found = read_html(page((SHOWN[3], SHOWN[3] + point)))
    assert check_page(found, LEDGER, [PAPER, caption]) == []
    assert [p.found for p in check_page(found, LEDGER, [PAPER])] == [
        "num H2 “0.01”: no token of the source prints this"
    ]
    assert check_text(found.text, LEDGER, [PAPER, caption]) == []
