import pytest

from claimledger.ledger.entries import number, p_value, percent, texts


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [(-0.3123, 2, "−0.31"), (0.004, 2, "0.00"), (-0.004, 2, "0.00"), (1502, 0, "1,502"),
     (-1234.5, 1, "−1,234.5"), (0.115, 2, "0.12")],
)  # fmt: skip
def test_numbers_have_a_real_minus_and_no_signed_zero(value, decimals, text):
    assert number(value, decimals) == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.00099, "< .001"), (0.001, "= .001"), (0.0421, "= .042"), (0.5, "= .500"), (1, "> .999")],
)
def test_p_values_carry_their_relation(p, text):
    assert p_value(p) == text


def test_shares_print_as_percentages():
    assert percent(0.5333) == "53.3%"
    assert texts(0.5333, unit="share", ci=[0.5, 0.56], decimals=0)["ci"] == "[50%, 56%]"


def test_texts_hold_only_what_is_known():
    assert set(texts(1.0)) == {"est", "abs"}
    full = texts(-0.5, se=0.1, ci=[-0.7, -0.3], p=1e-6, p_adjusted=2e-6, n=1202, df=1197.04,
                 statistic=-5, bound=0.2, sd=1.25)  # fmt: skip
    assert full["est"] == "−0.50"
    assert full["abs"] == "0.50"
    assert full["d"] == "−0.40"
    assert full["df"] == "1,197"
    assert full["sesoi"] == "0.20"
