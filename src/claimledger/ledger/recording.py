"""How a notebook writes results down: tests with their verdicts, facts, and exhibits."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from claimledger.errors import LedgerError
from claimledger.ledger.audit import differences
from claimledger.ledger.entries import VERDICTS, Entry, Equivalence
from claimledger.ledger.numbers import WORDS, texts
from claimledger.registration.lock import Lock
from claimledger.registration.models import Analysis, Registration
from claimledger.statistics.contrasts import Fitted, check_vcov
from claimledger.statistics.decision import decide, verdict_name

_DIRECTION = {"positive": 1, "negative": -1}


@dataclass(frozen=True)
class Estimand:
    """One contrast to be decided with the others of its family; direction 0 is two-sided."""

    id: str
    label: str
    fitted: Fitted
    contrast: dict[str, float]
    direction: int = 0
    sesoi: float = 0.20
    unit: str = ""
    status: str = "exploratory"
    deviation: str | None = None
    family: str = ""


def current_cell() -> str:
    """Label of the notebook cell that is running, or an empty string."""
    try:
        source = get_ipython().user_ns["In"][-1]  # type: ignore[name-defined]
    except (NameError, KeyError, IndexError):
        return ""
    found = re.search(r"^#\|\s*label:\s*(\S+)", source, re.MULTILINE)
    return found.group(1) if found else ""


class Record:
    """What one notebook found."""

    def __init__(self, notebook: str, registration: Registration, lock: Lock, response):
        """`response(analysis)` gives the registered outcome in the registered sample."""
        self.notebook = notebook
        self.registration = registration
        self.lock = lock
        self._response = response
        self.entries: dict[str, Entry] = {}
        self.exhibits: dict[str, dict] = {}
        self.deviations: list[dict] = []

    def fragment(self) -> dict:
        """Everything recorded, as plain data."""
        return {
            "notebook": self.notebook,
            "entries": {id: entry.record() for id, entry in self.entries.items()},
            "exhibits": self.exhibits,
            "deviations": self.deviations,
        }

    def restore(self, earlier: dict) -> None:
        """Take the results of an earlier run, each marked as recorded."""
        for id, entry in earlier["entries"].items():
            self.entries[id] = Entry.model_validate(entry | {"recorded": True})
        self.deviations = list(earlier["deviations"])

    def _add(self, **fields) -> Entry:
        if fields["id"] in self.entries:
            raise LedgerError(
                f"{self.notebook}: {fields['id']}", found="recorded twice", expected="once",
                mend="give the second result another id",
            )
        decision = fields.get("decision")
        entry = Entry(
            notebook=self.notebook, cell=current_cell(),
            verdicts=VERDICTS[decision] if decision else [], **fields,
        )
        entry = Entry.model_validate(entry.record())  # exhibits are drawn from what is kept
        self.entries[entry.id] = entry
        return entry

    def fact(
        self, id: str, value: float, label: str, *, unit: str = "", decimals: int = 2,
        status: str = "description", decision: str | None = None, verdict: str | None = None,
        text: dict[str, str] | None = None, n: int | None = None, se: float | None = None,
        ci: list[float] | None = None, p: float | None = None, df: float | None = None,
        statistic: float | None = None, vcov: str | None = None, model: str | None = None,
    ) -> Entry:
        """Record a count, a share, a mean, an omnibus test or a rank; `text` adds ready texts."""
        value = int(value) if unit == "count" else float(value)
        ready = texts(
            value, unit=unit, decimals=decimals, n=n, se=se, ci=ci, p=p, df=df, statistic=statistic
        )
        if unit == "count" and 0 <= value < len(WORDS):
            ready["word"] = WORDS[value]
        return self._add(
            id=id, label=label, value=value, unit=unit, status=status, decision=decision,
            verdict=verdict, n=n, se=se, ci=ci, ci_level=0.95 if ci else None, p=p, df=df,
            statistic=statistic, vcov=vcov, model=model, text=ready | (text or {}),
        )

    def family(
        self, name: str, clusters: pd.Series | None = None, correction: str = "CR2", **fits
    ) -> pd.DataFrame:
        """Decide all hypotheses of a registered family at once: `family("H3", H3a=fit, ...)`."""
        members = {h.id: h for h in self.registration.hypotheses if h.family == name}
        if set(members) != set(fits):
            raise LedgerError(
                f"{self.notebook}: family {name}", found=", ".join(sorted(fits)) or "no fits",
                expected=", ".join(sorted(members)), mend="give one fit for each hypothesis",
            )
        tests = [
            self._registered(
                h, Fitted(fits[id], clusters, correction), id, h.estimand, h.contrast,
                _DIRECTION[h.direction],
            )
            for id, h in members.items()
        ]
        table = self.tests(tests, family=name)
        supported = sum(self.entries[id].verdict == "supported" for id in members)
        pattern = {0: "none", len(members): "all"}.get(supported, "some")
        self.fact(
            f"{name}.pattern", supported, f"Hypotheses of {name} that are supported", unit="count",
            status="registered", decision="pattern", verdict=pattern,
        )
        return table

    def comparison(
        self, id: str, fit, clusters: pd.Series | None = None, correction: str = "CR2"
    ) -> pd.DataFrame:
        """Decide a registered set of comparisons; for all pairs, also who is first and last."""
        c = self.registration.comparison(id)
        fitted = Fitted(fit, clusters, correction)
        name = self.registration.label
        if c.pairs == "reference":
            wanted = [(f"{id}.{a}", f"{c.estimand}: {name(a)}", {c.term.format(level=a): 1.0})
                      for a in c.levels]
        else:
            wanted = [
                (f"{id}.{a}.{b}", f"{c.estimand}: {name(a)} minus {name(b)}",
                 {c.term.format(level=a): 1.0, c.term.format(level=b): -1.0})
                for i, a in enumerate(c.levels) for b in c.levels[i + 1:]
            ]
        tests = [self._registered(c, fitted, *one, 0) for one in wanted]
        table = self.tests(tests, family=c.family)
        if c.pairs == "all":
            self._ranks(id, c.levels, {a: fit.params[c.term.format(level=a)] for a in c.levels})
        return table

    def _registered(
        self, analysis: Analysis, fitted: Fitted, id: str, label: str, contrast: dict,
        direction: int,
    ) -> Estimand:
        declared = {(d.analysis, d.aspect, d.run): d for d in self.lock.deviations}
        reasons = []
        for aspect, registered, run in differences(analysis, fitted, self._response(analysis)):
            deviation = declared.get((analysis.id, aspect, run))
            if deviation is None:
                raise LedgerError(
                    f"{self.notebook}: {analysis.id}, {aspect}", found=run, expected=registered,
                    mend="run what is registered, or declare the deviation in registration.lock",
                )
            reasons.append(f"{aspect}: {run} instead of {registered}")
            row = {"id": analysis.id, "aspect": aspect, "registered": registered, "run": run,
                   "reason": deviation.reason, "when": deviation.when, "impact": deviation.impact}
            if row not in self.deviations:
                self.deviations.append(row)
        return Estimand(
            id, label, fitted, contrast, direction, analysis.sesoi, self.unit(analysis),
            "deviation" if reasons else "registered", "; ".join(reasons) or None,
        )

    def unit(self, analysis: Analysis) -> str:
        """The unit of the outcome, or of the first of the stacked items."""
        return self.registration.unit((analysis.stack or [analysis.outcome])[0])

    def tests(
        self, tests: list[Estimand], family: str = "", correction: str | None = None
    ) -> pd.DataFrame:
        """Decide tests together and record each; returns a table of ready texts, one row a test.

        The correction is that of the registered family, or `correction` for a set without one.
        """
        rule = self.registration.families.get(family)
        alpha = rule.alpha if rule else 0.05
        correction = correction or (rule.correction if rule else "none")
        for test in tests:
            check_vcov(test.fitted)
        numbers = np.array([test.fitted.contrast(test.contrast) for test in tests])
        estimate, se, df = numbers.T
        sd = np.array([test.fitted.sd(test.contrast) for test in tests])
        bound = sd * np.array([test.sesoi for test in tests])
        decision = decide(
            estimate, se, df, bound, [test.direction for test in tests], alpha, correction
        )
        for i, test in enumerate(tests):
            half = student.ppf(1 - alpha / 2, df[i]) * se[i]
            narrow = student.ppf(1 - alpha, df[i]) * se[i]
            ready = dict(
                se=se[i], ci=[estimate[i] - half, estimate[i] + half], p=decision.p[i],
                p_adjusted=decision.p_adjusted[i], df=df[i], statistic=estimate[i] / se[i],
                n=test.fitted.n,
            )
            self._add(
                id=test.id, label=test.label, value=estimate[i], unit=test.unit,
                ci_level=1 - alpha, **ready,
                equivalence=Equivalence(
                    bound=bound[i], ci=[estimate[i] - narrow, estimate[i] + narrow],
                    p=decision.tost_p[i], p_adjusted=decision.tost_p_adjusted[i],
                ),
                model=test.fitted.formula + (" (weighted)" if test.fitted.weighted else ""),
                vcov=test.fitted.vcov, family=family or test.family or None, status=test.status,
                deviation=test.deviation,
                decision="hypothesis" if test.direction else "comparison",
                verdict=verdict_name(int(decision.verdict[i]), test.direction),
                text=texts(estimate[i], unit=test.unit, bound=bound[i], sd=sd[i], **ready)
                | {"tost": texts(0, p=decision.tost_p_adjusted[i])["p"]},
            )
        return self.table([test.id for test in tests])

    def table(self, ids: list[str]) -> pd.DataFrame:
        """Ready texts of recorded tests, one row a test."""
        return pd.DataFrame([_row(self.entries[id]) for id in ids], index=ids)

    def _ranks(self, id: str, levels: list[str], means: dict[str, float]) -> None:
        """Who is first and last, and whether that is clear: ahead of the next after correction."""
        order = sorted(levels, key=lambda level: -means[level])
        for end, (one, other) in {"top": order[:2], "bottom": order[::-1][:2]}.items():
            pair = f"{id}.{one}.{other}"
            entry = self.entries.get(pair) or self.entries[f"{id}.{other}.{one}"]
            self.fact(
                f"{id}.{end}", means[one], f"{'Highest' if end == 'top' else 'Lowest'} of {id}",
                status=entry.status, decision="rank",
                verdict="clear" if entry.verdict in ("higher", "lower") else "tied",
                text={"name": _lower(self.registration.label(one)),
                      "second": _lower(self.registration.label(other))},
            )


def _lower(label: str) -> str:
    return label[:1].lower() + label[1:]


def _row(entry: Entry) -> dict[str, str]:
    text = entry.text
    return {"Estimate": text["est"], "SE": text["se"], "95% interval": text["ci"],
            "df": text["df"], "p, corrected": text["padj"].removeprefix("= "),
            "Bound": text["sesoi"], "Equivalence p": text["tost"].removeprefix("= "),
            "Verdict": entry.verdict}
