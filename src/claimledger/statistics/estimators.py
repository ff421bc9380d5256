"""Registered analyses, computed from rows: the design by patsy, the rest by matrix algebra.

Notebooks fit with statsmodels. The audit computes the same once more, from the registration and the
rows alone; so nothing here uses a fit of statsmodels. Specification curves use it too.

A standard error is HC2 or HC3 where rows are independent (n - k degrees of freedom), and one of the
corrections of `clustered` where they are not. Effects of logit and probit are average effects on
the probability (`discrete`), with the normal distribution.

`amce` is the average effect of a level in a restricted conjoint (Hainmueller, Hopkins and Yamamoto
2014): over the combinations of the other attributes that can occur both with the level and with the
reference (their shared support), each weighted by its share of the profiles that were shown, hence
by the design. R's cregg averages coefficients of equal weight instead, which answers for a design
that shows all combinations alike; where these are shown about as often the two nearly agree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from patsy import PatsyError, build_design_matrices, dmatrices
from scipy import special

from claimledger.errors import LedgerError
from claimledger.registration.analyses import Analysis, Comparison, Hypothesis
from claimledger.statistics.clustered import CORRECTIONS, cluster_robust, f_test
from claimledger.statistics.discrete import average_effect, binary_fit
from claimledger.statistics.linear import LeastSquares, adjusted
from claimledger.survey.recoding import CLUSTER, RESPONDENT, stack

ROBUST = ("HC2", "HC3")
IMPUTATIONS, BURN_IN = 20, 10
COLUMNS = ("estimate", "se", "df", "statistic", "p", "n", "sd")


@dataclass(frozen=True)
class Model:
    """A linear model of n rows, with its variance estimator.

    y : (n,); X : (n, k) with the names of the coefficients; weights, clusters, strata : (n,) or
    None; vcov : HC2, HC3, CR2, stata or survey. data : the rows, where effects are averaged over
    them; restrictions : combinations of levels that cannot occur; at : values of a moderator.
    """

    y: np.ndarray
    X: pd.DataFrame
    vcov: str
    weights: np.ndarray | None = None
    clusters: np.ndarray | None = None
    strata: np.ndarray | None = None
    estimator: str = "ols"
    data: pd.DataFrame | None = None
    restrictions: list = field(default_factory=list)
    at: dict = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Number of independent units: clusters where there are any, else rows."""
        return len(self.y) if self.clusters is None else len(pd.unique(self.clusters))

    def contrasts(self, wanted: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
        """One row for each contrast (by its id), with the columns COLUMNS; p is two-sided."""
        if self.estimator in ("logit", "probit"):
            estimate, se, df = self._average_effects(list(wanted.values()))
        else:
            X = self.X.to_numpy()
            C = np.array([self._weights(contrast) for contrast in wanted.values()])
            if self.estimator == "amce":
                X, C = _estimable(X, C)
            estimate, se, df = self._linear(X, C)
        if not np.all((se > 0) & np.isfinite(se)):
            raise LedgerError(
                "variance", found="a standard error of zero", expected="above zero",
                mend="look for a constant outcome or an empty cell")
        return pd.DataFrame({
            "estimate": estimate, "se": se, "df": df, "statistic": estimate / se,
            "p": np.minimum(1.0, 2 * special.stdtr(df, -np.abs(estimate / se))), "n": self.n,
            "sd": [self.sd(contrast) for contrast in wanted.values()],
        }, index=pd.Index(list(wanted), name="id"))

    def _linear(self, X, C) -> tuple[np.ndarray, ...]:
        if self.clusters is not None:
            return self._clustered(X).contrast(C)[:3]
        prepared = LeastSquares.of(X, C, self.weights, vcov=self.vcov)
        estimate, se = prepared.estimate(self.y)
        return estimate, se, np.full(len(C), float(len(self.y) - X.shape[1]))

    def _weights(self, contrast: Mapping[str, float]) -> np.ndarray:
        """A contrast as weights (k,); of `amce` and `at` the average of differences of rows."""
        if self.estimator == "ols" and not self.at:
            return self._named(contrast)
        total = np.zeros(self.X.shape[1])
        for name, weight in contrast.items():
            factor, level = self._term(name)
            rows, share = self.data, None
            if self.estimator == "amce" and level is not None:
                rows, share = _shared_support(rows, factor, level, self._partners(factor),
                                              self.restrictions)  # fmt: skip
            high, low = self._counterfactual(rows, factor, level)
            total += weight * np.average(high - low, axis=0, weights=share)
        return total

    def _named(self, contrast: Mapping[str, float]) -> np.ndarray:
        """Weights (k,) on the coefficients, by their names."""
        if unknown := [name for name in contrast if name not in self.X]:
            raise LedgerError(
                "contrast", found=f"coefficient {unknown[0]!r}",
                expected=f"one of {', '.join(self.X)}", mend="name a coefficient of the model")
        return np.array([contrast.get(name, 0.0) for name in self.X])

    def _average_effects(self, contrasts) -> tuple[np.ndarray, ...]:
        """Average effects on the probability, with the delta method; normal distribution."""
        fit = binary_fit(
            self.y, self.X.to_numpy(), self.estimator, self.vcov, weights=self.weights,
            clusters=self.clusters, strata=self.strata,
        )

        def effect(name: str) -> np.ndarray:  # and its derivatives
            factor, level = self._term(name)
            # Of a number the average slope, by a difference exact to ten digits.
            step = 1.0 if level is not None else 1e-5 * float(self.data[factor].std())
            designs = self._counterfactual(self.data, factor, level, step)
            return np.r_[average_effect(fit, *designs)] / step

        found = np.array([sum(weight * effect(name) for name, weight in contrast.items())
                          for contrast in contrasts])
        effects, G = found[:, 0], found[:, 1:]  # delta method: g'Vg
        se = np.sqrt(np.einsum("qi,ij,qj->q", G, fit.cov, G))
        return effects, se, np.full(len(effects), np.inf)

    def _term(self, name: str) -> tuple[str, str | None]:
        """The variable of a main effect's column, and its level (None of a number)."""
        info = self.X.design_info
        for term in info.terms:
            if len(term.factors) == 1 and name in info.column_names[info.slice(term)]:
                level, factor = None, term.factors[0].name()
                if info.factor_infos[term.factors[0]].type == "categorical":
                    level = name.partition("[")[2].removeprefix("T.").removesuffix("]")
                if factor not in self.data:
                    raise LedgerError(
                        f"contrast of {factor}", expected="a variable of the survey",
                        found="a variable that is transformed in the formula",
                        mend="derive the variable in the registration")
                return factor, level
        raise LedgerError(
            f"contrast {name}", found="no such main effect",
            expected="one of " + ", ".join(n for n in info.column_names if ":" not in n),
            mend="name the column of a factor or of a number; its products are averaged over")

    def _partners(self, factor: str) -> list[str]:
        """The variables that the model lets interact with a factor."""
        names = [{f.name() for f in term.factors} for term in self.X.design_info.terms]
        return sorted(set().union(*(n for n in names if factor in n)) - {factor})

    def _counterfactual(self, rows: pd.DataFrame, factor: str, level, step: float = 1.0):
        """Designs with the factor at the level and at its reference; a number half a step apart."""
        info = self.X.design_info
        rows = rows.assign(**{name: values[0] for name, values in self.at.items()})
        if level is None:
            moved = (rows[factor] + step / 2, rows[factor] - step / 2)
        else:
            levels = next(one.categories for f, one in info.factor_infos.items()
                          if f.name() == factor)  # fmt: skip
            moved = (pd.Categorical([value] * len(rows), levels) for value in (level, levels[0]))
        return tuple(np.asarray(build_design_matrices([info], rows.assign(**{factor: value}))[0])
                     for value in moved)

    def joint(self, contrasts) -> tuple[float, int, float, float]:
        """Test that several contrasts are zero at once: F, its two degrees of freedom, p.

        contrasts : mappings of names to weights. HC2 and HC3: Wald's statistic over q on n - k
        degrees of freedom; with clusters see `ClusterRobust.wald`.
        """
        C = np.array([self._named(one) for one in contrasts])
        if self.clusters is not None:
            return self._clustered(self.X.to_numpy()).wald(C)
        prepared = LeastSquares.of(self.X, C, self.weights, vcov=self.vcov)
        value = prepared.estimate(self.y).coef
        return f_test(value, prepared.covariance(self.y), float(len(self.y) - self.X.shape[1]))

    def sd(self, contrast: Mapping[str, float]) -> float:
        """Standard deviation (ddof 1) of the analyzed outcome, the unit of the smallest effect.

        Of stacked items (one mean each, no intercept), those that the contrast weighs, pooled.
        """
        used = np.ones(len(self.y), dtype=bool)
        if self.clusters is not None and "Intercept" not in self.X:
            used = self.X.to_numpy() @ self._named(contrast) != 0
        return float(np.std(self.y[used], ddof=1))

    def _clustered(self, X):
        return cluster_robust(X, self.y, self.clusters, self.vcov, weights=self.weights,
                              strata=self.strata)


def _shared_support(
    rows: pd.DataFrame, factor: str, level: str, partners: list[str], restrictions: list
) -> tuple[pd.DataFrame, np.ndarray]:
    """Combinations of the partners that can occur with the level and with the reference.

    As rows of data, with their shares among the profiles that show a combination of them.
    """
    reference = rows[factor].cat.categories[0]
    if not partners:
        return rows.iloc[:1], np.ones(1)
    cells = rows.groupby(partners, observed=True).agg("first").reset_index()
    shown = rows.groupby([*partners, factor], observed=True).size().unstack(fill_value=0)

    def possible(value: str) -> np.ndarray:
        here = np.asarray(shown[value] > 0) if value in shown else np.zeros(len(cells), dtype=bool)
        for rule in restrictions:
            others = [cells[name].isin(levels) for name, levels in rule.items()
                      if name != factor and name in cells]
            if others and value in rule.get(factor, ()):
                here = here & ~np.logical_and.reduce(others)
        return here

    both = possible(level) & possible(reference)
    if not both.any():
        raise LedgerError(
            f"{factor}: {level}", found=f"nothing that occurs both with it and with {reference}",
            expected="combinations that occur with both", mend="choose another reference level")
    return cells[both], shown.sum(axis=1).to_numpy(dtype=float)[both]


def _estimable(X: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A design of full rank that spans X (n, k), and the contrasts (q, k) in its columns.

    Cells that cannot occur leave X without full rank; a contrast that lies in the space of its
    rows is estimable all the same, and does not depend on how the design is written.
    """
    _, values, right = np.linalg.svd(X, full_matrices=False)
    V = right[values > values[0] * 1e-10].T
    inside = C @ V
    if np.abs(inside @ V.T - C).max() > 1e-7 * max(1.0, np.abs(C).max()):
        raise LedgerError(
            "contrast", found="an effect over combinations that were not shown",
            expected="combinations that occur in the data", mend="look at design.restrictions")
    return X @ V, inside


def model_of(
    analysis: Analysis, rows: pd.DataFrame, *, weights: pd.Series | None = None,
    clusters: pd.Series | None = None, strata: pd.Series | None = None, vcov: str | None = None,
    covariates: pd.DataFrame | None = None, restrictions: list | None = None,
) -> Model:
    """Build outcome and design of a registered analysis.

    Parameters
    ----------
    rows : of the registered sample, one for each respondent (or profile), with a unique index.
        Those without an outcome (or without one of the stacked items), or with a missing variable
        of the model, are left out; or the registered rule for missing covariates applies.
    weights, clusters, strata : by the index of `rows`. By default clusters are those that were
        assigned, where the design has some, else respondents.
    vcov : in place of the registered one. covariates : (rows, c) joined to the design as Lin (2013)
        does, centered and interacted; complete. restrictions : of the design, for `amce`.

    Raises
    ------
    LedgerError : a formula that cannot be read or names what is not there; an outcome that is a
        category; weights that are not above 0; see `Model.contrasts` for the rest.
    """
    where, vcov = f"{analysis.id}: {analysis.model}", vcov or analysis.vcov
    if vcov not in (known := (*ROBUST, *CORRECTIONS)):
        raise LedgerError(where, found=f"variance estimator {vcov}", expected=", ".join(known),
                          mend="correct the name")
    data = rows.dropna(subset=analysis.stack or [analysis.outcome])
    index = data.index
    if analysis.frame == "stacked":
        index, data = index.repeat(len(analysis.stack)), stack(data, analysis.stack)
    data = data.set_axis(np.arange(len(data)))
    try:
        formula, data = completed(analysis, data)
        y, X = dmatrices(formula, data, return_type="dataframe")
    except PatsyError as error:
        raise LedgerError(
            where, found=str(error).splitlines()[0], expected="a model of the survey's variables",
            mend="correct the model in the registration") from None
    if y.shape[1] != 1:
        raise LedgerError(where, found="an outcome that is a category", expected="numbers",
                          mend="register an outcome of numbers")
    index = index[X.index]

    def aligned(values: pd.Series | None) -> np.ndarray | None:
        return None if values is None else values.loc[index].to_numpy()

    if covariates is not None:
        C = covariates.loc[index].set_axis(X.index)
        X = adjusted(X, C, aligned(weights))
    if clusters is None and vcov in CORRECTIONS:
        clusters = rows[CLUSTER if CLUSTER in rows and analysis.frame == "respondents"
                        else RESPONDENT]  # fmt: skip
    return Model(
        y.to_numpy(dtype=float)[:, 0], X, vcov, aligned(weights),
        aligned(clusters) if vcov in CORRECTIONS else None,
        aligned(strata) if vcov == "survey" else None,
        analysis.estimator, data.loc[X.index], restrictions or [], analysis.at)


def contrasts_of(analysis: Hypothesis | Comparison) -> dict[str, dict[str, float]]:
    """Registered contrasts by the id of their result: one of a hypothesis, each of a comparison.

    Empty for a joint test. At several values of a moderator see `moderator_values`.
    """
    if isinstance(analysis, Hypothesis):
        return {} if analysis.joint else {analysis.id: analysis.contrast}
    term = {level: analysis.term.format(level=level) for level in analysis.levels}
    if analysis.pairs == "reference":
        return {f"{analysis.id}.{a}": {term[a]: 1.0} for a in analysis.levels}
    return {
        f"{analysis.id}.{a}.{b}": {term[a]: 1.0, term[b]: -1.0}
        for i, a in enumerate(analysis.levels) for b in analysis.levels[i + 1:]
    }


def moderator_values(analysis: Analysis) -> list[tuple[str, float, str]]:
    """Variable, value and ending of the ids, where effects are reported at several values."""
    return [(name, value, f".{name}_{value:g}") for name, values in analysis.at.items()
            for value in values if len(values) > 1]


def estimate(
    analysis: Analysis, rows: pd.DataFrame, *, weights: pd.Series | None = None,
    clusters: pd.Series | None = None, strata: pd.Series | None = None,
    restrictions: list | None = None,
) -> pd.DataFrame:
    """Every registered contrast of an analysis: a row each, by id; columns COLUMNS.

    n counts independent units; sd is the standard deviation of the analyzed outcome, of which the
    registered smallest effect is a multiple. A joint test has one row: statistic is its F, df its
    second degrees of freedom (df1 the first), and it has neither estimate nor standard error. A
    comparison at several values of a moderator has ids that end in `.variable_value`. See
    `model_of` for the arguments.
    """
    common = dict(weights=weights, clusters=clusters, strata=strata, restrictions=restrictions)
    if analysis.missing == "impute":
        return pooled(analysis, rows, common)
    model, wanted = model_of(analysis, rows, **common), contrasts_of(analysis)
    if not wanted:
        f, q, df, p = model.joint([{name: 1.0} for name in analysis.joint])
        row = {"estimate": np.nan, "se": np.nan, "df": df, "statistic": f, "p": p, "n": model.n,
               "sd": float(np.std(model.y, ddof=1)), "df1": q}  # fmt: skip
        return pd.DataFrame([row], index=pd.Index([analysis.id], name="id"))
    parts = [
        replace(model, at=model.at | {name: [value]}).contrasts(
            {f"{id}{ending}": contrast for id, contrast in wanted.items()})
        for name, value, ending in moderator_values(analysis)]
    return pd.concat(parts) if parts else model.contrasts(wanted)


def pooled(analysis: Analysis, rows: pd.DataFrame, common: dict) -> pd.DataFrame:
    """The analysis on each imputation of the covariates, pooled by Rubin's rules."""
    complete = analysis.model_copy(update={"missing": "complete"})
    tables = [estimate(complete, one, **common) for one in imputations(analysis, rows)]
    found = tables[0].copy()
    Q = np.array([t["estimate"] for t in tables])
    U = np.array([t["se"] ** 2 for t in tables]).mean(axis=0)
    found["estimate"], found["se"], found["df"] = rubin(Q, U, found["df"].to_numpy())
    found["statistic"] = found["estimate"] / found["se"]
    found["p"] = 2 * special.stdtr(found["df"], -found["statistic"].abs())
    return found


# Covariates with missing answers: left out, marked, or imputed, as registered. Rows without an
# outcome are left out before, whatever the rule. `indicator` keeps all rows in the comparison of
# randomized groups (Lin, Green and Coppock 2016); `impute` uses what other answers tell.


def covariates_of(analysis: Analysis, rows: pd.DataFrame) -> list[str]:
    """Variables on the right side of a model that have missing values."""
    named = re.findall(r"[A-Za-z_]\w*", analysis.model.partition("~")[2])
    return [name for name in dict.fromkeys(named) if name in rows and rows[name].isna().any()]


def completed(analysis: Analysis, rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """Formula and rows with missing covariates marked, where that is the registered rule.

    A number becomes the mean of the rows, with a column `NAME_missing` added to the model; a
    group becomes the group `missing`.
    """
    formula = analysis.model
    if analysis.missing != "indicator":
        return formula, rows
    rows = rows.copy()
    for name in covariates_of(analysis, rows):
        gone = rows[name].isna()
        if isinstance(rows[name].dtype, pd.CategoricalDtype) or rows[name].dtype == object:
            groups = rows[name].astype("category").cat.add_categories("missing")
            rows[name] = groups.fillna("missing")
            continue
        rows[f"{name}_missing"] = gone.astype(float)
        rows[name] = rows[name].astype(float).fillna(rows[name].mean())
        formula += f" + {name}_missing"
    return formula, rows


def imputations(analysis: Analysis, rows: pd.DataFrame, seed: int = 1) -> list[pd.DataFrame]:
    """Rows with the covariates filled in, IMPUTATIONS times, by chained equations (statsmodels).

    Predictive mean matching, each incomplete variable on all variables of the model, the outcome
    among them (White, Royston and Wood 2011); groups by their codes. The same seed gives the same
    values.
    """
    rows = rows.dropna(subset=analysis.stack or [analysis.outcome])
    incomplete = covariates_of(analysis, rows)
    if not incomplete:
        return [rows]
    named = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", analysis.model))
    numbers = {}
    for name in [*named, *analysis.stack]:
        if name not in rows:
            continue
        values = rows[name]
        if isinstance(values.dtype, pd.CategoricalDtype):
            values = values.cat.codes.where(values.notna())
        if not pd.api.types.is_numeric_dtype(values):
            raise LedgerError(
                f"{analysis.id}: {name}", found="text", expected="numbers or groups",
                mend="derive a number or a group from it in the registration")
        numbers[name] = values.to_numpy(dtype=float)
    from statsmodels.imputation.mice import MICEData  # slow to import, seldom used

    chain, filled = MICEData(pd.DataFrame(numbers), rng=seed), []
    chain.update_all(BURN_IN)
    for _ in range(IMPUTATIONS):
        chain.update_all(1)
        one = rows.copy()
        for name in incomplete:
            one[name] = chain.data[name].to_numpy(copy=True)
            if isinstance(rows[name].dtype, pd.CategoricalDtype):
                one[name] = pd.Categorical.from_codes(
                    one[name].astype(int), dtype=rows[name].dtype)
        filled.append(one)
    return filled


def rubin(estimates, variance, df) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pooled estimate, standard error and degrees of freedom (q,) of m imputations.

    estimates : (m, q); variance : (q,) mean of the squared standard errors; df : (q,) of complete
    data. Rubin (1987), degrees of freedom of Barnard and Rubin (1999), as R's mice.
    """
    Q = np.asarray(estimates, dtype=float)
    m, within = len(Q), np.asarray(variance, dtype=float)
    if m == 1:
        return Q[0], np.sqrt(within), np.asarray(df, dtype=float)
    # Total variance: within, plus (1 + 1/m) times that between imputations; share: lambda of Rubin.
    between = (1 + 1 / m) * Q.var(axis=0, ddof=1)
    total = within + between
    share = np.maximum(between / total, 1e-12)
    # 1 / df = 1 / (those of m imputations) + 1 / (those of the data that were observed).
    old = (m - 1) / share**2
    observed = (df + 1) / (df + 3) * df * (1 - share)
    return Q.mean(axis=0), np.sqrt(total), np.where(np.isinf(df), old, old * observed / (
        old + observed))
