"""What respondents read and answered, made from the registration."""

import pandas as pd

from claimledger.page import page, section
from claimledger.registration.models import Registration, Scale


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
        return f"a number from {scale.minimum:g} to {scale.maximum:g}"
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
