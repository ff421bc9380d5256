"""What respondents read and answered, from the registration: tables, a page, and DDI-Codebook 2.5.

DDI is the XML that archives of social science data read; elements and their order are those of the
standard's schema (namespace ddi:codebook:2_5).
"""

from xml.etree import ElementTree as Xml

import pandas as pd

from claimledger.page import page, section
from claimledger.registration.models import Item, Registration, Scale


def vignette_table(registration: Registration) -> pd.DataFrame:
    """One row for each sentence of the vignette, in the order in which it is read."""
    design = registration.design
    rows = [{"Factor": "Opening", "Level": "", "Text": design.vignette.opening, "Probability": "",
             "Source": ""}]
    for name in design.vignette.order:
        factor = design.factors[name]
        rows += [
            {"Factor": factor.label, "Level": level.label, "Text": level.text,
             "Probability": f"{level.probability:g}", "Source": level.mark}
            for level in factor.levels.values()
        ]
    rows.append({"Factor": "Closing", "Level": "", "Text": design.vignette.closing,
                 "Probability": "", "Source": ""})
    return pd.DataFrame(rows)


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
    rows += [
        (name, "derived", derived.label, "",
         derived.rule(), "all", "")
        for name, derived in instrument.derived.items()
    ]
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
    root = Xml.Element(_tag("codeBook"), {"version": "2.5", "ID": registration.study.short})
    _study(root, registration)
    data = _add(root, "dataDscr")
    for name, factor in registration.design.factors.items():
        var = _variable(data, name, factor.label, "Randomised factor", "discrete", factor.mark)
        for level, about in factor.levels.items():
            _category(var, level, f"{about.label}: {about.text}")
        _add(var, "varFormat", type="character")
    for name, item in registration.instrument.items.items():
        _item(data, name, item, registration.instrument.scales[item.scale], registration)
    for name, derived in registration.instrument.derived.items():
        var = _variable(data, name, derived.label, "Derived variable", "contin" if derived.numeric
                        else "discrete", "assumed")
        for label in derived.groups:
            _category(var, label, label)
        _add(var, "derivation").append(_leaf("drvdesc", derived.rule()))
        _add(var, "varFormat", type="numeric" if derived.numeric else "character")
    Xml.indent(root)
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    return f"{declaration}\n{Xml.tostring(root, encoding='unicode')}\n"


def _study(root: Xml.Element, registration: Registration) -> None:
    about = registration.study
    study = _add(root, "stdyDscr")
    citation = _add(study, "citation")
    _add(citation, "titlStmt").append(_leaf("titl", about.title))
    people = _add(citation, "rspStmt")
    for person in about.authors:
        entry = _leaf("AuthEnty", person.name)
        if person.affiliation:
            entry.set("affiliation", person.affiliation)
        people.append(entry)
    info = _add(study, "stdyInfo")
    info.append(_leaf("abstract", about.question))
    summary = _add(info, "sumDscr")
    summary.append(_leaf("universe", about.population))
    summary.append(_leaf("dataKind", "survey experiment"))
    collection = _add(_add(study, "method"), "dataColl")
    collection.append(_leaf("collMode", "self-administered questionnaire on the web"))
    collection.append(_leaf("collSitu", vignette_text(registration)))


def _item(
    data: Xml.Element, name: str, item: Item, scale: Scale, registration: Registration
) -> None:
    kind = "contin" if scale.kind == "numeric" else "discrete"
    block = registration.instrument.blocks[item.block]
    var = Xml.SubElement(data, _tag("var"), {"ID": f"V_{name}", "name": name, "intrvl": kind})
    var.append(_leaf("labl", item.label))
    question = _add(var, "qstn")
    question.append(_leaf("preQTxt", block))
    question.append(_leaf("qstnLit", item.wording))
    if scale.kind == "numeric":
        ends = {"min": scale.minimum, "max": scale.maximum}
        _add(_add(var, "valrng"), "range", UNITS="REAL",
             **{key: f"{end:g}" for key, end in ends.items() if end is not None})
    if item.asked != "all":
        conditions = registration.samples[item.asked].items()
        var.append(_leaf("universe", "asked where " + "; ".join(
            f"{factor} is {' or '.join(levels)}" for factor, levels in conditions)))
    for code, label in scale.labels.items():
        _category(var, str(code), label)
    _add(var, "varFormat", type="character" if scale.kind == "text" else "numeric")
    var.append(_leaf("notes", f"{item.role}; wording {item.mark}" + "; reversed" * item.reverse))


def _variable(
    data: Xml.Element, name: str, label: str, text: str, kind: str, mark: str
) -> Xml.Element:
    var = Xml.SubElement(data, _tag("var"), {"ID": f"V_{name}", "name": name, "intrvl": kind})
    var.append(_leaf("labl", label))
    var.append(_leaf("txt", f"{text} ({mark})"))
    return var


def _category(var: Xml.Element, value: str, label: str) -> None:
    category = _add(var, "catgry")
    category.append(_leaf("catValu", value))
    category.append(_leaf("labl", label))


def _tag(name: str) -> str:
    return f"{{{SPACE}}}{name}"


def _leaf(name: str, text: str) -> Xml.Element:
    element = Xml.Element(_tag(name))
    element.text = text
    return element


def _add(parent: Xml.Element, name: str, **attributes: str) -> Xml.Element:
    return Xml.SubElement(parent, _tag(name), attributes)
