"""What respondents read and answered, from the registration: tables, a page, DDI, a survey file.

DDI is the XML that archives of social science data read; elements and their order are those of the
standard's schema (namespace ddi:codebook:2_5). The survey file is the text that Qualtrics imports
(its "advanced format": embedded data, blocks, questions, choices with their codes); columns of an
export of that survey bear the registration's names, so that it needs no mapping.
"""

from xml.etree import ElementTree as Xml

import pandas as pd

from claimledger.page import page, section
from claimledger.registration.models import Item, Registration, Scale


def vignette_table(registration: Registration) -> pd.DataFrame:
    """One row for each sentence of the vignette, in the order in which it is read."""
    design, text = registration.design, registration.design.vignette
    rows = [("Opening", "", text.opening, "", "")]
    for name in text.order:
        factor = design.factors[name]
        rows += [(factor.label, level.label, level.text, f"{level.probability:g}", level.mark)
                 for level in factor.levels.values()]
    rows.append(("Closing", "", text.closing, "", ""))
    return pd.DataFrame([row for row in rows if row[1] or row[2]],
                        columns=["Factor", "Level", "Text", "Probability", "Source"])


def instrument_table(registration: Registration) -> pd.DataFrame:
    """One row for each item: block, wording, answers."""
    instrument = registration.instrument
    blocks = list(instrument.blocks)
    items = sorted(instrument.items.items(), key=lambda pair: blocks.index(pair[1].block))
    return pd.DataFrame([
        {"Block": instrument.blocks[item.block], "Item": f"`{name}`", "Wording": item.wording,
         "Answers": answers(instrument.scales[item.scale])}
        for name, item in items
    ])


def answers(scale: Scale) -> str:
    """The answers of a scale in one line."""
    if scale.kind == "text":
        return "free text"
    if scale.kind == "numeric":
        ends = (("from", scale.minimum), ("to", scale.maximum))
        return " ".join(["a number", *(f"{w} {end:g}" for w, end in ends if end is not None)])
    return "; ".join(f"{code} {label}" for code, label in scale.labels.items())


def vignette_text(registration: Registration) -> str:
    """The vignette in one line, with the levels of each factor as alternatives."""
    text = registration.design.vignette
    middle = [" / ".join(level.text for level in registration.design.factors[name].levels.values())
              for name in text.order]
    return " ".join(part for part in (text.opening, *(f"[{m}]" for m in middle), text.closing)
                    if part)


def codebook_table(registration: Registration) -> pd.DataFrame:
    """One row for each variable: factors, items, derived ones, with codes and where they stand."""
    instrument = registration.instrument
    rows = [
        (name, "factor", factor.label, "", "; ".join(
            f"{key} {level.label}" for key, level in factor.levels.items()), "all", factor.mark)
        for name, factor in registration.design.factors.items()
    ]
    rows += [
        (name, item.role, item.label, item.wording,
         answers(instrument.scales[item.scale]) + " (reversed)" * item.reverse, item.asked,
         item.mark)
        for name, item in instrument.items.items()
    ]
    rows += [(name, "derived", derived.label, "", derived.rule(), "all", "")
             for name, derived in instrument.derived.items()]
    return pd.DataFrame(rows, columns=[
        "variable", "role", "label", "wording", "answers", "asked", "mark"])


def codebook_page(registration: Registration) -> str:
    """Codebook and instrument as one HTML page, without scripts."""
    parts = [
        ("Variables", codebook_table(registration)), ("Vignette", vignette_table(registration)),
        ("Items, as asked", instrument_table(registration)),
        ("Exclusions, in order", pd.DataFrame(
            [(rule.label, rule.column) for rule in registration.exclusions],
            columns=["Rule", "Column"])),
    ]
    return page(f"Codebook: {registration.study.title}", (section(*part) for part in parts))


SPACE = "ddi:codebook:2_5"


def ddi_codebook(registration: Registration) -> str:
    """Study description and one `var` for each factor, item and derived variable."""
    Xml.register_namespace("", SPACE)
    design, instrument = registration.design, registration.instrument
    root = _node("codeBook", _study(registration), _node(
        "dataDscr",
        *(_variable(
            name, factor.label, "discrete", _node("txt", f"Randomized factor ({factor.mark})"),
            *(_category(level, f"{about.label}: {about.text}")
              for level, about in factor.levels.items()), _format("character"))
          for name, factor in design.factors.items()),
        *(_item(name, item, registration) for name, item in instrument.items.items()),
        *(_variable(
            name, derived.label, "contin" if derived.numeric else "discrete",
            _node("txt", "Derived variable (assumed)"),
            *(_category(label, label) for label in derived.groups),
            _node("derivation", _node("drvdesc", derived.rule())),
            _format("numeric" if derived.numeric else "character"))
          for name, derived in instrument.derived.items())),
        version="2.5", ID=registration.study.short)
    Xml.indent(root)
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{declaration}\n{Xml.tostring(root, encoding='unicode')}\n"


def _study(registration: Registration) -> Xml.Element:
    about = registration.study
    return _node(
        "stdyDscr",
        _node("citation", _node("titlStmt", _node("titl", about.title)), _node("rspStmt", *(
            _node("AuthEnty", person.name, **(
                {"affiliation": person.affiliation} if person.affiliation else {}))
            for person in about.authors))),
        _node("stdyInfo", _node("abstract", about.question), _node(
            "sumDscr", _node("universe", about.population),
            _node("dataKind", "survey experiment"))),
        _node("method", _node(
            "dataColl", _node("collMode", "self-administered questionnaire on the web"),
            _node("collSitu", vignette_text(registration)))))


def _item(name: str, item: Item, registration: Registration) -> Xml.Element:
    instrument = registration.instrument
    scale = instrument.scales[item.scale]
    ends = {key: f"{end:g}" for key, end in (("min", scale.minimum), ("max", scale.maximum))
            if end is not None}
    asked = "; ".join(f"{factor} is {' or '.join(levels)}"
                      for factor, levels in registration.samples[item.asked].items())
    return _variable(
        name, item.label, "contin" if scale.kind == "numeric" else "discrete",
        _node("qstn", _node("preQTxt", instrument.blocks[item.block]),
              _node("qstnLit", item.wording)),
        *([_node("valrng", _node("range", UNITS="REAL", **ends))]
          if scale.kind == "numeric" else []),
        *([_node("universe", f"asked where {asked}")] if item.asked != "all" else []),
        *(_category(str(code), label) for code, label in scale.labels.items()),
        _format("character" if scale.kind == "text" else "numeric"),
        _node("notes", f"{item.role}; wording {item.mark}" + "; reversed" * item.reverse))


def _variable(name: str, label: str, kind: str, *content: Xml.Element) -> Xml.Element:
    return _node("var", _node("labl", label), *content, ID=f"V_{name}", name=name, intrvl=kind)


def _category(value: str, label: str) -> Xml.Element:
    return _node("catgry", _node("catValu", value), _node("labl", label))


def _format(kind: str) -> Xml.Element:
    return _node("varFormat", type=kind)


def _node(tag: str, *content: str | Xml.Element, **attributes: str) -> Xml.Element:
    node = Xml.Element(f"{{{SPACE}}}{tag}", attributes)
    for part in content:
        if isinstance(part, str):
            node.text = part
        else:
            node.append(part)
    return node


SHOWN = "_text"          # the embedded field with the sentence that belongs to an assigned level


def import_file(registration: Registration) -> str:
    """Embedded data first, then the blocks in their order."""
    design, instrument = registration.design, registration.instrument
    keys = [rule.column for rule in registration.exclusions if rule.repeats]
    fields = [*keys, *design.factors, *(f"{name}{SHOWN}" for name in design.factors)]
    parts = ["[[AdvancedFormat]]", *(f"[[ED:{name}]]" for name in fields)]
    vignette = next((b for b in instrument.blocks if b == "vignette"), None)
    first = next((i.block for i in instrument.items.values() if i.role == "outcome"), None)
    for block, title in instrument.blocks.items():
        if vignette is None and block == first:
            parts += _vignette(registration, "Vignette")
        parts.append(f"[[Block:{_line(title)}]]")
        if block == vignette:
            parts += _vignette(registration, None)
        for name, item in instrument.items.items():
            if item.block == block:
                parts.append(_question(name, item, registration))
    return "\n\n".join(parts) + "\n"


def _vignette(registration: Registration, title: str | None) -> list[str]:
    text = registration.design.vignette
    piped = [f"${{e://Field/{name}{SHOWN}}}" for name in text.order]
    shown = "<br><br>".join(part for part in (text.opening, " ".join(piped), text.closing) if part)
    heading = [f"[[Block:{title}]]"] if title else []
    return [*heading, f"[[Question:DB]]\n[[ID:vignette]]\n{_line(shown)}", "[[PageBreak]]"]


def _question(name: str, item: Item, registration: Registration) -> str:
    scale = registration.instrument.scales[item.scale]
    if not scale.labels:
        kind = "Essay" if scale.kind == "text" else "SingleLine"
        return f"[[Question:TE:{kind}]]\n[[ID:{name}]]\n{_line(item.wording)}"
    codes = "\n".join(f"[[Choice:{c}]]\n{_line(text)}" for c, text in scale.labels.items())
    return (f"[[Question:MC:SingleAnswer:Vertical]]\n[[ID:{name}]]\n{_line(item.wording)}\n"
            f"[[AdvancedChoices]]\n{codes}")


def _line(text: str) -> str:
    """One line in which no tag of the format can begin."""
    return " ".join(text.split()).replace("[[", "[ [").replace("]]", "] ]")


def steps(registration: Registration) -> str:
    """What the text format cannot hold, as steps in Markdown for the platform's survey flow."""
    design, instrument = registration.design, registration.instrument
    lines = [
        f"# Setting up the survey: {registration.study.title}", "",
        "1. Create a project, open Tools, Import/Export, Import survey, and choose `survey.txt`.",
        "2. Open the survey flow. The embedded data fields stand at its top. "
        "Fields for the panel's ids are filled by the panel's link.",
        "3. Above the block with the vignette add one randomizer for each factor below. "
        "Each shows 1 of its elements; an element sets the two fields of its level.",
    ]
    for name, factor in design.factors.items():
        chances = {level.probability for level in factor.levels.values()}
        even = "evenly presented" if len(chances) == 1 else (
            "not evenly: repeat elements until the shares are those given")
        lines += ["", f"   **{factor.label}** ({even}):", ""]
        lines += [
            f"   - `{name}` = `{level}`, `{name}{SHOWN}` = `{' '.join(about.text.split())}` "
            f"(probability {about.probability:g})" for level, about in factor.levels.items()]
    lines += ["", "4. Display logic, for blocks and questions that not everybody is asked:", ""]
    for name, item in instrument.items.items():
        for factor, levels in registration.samples[item.asked].items():
            lines.append(f"   - show `{name}` only if embedded data `{factor}` is one of: "
                         + ", ".join(f"`{level}`" for level in levels))
    lines += ["", "5. Validation of numbers:", ""]
    scales = {name: instrument.scales[item.scale] for name, item in instrument.items.items()}
    lines += [f"   - `{name}`: {answers(scale)}" for name, scale in scales.items()
              if scale.kind == "numeric"]
    lines += ["", "6. Preview the survey, export the answers as CSV with choice text, and run "
              "`claimledger check EXPORT.csv` before the first respondent is invited.", ""]
    return "\n".join(lines)
