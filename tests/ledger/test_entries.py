import json

import pytest

from claimledger.errors import LedgerError
from claimledger.ledger.entries import (
    VERDICTS,
    Entry,
    dump,
    load_ledger,
    number,
    p_value,
    percent,
    texts,
)


def entry(**changes):
    return Entry(**{"id": "x", "label": "x", "value": 0.5, "status": "description"} | changes)


def test_a_verdict_must_belong_to_its_decision():
    assert entry(decision="rank", verdict="clear", verdicts=VERDICTS["rank"]).verdict == "clear"
    with pytest.raises(ValueError, match="not one of"):
        entry(decision="rank", verdict="supported")


def test_records_are_short_and_stable():
    one = entry(value=1 / 3, text={"est": "0.33"}).record()
    assert one["value"] == 0.3333333333
    assert "se" not in one
    assert "verdicts" not in one
    assert dump({"b": 1, "a": one}) == dump({"a": one, "b": 1})
    assert dump({"b": 1, "a": 2}).index('"a"') < dump({"b": 1, "a": 2}).index('"b"')


def test_a_ledger_is_read_back_or_refused(tmp_path):
    path = tmp_path / "ledger.json"
    with pytest.raises(LedgerError, match="make paper"):
        load_ledger(path)
    path.write_text(json.dumps({"entries": {"x": entry().record()}}))
    assert load_ledger(path)["entries"]["x"]["value"] == 0.5
    path.write_text(path.read_text()[:-5])
    with pytest.raises(LedgerError, match="a ledger of results"):
        load_ledger(path)
    path.write_text(json.dumps({"entries": {"x": {"id": "x"}}}))
    with pytest.raises(LedgerError, match="label"):
        load_ledger(path)


@pytest.mark.parametrize(("said", "text"), [
    (number(-0.3123), "−0.31"), (number(0.004), "0.00"), (number(-0.004), "0.00"),
    (number(1502, 0), "1,502"), (number(-1234.5, 1), "−1,234.5"), (number(0.115), "0.12"),
    (p_value(0.00099), "< .001"), (p_value(0.001), "= .001"), (p_value(0.0421), "= .042"),
    (p_value(0.5), "= .500"), (p_value(1), "> .999"), (percent(0.5333), "53.3%"),
    (texts(0.5333, unit="share", ci=[0.5, 0.56], decimals=0)["ci"], "[50%, 56%]")])
def test_numbers_as_they_are_printed(said, text):
    """A real minus and no signed zero; p values with their relation; shares as percentages."""
    assert said == text


def test_texts_hold_only_what_is_known():
    assert set(texts(1.0)) == {"est", "abs"}
    full = texts(-0.5, se=0.1, ci=[-0.7, -0.3], p=1e-6, p_adjusted=2e-6, n=1202, df=1197.04,
                 statistic=-5, bound=0.2, sd=1.25)  # fmt: skip
    assert full["est"] == "−0.50"
    assert full["abs"] == "0.50"
    assert full["d"] == "−0.40"
    assert full["df"] == "1,197"
    assert full["sesoi"] == "0.20"
