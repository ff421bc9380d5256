"""How a notebook writes down what it found; what it calls registered is audited on the spot."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from IPython import get_ipython

from claimledger.errors import LedgerError
from claimledger.ledger.audit import Audit, decided, tests_of, with_intervals
from claimledger.ledger.entries import Entry, entry, fact
from claimledger.ledger.results import Fitted, results, verdicts
from claimledger.registration.models import Registration

LABEL = re.compile(r"^#\|\s*label:\s*(\S+)", re.MULTILINE)
LEVEL = re.compile(r".*?\[(?:T\.)?(.*)\]$")


def current_cell() -> str:
    """Label of the notebook cell that is running, or an empty string."""
    shell = get_ipython()
    source = (shell.user_ns.get("In") or [""])[-1] if shell else ""
    found = LABEL.search(source)
    return found[1] if found else ""


@dataclass
class Record:
    """What one notebook found: `record(name, table)` for what is registered, and other results.

    `audit` is None in a notebook of another study whose data are not here.
    """

    notebook: str
    registration: Registration
    audit: Audit | None
    entries: dict[str, Entry] = field(default_factory=dict)
    exhibits: dict[str, dict] = field(default_factory=dict)
    deviations: list[dict] = field(default_factory=list)

    def __call__(self, group: str, table: pd.DataFrame) -> None:
        """Record a family of hypotheses or a set of comparisons, after an audit of every column.

        The audit computes the same from the file and the registration; a difference is an error
        unless it was declared (`claimledger deviate`).
        """
        where = f"{self.notebook}: {group}"
        wanted = [test.id for test in tests_of(self.registration, group)]
        rows = list(map(str, table.index)) if isinstance(table, pd.DataFrame) else [
            f"a {type(table).__name__}"]
        if sorted(rows) != sorted(wanted):
            raise LedgerError(
                where, found=", ".join(rows) or "no rows", expected=", ".join(wanted),
                mend=f'record the group as a whole: table = study.results(fit, "{group}")')
        if self.audit is None:
            raise LedgerError(where, found="no data", expected="the data of this notebook",
                              mend="put what needs data below `if study.has_data:`")
        handed = {id: row.to_dict() for id, row in table.iterrows()}
        self.audit.compare(group, handed, where)
        found = self.audit.entries(group, handed)
        for one in found.values():
            self.add(one)
        self.deviations += self.audit.deviation_rows(group, found)

    def add(self, one: Entry) -> Entry:
        """Keep an entry, as it will stand in the ledger; an id is recorded once.

        A status that only the audit may give is refused when the ledger is made (`merging`).
        """
        if one.id in self.entries:
            raise LedgerError(f"{self.notebook}: {one.id}", found="recorded twice",
                              expected="once", mend="give the second result another id")
        one = one.model_copy(update={"notebook": self.notebook, "cell": current_cell()})
        one = Entry.model_validate(one.record())  # exhibits are drawn from what is kept
        self.entries[one.id] = one
        return one

    def fact(self, id: str, value: float, label: str, **more) -> Entry:
        """Record a count, a share, a mean, an omnibus test or a rank; see `entries.fact`."""
        return self.add(fact(id, value, label, **more))

    def tests(
        self, table: pd.DataFrame, labels: Mapping[str, str], *, fits: object,
        status: str = "exploratory", unit: str | None = None, family: str | None = None,
    ) -> None:
        """Record tests that are not registered, from a table like that of `study.results`.

        `labels` says for each id what it estimates; `fits` (one, or by id) names model and unit.
        """
        full = decided(table, 0.05, "none")
        for name in ("p_adjusted", "p_equivalence"):
            full[name] = table.get(name, full[name])
        full["verdict"] = verdicts(full)
        for id, row in with_intervals(full, 0.05).iterrows():
            fit = fits[id] if isinstance(fits, Mapping) else fits
            fitted = Fitted(fit)
            self.add(entry(
                id, labels[id], row, status=status, family=family, model=fitted.formula,
                unit=self._unit(fit) if unit is None else unit, vcov=fitted.vcov,
                weighted=fitted.weighted))

    def estimate(self, id: str, fit, term: str | dict, label: str, *, unit: str | None = None,
                 status: str = "exploratory", groups: pd.Series | None = None,
                 n: int | None = None) -> Entry:
        """Record one coefficient or contrast of a fit, with its interval, without a verdict.

        `n` is the number of rows, or of respondents, behind it: all of the fit by default.
        """
        row = results({id: fit}, {id: term}, groups=groups).loc[id]
        return self.fact(
            id, row["estimate"], label, unit=self._unit(fit) if unit is None else unit,
            status=status, se=row["se"], ci=[row["low"], row["high"]], df=row["df"],
            n=int(row["n"] if n is None else n), vcov=fit.cov_type if groups is None else "CR2")

    def means(self, prefix: str, fit, label: str = "Mean", *, unit: str | None = None,
              status: str = "description", groups: pd.Series | None = None) -> pd.DataFrame:
        """Record each coefficient of a fit without intercept, `y ~ 0 + factor`: means by level.

        Ids are `prefix.level`; n counts the rows (or respondents) of a level that were analyzed.
        Returns the means as a table, with a column `level` and one with its label.
        """
        exog = pd.DataFrame(np.asarray(fit.model.exog) != 0, columns=fit.model.exog_names)
        rows = []
        for term in fit.params.index:
            levels = [LEVEL.sub(r"\1", part) for part in term.split(":")]
            id = ".".join([prefix, *levels])
            inside = exog[term].to_numpy()
            n = inside.sum() if groups is None else pd.unique(np.asarray(groups)[inside]).size
            words = ", ".join(map(self.registration.label, levels))
            kept = self.estimate(id, fit, term, f"{label}: {words}", unit=unit, status=status,
                                 groups=groups, n=n)
            low, high = kept.ci
            rows.append({"id": id, "level": ".".join(levels), "label": words,
                         "estimate": kept.value, "low": low, "high": high, "n": kept.n})
        return pd.DataFrame(rows)

    def _unit(self, fit) -> str:
        return self.registration.unit(str(fit.model.endog_names))

    def table(self, ids: list[str]) -> pd.DataFrame:
        """Ready texts of recorded tests, one row a test, the verdict first."""
        table = pd.DataFrame([_row(self.entries[id]) for id in ids], index=ids)
        margins = [h.id for h in self.registration.hypotheses if h.margin]
        table.loc[table.index.isin(margins), "Equiv. *p*"] = ""      # a margin has one side
        return table

    def numbers(self, ids: list[str]) -> pd.DataFrame:
        """Numbers of recorded results as they are kept: what a figure is drawn from.

        Columns: estimate, low, high, n, verdict; of tests also bound, corrected_low and
        corrected_high, and inner_low and inner_high (of the corrected equivalence test).
        """
        rows = []
        for one in (self.entries[id] for id in ids):
            low, high = one.ci or (np.nan, np.nan)  # a joint test has no interval
            row = {"estimate": one.value, "low": low, "high": high, "n": one.n,
                   "verdict": one.verdict, "text": one.text["est"]}
            if one.ci_corrected:
                row["corrected_low"], row["corrected_high"] = one.ci_corrected
            if one.equivalence:
                row["bound"] = one.equivalence.bound
                row["inner_low"], row["inner_high"] = one.equivalence.ci_corrected
            rows.append(row)
        return pd.DataFrame(rows, index=ids)

    def fragment(self) -> dict:
        """Everything recorded, as plain data."""
        return {
            "notebook": self.notebook,
            "entries": {id: entry.record() for id, entry in self.entries.items()},
            "exhibits": self.exhibits, "deviations": self.deviations}

    def restore(self, earlier: dict) -> None:
        """Take the results of an earlier run, each marked as recorded."""
        for id, known in earlier["entries"].items():
            self.entries[id] = Entry.model_validate(known | {"recorded": True})
        self.deviations = list(earlier["deviations"])


def _row(entry: Entry) -> dict[str, str]:
    text = entry.text
    return {
        "Verdict": entry.verdict,
        "Estimate": f"*F* = {text['est']}" if entry.unit == "F" else text["est"],
        "SE": text.get("se", ""), "95% CI": text.get("ci", ""),
        "Corrected CI": text.get("corrected", ""),
        "*p*": text["padj"].removeprefix("= "), "Bound": text.get("sesoi", ""),
        "Equiv. *p*": text.get("tost", "").removeprefix("= "), "N": text["n"]}

