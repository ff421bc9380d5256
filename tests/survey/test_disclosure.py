import pandas as pd
import pytest

from claimledger.errors import LedgerError
from claimledger.survey.disclosure import (
    assert_public,
    known_private,
    private_columns,
    words_of,
)
from claimledger.survey.reading import read_export


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


@pytest.mark.parametrize("text", [
    "call (617) 555-0123", "617-555-0123", "+49 170 1234567", "from 2001:db8:0:1:1:1:1:1 today",
    "fe80::1:2:3:4",
])
def test_phones_and_long_addresses_are_found(text):
    with pytest.raises(LedgerError):
        assert_public(text)


@pytest.mark.parametrize("text", [
    "version 128.0.6613.119", "chromium-120.0.64.109", "lib==21.30.40.50", "Release 101.2.3.4",
    "1.17.0.1", "12:30:45", "2025-03-14", "10.1017/S1537592724001038", "ISSN 1537-5927",
    "0.123-0.456-0.789", "127.0.0.1", "978-0-321-12345-6",
])
def test_versions_dates_and_numbers_are_no_addresses(text):
    assert_public(text)


def test_what_the_export_says_of_persons_is_known(exported, registration):
    cells = read_export(exported, registration).cells
    first = cells.iloc[0]
    said = " ".join(first) + " True 100 EN Simulated anonymous n/a"
    known = known_private(cells, registration, words_of(said))
    assert {first["ResponseId"], first["IPAddress"], first["RecipientEmail"]} < known
    assert f"{first['RecipientFirstName']} {first['RecipientLastName']}" in known
    assert "Thank you, interesting study." in known
    assert not {"True", "100", "EN", "Simulated", "anonymous", "n/a"} & known
    with pytest.raises(LedgerError, match="what a respondent wrote"):
        assert_public(f"One wrote: “Thank\nyou, interesting study.” {registration}", known)
    for secret in (first["ResponseId"], first["IPAddress"], first["RecipientEmail"],
                   f"Dear {first['RecipientFirstName']} {first['RecipientLastName']} there"):
        with pytest.raises(LedgerError):
            assert_public(f"<p>{secret}.</p>", known)


@pytest.mark.parametrize("name", [
    "IP Address", "ipAddress", "Recipient_Email", "Phone", "zip", "PROLIFIC_PID", "rid",
    "LocationLatitude", "workerId", "UserAgent",
])
def test_columns_are_known_by_their_names(name):
    assert private_columns([name]) == [name]


def test_columns_of_answers_are_not_private(registration):
    names = [*registration.instrument.items, *registration.design.factors, "Finished", "Progress"]
    assert private_columns(names) == []
