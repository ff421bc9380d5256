"""Weights: raking to population margins, trimming, and what weighting costs.

Raking is iterative proportional fitting (Deming and Stephan 1940).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from claimledger.errors import LedgerError
from claimledger.project import inside
from claimledger.registration.models import Registration
from claimledger.survey.recoding import labeled

_TOLERANCE = 1e-10      # of a share
_PASSES = 2000          # through all margins
_ROUNDS = 200           # of trimming and raking again

Margins = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Raking:
    """Weights with mean 1 (index of the frame).

    design_effect: Kish's 1 + CV^2; effective_n: n over it.
    """

    weights: pd.Series

    @property
    def design_effect(self) -> float:
        """Kish's design effect of unequal weights."""
        w = self.weights.to_numpy()
        return float(len(w) * (w**2).sum() / w.sum() ** 2)

    @property
    def effective_n(self) -> float:
        """Kish's effective sample size."""
        return len(self.weights) / self.design_effect


def read_margins(path: Path, variables: list[str]) -> Margins:
    """Shares by variable and category from a CSV with columns variable, category, percent."""
    path = Path(path)
    try:
        table = pd.read_csv(path, dtype={"variable": str, "category": str}, keep_default_na=False)
        table["percent"] = table["percent"].astype(float)
    except (OSError, ValueError, KeyError, UnicodeDecodeError) as error:
        raise LedgerError(
            path, found=str(error), expected="columns variable, category, percent",
            mend="restore the file of population margins") from error
    margins = {}
    for variable in variables:
        rows = table[table["variable"] == variable]
        if rows.empty or abs(rows["percent"].sum() - 100) > 1 or (rows["percent"] <= 0).any():
            raise LedgerError(
                f"{path}: {variable}", found=f"percentages that sum to {rows['percent'].sum():g}",
                expected="positive percentages that sum to 100", mend="complete the margin")
        margins[variable] = dict(zip(rows["category"], rows["percent"] / rows["percent"].sum(),
                                     strict=True))
    return margins


def check_margins(registration: Registration, frame: pd.DataFrame, root: Path) -> None:
    """The registered margins have the categories of their variables, before there are answers."""
    weighting = registration.weighting
    if weighting is None or weighting.margins is None:
        return
    path = inside(root, weighting.margins, "registration: weighting.margins")
    if not path.is_file():      # told by `check`, which rakes
        return
    known = labeled(frame, weighting.variables, registration)
    for variable, shares in read_margins(path, weighting.variables).items():
        labels = list(map(str, pd.Categorical(known[variable]).categories))
        if strange := [c for c in [*shares, *labels] if (c in shares) != (c in labels)]:
            raise LedgerError(
                f"{path}: {variable}", found=", ".join(strange), expected="the same categories "
                "there and in the registration: " + ", ".join(labels), mend="name each as there")


def rake_as_registered(frame: pd.DataFrame, registration: Registration, root: Path) -> Raking:
    """Rake an analyzed frame to the registered margins, whose file lies in the project's root."""
    weighting = registration.weighting
    if weighting is None or weighting.margins is None:
        raise LedgerError(
            "weighting", found="nothing", expected="margins to rake to",
            mend="add `weighting:` to the registration")
    path = inside(root, weighting.margins, "registration: weighting.margins")
    margins = read_margins(path, weighting.variables)
    return rake(labeled(frame, weighting.variables, registration), margins, trim=weighting.trim)


def rake(frame: pd.DataFrame, margins: Margins, trim: float | None = None) -> Raking:
    """Rake equal weights to the margins, none above `trim` times the mean.

    A margin leaves alone the weights of those who did not answer its variable. Trimmed weights
    are raked again until both hold; where they cannot, the cap does, and the margins are off.
    """
    codes = [_codes(frame, variable, shares) for variable, shares in margins.items()]
    targets = [np.array(list(shares.values())) for shares in margins.values()]
    weights, rounds = _fit(np.ones(len(frame)), codes, targets), 0
    while trim and weights.max() > trim * (1 + 1e-9):
        weights, rounds = np.minimum(weights, trim), rounds + 1
        if rounds <= _ROUNDS:
            weights = _fit(weights, codes, targets)
        weights = weights / weights.mean()
    return Raking(pd.Series(weights, index=frame.index, name="weight"))


def _codes(frame: pd.DataFrame, variable: str, shares: dict[str, float]) -> np.ndarray:
    """Places of the categories, -1 where there is no answer."""
    answers = pd.Categorical(frame[variable])
    labels = [str(label) for label in answers.categories]
    given = {labels[code] for code in np.unique(answers.codes) if code >= 0}
    strange, absent = sorted(given - set(shares)), [c for c in shares if c not in given]
    if strange or absent:
        raise LedgerError(
            f"weights: {variable}",
            found="; ".join(filter(None, [
                strange and "no margin for " + ", ".join(strange),
                absent and "nobody in " + ", ".join(absent)])),
            expected="respondents in every category of the margin, and in no other",
            mend="merge categories in the registration and in the margins")
    order = {label: place for place, label in enumerate(shares)}
    return np.array([*(order.get(label, -1) for label in labels), -1])[answers.codes]


def _fit(
    weights: np.ndarray, codes: list[np.ndarray], targets: list[np.ndarray]
) -> np.ndarray:
    """Iterative proportional fitting; the sum of the weights stays."""
    total = weights.sum()
    weights = weights.copy()
    for _ in range(_PASSES):
        worst = 0.0
        for code, target in zip(codes, targets, strict=True):
            have = np.bincount(code + 1, weights, len(target) + 1)
            known = have[1:].sum()
            worst = max(worst, np.abs(have[1:] / known - target).max())
            with np.errstate(divide="ignore"):
                factors = np.where(have[1:] > 0, target * known / have[1:], 0)
            weights *= np.concatenate([[1.0], factors])[code + 1]
        if worst < _TOLERANCE:
            return weights * (total / weights.sum())
    raise LedgerError(
        "weights", found=f"margins still {100 * worst:.3g} points off after {_PASSES} passes",
        expected="margins that the sample can meet at once",
        mend="merge small categories, or leave a variable out")
