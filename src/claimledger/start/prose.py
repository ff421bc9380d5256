"""The paper of a new study, from its registration, and how it is cited."""

import json
from pathlib import Path
from string import Template

import yaml

from claimledger.prose.lint import states_result
from claimledger.registration.analyses import POINTS
from claimledger.registration.models import Hypothesis, Registration
from claimledger.start.notebook import STEM, labels

PARTS = Path(__file__).parents[1] / "template" / "parts"
VERDICTS = {
    "supported": "The data support {id}, by the registered rule.",
    "refuted": "The data contradict {id}.",
    "negligible": "Whatever there is lies within the registered bound of "
                  "{{{{< num {id} sesoi >}}}}{unit}: {id} is negligible.",
    "undecided": "The data do not decide {id}.",
}


def paper(registration: Registration) -> str:
    """The text of `paper.qmd`: one sentence a line, numbers and verdicts by tokens."""
    study = registration.study
    groups = [(name, family.label) for name, family in registration.families.items()
              if any(h.family == name for h in registration.hypotheses)]
    groups += [(c.id, registration.families[c.family].label) for c in registration.comparisons]
    results = []
    for group, label in groups:
        results.append(f"## {label}\n")
        for h in registration.hypotheses:
            if h.family == group:
                results.append(_claim(registration, h))
        results += [f"@tbl-{labels(group)} has the tests, @fig-{labels(group)} the estimates.\n",
                    f"{{{{< embed build/notebooks/{STEM}.ipynb#tbl-{labels(group)} >}}}}\n",
                    f"{{{{< embed build/notebooks/{STEM}.ipynb#fig-{labels(group)} >}}}}\n"]
    first = registration.hypotheses[:1]
    found = "".join(f"\n  The verdict on {h.id} is: {{{{< says {h.id} >}}}}." for h in first)
    claims = "\n".join(f"- {h.id}: {h.statement}" for h in registration.hypotheses)
    authors = "\n".join(f"  - name: {json.dumps(one.name, ensure_ascii=False)}"
                        for one in study.authors)
    return Template((PARTS / "paper.qmd").read_text(encoding="utf-8")).substitute(
        title=json.dumps(study.title, ensure_ascii=False), authors=authors, found=found,
        question=study.question, abstract=_typed(study.question), claims=claims,
        results="\n".join(results), stem=STEM,
    )


def _typed(question: str) -> str:
    """A question whose numbers and words of direction may stand as they are typed."""
    if not states_result(question):
        return question
    return f'[{question}]{{.typed reason="the question as registered"}}'


def _claim(registration: Registration, h: Hypothesis) -> str:
    unit = registration.unit((h.stack or [str(h.outcome)])[0])
    unit = f" {POINTS}" if unit == POINTS else " points" if unit else ""
    tested = {"null": f"of the equivalence tests {{{{< num {h.id} tost >}}}}",
              "non-inferiority": f"against the margin {{{{< num {h.id} padj >}}}}"}
    text = [f"The estimate for {h.id} is {{{{< num {h.id} >}}}}{unit} (interval "
            f"{{{{< num {h.id} ci >}}}}, corrected *p* "
            + tested.get(h.direction, f"{{{{< num {h.id} padj >}}}}") + ").\n"]
    if h.joint:
        text = [f"The joint test of {h.id} has a corrected *p* {{{{< num {h.id} padj >}}}}.\n"]
    never = [verdict for verdict in VERDICTS if verdict not in h.criterion]      # for the lint
    for verdict, sentence in VERDICTS.items():
        if verdict in h.criterion:
            named = " ".join([verdict, *never]) if verdict == "undecided" else verdict
            text.append(f'::: {{.when {h.id}="{named}"}}\n'
                        f"{sentence.format(id=h.id, unit=unit)}\n:::\n")
    return "\n".join(text)


def citation(registration: Registration) -> str:
    """The text of `CITATION.cff`, which an archive asks for."""
    study = registration.study
    authors = [{"name": one.name} | ({"affiliation": one.affiliation} if one.affiliation else {})
               for one in study.authors]
    head = "# How this paper is cited. Complete it before you archive the paper.\n"
    return head + yaml.safe_dump({
        "cff-version": "1.2.0", "message": "If you use this paper, please cite it.",
        "type": "software", "title": study.title, "version": "0.1.0", "authors": authors,
        "abstract": study.question, "keywords": ["survey experiment", "reproducibility"],
        "license": ["MIT", "CC-BY-4.0"],
    }, sort_keys=False, allow_unicode=True, width=100)
