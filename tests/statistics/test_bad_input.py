"""Bad input is a clear error, or a fallback that is reported; never a missing number in silence.

Of fits as notebooks make them; other ways in have their own tests.
"""

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from claimledger.errors import LedgerError
from claimledger.ledger.entries import dump
from claimledger.ledger.results import Fitted

N = 60


@pytest.fixture
def data(rng) -> pd.DataFrame:
    return pd.DataFrame({
        "y": rng.normal(size=N), "arm": pd.Categorical(np.tile(["a", "b", "c"], N // 3)),
        "x": rng.normal(size=N), "w": rng.uniform(0.5, 2, N),
    })  # fmt: skip


@pytest.mark.parametrize("change, model, said", [
    (lambda d: d.assign(y=3.3), "y ~ arm", "constant"),
    (lambda d: d[d["arm"] != "b"], "y ~ arm", "rank"),  # an empty cell
    (lambda d: d.assign(z=2 * d["x"]), "y ~ x + z", "rank"),
    (lambda d: d.assign(y=d["y"].mask(d.index == 5, np.inf)), "y ~ arm", "missing"),
    # statsmodels refuses other weights that are none
    (lambda d: d.assign(w=d["w"].mask(d.index == 3, 0.0)), "y ~ arm", "weight"),
])  # fmt: skip
def test_what_cannot_be_estimated(data, change, model, said):
    def fitted(rows):
        return Fitted(smf.wls(model, rows, weights=rows["w"]).fit(cov_type="HC2", use_t=True))

    assert np.isfinite(fitted(data.assign(z=data["x"] ** 2)).contrast({"Intercept": 1.0})).all()
    with pytest.raises(LedgerError, match=said):
        fitted(change(data)).contrast({"Intercept": 1.0})


def test_a_missing_answer_leaves_its_row_out_and_the_n_of_the_entry_says_so(data):
    broken = data.assign(y=data["y"].mask(data.index == 5))
    assert Fitted(smf.ols("y ~ arm", broken).fit(cov_type="HC2", use_t=True)).n == N - 1


def test_the_ledger_takes_no_missing_number():
    with pytest.raises(ValueError, match="JSON compliant"):
        dump({"value": float("nan")})
