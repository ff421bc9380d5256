"""What respondents read and answered, made from the registration."""

import pandas as pd

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
