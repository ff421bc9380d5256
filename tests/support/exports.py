"""Short ways to look at an export, for tests."""

from claimledger.survey.loading import examine
from claimledger.survey.reading import (
    _apply,
    coded,
    distinct,
    meaning,
    meaning_of_levels,
    read_export,
)
from claimledger.survey.recoding import exclude


def check(path, registration, mapping=None):
    """Every problem of an export, errors first."""
    return examine(read_export(path, registration, mapping), registration).problems


def kept(export, registration):
    """The coded rows that stay, of an export that was read."""
    return exclude(coded(export, registration)[0], registration)[0]


def answers(cells, scale):
    """Codes (or numbers) as floats, and a mask of cells that are neither answer nor blank."""
    return _apply(cells, meaning(distinct(cells), scale), None)


def levels(cells, registration, factor):
    """Level ids (NaN where blank), and a mask of cells that name no level of the factor."""
    about = registration.design.factors[factor]
    return _apply(cells, meaning_of_levels(distinct(cells), about), about)
