"""What a notebook opens: the registration, the answers, and the record it writes to.

Everything that a notebook gets of the answers is a copy: what it does to one changes neither what
the next call gives nor what the audit computes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from threadpoolctl import threadpool_limits

from claimledger.errors import LedgerError
from claimledger.figures import NOTE, show_figure, show_table, use_style
from claimledger.ledger.audit import Audit, tests_of
from claimledger.ledger.entries import dump
from claimledger.ledger.external import External, external_of, recorded, run_for
from claimledger.ledger.merging import provenance
from claimledger.ledger.recording import Record
from claimledger.ledger.results import results
from claimledger.project import Run, digest, write_atomic
from claimledger.registration.loading import load
from claimledger.registration.lock import Lock, check_lock
from claimledger.registration.models import Registration
from claimledger.statistics.estimators import COLUMNS
from claimledger.survey.loading import Survey, manifest_path, open_survey
from claimledger.survey.recoding import sample_rows, stack

_ahead: list[tuple] = []  # one survey at most, behind what it was read from


def open_ahead(registration: Path, data: Path, root: Path, mapping: Path | None = None) -> None:
    """Open a survey for the notebooks whose processes are to be copied from this one."""
    given = data, load(registration), root, mapping
    _ahead[:] = [(_read_from(*given), open_survey(*given))]


def _survey(*given) -> Survey:
    """The survey that was opened ahead, if all that it was read from is still the same."""
    read, survey = _ahead.pop() if _ahead else (None, None)  # whoever takes it may change it
    return survey if survey and read == _read_from(*given) else open_survey(*given)


def _read_from(data: Path, registration: Registration, root: Path, mapping: Path | None) -> tuple:
    margins = registration.weighting and registration.weighting.margins
    files = [data, manifest_path(data), mapping, margins and root / margins]
    return registration, [(path, path and digest(path)) for path in files]


@dataclass
class Study:
    """Registration, survey and record of one notebook's run.

    A notebook of another study (`external`) whose data are not here has no survey: its record
    holds the results that were recorded from them, and `has_data` is false.
    """

    run: Run
    registration: Registration
    lock: Lock
    survey: Survey | None
    record: Record
    external: External | None = None
    earlier: dict | None = None  # what was recorded in an earlier run

    @classmethod
    def open(
        cls, notebook: str, registration: str, data: str, seed: int, output: str = "build"
    ) -> "Study":
        """Open by the parameters of a notebook; paths are relative to the project's root.

        `data` may be empty: then it is the file that the settings name. `output` is `build` for
        the run of record, `build/runs/NAME` for any other.
        """
        threadpool_limits(1)  # many threads on small matrices are seven times as slow as one
        run = Run.of_notebook(output)
        run = run_for(run, notebook)
        run = replace(
            run, registration=run.root / registration, data=run.root / (data or run.data),
            seed=int(seed))
        promise = load(run.registration)
        lock = check_lock(run.registration)
        other, earlier = external_of(run, notebook), None
        if other is not None and not replace(other, data=run.data).present:
            survey, earlier = None, recorded(other)
        else:
            survey = _survey(run.data, promise, run.root, run.mapping)
        record = Record(notebook, promise, Audit.of(promise, lock, survey) if survey else None)
        if earlier:
            record.restore(earlier)
        use_style()
        return cls(run, promise, lock, survey, record, other, earlier)

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each analyzed respondent; a copy."""
        return self._answers.frame.copy()

    @property
    def weights(self) -> pd.Series:
        """The registered weights, one for each row of the frame; a copy."""
        return self._answers.weights.copy()

    @property
    def _answers(self) -> Survey:
        if self.survey is None:
            raise LedgerError(
                self.run.data, found="no such file", expected="the data of this notebook",
                mend="put what needs data below `if study.has_data:`")
        return self.survey

    @property
    def has_data(self) -> bool:
        """Whether results are computed in this run; if not, `record` holds the recorded ones."""
        return self.survey is not None

    def sample(self, name: str) -> pd.DataFrame:
        """The rows of a registered sample; a copy."""
        if name not in self.registration.samples:
            raise LedgerError(f"sample {name!r}", found="no such sample",
                              expected="one of: " + ", ".join(self.registration.samples))
        return sample_rows(self.registration, self.frame, name)

    def stacked(self, items: list[str], sample: str) -> pd.DataFrame:
        """One row for each respondent and item, in columns `item` and `response`; a copy.

        Only respondents who answered all the items: they are compared with themselves.
        """
        return stack(self.sample(sample).dropna(subset=items), items)

    def results(
        self, fit, what: str | Mapping, *, groups: pd.Series | None = None, correction: str = "CR2"
    ) -> pd.DataFrame:
        """A table of tests, one row each: estimate, se, df, p, low, high, n, bound, direction.

        `what` is a registered family of hypotheses or set of comparisons; or, for what is not
        registered, a mapping of new ids to coefficients (or to weights on coefficients). `fit` is
        one model, or one for each id (at several values of a moderator: fitted with the moderator
        centered there). None takes the registered estimator of this package, for what statsmodels
        does not give to the letter: average effects of logit and probit, restricted conjoints,
        imputed covariates. A joint test has `statistic` (F), `df1`, `df` and p, and no estimate; p
        of non-inferiority is one-sided. `bound` is the smallest effect of interest in points: the
        registered share of the outcome's SD (0.20 where nothing is registered), the SD that of the
        registered analysis. Correction, equivalence and verdict are the notebook's to add:

            table["p_adjusted"] = multipletests(table["p"], method="holm")[1]
            table["p_equivalence"] = multipletests(tost(table), method="holm")[1]
            table["verdict"] = verdicts(table)
            study.record("H3", table)
        """
        if not isinstance(what, str):
            fits = fit if isinstance(fit, Mapping) else dict.fromkeys(what, fit)
            table = results(fits, what, groups=groups, correction=correction)
            return table.assign(bound=0.20 * table["sd"], direction=0)
        tests = tests_of(self.registration, what)
        ids = [test.id for test in tests]
        fits = fit if isinstance(fit, Mapping) else dict.fromkeys(ids, fit)
        if missing := sorted(set(ids) - set(fits)):
            raise LedgerError(f"results of {what}", found=", ".join(fits) or "no fits",
                              expected=", ".join(ids), mend=f"add: {', '.join(missing)}")
        alpha = self.registration.families[tests[0].analysis.family].alpha
        audit = self.record.audit.table(what)
        own = [id for id in ids if fits[id] is None]
        parts = [audit.loc[own, [*audit.columns.intersection([*COLUMNS, "df1", "low", "high"])]]]
        if others := {test.id: list(getattr(test.analysis, "joint", [])) or test.contrast
                      for test in tests if test.id not in own}:
            parts.append(results(fits, others, level=1 - alpha, groups=groups,
                                 correction=correction))
        table = pd.concat([part for part in parts if len(part)]).loc[ids]
        table["sd"] = audit["sd"]
        bounds = [test.analysis.bound(sd) for test, sd in zip(tests, table["sd"], strict=True)]
        table = table.assign(bound=np.array(bounds, dtype=float),
                             direction=[test.direction for test in tests])
        margin = table["direction"] == 4
        above = (table["estimate"] + table["bound"]) / table["se"]
        table.loc[margin, "p"] = stats.t.sf(above[margin], table.loc[margin, "df"])
        return table

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random numbers that depend on the seed and on the notebook's name alone."""
        name = int.from_bytes(self.record.notebook.encode()[:8], "big")
        return np.random.default_rng([self.run.seed, name])

    def figure(self, label: str, figure, alt: str, note: str | None = None) -> None:
        """Save a figure as SVG, PDF and PNG, note its alt text, and show it.

        A figure of simulated answers says so in the picture; one of other data gives its own note.
        """
        own = NOTE if self.simulated else ""
        show_figure(self.run.figures, label, figure, note=own if note is None else note)
        self.record.exhibits[label] = {"kind": "figure", "alt": alt}

    def table(self, label: str, table: pd.DataFrame) -> None:
        """Show a table as Markdown, in which tokens still work."""
        self.record.exhibits[label] = {"kind": "table"}
        show_table(table)

    @property
    def simulated(self) -> bool:
        """Whether no person gave these answers."""
        status = self.survey.status if self.survey else self.earlier["data"]["status"]
        return status == "simulated"

    def save(self) -> None:
        """Write down everything that the notebook found; its last cell."""
        fragment = self.record.fragment() | self._provenance()
        write_atomic(self.run.fragments / f"{self.record.notebook}.json", dump(fragment))
        print(f"{len(self.record.entries)} entries, {len(self.record.exhibits)} exhibits saved")

    def _provenance(self) -> dict:
        """The data behind the results; of another study, its registration too."""
        if self.earlier:
            kept = ("data", "external", "registration", "recorded")
            return {key: self.earlier[key] for key in kept}
        data = provenance(self.run, self._answers)
        if self.external is None:
            return {"data": data}
        data.pop("mapping", None)
        data["file"] = self.external.data.name  # wherever on this machine it lies
        return {"data": data, "external": self.external.name, "registration": {
            "file": self.run.relative(self.run.registration)} | self.lock.header(),
        }
