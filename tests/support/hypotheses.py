"""One hypothesis, for tests of what is estimated: two arms, a higher outcome in the second."""

from claimledger.registration.models import Hypothesis

VERDICTS = ("supported", "refuted", "negligible", "undecided")


def hypothesis(**change) -> Hypothesis:
    return Hypothesis(**{
        "id": "T", "statement": "s", "estimand": "e", "outcome": "y", "model": "y ~ arm",
        "contrast": {"arm[T.b]": 1.0}, "vcov": "HC2", "family": "F", "sesoi": 0.2,
        "direction": "positive", "criterion": dict.fromkeys(VERDICTS, "c"), **change})
