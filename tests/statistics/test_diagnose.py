"""Design diagnosis: known truths come back, and nothing depends on how it was run."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from claimledger.errors import LedgerError
from claimledger.statistics.batch import Analysis, Batch
from claimledger.statistics.decision import HYPOTHESIS, decide
from claimledger.statistics.diagnose import decide_families, diagnose

N = 300
ARM = np.arange(N) % 2 == 1
X = np.column_stack([np.ones(N), ARM]).astype(float)


class Normal:
    """Outcomes with a common part, and effects of the arm in standard deviations."""

    def __init__(self, *effects: float):
        self.effects = np.array(effects)

    def __call__(self, rng, simulations):
        shape = (simulations, len(self.effects), N)
        common = rng.standard_normal((simulations, 1, N))
        noise = 0.6 * common + 0.8 * rng.standard_normal(shape)
        return noise + self.effects[:, None] * ARM


def analyses(count, **change) -> list[Analysis]:
    common = dict(family="F", X=X, contrast=np.array([0.0, 1.0]), rows=np.ones(N, bool),
                  direction=1, sesoi_sd=0.5) | change  # fmt: skip
    return [Analysis(id=f"t{i}", outcome=i, **common) for i in range(count)]


def close(rate, truth, runs) -> bool:
    return abs(rate - truth) < 4 * np.sqrt(truth * (1 - truth) / runs)


def test_a_null_world():
    truth = {"t0": 0.0, "t1": 0.0, "t2": 0.0}
    found = diagnose(analyses(3), Normal(0, 0, 0), 2000, 1, truth=truth)
    assert (np.abs(found.analyses["bias"]) < 4 * found.analyses["bias_mcse"]).all()
    assert all(close(rate, 0.95, 2000) for rate in found.analyses["coverage"])
    fwer = found.families.set_index("family")
    # Holm under positive dependence: at most 5 %, and not far below it.
    assert 0.025 < fwer.at["F", "fwer"] < 0.05 + 4 * fwer.at["F", "fwer_mcse"]
    assert fwer.at["F", "true_nulls"] == 3
    assert found.analyses["type_s"].isna().all()


def test_only_true_nulls_count_as_errors_of_the_family():
    truth = {"t0": 0.8, "t1": 0.0}
    found = diagnose(analyses(2), Normal(0.8, 0.0), 1000, 1, truth=truth)
    row = found.families.iloc[0]
    assert (row["tests"], row["true_nulls"]) == (2, 1)
    assert found.analyses.at["t0", "power"] > 0.99
    # The other member is always rejected, so Holm leaves the null its full 5 %.
    assert close(row["fwer"], 0.05, 1000)


def test_without_a_correction_the_family_errs_more_often():
    truth = {f"t{i}": 0.0 for i in range(3)}
    plain = diagnose(analyses(3, correction="none"), Normal(0, 0, 0), 2000, 1, truth=truth)
    assert all(close(rate, 0.05, 2000) for rate in plain.analyses["power"])
    assert plain.families["fwer"].item() > 0.08


def test_a_real_effect_has_the_power_of_the_t_test():
    effect, runs = 0.3, 2000
    found = diagnose(analyses(1), Normal(effect), runs, 2, truth={"t0": effect})
    row = found.analyses.loc["t0"]
    se = np.sqrt(2 / (N / 2))
    critical = stats.t.ppf(0.975, N - 2)
    noncentral = stats.nct(N - 2, effect / se)
    power = noncentral.sf(critical) + noncentral.cdf(-critical)
    assert close(row["power"], power, runs)
    assert abs(row["rmse"] - se) < 4 * row["rmse_mcse"]
    assert abs(row["mean_se"] - se) < 4 * row["mean_se_mcse"] + 1e-4
    assert row["type_s"] < 0.01


def test_power_of_the_equivalence_test():
    runs, se = 2000, np.sqrt(2 / (N / 2))
    found = diagnose(analyses(1, sesoi_sd=0.4), Normal(0.0), runs, 3)
    margin = (0.4 - stats.t.ppf(0.95, N - 2) * se) / se
    assert found.analyses.at["t0", "equivalence"] == pytest.approx(
        1 - 2 * stats.norm.sf(margin), abs=4 * np.sqrt(0.25 / runs)
    )
    assert found.families.empty and "bias" not in found.analyses


def test_rates_of_the_verdicts():
    found = diagnose(analyses(2), Normal(0.5, 0), 400, 4)
    rates = found.verdicts.pivot(index="id", columns="verdict", values="rate")
    np.testing.assert_allclose(rates.sum(axis=1), 1)
    assert rates.at["t0", "supported"] > 0.95 and rates.at["t1", "supported"] < 0.06
    turned = diagnose(analyses(1, direction=-1), Normal(0.5), 400, 4).verdicts
    assert turned.set_index("verdict").at["refuted", "rate"] > 0.95
    compared = diagnose(analyses(1, direction=0), Normal(0.5), 400, 4).verdicts
    assert set(compared["verdict"]) == {"higher", "lower", "negligible", "undecided"}


def test_the_rule_is_the_one_of_the_real_analysis(rng):
    """Families apart, each judged by `decide`; bounds from the drawn spread."""
    first, second = analyses(2, sesoi_sd=0.3), analyses(3, sesoi_sd=0.3)[2]
    both = [first[0], Analysis(**vars_of(second) | {"family": "G", "direction": -1}), first[1]]
    Y = 3 * Normal(0.2, 0.0, 0.1)(rng, 60)
    estimates, ses, sds = Batch(both).estimate(Y)
    codes = decide_families(estimates, ses, [a.df for a in both], sds, both).verdict
    family = decide(estimates[:, [0, 2]], ses[:, [0, 2]], N - 2, 0.3 * sds[:, [0, 2]], 1)
    alone = decide(estimates[:, [1]], ses[:, [1]], N - 2, 0.3 * sds[:, [1]], -1)
    np.testing.assert_array_equal(codes[:, [0, 2]], family.verdict)
    np.testing.assert_array_equal(codes[:, [1]], alone.verdict)
    assert set(np.unique(codes)) == set(range(len(HYPOTHESIS))), "every verdict came up"


def vars_of(a: Analysis) -> dict:
    return {name: getattr(a, name) for name in a.__dataclass_fields__}


def test_workers_change_nothing_and_progress_is_told():
    told = []
    one = diagnose(analyses(2), Normal(0.2, 0), 60, 7, 20,
                   progress=lambda done, total: told.append((done, total)))  # fmt: skip
    two = diagnose(analyses(2), Normal(0.2, 0), 60, 7, 20, workers=2)
    pd.testing.assert_frame_equal(one.analyses, two.analyses, check_exact=True)
    pd.testing.assert_frame_equal(one.verdicts, two.verdicts, check_exact=True)
    assert told == [(20, 60), (40, 60), (60, 60)]
    other = diagnose(analyses(2), Normal(0.2, 0), 60, 8, 20)
    assert not one.analyses.equals(other.analyses)


def test_ordinal_answers_keep_size_and_coverage():
    def draw(rng, simulations):
        answers = np.ones((simulations, 1, N), np.int8)
        latent = rng.standard_normal((simulations, 1, N), dtype=np.float32)
        for cut in (-1.0, 0.2, 1.1):
            answers += latent > cut
        return answers

    found = diagnose(analyses(1), draw, 2000, 5, truth={"t0": 0.0}).analyses.loc["t0"]
    assert close(found["power"], 0.05, 2000) and close(found["coverage"], 0.95, 2000)


def test_bad_input():
    def wrong_number(rng, simulations):
        return np.zeros((simulations + 1, 1, N))

    def constant(rng, simulations):
        return np.full((simulations, 1, N), 3.3)

    def missing(rng, simulations):
        return np.full((simulations, 1, N), np.nan)

    for draw in (wrong_number, constant, missing):
        with pytest.raises(LedgerError):
            diagnose(analyses(1), draw, 10, 1)
    mixed = analyses(1) + [Analysis(**vars_of(analyses(2)[1]) | {"correction": "none"})]
    for arguments in [(analyses(1), 1, None), (analyses(1), 10, {"other": 0.0}), (mixed, 10, None)]:
        tests, simulations, truth = arguments
        with pytest.raises(LedgerError):
            diagnose(tests, Normal(0, 0), simulations, 1, truth=truth)
