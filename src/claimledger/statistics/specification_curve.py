"""Every combination of the registered alternatives, and inference on all of them at once.

Each combination is decided like the registered analysis (Steegen, Tuerlinckx, Gelman and Vanpaemel
2016). The names of the options are the engine's: weights `none`, `raked`; covariates `none`, `lin`;
exclusions `registered`, `attentive`; coding `points`, `favour`; vcov `registered`, `HC3`.

Joint inference (Simonsohn, Simmons and Nelson 2020): had the treatment done nothing to anyone, how
often would the whole curve look as it does? The factor that a hypothesis is about is permuted over
the respondents of its sample; answers, background, weights, recall and all other factors stay with
them. Where the comparison is within respondents, each respondent's answers are permuted among the
items compared. One permutation serves every specification.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

from claimledger.errors import LedgerError
from claimledger.registration.models import Hypothesis, Registration
from claimledger.statistics.balance import covariate_matrix
from claimledger.statistics.clustered import df_of_mean
from claimledger.statistics.decision import decide, verdict_name
from claimledger.statistics.estimators import Model, model_of
from claimledger.statistics.linear import LeastSquares, orthonormal
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
                    expected=", ".join(OPTIONS.get(name, OPTIONS)), mend="correct the name",
                )
        options = list(dimension.options)
        fixed = frame == "stacked" and name in ("covariates", "vcov")
        chosen[name] = options[:1] if fixed else options
    return [dict(zip(chosen, options, strict=True)) for options in product(*chosen.values())]


@dataclass
class Specified:
    """The rows of one survey under the alternatives, each made once.

    frame : one row for each respondent; weights : by its index, or None.
    """

    registration: Registration
    frame: pd.DataFrame
    weights: pd.Series | None = None
    _rows: dict[tuple, pd.DataFrame] = field(default_factory=dict)

    def rows(self, hypothesis: Hypothesis, spec: dict[str, str]) -> pd.DataFrame:
        """The complete rows that a specification analyzes, coded as it says."""
        key = (hypothesis.sample, spec.get("exclusions"), spec.get("coding"))
        if key not in self._rows:
            rows = sample_rows(self.registration, self.frame, hypothesis.sample)
            if spec.get("exclusions") == "attentive":
                rows = rows[rows["recalled_all"]]
            if spec.get("coding") == "favour":
                rows = in_favour(rows, self.registration)
            self._rows[key] = rows
        return self._rows[key].dropna(subset=hypothesis.stack or [hypothesis.outcome])

    def model(self, hypothesis: Hypothesis, spec: dict[str, str]) -> Model:
        """The model of a hypothesis under one specification."""
        rows, covariates = self.rows(hypothesis, spec), None
        if spec.get("covariates") == "lin" and hypothesis.frame != "stacked":
            covariates = covariate_matrix(rows, self.registration)
        return model_of(
            hypothesis, rows, weights=self.weights_of(spec), covariates=covariates,
            vcov="HC3" if spec.get("vcov") == "HC3" else None,
        )

    def weights_of(self, spec: dict[str, str]) -> pd.Series | None:
        """Weights, where the specification uses them."""
        if spec.get("weights") != "raked":
            return None
        if self.weights is None:
            raise LedgerError(
                "robustness.weights", found="no weights", expected="one for each respondent",
                mend="register a weighting, or leave the option out",
            )
        return self.weights


def in_favour(rows: pd.DataFrame, registration: Registration) -> pd.DataFrame:
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


def specification_curve(
    registration: Registration, frame: pd.DataFrame, weights: pd.Series | None = None
) -> pd.DataFrame:
    """One row for each hypothesis and specification.

    Columns: hypothesis, the options, registered (bool), estimate, standardised (in SD of the
    outcome), low and high (its 95% interval, in SD), p (corrected), verdict. Where the data do not
    allow an alternative (more covariates than respondents in an arm), its verdict is
    `INESTIMABLE`, its numbers are missing and `reason` says why; the registered analysis must run.
    """
    specified, tables = Specified(registration, frame, weights), []
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
    direction = [1 if h.direction == "positive" else -1 for h in members]
    bound = sd * np.array([h.sesoi for h in members])
    decision = decide(estimate, se, df, bound, direction, family.alpha, family.correction)
    half = special.stdtrit(df, 0.975) * se
    return pd.DataFrame({
        "hypothesis": [h.id for h in members], "estimate": estimate, "standardised": estimate / sd,
        "low": (estimate - half) / sd, "high": (estimate + half) / sd, "p": decision.p_adjusted,
        "verdict": [
            verdict_name(int(c), d) for c, d in zip(decision.verdict, direction, strict=True)
        ],
    })


class CurveTest(NamedTuple):
    """Result of `curve_test`.

    median : of the standardized estimates of all specifications; share : of specifications that
    are significant (unadjusted) in the registered direction; median_p (two-sided) and share_p :
    p = (1 + hits) / (1 + draws); estimates, t : (specifications,), NaN where not estimable.
    """

    median: float
    median_p: float
    share: float
    share_p: float
    draws: int
    estimates: np.ndarray
    t: np.ndarray


def curve_test(
    registration: Registration, frame: pd.DataFrame, hypothesis: Hypothesis, draws: int, seed: int,
    weights: pd.Series | None = None, progress: Callable[[int, int], None] | None = None,
) -> CurveTest:
    """Test that the treatment did nothing to anyone, by the specification curve as a whole."""
    kind = _Within if hypothesis.frame == "stacked" else _Between
    evaluate = kind(Specified(registration, frame, weights), hypothesis)
    rng = np.random.default_rng(seed)
    sign = 1 if hypothesis.direction == "positive" else -1
    alpha = registration.families[hypothesis.family].alpha

    def summary(estimates, t) -> tuple[float, float]:
        known = np.isfinite(t)
        if not known.any():
            raise LedgerError(
                f"specification curve of {hypothesis.id}", found="nothing that can be estimated",
                expected="at least one specification", mend="look for a constant outcome",
            )
        reached = sign * t[known] > special.stdtrit(evaluate.df[known], 1 - alpha / 2)
        return float(np.median(estimates[known])), float(reached.mean())

    observed = evaluate(None)
    median, share = summary(*observed)
    hits = np.zeros(2, dtype=int)
    for done in range(1, draws + 1):
        other, other_share = summary(*evaluate(rng))
        # A tie up to rounding is a hit.
        hits += [abs(other) >= abs(median) * (1 - 1e-9), other_share >= share - 1e-9]
        if progress is not None:
            progress(done, draws)
    p = (1 + hits) / (1 + draws)
    return CurveTest(median, float(p[0]), share, float(p[1]), draws, *observed)


class _Curve:
    """What both kinds share: the specifications, and the rows of each.

    Specifications that differ only in coding or variance estimator share a design; `designs` holds
    for each the place of its rows in the sample (at), their weights, and its specifications.
    """

    def __init__(self, specified: Specified, hypothesis: Hypothesis):
        self.specs = specifications(specified.registration, hypothesis.frame)
        self.df = np.full(len(self.specs), np.nan)
        registered = specified.rows(hypothesis, {})
        self.n = len(registered)
        self.designs: dict[tuple, dict] = {}
        for i, spec in enumerate(self.specs):
            rows, weights = specified.rows(hypothesis, spec), specified.weights_of(spec)
            key = tuple(spec.get(name) for name in ("weights", "covariates", "exclusions"))
            self.designs.setdefault(key, {
                "at": registered.index.get_indexer(rows.index), "spec": spec, "uses": [],
                "weights": None if weights is None else weights.loc[rows.index].to_numpy(),
            })["uses"].append((i, spec, rows))


class _Between(_Curve):
    """Between respondents: permutes the contrast's factor over the rows of the sample."""

    def __init__(self, specified: Specified, hypothesis: Hypothesis):
        super().__init__(specified, hypothesis)
        for key, one in list(self.designs.items()):
            try:
                self._prepare(specified, hypothesis, one)
            except LedgerError:  # as in the curve: an alternative that these data do not allow
                if one is next(iter(self.designs.values())):
                    raise
                del self.designs[key]
        first = next(iter(self.designs.values()))  # the registered one: all rows, no covariates
        self.treatment = first["main"]

    def _prepare(self, specified: Specified, hypothesis: Hypothesis, one: dict) -> None:
        """Arrays of one design, and where the permuted columns and their products stand."""
        plain = specified.model(hypothesis, one["spec"] | {"covariates": "none"}).X
        X = specified.model(hypothesis, one["spec"]).X
        moved = columns_of_factor(hypothesis, plain)
        one["products"] = []
        for name in moved:  # product columns are the moved column times a centered covariate
            pairs = [c for c in X if c.startswith(f"{name}:") and c not in plain]
            places = X.columns.get_indexer([name, *pairs])
            covariate = X[[c.removeprefix(f"{name}:") for c in pairs]].to_numpy()
            one["products"].append((places, np.column_stack([np.ones(len(X)), covariate])))
        moving = np.concatenate([places for places, _ in one["products"]])
        values, weights = X.to_numpy(), one["weights"]
        one["main"] = values[:, X.columns.get_indexer(moved)]
        root = np.ones((len(X), 1)) if weights is None else np.sqrt(weights)[:, None]
        one["basis"], _ = orthonormal(np.delete(values, moving, axis=1) * root)
        one["df"] = len(X) - X.shape[1]
        one["contrast"] = np.array([hypothesis.contrast.get(X.columns[i], 0.0) for i in moving])
        one["Y"] = np.stack([part[hypothesis.outcome] for _, _, part in one["uses"]])
        one["sd"] = one["Y"].std(axis=1, ddof=1)

    def __call__(self, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
        """Standardized estimates and t of all specifications, for one permutation."""
        order = np.arange(self.n) if rng is None else rng.permutation(self.n)
        estimates, t = np.full((2, len(self.specs)), np.nan)
        for one in self.designs.values():
            drawn = self.treatment[order][one["at"]]
            moving = np.column_stack([
                column[:, None] * covariates
                for column, (_, covariates) in zip(drawn.T, one["products"], strict=True)
            ])
            try:
                design = LeastSquares.of(
                    moving, one["contrast"], one["weights"], beside=one["basis"]
                )
            except LedgerError:  # this permutation leaves a cell empty
                continue
            estimate, hc2 = (part[:, 0] for part in design.estimate(one["Y"]))
            hc3 = design.with_hc3().estimate(one["Y"]).se[:, 0]
            for column, (i, spec, _) in enumerate(one["uses"]):
                se = hc3[column] if spec.get("vcov") == "HC3" else hc2[column]
                spread = one["sd"][column]
                if se > 0 and spread > 0:
                    estimates[i], t[i] = estimate[column] / spread, estimate[column] / se
                    self.df[i] = one["df"]
        return estimates, t


def columns_of_factor(hypothesis: Hypothesis, X: pd.DataFrame) -> list[str]:
    """Columns of the one factor that the contrast is about."""
    info = X.design_info
    terms = [term for term in info.terms
             if set(info.column_names[info.slice(term)]) & set(hypothesis.contrast)]
    about = {factor for term in terms for factor in term.factors}
    mixed = [term for term in info.terms if set(term.factors) & about and len(term.factors) > 1]
    if len(about) != 1 or mixed:
        raise LedgerError(
            f"specification curve of {hypothesis.id}", found=f"a contrast in {hypothesis.model}",
            expected="a contrast of one factor that enters without products",
            mend="such a contrast cannot be tested by permuting one factor",
        )
    return list(info.column_names[info.slice(terms[0])])


class _Within(_Curve):
    """Within respondents: permutes each one's answers among the items that the contrast weighs."""

    def __init__(self, specified: Specified, hypothesis: Hypothesis):
        super().__init__(specified, hypothesis)
        names = {f"item[{item}]": item for item in hypothesis.stack}
        weigh = {names[term]: weight for term, weight in hypothesis.contrast.items() if weight}
        self.weights = np.array(list(weigh.values()))
        for one in self.designs.values():
            one["Y"] = [part[list(weigh)].to_numpy(dtype=float) for _, _, part in one["uses"]]
            weights = one["weights"]
            n = len(one["at"])
            one["mean"] = LeastSquares.of(np.ones((n, 1)), weights=weights, working="identity")
            one["df"] = n - 1 if weights is None else df_of_mean(weights)

    def __call__(self, rng: np.random.Generator | None) -> tuple[np.ndarray, np.ndarray]:
        """Standardized estimates and t of all specifications, for one permutation."""
        order = np.tile(np.arange(len(self.weights)), (self.n, 1))
        if rng is not None:
            order = rng.permuted(order, axis=1)
        estimates, t = np.full((2, len(self.specs)), np.nan)
        for one in self.designs.values():
            for (i, _, _), answers in zip(one["uses"], one["Y"], strict=True):
                each = np.take_along_axis(answers, order[one["at"]], axis=1) @ self.weights
                estimate, se = (float(part[0]) for part in one["mean"].estimate(each))
                spread = answers.std(ddof=1)
                if se > 0 and spread > 0:
                    estimates[i], t[i] = estimate / spread, estimate / se
                    self.df[i] = one["df"]
        return estimates, t
