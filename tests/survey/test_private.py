import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.survey.private import assert_public


@pytest.mark.parametrize("text", [
    "from 192.0.2.17 at noon", "mail respondent1@example.org now", "R_8pQx2LmN0vB7sTa answered",
    "at latitude: 41.8781, longitude: -87.6298", "lon -87.629800",
])
def test_what_can_tell_who_answered_is_found(text):
    with pytest.raises(LedgerError):
        assert_public(text)
    with pytest.raises(LedgerError, match="column note"):
        assert_public(pd.DataFrame({"note": ["fine", text]}))


@pytest.mark.parametrize("text", [
    "version 1.2.3", "p = 0.0312, n = 1502", "interval -0.312, 0.113", "R_squared", "999.1.1.1",
    "H2b.underspending @fig-x", "M 41.8781,-87.6298 L", "relation 0.312", "",
])
def test_what_cannot_is_left_alone(text):
    assert_public(text)
    assert_public(pd.DataFrame({"note": [text], "value": [192.02]}))


def test_known_identifiers_are_looked_for():
    with pytest.raises(LedgerError, match="id of a person"):
        assert_public("row of P1234567890.", known=["P1234567890"])
    with pytest.raises(LedgerError, match="id of a person"):
        assert_public(pd.DataFrame({"x": pd.Categorical(["a b c"])}), known=["a b c", ""])
    assert_public("P123456789012 and nothing", known=["P1234567890", ""])


@pytest.mark.parametrize(
    "name", ["IPAddress", "ResponseId", "LocationLatitude", "e-mail", "StartDate"]
)
def test_columns_of_the_platform_are_refused(name):
    with pytest.raises(LedgerError, match="column"):
        assert_public(pd.DataFrame({name: [1.0]}))
