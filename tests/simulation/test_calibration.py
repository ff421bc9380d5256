"""The simulated answers have the assumed means, spreads, correlations and effects."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

from claimledger.settings import settings
from claimledger.simulation.calibration import calibrate
from claimledger.simulation.respondents import _from_margin
from claimledger.survey.loading import open_survey
from survey_items import CONTRIBUTIONS, CORRECTIVE, MEASURES, VIEWS

SIGN = {"published": 1, "null": 0, "reversed": -1}


def effect(frame: pd.DataFrame, items: list[str], factor: str, level: str, reference: str) -> float:
    """Difference of means in SD of the item, averaged over items."""
    groups = frame.groupby(factor, observed=True)[items].mean()
    return float(((groups.loc[level] - groups.loc[reference]) / frame[items].std()).mean())


@pytest.mark.parametrize("world", ["published", "null", "reversed", "only_h3a", "tiny"])
def test_expected_means_and_effects_are_exact(registration, simulation, world):
    latent = calibrate(registration, simulation, simulation.world(world))
    factor = simulation.world(world).factor("democracy")
    regime = np.indices([len(v) for v in latent.factors.values()])[
        list(latent.factors).index("regime")].ravel()
    j = latent.items.index("economic_sanctions")
    seen = latent.asked[:, j]
    weights = latent.probabilities * seen
    expected = 1 + ndtr(-latent.thresholds[:, j]).sum(1)
    middle = np.mean([simulation.outcomes[m].mean for m in MEASURES])
    spread = simulation.world(world).factor("measures")
    mean = weights @ expected / weights.sum()
    assert mean == pytest.approx(middle + spread * (3.3 - middle), abs=1e-4)
    means = [(weights * expected)[regime == r].sum() / weights[regime == r].sum() for r in (0, 1)]
    assert means[1] - means[0] == pytest.approx(-0.25 * 1.2 * factor, abs=1e-4)


def test_means_and_sds(big, simulation):
    frame = big["published"]
    for item, target in simulation.outcomes.items():
        n = frame[item].count()
        assert frame[item].mean() == pytest.approx(target.mean, abs=4 * target.sd / np.sqrt(n))
        assert frame[item].std() == pytest.approx(target.sd, abs=0.03)


@pytest.mark.parametrize("world", SIGN)
def test_effects_are_recovered(big, world):
    frame, sign = big[world], SIGN[world]
    for level, size in [
        ("underspending", -0.25), ("rival_arms", -0.55), ("refused_operation", -0.35),
        ("blocked_accession", -0.35)]:
        assert effect(frame, VIEWS, "misalignment", level, "control") == pytest.approx(
            sign * size, abs=0.07)
        assert effect(frame, CONTRIBUTIONS, "misalignment", level, "control") == pytest.approx(
            sign * -0.30, abs=0.07)
    for factor, level, reference, size in [
        ("regime", "democracy", "nondemocracy", -0.25), ("capability", "strong", "weak", 0),
        ("treaty", "signed", "unsigned", 0)]:
        assert effect(frame, CORRECTIVE, factor, level, reference) == pytest.approx(
            sign * size, abs=0.045)


def test_correlations_of_answers(big):
    answers = big["published"][MEASURES + VIEWS]
    cells = [big["published"][factor] for factor in ("misalignment", "regime")]
    observed = (answers - answers.groupby(cells, observed=True).transform("mean")).corr()
    for a, b, value in [
        ("cut_military_aid", "economic_sanctions", 0.35),
        ("economic_sanctions", "end_alliance", 0.35),
        ("public_shaming", "cut_military_aid", 0.25), ("no_action", "economic_sanctions", -0.30),
        ("favourable", "trust", 0.60), ("trust", "end_alliance", -0.15)]:
        assert observed.loc[a, b] == pytest.approx(value, abs=0.03)


def test_background_explains_as_much_as_in_published_surveys(big, simulation):
    frame = big["published"]
    columns = [np.ones(len(frame))]
    for name, margin in simulation.background.items():
        nominal = name in ("race", "region")
        codes = list(margin.shares)[1:] if nominal else [None]
        columns += [frame[name] == c if nominal else frame[name] for c in codes]
    X = np.column_stack(columns).astype(float)
    for item in simulation.outcomes:
        seen = frame[item].notna().to_numpy()
        y = frame[item].to_numpy()[seen]
        fitted = X[seen] @ np.linalg.lstsq(X[seen], y, rcond=None)[0]
        assert 0.13 < fitted.var() / y.var() < 0.22, item


def party_gap(frame: pd.DataFrame, gap) -> tuple[float, float]:
    """The difference of two groups in the mean of items, in its SD, and its standard error."""
    index = frame[gap.items].mean(axis=1, skipna=False)
    high, low = (index[frame[gap.of].isin(codes)].dropna() for codes in (gap.high, gap.low))
    error = np.sqrt(1 / len(high) + 1 / len(low))
    return (high.mean() - low.mean()) / index.std(), error


@pytest.mark.parametrize("world", SIGN)
def test_gaps_come_out_as_assumed_in_every_world(big, simulation, world):
    for gap in simulation.gaps:
        found, error = party_gap(big[world], gap)
        assert found == pytest.approx(gap.sd, abs=3.5 * error), gap


def test_the_gaps_of_the_shipped_file_are_those_promised(root, registration, simulation):
    frame = open_survey(root / settings(root)["ledger"]["data"], registration, root).frame
    promised = {(gap.items[0], gap.of): gap.sd for gap in simulation.gaps}
    assert promised["troops", "party"] == -0.35 and promised["public_shaming", "party"] == 0.35
    readme = (root / "data" / "README.md").read_text("utf-8")
    assert "−0.35, 0.35, −0.25, −0.25" in readme
    for gap in simulation.gaps:
        found, error = party_gap(frame, gap)
        assert found == pytest.approx(gap.sd, abs=3 * error), gap


def test_background_margins_within_monte_carlo_error(big, simulation):
    frame = big["null"]
    for name, margin in simulation.background.items():
        shares = margin.shares or margin.bands
        total = sum(shares.values())
        if margin.bands:
            bounds = [*margin.bands, margin.top + 1]
            counts = np.histogram(frame[name], bounds)[0]
        else:
            counts = frame[name].value_counts().reindex(list(shares), fill_value=0).to_numpy()
        expected = np.array(list(shares.values())) / total
        error = np.sqrt(expected * (1 - expected) / len(frame))
        slack = 0.02 if margin.shift else 0      # shifts move the margin a little
        assert (np.abs(counts / len(frame) - expected) < 4.5 * error + slack).all(), name


def test_militant_assertiveness_by_party(big):
    frame = big["published"]
    groups = pd.cut(frame["party"], [0, 2, 5, 7], labels=["D", "I", "R"])
    means = frame.groupby(groups, observed=True)["militant"].mean()
    for party, mean in {"D": 2.56, "I": 2.97, "R": 3.96}.items():
        assert means[party] == pytest.approx(mean, abs=0.06)


def test_recall(big, registration, simulation):
    frame = big["published"]
    hits = {}
    for name, share in simulation.recall.right.items():
        item = registration.instrument.items[name]
        hits[name] = frame[name].map(item.answers) == frame[item.recalls].astype(object)
        assert hits[name].mean() == pytest.approx(share, abs=0.01)
    hits = pd.DataFrame(hits)
    assert hits.corr().to_numpy()[np.tril_indices(4, -1)].min() > 0.05
    assert set(frame["recall_regime"]) == {1, 2, 3}


def test_bands_are_uniform_and_end_at_the_top(simulation):
    normal = np.linspace(-8, 8, 4001)
    ages = _from_margin(simulation.background["age"], normal)
    assert ages.min() == 18 and ages.max() == 90
    assert (np.diff(ages) >= 0).all()
