"""A hundred and thirty ways to tamper with the fixture's page, and every other one by a rule."""

import copy
import json
import random
import re
from collections.abc import Iterator

END = "\n</main>"
CLAIM = '<a href="#claim-H1" class="claim num" data-field="{}">{}</a>'
POINTS = "\u00a0points on"  # a number is not parted from its unit
PAGE, NOTEBOOK = "index.html", "build/notebooks/01_mini-preview.html"
RESULT = "Support is <a"
NOTICE = "<p>The numbers below were drawn by a computer.</p>\n"
# name, group of the report, where it is said to be, what is replaced by what
TAMPERED = [
    ("a number", "claims", "H1", (
        CLAIM.format("est", "0.21") + POINTS, CLAIM.format("est", "0.61") + POINTS)),
    ("a number bound to another field", "claims", "H1", (
        CLAIM.format("est", "0.21") + POINTS, CLAIM.format("se", "0.21") + POINTS)),
    ("a number bound to another entry", "claims", "H1", (
        'N was <a href="#claim-H1"', 'N was <a href="#claim-H2.under"')),
    ("a number bound to nothing", "claims", "H1", (
        CLAIM.format("est", "0.21") + POINTS, "0.21" + POINTS)),
    ("a p value", "claims", "H1", (
        re.compile(r'(href="#claim-H1" class="claim num" data-field="p">)&lt;'), r"\1&gt;")),
    ("an interval in a table", "claims", "H1", (
        CLAIM.format("ci", "[0.11, 0.31]") + "</td>",
        CLAIM.format("ci", "[0.01, 0.31]") + "</td>")),
    ("a verdict's phrase", "claims", "H2.under", ("not clearly less willing", "less willing")),
    ("a verdict's binding", "claims", "H2.under", (
        'data-verdict="undecided"', 'data-verdict="supported"')),
    ("a bound sentence", "claims", "data.status", (
        ">The data are simulated.<", ">The data are collected.<")),
    ("a card's digits", "claims", "H1", ("estimate 0.2123456789", "estimate 0.7123456789")),
    ("a card's standing", "claims", "H1", (
        "<dd>deviation: vcov", "<dd>vcov")),
    ("a card's label", "claims", "H1", ("failing against keeping <b>", "keeping and failing <b>")),
    ("a value of the ledger", "claims", "H1", ('"value":0.2123456789', '"value":0.7123456789')),
    ("a text of the ledger", "claims", "H1", ('"est":"0.21"', '"est":"0.22"')),
    ("a verdict of the ledger", "claims", "H1", ('"verdict":"supported"', '"verdict":"refuted"')),
    ("a number in the title", "claims", "H1", (
        ">large</a> effects</h1>", ">small</a> effects</h1>")),
    ("an added sentence", "text", "2.1 Main effect", (RESULT, f"This proves it. {RESULT}")),
    ("an added paragraph", "text", "2.1 Main effect", (
        f"<p>{RESULT}", f"<p>Nobody doubts it.</p>\n<p>{RESULT}")),
    ("a removed paragraph", "text", "1 Introduction", (
        "<p>Five measures were asked about, five in all.</p>\n", "")),
    ("a word", "text", "1 Introduction", ("democracies are spared", "democracies are punished")),
    ("a footnote", "text", "", ("A note with a number", "A proof with a number")),
    ("a heading", "text", "3 Discussion", ("</span> Discussion</h2>", "</span> Proof</h2>")),
    ("a heading in the contents", "text", "contents", (
        "</span> Discussion</a>", "</span> Proof</a>")),
    ("a formula", "text", "2.2 Display", ("<mn>1</mn></mrow></msup>", "<mn>2</mn></mrow></msup>")),
    ("a homoglyph", "text", "1 Introduction", ("A stronger partner", "\u0410 stronger partner")),
    ("an invisible letter", "text", "1 Introduction", ("look away", "look\u200b away")),
    ("turned text", "text", "1 Introduction", ("with words", "\u202ewith words")),
    ("a reference", "text", "References", ("259–69", "259–96")),
    ("a link's target", "text", "References", (
        'href="https://doi.org/10.1017/S0003055413000488"', 'href="https://doi.evil.org/10.1017"')),
    ("a reference to another figure", "text", "2.1 Main effect", (
        '<a href="#tbl-means" class="xref">', '<a href="#fig-support" class="xref">')),
    ("text in the list of the ledger", "claims", "", (
        "Every number and verdict above", "No number and verdict above")),
    ("a deviation", "text", "Appendix B. Deviations", ("none on the estimate", "none at all")),
    ("a hidden deviation's row", "text", "Appendix B. Deviations", (
        re.compile(r"<tr>\n<th style=\"text-align: left;\"><code>H1</code>.*?</tr>\n", re.S), "")),
    ("a cell of a typed table", "text", "Appendix A. Instrument", (
        "support or oppose ending", "oppose ending")),
    ("a cell", "exhibits", "tbl-means", (">3.11</td>", ">3.61</td>")),
    ("two cells exchanged", "exhibits", "tbl-means", (
        re.compile(r"2\.90(.*?)601", re.S), r"601\g<1>2.90")),
    ("an added row", "exhibits", "tbl-means", (
        "</tbody>", "<tr><td>both</td><td>3.00</td></tr>\n</tbody>")),
    ("a removed row", "exhibits", "tbl-means", (
        re.compile(r'<tr>\n<th style="text-align: left;">keeps.*?</tr>\n', re.S), "")),
    ("a caption", "exhibits", "fig-support", ("Bars are intervals.", "Bars are standard errors.")),
    ("a figure exchanged", "exhibits", "fig-support", (
        re.compile(r'src="data:image/svg[^"]*"'), 'src="data:image/png;base64,iVBORw0KGgo="')),
    ("a point of a figure", "exhibits", "fig-support", (
        re.compile(r"(%3Cpath d=(?:%22|')[Mm] ?)(\d)"), r"\g<1>9\g<2>")),
    ("a figure from elsewhere", "exhibits", "fig-support", (
        re.compile(r'src="data:image/svg[^"]*"'), 'src="https://evil.org/f.svg"')),
    ("an alt text", "exhibits", "fig-support", ("The right one is 0.21", "The left one is 0.21")),
    ("a removed alt text", "exhibits", "fig-support", (re.compile(r' alt="Two dots[^"]*"'), "")),
    ("an added picture", "exhibits", "", (END, f'\n<img src="x.png" alt="">{END}')),
    ("an added script", "active", "", (END, f"\n<script>alert(1)</script>{END}")),
    ("a script from elsewhere", "active", "", (
        "</head>", '<script src="//evil.org/x.js"></script>\n</head>')),
    ("a script that is fetched", "active", "", ("<script>", '<script src="//evil.org/x.js">')),
    ("a script that is none", "active", "", ("<script>", '<script type="text/plain">')),
    ("a style for print only", "active", "", ("<style>", '<style media="print">')),
    ("a changed script", "active", "", (re.compile(r"<script>\n?//"), "<script>alert(1);\n//")),
    ("a handler", "active", "", ('<main id="text">', '<main id="text" onclick="alert(1)">')),
    ("a link that runs", "active", "", (
        'href="#sec-app">Appendix\u00a0A', 'href="javascript:alert(1)">Appendix\u00a0A')),
    ("a frame", "active", "", (END, f'\n<iframe src="https://evil.org"></iframe>{END}')),
    ("a base", "active", "", ("</head>", '<base href="https://evil.org">\n</head>')),
    ("a refresh", "active", "", (
        "</head>", '<meta http-equiv="refresh" content="0;url=//evil.org">\n</head>')),
    ("a rule in the style sheet", "active", "", ("<style>", "<style>.callout{display:none}")),
    ("hidden by style", "active", "", (
        "<p>Five measures", '<p style="display:none">Five measures')),
    ("hidden by an attribute", "active", "", ("<p>Five measures", "<p hidden>Five measures")),
    ("the title", "header", "title", ("Small allies, <a", "Large allies, <a")),
    ("the title of the window", "header", "head", ("<title>Small", "<title>Large")),
    ("an author", "header", "title", ("Ben Sample<sup>", "Eve Sample<sup>")),
    ("a date", "header", "title", ("January 15, 2026", "January 15, 2024")),
    ("an added description", "header", "head", (
        "</head>", '<meta name="description" content="It is proved.">\n</head>')),
    ("data for machines", "active", "head", (
        "</head>", '<script type="application/ld+json">{"name": "x"}</script>\n</head>')),
    ("the removed status", "header", "notice", (re.compile(r"<aside.*?</aside>\n", re.S), "")),
    ("another status", "header", "notice", ("<strong>Simulated data.", "<strong>Collected data.")),
    ("the status as heard", "header", "notice", (
        'aria-label="Status of the data"', 'aria-label="Collected data"')),
    ("the removed notice", "text", "", (NOTICE, "")),
    ("the date of freezing", "header", "colophon", (
        "frozen on 2026-01-10", "frozen on 2025-01-10")),
    ("the hash of the data", "header", "colophon", (
        "0123456789abcdef…</code>\n</dd>", "1123456789abcdef…</code>\n</dd>")),
    ("the freezing in the ledger", "header", "the ledger's header: registration", (
        '"frozen":"2026-01-10"', '"frozen":"2025-01-10"')),
    ("the status in the ledger", "header", "the ledger's header: status", (
        '"status":"simulated"', '"status":"collected"')),
    ("a notebook's output", "text", "01_mini-preview.html", (
        "fitted 1,202 rows", "fitted 9,202 rows")),
    ("a notebook's code", "text", "01_mini-preview.html", ("a comment", "b comment")),
    ("a script in a notebook", "active", "01_mini-preview.html", (
        "</body>", "<script>x()</script></body>")),
    ("a comment that browsers end at once", "text", "", (
        END, f"\n<!--><p>Retracted.</p><!-- -->{END}")),
    ("a comment with another end", "text", "", (END, f"\n<!-- --!><p>Retracted.</p><!-- -->{END}")),
    ("what an end tag hides", "active", "", (
        END, f'\n<p>x</p a"><script>alert(1)</script><b ">{END}')),
    ("an attribute that hides a script", "active", "", (
        END, f'\n<p a"><script>alert(1)</script><p b">{END}')),
    ("a tag with strokes", "active", "", (END, f"\n<img/src=x/onerror=alert(1)>{END}")),
    ("a claim's link to a file", "text", "", (
        'N was <a href="#claim-H1"', 'N was <a href="H1"')),
    ("a style in a comment in a string", "active", "", (
        "<style>", "<style>/*\"} p{display:none} x{y:\"*/")),
    ("a sheet that fetches another", "active", "", ("<style>", "<style>@import '//evil.org';")),
    ("two paragraphs exchanged", "text", "Introduction", (
        re.compile(r"(<p>Five measures[^\n]*</p>\n)(.*?)(<p>[^\n]*</p>\n)", re.S), r"\3\2\1")),
    ("a figure moved", "active", "", (
        re.compile(r"(<figure.*?</figure>|<div id=\"fig-support\".*?</div>)(.*)(\n</main>)", re.S),
        r"\2\1\3")),
    ("the notice moved to the end", "header", "", (
        re.compile(r"(<aside.*?</aside>\n)(.*)(\n</main>)", re.S), r"\2\1\3")),
    ("text from right to left", "active", "", (re.compile(r"<html lang"), '<html dir="rtl" lang')),
    ("another language", "active", "", (re.compile(r'<html lang="\w+'), '<html lang="xx')),
    ("a paragraph that is not heard", "active", "", (
        "<p>Five measures", '<p aria-hidden="true">Five measures')),
    ("what is said on hovering", "text", "Introduction", (
        "<p>Five measures", '<p title="All is proved.">Five measures')),
    ("a dialog over the page", "active", "", (END, f"\n<dialog open></dialog>{END}")),
    ("a button", "text", "", (END, f"\n<button popovertarget=x>Accept</button>{END}")),
    ("another picture for wide screens", "active", "", (
        "<img src", '<img srcset="//evil.org/f.svg 2x" src')),
    ("another set of letters", "active", "", ('<meta charset="utf-8"', '<meta charset="utf-7"')),
    ("a mark that joins", "claims", "H1", (
        CLAIM.format("est", "0.21"), CLAIM.format("est", "0.2\u200d1"))),
    ("a number with another minus", "claims", "", (
        re.compile(r'(class="claim num"[^>]*>)(\[?)0\.'), "\\1\\2−0.")),
    ("rows exchanged", "exhibits", "tbl-means", (
        re.compile(r"(<tr>\n<th [^>]*>keeps.*?</tr>\n)(<tr>.*?</tr>\n)", re.S),
        r"\2\1")),
    ("a cell over two columns", "active", "tbl-means", (
        re.compile(r'(id="tbl-means".*?<td)', re.S), r'\1 colspan="2"')),
    ("another footnote's number", "text", "", (re.compile(r'href="#fn1"'), 'href="#fn2"')),
    ("a reference dropped", "text", "References", (
        re.compile(r'<div id="ref-[^"]*".*?</div>\n', re.S), "")),
    ("text after the page's end", "text", "", ("</html>", "</html>\n<p>Retracted.</p>")),
    ("a picture in the text of a script", "active", "", (
        "</body>", "<svg onload=alert(1)></svg></body>")),
    ("a template", "active", "", ("</body>", "<template><p>x</p></template></body>")),
    ("a second ledger that is none", "active", "", (
        "</body>", '<script type="application/json" id="Ledger">{}</script></body>')),
    ("a slot in a shadow", "active", "", (
        "<p>Five measures",
        '<div><template shadowrootmode="open"></template></div><p>Five measures')),
    ("a link that is pinged", "active", "", (
        '<a href="#tbl-means" class="xref"',
        '<a ping="//evil.org" href="#tbl-means" class="xref"')),
    ("code of a notebook hidden", "active", "01_mini-preview.html", (
        re.compile(r"<pre"), '<pre hidden')),
    ("text that only formulas hold", "active", "2.2 Display", (
        "<mn>1</mn>", "<mn><![CDATA[2]]>1</mn>")),
    ("a part of a formula that ends itself", "active", "2.2 Display", (
        "<msup><mo stretchy", "<msup/><mo stretchy")),
    ("no type of document", "active", "", ("<!DOCTYPE html>\n", "")),
    ("a sheet named before the page", "active", "", (
        "<!DOCTYPE", '<?xml-stylesheet href="//evil.org/x.css"?><!DOCTYPE')),
    ("a link that ends with a stroke", "text", "References", (
        'href="https://doi.org/10.1017/S0003055413000488"',
        "href=https://doi.org/10.1017/S0003055413000488/")),
    ("a blank that is part of a tag's name", "active", "1 Introduction", (
        "<p>Five measures", "<p\u00a0>Five measures")),
    ("a letter of another alphabet in a tag's name", "active", "2.2 Display", (
        "<blockquote>", "<bloc\u212aquote>")),
    ("a blank that is part of a selector", "active", "", (".status {", ".status\u00a0{")),
    ("a text hidden until it is found", "active", "", (
        "<p>Five measures", '<p hidden="until-found">Five measures')),
    ("a number written by the style sheet", "active", "", (
        "</style>", ".claim.num{font-size:0}.claim.num::before{content:'0.99'}</style>")),
    ("a notice that only paper lacks", "active", "", (
        "</style>", "@media print{.status{display:none}}</style>")),
    ("emphasis on another word", "active", "1 Introduction", (
        "<strong>No action</strong>, which", "No action, <strong>which</strong>")),
    ("another letter raised", "active", "title", (
        "Ada Example<sup>1</sup>", "<sup>A</sup>da Example1")),
    ("a link on other words", "active", "1 Introduction", (
        'role="doc-biblioref">Tomz and Weeks 2013</a>; see',
        'role="doc-biblioref">Tomz and</a> Weeks 2013; see')),
    ("a picture said to be of another kind", "exhibits", "fig-support", (
        'src="data:image/svg+xml,', 'src="data:image/png,')),
    ("a picture in other letters", "exhibits", "fig-support", (
        'src="data:image/svg+xml,', 'src="data:image/svg+xml;charset=utf-16,')),
    ("a picture that ends early", "exhibits", "fig-support", ("='%23_", "='#_")),
    ("a part of a picture", "exhibits", "fig-support", (
        re.compile(r'(src="data:image/svg[^"]*)"'), r'\1#svgView(viewBox(0,0,9,9))"')),
    ("the letters of a figure made small", "exhibits", "fig-support", (
        re.compile(r"scale\(0\.\d+"), "scale(0.000001")),
    ("a paragraph in the head", "text", "before the first section", (
        "</head>", "<p>Retracted.</p></head>")),
    ("text before the page", "text", "before the first section", ("<html", "Retracted.<html")),
    ("a term of the colophon", "header", "colophon", (
        "<dt>Data</dt>", "<dt>Lies</dt><dt>Data</dt>")),
    ("a wide gap", "text", "1 Introduction", ("with words or", "with\u3000\u3000words or")),
    ("a blank that does not break", "text", "1 Introduction", (
        "with words or", "with&nbsp;words or")),
    ("the reader's own marks", "text", "1 Introduction", (
        "Five measures", "&#xE000;99999:Five&#xE001; measures")),
    ("a claim's name on another place", "text", "1 Introduction", (
        "<p>Five measures", '<p><a id="claim-H1" href="#cb1-1"></a>Five measures')),
    ("what a paragraph is said to be", "text", "1 Introduction", (
        "<p>Five measures", '<p aria-roledescription="proof">Five measures')),
    ("a phrase bound by a field", "claims", "", (
        'class="claim says" data-verdict="some"', 'class="claim says" data-field="some"')),
    ("a tag in capitals", "active", "bytes of the page", ("<style>", "<STYLE>")),
    ("a second attribute of one name", "active", "bytes of the page", (
        '<main id="text">', '<main id="text" id="x">')),
    ("a letter of an address as its number", "active", "bytes of the page", (
        'href="#claim-H1', 'href="#claim-%481')),
    ("a comment", "active", "bytes of the page", (END, f"<!-- It is proved. -->{END}")),
    ("a head's name that is a property", "header", "head", (
        'meta name="citation_title"', 'meta property="citation_title"'))]

TOKEN = re.compile(r"""<!--.*?-->|<(?:[^"'>]|"[^"]*"|'[^']*')*>|[^<]+""", re.S)
ATTRIBUTE = re.compile(r"""\s([\w:-]+)(?:=("[^"]*"|'[^']*'))?""")
LEDGER = re.compile(r'(?<=id="ledger">)\{.*?(?=</script>)', re.S)
MAY_CHANGE = ("code", "packages")  # of a ledger's header: told in a note


Change = tuple[str, int, int, str]  # a name, and what stands in the place of page[start:end]


OPTIONAL = {"</td>", "</th>", "</tr>", "</li>", "</dt>", "</dd>", "</p>"}  # a page is the same


def by_rule(page: str, rng: random.Random) -> Iterator[Change]:
    """Every tag, attribute and text of a page altered, dropped or added to."""
    def changed(name: str, start: int, end: int, new: str) -> Change:
        return f"{name}, at {page[max(0, start - 60):end + 30]!r}", start, end, new

    for token in TOKEN.finditer(page):
        (start, end), text = token.span(), token[0]
        if text.startswith("</"):
            if text not in OPTIONAL:
                yield changed("an end tag dropped", start, end, "")
            yield changed("letters added", start, start, "Nu")
        elif re.match("<[a-zA-Z]", text):
            yield changed("a tag dropped", start, end, "")
            yield changed("a tag hidden", start, end, re.sub(
                r"^<(\w+)", r'<\1 style="display:none"', text))
            yield changed("an element added", start, start, "<hr>")
            for one in ATTRIBUTE.finditer(text):
                at = start + one.start(), start + one.end()
                yield changed("an attribute dropped", *at, "")
                if len(one[2] or "") > 2:
                    yield changed("an attribute altered", at[1] - 1, at[1] - 1, "q")
        elif not text.startswith("<") and text.strip():
            body = text.strip()
            first = start + text.index(body)
            yield changed("a text dropped", first, first + len(body), "")
            place = first + rng.choice([i for i, c in enumerate(body) if not c.isspace()])
            yield changed("a letter altered", place, place + 1, "7" if page[place] != "7" else "8")


def by_leaf(page: str) -> Iterator[Change]:
    """Every value of the page's ledger altered, or dropped with its key."""
    found = LEDGER.search(page)
    for path, value in _leaves(json.loads(found[0])):
        if value is None or path[0] == "header" and path[1] in MAY_CHANGE:
            continue
        for name in ("altered", "dropped"):
            ledger = copy.deepcopy(json.loads(found[0]))
            inner = ledger
            for key in path[:-1]:
                inner = inner[key]
            if name == "dropped":
                del inner[path[-1]]
            else:
                inner[path[-1]] = f"{value}q" if isinstance(value, str) else value + 1
            text = json.dumps(ledger, ensure_ascii=False).replace("<", "\\u003c")
            yield f"{path} {name}", found.start(), found.end(), text


def _leaves(value: object, path: tuple = ()) -> Iterator[tuple[tuple, object]]:
    if isinstance(value, dict | list):
        for key, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(one, (*path, key))
    else:
        yield path, value
