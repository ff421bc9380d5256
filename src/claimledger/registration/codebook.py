"""What respondents read and answered, from the registration: tables, a page, DDI, a survey file.

DDI is the XML that archives of social science data read; elements and their order are those of the
standard's schema (namespace ddi:codebook:2_5). The survey file is the text that Qualtrics imports
(its "advanced format": embedded data, blocks, questions, choices with their codes); columns of an
export of that survey bear the registration's names, so that it needs no mapping.
"""

import pandas as pd

from claimledger.registration.models import Registration, Scale
from claimledger.templates import fill, page


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
        for name, item in items])


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
        for name, factor in registration.design.factors.items()]
    rows += [
        (name, item.role, item.label, item.wording,
         answers(instrument.scales[item.scale]) + " (reversed)" * item.reverse, item.asked,
         item.mark)
        for name, item in instrument.items.items()]
    rows += [(name, "derived", derived.label, "", derived.rule(), "all", "")
             for name, derived in instrument.derived.items()]
    return pd.DataFrame(rows, columns=[
        "variable", "role", "label", "wording", "answers", "asked", "mark"])


def files(registration: Registration) -> dict[str, str]:
    """What `claimledger codebook` writes: the text of each file by its name."""
    design, instrument = registration.design, registration.instrument
    table, text = codebook_table(registration), design.vignette
    piped = " ".join(f"${{e://Field/{name}_text}}" for name in text.order)
    shown = "<br><br>".join(part for part in (text.opening, piped, text.closing) if part)
    # Where no block is for the vignette, it has one of its own before the first outcome.
    first = next((item.block for item in instrument.items.values() if item.role == "outcome"), None)
    known = {"study": registration.study, "design": design, "instrument": instrument,
             "samples": registration.samples, "answers": answers, "line": _line}
    return {
        "codebook.html": page(f"Codebook: {registration.study.title}", [
            ("Variables", table), ("Vignette", vignette_table(registration)),
            ("Items, as asked", instrument_table(registration)),
            ("Exclusions, in order", pd.DataFrame(
                [(rule.label, rule.column) for rule in registration.exclusions],
                columns=["Rule", "Column"]))]),
        "codebook.csv": table.to_csv(index=False),
        "codebook.ddi.xml": fill(
            "codebook/ddi.xml", vignette=vignette_text(registration), **known),
        "survey.txt": fill(
            "codebook/survey.txt", vignette=shown, **known,
            keys=[rule.column for rule in registration.exclusions if rule.repeats],
            vignette_before=None if "vignette" in instrument.blocks else first).rstrip() + "\n",
        "survey-steps.md": fill("codebook/survey-steps.md", **known)}


def _line(text: str) -> str:
    """One line in which no tag of the survey file's format can begin."""
    return " ".join(text.split()).replace("[[", "[ [").replace("]]", "] ]")
