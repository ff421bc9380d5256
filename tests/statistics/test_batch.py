"""Analyses of many experiments at once, against statsmodels and CR2 one at a time."""

import numpy as np
import pytest
import statsmodels.api as sm

from claimledger.errors import LedgerError
from claimledger.statistics.batch import Analysis, Batch
from claimledger.statistics.clustered import cr2

N = 200


@pytest.fixture
def design(factorial):
    return factorial(N)


@pytest.fixture
def stack(rng):
    """Stack (4 experiments, 5 outcomes, N) of answers 1 to 5, as small integers."""
    return rng.integers(1, 6, (4, 5, N)).astype(np.int8)


def analysis(X, **change) -> Analysis:
    defaults = dict(id="a", family="F", X=X, contrast=np.eye(8)[5], rows=np.ones(N, bool),
                    outcome=0, direction=1, sesoi_sd=0.2)  # fmt: skip
    return Analysis(**defaults | change)


def test_each_kind_of_analysis_equals_the_ordinary_one(design, stack, rng):
    treated = design[:, 1:5].sum(axis=1) > 0
    without_control = np.delete(design, 1, axis=1)
    covariate = np.column_stack([design, rng.normal(size=N)])
    items = np.array([0, -1, 0.5, 0.5, 0])
    analyses = [
        analysis(design, id="effect"),
        analysis(design, id="same design", contrast=np.eye(8)[1] - np.eye(8)[2], outcome=4),
        analysis(without_control, id="subset", rows=treated, contrast=np.eye(7)[4], outcome=2),
        analysis(covariate, id="covariate", contrast=np.eye(9)[5], outcome=1),
        analysis(None, id="within", rows=treated, contrast=np.ones(1), outcome=items),
    ]
    batch = Batch(analyses)
    estimates, ses, sds = batch.estimate(stack)
    assert estimates.shape == ses.shape == sds.shape == (4, 5)
    for s in range(4):
        for j, a in enumerate(analyses[:4]):
            y = stack[s, a.outcome, a.rows].astype(float)
            fit = sm.OLS(y, a.X[a.rows]).fit(cov_type="HC2", use_t=True).t_test(a.contrast)
            assert estimates[s, j] == pytest.approx(fit.effect.item(), rel=1e-9)
            assert ses[s, j] == pytest.approx(fit.sd.item(), rel=1e-10)
            assert a.df == fit.df_denom
            assert sds[s, j] == pytest.approx(y.std(ddof=1), rel=1e-10)
        within_respondents(analyses[4], stack[s], estimates[s, 4], ses[s, 4], sds[s, 4])


def within_respondents(a, Y, estimate, se, sd):
    """The stacked items with CR2 by respondent: same estimate, error and degrees of freedom."""
    used = Y[1:4, a.rows].astype(float)
    item, person = np.repeat(np.arange(3), used.shape[1]), np.tile(np.arange(used.shape[1]), 3)
    fit = sm.OLS(used.ravel(), (item[:, None] == np.arange(3)).astype(float)).fit()
    stacked = cr2(fit, person).contrast([-1, 0.5, 0.5])
    assert estimate == pytest.approx(stacked.estimate, abs=1e-12)
    assert se == pytest.approx(stacked.se, rel=1e-10)
    assert a.df == pytest.approx(stacked.df, rel=1e-10)
    assert sd == pytest.approx(used.std(ddof=1), rel=1e-10)


def test_unanswered_items_outside_the_analysed_rows_are_no_matter(design, stack):
    treated = design[:, 1] == 1
    asked = np.where(treated, stack, np.nan)
    one = analysis(None, rows=treated, contrast=np.ones(1))
    assert np.isfinite(Batch([one]).estimate(asked)).all()
    with pytest.raises(LedgerError, match="missing or infinite"):
        Batch([analysis(design)]).estimate(asked)


@pytest.mark.parametrize(
    "change",
    [{"contrast": np.eye(7)[1]}, {"contrast": np.zeros(8)}, {"rows": np.ones(N)},
     {"rows": np.ones(N - 1, bool)}, {"outcome": np.array([0.5, 0.5])}, {"outcome": np.zeros(2)},
     {"outcome": -1}, {"rows": np.arange(N) < 8}],
)  # fmt: skip
def test_an_analysis_that_does_not_fit_together(design, change):
    with pytest.raises(LedgerError):
        Batch([analysis(design, id="first"), analysis(design, **change)])


def test_an_empty_arm_is_a_singular_design(design):
    with pytest.raises(LedgerError, match="rank"):
        Batch([analysis(design, rows=design[:, 2] == 0)])


def test_names_and_stack_have_to_fit(design, stack):
    with pytest.raises(LedgerError, match="id of its own"):
        Batch([analysis(design), analysis(design)])
    with pytest.raises(LedgerError):
        Batch([])
    with pytest.raises(LedgerError, match="outcomes of shape"):
        Batch([analysis(design, outcome=5)]).estimate(stack)
