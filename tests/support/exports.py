"""Short ways to look at an export, for tests."""

from claimledger.survey.loading import examine
from claimledger.survey.reading import _apply, distinct, meaning, meaning_of_levels, read_export


def check(path, registration, mapping=None):
    """Every problem of an export, errors first."""
    return examine(read_export(path, registration, mapping), registration).problems


def answers(cells, scale):
    """Codes (or numbers) as floats, and a mask of cells that are neither answer nor blank."""
    return _apply(cells, meaning(distinct(cells), scale), None)


def levels(cells, registration, factor):
    """Level ids (NaN where blank), and a mask of cells that name no level of the factor."""
    about = registration.design.factors[factor]
    return _apply(cells, meaning_of_levels(distinct(cells), about), about)
