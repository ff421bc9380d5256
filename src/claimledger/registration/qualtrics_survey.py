"""The survey as a text file that Qualtrics imports (its "advanced format"), and what is left to do.

The format holds embedded data, blocks, questions and choices with their codes. It does not hold
the survey flow, so that the randomisation, and who is asked what, stand in a list of steps beside.
Columns of an export of that survey bear the registration's names, so that it needs no mapping.
"""

from claimledger.registration.codebook import answers
from claimledger.registration.models import Item, Registration

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
    lines += [f"   - `{name}`: {answers(instrument.scales[item.scale])}"
              for name, item in instrument.items.items()
              if instrument.scales[item.scale].kind == "numeric"]
    lines += ["", "6. Preview the survey, export the answers as CSV with choice text, and run "
              "`claimledger check EXPORT.csv` before the first respondent is invited.", ""]
    return "\n".join(lines)
