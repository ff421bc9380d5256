"""Every combination of the registered alternatives, each decided like the registered analysis.

The names of the options are the engine's: weights `none`, `raked`; covariates `none`, `lin`;
exclusions `registered`, `attentive`; coding `points`, `favour`; vcov `registered`, `HC3`.
See Steegen et al. (2016) and Simonsohn, Simmons and Nelson (2020).
"""

from itertools import product

import numpy as np
import pandas as pd
import statsmodels.formula.api as smf
from scipy.stats import t as student
from statsmodels.regression.linear_model import WLS

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis, Registration
from claimledger.statistics.balance import covariate_matrix
from claimledger.statistics.contrasts import Fitted
from claimledger.statistics.decision import decide, verdict_name
from claimledger.statistics.linear import interacted

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
                    expected=", ".join(OPTIONS.get(name, OPTIONS)), mend="correct the name",
                )
        options = list(dimension.options)
        fixed = frame == "stacked" and name in ("covariates", "vcov")
        chosen[name] = options[:1] if fixed else options
    return [dict(zip(chosen, options, strict=True)) for options in product(*chosen.values())]


def fit_specification(
    study, hypothesis: Hypothesis, spec: dict[str, str]
) -> tuple[Fitted, dict[str, float]]:
    """Fit one hypothesis under one specification; returns the fit and the contrast."""
    rows, weights = specified_rows(study, hypothesis, spec)
    if hypothesis.frame == "stacked":
        return _stacked(study, hypothesis, rows, weights), hypothesis.contrast
    vcov = "HC3" if spec.get("vcov") == "HC3" else hypothesis.vcov
    model = smf.ols(hypothesis.model, data=rows)
    X = pd.DataFrame(model.exog, columns=model.exog_names, index=rows.index)
    if spec.get("covariates") == "lin":
        X = adjusted(X, covariate_matrix(rows, study.registration), weights)
    y = pd.Series(model.endog, index=rows.index)
    fit = WLS(y, X, weights=1.0 if weights is None else weights).fit(cov_type=vcov, use_t=True)
    return Fitted(fit), hypothesis.contrast


def specified_rows(
    study, hypothesis: Hypothesis, spec: dict[str, str]
) -> tuple[pd.DataFrame, pd.Series | None]:
    """The rows that a specification analyses, coded as it says, and their weights if any."""
    kept = vars(study).setdefault("specified", {})  # with the study: many analyses share rows
    key = (hypothesis.sample, spec.get("exclusions"), spec.get("coding"))
    if key not in kept:
        rows = study.sample(hypothesis.sample)
        if spec.get("exclusions") == "attentive":
            rows = rows[rows["recalled_all"]]
        kept[key] = _in_favour(rows, study.registration) if key[2] == "favour" else rows
    rows = kept[key].dropna(subset=hypothesis.stack or [hypothesis.outcome])
    return rows, study.survey.weights.loc[rows.index] if spec.get("weights") == "raked" else None


def _stacked(study, hypothesis: Hypothesis, rows: pd.DataFrame, weights) -> Fitted:
    from claimledger.survey.recoding import stack

    long = stack(rows, hypothesis.stack)
    if weights is None:
        fit = smf.ols(hypothesis.model, data=long).fit()
    else:
        own = pd.Series(weights.to_numpy(), index=rows["respondent"].to_numpy())
        fit = smf.wls(
            hypothesis.model, data=long, weights=long["respondent"].map(own).to_numpy()
        ).fit()
    return Fitted(fit, long["respondent"])


def _in_favour(rows: pd.DataFrame, registration: Registration) -> pd.DataFrame:
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


def adjusted(X: pd.DataFrame, C: pd.DataFrame, weights) -> pd.DataFrame:
    """The design with centred covariates, fully interacted with the treatments (Lin 2013).

    Without the products where they would leave fewer than two rows to a coefficient.
    """
    arms = int((X.nunique() > 1).sum())
    if len(X) >= 2 * (X.shape[1] + C.shape[1] * (1 + arms)):
        return interacted(X, C, weights)
    return pd.concat([X, C - np.average(C, axis=0, weights=weights)], axis=1)


def multiverse(study) -> pd.DataFrame:
    """One row for each hypothesis and specification.

    Columns: hypothesis, the options, registered (bool), estimate, standardised (in SD of the
    outcome), low and high (its 95% interval, in SD), p (corrected), verdict. Where the data do not
    allow an alternative (more covariates than respondents in an arm), its verdict is
    `INESTIMABLE`, its numbers are missing and `reason` says why; the registered analysis must run.
    """
    tables = []
    for family in dict.fromkeys(h.family for h in study.registration.hypotheses):
        members = [h for h in study.registration.hypotheses if h.family == family]
        for i, spec in enumerate(specifications(study.registration, members[0].frame)):
            try:
                decided = _decided(study, members, spec, study.registration.families[family])
            except LedgerError as error:
                if i == 0:
                    raise
                decided = pd.DataFrame({
                    "hypothesis": [h.id for h in members], "verdict": INESTIMABLE,
                    "reason": error.found,
                })
            tables.append(decided.assign(registered=i == 0, **spec))
    return pd.concat(tables, ignore_index=True)


def _decided(study, members: list[Hypothesis], spec: dict[str, str], family) -> pd.DataFrame:
    models = [(h.model, h.sample, h.vcov, *h.stack) for h in members]  # many ask the same model
    one_of_each = dict(zip(models, members, strict=True))
    fits = {model: fit_specification(study, h, spec)[0] for model, h in one_of_each.items()}
    asked = [(fits[model], h.contrast) for model, h in zip(models, members, strict=True)]
    estimate, se, df = np.array([fitted.contrast(contrast) for fitted, contrast in asked]).T
    sd = np.array([fitted.sd(contrast) for fitted, contrast in asked])
    direction = [1 if h.direction == "positive" else -1 for h in members]
    bound = sd * np.array([h.sesoi for h in members])
    decision = decide(estimate, se, df, bound, direction, family.alpha, family.correction)
    half = student.ppf(0.975, df) * se
    return pd.DataFrame({
        "hypothesis": [h.id for h in members], "estimate": estimate, "standardised": estimate / sd,
        "low": (estimate - half) / sd, "high": (estimate + half) / sd, "p": decision.p_adjusted,
        "verdict": [
            verdict_name(int(c), d) for c, d in zip(decision.verdict, direction, strict=True)
        ],
    })
