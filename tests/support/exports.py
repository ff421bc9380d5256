"""Short ways to look at an export, for tests."""

import pandas as pd

from claimledger.survey.loading import examine
from claimledger.survey.reading import (
    FREE,
    Coded,
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


def coded(export, registration):
    """All rows with codes and level ids as a frame, and a mask of the cells that mean nothing."""
    table = Coded(export, registration)
    strange = {name: export.columns[name].isin(one.strange)
               for name, one in export.meanings.items() if one.form != FREE}
    return (pd.DataFrame({name: table[name] for name in export.columns if name in table}),
            pd.DataFrame(strange))


def answers(cells, scale):
    """Codes (or numbers) as floats, and a mask of cells that are neither answer nor blank."""
    found = meaning(distinct(cells), scale)
    return found.of(cells), cells.isin(found.strange)


def levels(cells, registration, factor):
    """Level ids (NaN where blank), and a mask of cells that name no level of the factor."""
    about = registration.design.factors[factor]
    found = meaning_of_levels(distinct(cells), about)
    return found.of(cells, about.levels), cells.isin(found.strange)
