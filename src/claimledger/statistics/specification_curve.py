"""Every combination of the registered alternatives, each decided like the registered analysis.

After Steegen, Tuerlinckx, Gelman and Vanpaemel (2016). The names of the options are the engine's:
weights `none`, `raked`; covariates `none`, `lin`; exclusions `registered`, `attentive`; coding
`points`, `favour`; vcov `registered`, `HC3`. Inference on all of them at once is in
`randomization_inference`.
"""

import re
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
import pandas as pd
from scipy import special

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis, Registration
from claimledger.statistics.balance import covariate_matrix
from claimledger.statistics.decision import DIRECTIONS, decide
from claimledger.statistics.estimators import ROBUST, Model, model_of
from claimledger.survey.recoding import sample_rows

OPTIONS = {
    "weights": ("none", "raked"), "covariates": ("none", "lin"),
    "exclusions": ("registered", "attentive"), "coding": ("points", "favour"),
    "vcov": ("registered", "HC3"),
}
INESTIMABLE = "not estimable"


def specifications(registration: Registration, frame: str) -> list[dict[str, str]]:
    """All combinations that apply to analyses of a frame, the registered one first.

    Comparisons within respondents keep CR2 and need no covariates: everyone is their own control.
    """
    chosen = {}
    for name, dimension in registration.robustness.items():
        for option in dimension.options:
            if option not in OPTIONS.get(name, ()):
                raise LedgerError(
                    f"robustness.{name}", found=option,
                    expected=", ".join(OPTIONS.get(name, OPTIONS)), mend="correct the name")
        options = list(dimension.options)
        fixed = frame == "stacked" and name in ("covariates", "vcov")
        chosen[name] = options[:1] if fixed else options
    return [dict(zip(chosen, options, strict=True)) for options in product(*chosen.values())]


@dataclass
class Specified:
    """The rows and models of one survey under the alternatives, each made once for all uses.

    frame : one row for each respondent (or profile), of all samples; weights : by its index, or
    None.
    """

    registration: Registration
    frame: pd.DataFrame
    weights: pd.Series | None = None
    _rows: dict[tuple, pd.DataFrame] = field(default_factory=dict)
    _models: dict[tuple, Model] = field(default_factory=dict)

    def rows(self, hypothesis: Hypothesis, spec: dict[str, str]) -> pd.DataFrame:
        """The complete rows that a specification analyzes, coded as it says."""
        complete = tuple(hypothesis.stack or [hypothesis.outcome])
        key = (hypothesis.sample, spec.get("exclusions"), spec.get("coding"), complete)
        if key not in self._rows:
            rows = sample_rows(self.registration, self.frame, hypothesis.sample)
            rows = rows.dropna(subset=list(complete))
            if spec.get("exclusions") == "attentive":
                rows = rows[rows["recalled_all"]]
            if spec.get("coding") == "favour":
                rows = in_favor(rows, self.registration)
            self._rows[key] = rows
        return self._rows[key]

    def model(self, hypothesis: Hypothesis, spec: dict[str, str]) -> Model:
        """The model of a hypothesis under one specification.

        Those that differ in outcome, its coding or the variance estimator alone share a design.
        """
        h, rows = hypothesis, self.rows(hypothesis, spec)
        right = h.model.partition("~")[2]
        vcov = "HC3" if spec.get("vcov") == "HC3" else h.vcov
        lin = spec.get("covariates") == "lin" and h.frame != "stacked"
        instrument = self.registration.instrument
        coded = {*instrument.items, *instrument.derived} - {*instrument.covariates}
        key = (right, h.sample, h.estimator, h.missing, tuple(h.stack), vcov in ROBUST, lin,
               spec.get("weights"), spec.get("exclusions"), rows.index.to_numpy().tobytes(),
               spec.get("coding") if coded & set(re.findall(r"\w+", right)) else None)
        if key not in self._models:
            self._models[key] = model_of(
                h, rows, weights=self.weights_of(spec), vcov=vcov,
                covariates=covariate_matrix(rows, self.registration) if lin else None,
            )
        made = self._models[key]
        y = rows[h.stack or [h.outcome]].to_numpy(dtype=float).ravel()[np.asarray(made.X.index)]
        return replace(made, y=y, vcov=vcov, at=h.at)

    def weights_of(self, spec: dict[str, str]) -> pd.Series | None:
        """Weights, where the specification uses them."""
        if spec.get("weights") != "raked":
            return None
        if self.weights is None:
            raise LedgerError(
                "robustness.weights", found="no weights", expected="one for each respondent",
                mend="register a weighting, or leave the option out")
        return self.weights


def in_favor(rows: pd.DataFrame, registration: Registration) -> pd.DataFrame:
    """Outcomes as 1 above the midpoint of their scale and 0 otherwise; indices are their means."""
    rows = rows.copy()
    instrument = registration.instrument
    for name, item in instrument.items.items():
        if item.role == "outcome":
            codes = instrument.scales[item.scale].labels
            middle = (min(codes) + max(codes)) / 2
            rows[name] = rows[name].gt(middle).astype(float).where(rows[name].notna())
    for name, derived in instrument.derived.items():
        if derived.mean:
            rows[name] = rows[derived.mean].mean(axis=1, skipna=False)
    return rows


def specification_curve(specified: Specified) -> pd.DataFrame:
    """One row for each hypothesis and specification.

    Columns: hypothesis, the options, registered (bool), estimate, standardized (in SD of the
    outcome), low and high (its 95% interval, in SD), p (corrected), verdict. Where the data do not
    allow an alternative (more covariates than respondents in an arm), its verdict is
    `INESTIMABLE`, its numbers are missing and `reason` says why; the registered analysis must run.
    """
    registration, tables = specified.registration, []
    for family in dict.fromkeys(h.family for h in registration.hypotheses):
        members = [h for h in registration.hypotheses if h.family == family]
        for i, spec in enumerate(specifications(registration, members[0].frame)):
            try:
                decided = _decided(specified, members, spec)
            except LedgerError as error:
                if i == 0:
                    raise
                decided = pd.DataFrame({
                    "hypothesis": [h.id for h in members], "verdict": INESTIMABLE,
                    "reason": error.found,
                })
            tables.append(decided.assign(registered=i == 0, **spec))
    return pd.concat(tables, ignore_index=True)


def _decided(specified: Specified, members: list[Hypothesis], spec: dict[str, str]) -> pd.DataFrame:
    """Estimates and verdicts of one family under one specification."""
    asked: dict[tuple, list[Hypothesis]] = {}
    for h in members:  # many ask the same model
        asked.setdefault((h.model, h.sample, h.vcov, *h.stack), []).append(h)
    found = pd.concat([
        specified.model(group[0], spec).contrasts({h.id: h.contrast for h in group})
        for group in asked.values()
    ]).loc[[h.id for h in members]]
    estimate, se, df, sd = (found[name].to_numpy() for name in ("estimate", "se", "df", "sd"))
    family = specified.registration.families[members[0].family]
    direction = [DIRECTIONS[h.direction] for h in members]
    bound = [h.bound(one) for h, one in zip(members, sd, strict=True)]
    decision = decide(estimate, se, df, bound, direction, family.alpha, family.correction)
    half = special.stdtrit(df, 0.975) * se
    return pd.DataFrame({
        "hypothesis": [h.id for h in members], "estimate": estimate, "standardized": estimate / sd,
        "low": (estimate - half) / sd, "high": (estimate + half) / sd, "p": decision.p_adjusted,
        "verdict": decision.names,
    })
