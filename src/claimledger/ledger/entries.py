"""One line of the ledger: a result with its provenance, its verdict and its ready texts.

Numbers are rounded once, here, as they are printed: with a real minus sign. Below: two ledgers,
claim by claim, which survive, which moved, and which verdicts changed.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from claimledger.errors import LedgerError
from claimledger.registration.analyses import POINTS
from claimledger.yaml_files import about

MINUS = "\u2212"
RELATIVE = 1e-6  # of the published number; ten significant digits are printed in the ledger
ABSOLUTE = 1e-9
SURVIVES = ("same", "not re-run")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
# Every kind of decision, and all the verdicts that it can come to.
VERDICTS = {
    "hypothesis": ["supported", "refuted", "negligible", "undecided"],
    "comparison": ["higher", "lower", "negligible", "undecided"],
    "omnibus": ["differs", "undecided"],
    "rank": ["clear", "tied"],
    "pattern": ["all", "some", "none"],
    "status": ["simulated", "collected"]}


def number(value: float, decimals: int = 2) -> str:
    """A number with thousands separated; a zero never carries a sign."""
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def percent(share: float, decimals: int = 1) -> str:
    """A share between 0 and 1 as a percentage."""
    return number(100 * share, decimals) + "%"


def p_value(p: float) -> str:
    """A p value with its relation sign: `< .001`, `= .042`, `> .999`."""
    if p < 0.001:
        return "< .001"
    if p > 0.999:
        return "> .999"
    return f"= {p:.3f}".replace("0.", ".")


def texts(
    value: float, *, unit: str = "", decimals: int = 2, sd: float | None = None, **known
) -> dict[str, str]:
    """All ready texts of one entry, of what is `known` of it; `est` is what `num ID` prints.

    Shares (unit `share`) are printed as percentages, their differences in percentage points.
    """
    if unit == "count":
        decimals = 0

    def write(x: float) -> str:
        if unit == POINTS:
            return number(100 * x, min(decimals, 1))
        return percent(x, min(decimals, 1)) if unit == "share" else number(x, decimals)

    def interval(both: list[float]) -> str:
        return f"[{write(both[0])}, {write(both[1])}]"

    forms = {
        "se": ("se", write), "ci": ("ci", interval), "corrected": ("corrected", interval),
        "p": ("p", p_value), "p_adjusted": ("padj", p_value), "p_equivalence": ("tost", p_value),
        "n": ("n", lambda n: number(n, 0)), "statistic": ("t", number), "bound": ("sesoi", write),
        "df": ("df", lambda df: number(df, 0 if abs(df - round(df)) < 0.05 else 1))}
    out = {"est": write(value), "abs": write(abs(value))}
    if sd:
        out |= {"d": number(value / sd), "absd": number(abs(value / sd))}
    named = {forms[key]: given for key, given in known.items() if given is not None}
    return out | {name: form(given) for (name, form), given in named.items()}


class Equivalence(BaseModel):
    """Two one-sided tests against the smallest effect of interest."""

    model_config = ConfigDict(extra="forbid")
    bound: float = about("The smallest effect of interest, in units of the outcome.")
    ci: list[float] = about("Interval of the two tests: at 1 - 2 alpha.")
    ci_corrected: list[float] | None = about(
        "The same at the level of the corrected tests.", default=None)
    p: float = about("The larger of the two.")
    p_adjusted: float = about("Corrected within the family.")


class Entry(BaseModel):
    """One result.

    `registered` is written by the audit only: file and registration give this result. `deviation`:
    they give `as_registered`, and what was run was declared. `alternative`: another analysis of
    what is registered, as the notebook computed it, not audited. `ci` is of one estimate by itself;
    `ci_corrected` is at the level at which the family's correction tests it, so that it excludes
    zero exactly where `p_adjusted` is below alpha. `amended` numbers the amendments that touch the
    analysis.
    """

    model_config = ConfigDict(extra="forbid")
    id: str = about("What tokens name it by.")
    label: str = about("What it is, in words.")
    value: float | int = about("Estimate, count or share.")
    unit: str = about("Of value and intervals.", default="")
    se: float | None = about("Standard error.", default=None)
    ci: list[float] | None = about("Its ends.", default=None)
    ci_level: float | None = about("Its level, such as 0.95.", default=None)
    ci_corrected: list[float] | None = about("At the level of the corrected test.", default=None)
    statistic: float | None = about("t, z or F.", default=None)
    df: float | None = about("Its degrees of freedom.", default=None)
    p: float | None = about("Uncorrected.", default=None)
    p_adjusted: float | None = about("Corrected within the family.", default=None)
    equivalence: Equivalence | None = about("Tests against the bound.", default=None)
    n: int | None = about("Rows that were used.", default=None)
    model: str | None = about("Formula.", default=None)
    vcov: str | None = about("Variance estimator.", default=None)
    family: str | None = about("What it is corrected with.", default=None)
    decision: str | None = about("The kind of decision: which verdicts there are.", default=None)
    verdict: str | None = about("What came out.", default=None)
    verdicts: list[str] = about("What could have.", default=[])
    status: Literal[
        "registered", "deviation", "alternative", "exploratory", "description", "design", "public"
    ] = about("Of what kind it is.")
    deviation: str | None = about("What was declared.", default=None)
    as_registered: dict | None = about(
        "The result as registered, where another is run.", default=None)
    amended: list[int] = about("Amendments that touch it.", default=[])
    notebook: str = about("Where it was computed.", default="")
    cell: str = about("The cell of that notebook.", default="")
    source: str = about("The other study whose data gave it.", default="")
    recorded: bool | None = about(
        "Whether it was taken from the record of an earlier run.", default=None)
    text: dict[str, str] = about("Ready texts, by field of `num`.", default={})

    @model_validator(mode="after")
    def _coherent(self) -> "Entry":
        numbers = [self.value, self.se, self.statistic, self.df, self.p, self.p_adjusted]
        for x in [*numbers, *(self.ci or [])]:
            if x is not None and not math.isfinite(x):
                raise ValueError(f"a value that is not finite ({x})")
        if self.decision and self.verdict not in VERDICTS[self.decision]:
            raise ValueError(f"verdict {self.verdict!r} is not one of {VERDICTS[self.decision]}")
        return self

    def record(self) -> dict:
        """As it is written to JSON: no empty fields, floats to ten significant digits."""
        return _tidy(self.model_dump(exclude_none=True))


def _tidy(value: object) -> object:
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items() if item not in ("", [], {})}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return float(f"{value:.10g}") if isinstance(value, float) else value


def entry(id: str, label: str, row: Mapping, *, unit: str, status: str, model: str, vcov: str,
          weighted: bool = False, **more) -> Entry:
    """An entry of the ledger from one row of a decided table."""
    decision = "hypothesis" if row["direction"] else "comparison"
    known = dict(p=row["p"], p_adjusted=row["p_adjusted"], n=int(row["n"]),
                 df=row["df"] if math.isfinite(row["df"]) else None)
    if not math.isnan(row.get("df1", math.nan)):  # a joint test: F, and nothing to estimate
        value, unit, known["statistic"] = row["statistic"], "F", row["statistic"]
        text = texts(value, unit=unit, **known) | {"df1": number(row["df1"], 0)}
        known["verdicts"] = ["supported", "undecided"]
    else:
        value, corrected = row["estimate"], [row["corrected_low"], row["corrected_high"]]
        known |= dict(se=row["se"], ci=[row["low"], row["high"]], statistic=value / row["se"])
        bound = None if math.isnan(row["bound"]) else float(row["bound"])
        text = texts(value, unit=unit, bound=bound, sd=row["sd"], corrected=corrected,
                     p_equivalence=None if bound is None else row["p_equivalence"], **known)
        known |= dict(ci_level=1 - row["alpha"], ci_corrected=corrected,
                      verdicts=VERDICTS[decision])
        known["equivalence"] = None if bound is None else Equivalence(
            bound=bound, ci=[row["narrow_low"], row["narrow_high"]], p=row["equivalence_p"],
            p_adjusted=row["p_equivalence"], ci_corrected=[row["inner_low"], row["inner_high"]])
    return Entry(
        id=id, label=label, value=value, unit=unit, status=status, decision=decision,
        model=model + " (weighted)" * weighted, vcov=vcov, verdict=row["verdict"], text=text,
        **known, **more)


def fact(
    id: str, value: float, label: str, *, unit: str = "", decimals: int = 2,
    status: str = "description", decision: str | None = None, text: dict | None = None, **more,
) -> Entry:
    """An entry that is no test of a hypothesis; `text` adds ready texts."""
    value = int(value) if unit == "count" else float(value)
    named = ("n", "se", "ci", "p", "df", "statistic")
    ready = texts(value, unit=unit, decimals=decimals, **{k: more.get(k) for k in named})
    if unit == "count" and 0 <= value < len(WORDS):
        ready["word"] = WORDS[value]
    if more.get("ci"):
        more["ci_level"] = more.get("ci_level") or 0.95
    return Entry(id=id, label=label, value=value, unit=unit, status=status, decision=decision,
                 verdicts=VERDICTS[decision] if decision else [], text=ready | (text or {}), **more)


def lower_first(label: str) -> str:
    """A label within a sentence."""
    return label[:1].lower() + label[1:]


def dump(content: dict) -> str:
    """JSON that is stable to the byte: sorted, one value a line."""
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"


class Results(BaseModel):
    """Entries by id, and whatever stands beside them."""

    model_config = ConfigDict(extra="allow")
    entries: dict[str, Entry]


def load_results(path: Path, expected: str, mend: str, model: type[BaseModel] = Results) -> dict:
    """The content of a JSON file of results, checked against a model; a LedgerError if it fails."""
    found = "no such file"
    if path.is_file():  # a pipe would never end
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            model.model_validate(content)
            # No number that JSON lacks, and no letter that has no code.
            json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
            return content
        except (ValueError, RecursionError) as error:
            found = " ".join(str(error).split())[:300] or "nested too deeply"
    raise LedgerError(path, found=found, expected=expected, mend=mend)


def load_ledger(path: Path) -> dict:
    """A ledger as written by `merge`."""
    return load_results(path, "a ledger of results", "run `make paper`, which makes it anew")


@dataclass(frozen=True)
class Claim:
    """One published claim beside what was found here.

    `outcome`: same; not re-run (recorded from data that are not shipped); verdict (another one);
    moved (a number beyond tolerance); text (printed otherwise, within tolerance); described
    (another label, status, model ...); missing (not found here); page (the page prints otherwise).
    """

    id: str
    label: str
    outcome: str
    published: float | None = None
    recomputed: float | None = None
    verdict: str | None = None
    verdict_here: str | None = None
    differs: tuple[str, ...] = ()

    @property
    def survives(self) -> bool:
        """Whether what was published still holds here."""
        return self.outcome in SURVIVES

    @property
    def difference(self) -> float | None:
        """Recomputed minus published value."""
        if self.published is None or self.recomputed is None:
            return None
        return self.recomputed - self.published


def agree(a: object, b: object) -> bool:
    """Numbers within tolerance of the published one, `a`; everything else equal."""
    if _is_number(a) and _is_number(b):
        return a == b or (math.isfinite(b) and abs(a - b) <= max(ABSOLUTE, RELATIVE * abs(a)))
    return type(a) is type(b) and a == b


def compare(published: dict, here: dict) -> list[Claim]:
    """Every claim of the published ledger, in its order."""
    return [_claim(id, entry, here["entries"].get(id))
            for id, entry in published["entries"].items()]


def added(published: dict, here: dict) -> list[str]:
    """Entries that are found here, and that the published ledger does not have."""
    return sorted(set(here["entries"]) - set(published["entries"]))


def _claim(id: str, old: dict, new: dict | None) -> Claim:
    known = {"id": id, "label": old.get("label", ""), "published": old["value"],
             "verdict": old.get("verdict")}
    if new is None:
        return Claim(outcome="missing", **known)
    before, after = dict(_leaves(old)), dict(_leaves(new))
    differs = {name: (before.get(name), after.get(name))
               for name in sorted((before.keys() | after.keys()) - {"recorded"})
               if not agree(before.get(name), after.get(name))}
    if not differs:
        outcome = "not re-run" if new.get("recorded") else "same"
    elif "verdict" in differs:
        outcome = "verdict"
    elif any(_is_number(a) and _is_number(b) for a, b in differs.values()):
        outcome = "moved"
    else:
        outcome = "text" if any(name.startswith("text.") for name in differs) else "described"
    return Claim(outcome=outcome, recomputed=new["value"], verdict_here=new.get("verdict"),
                 differs=tuple(differs), **known)


def _leaves(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Every number, text and truth value with its name; what is empty is as if it were absent."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in items:
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif value not in (None, "") and value is not False:
        yield name, value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
