"""Numbers as they are printed: rounded once, here, with a real minus sign."""

import math

from claimledger.registration.fields import POINTS

MINUS = "\u2212"
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


def number(value: float, decimals: int = 2) -> str:
    """A number with thousands separated; a zero never carries a sign."""
    text = f"{value:,.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def percent(share: float, decimals: int = 1) -> str:
    """A share between 0 and 1 as a percentage."""
    return number(100 * share, decimals) + "%"


def p_value(p: float) -> str:
    """A p value with its relation sign: `< .001`, `= .042`, `> .999`."""
    if p < 0.001:
        return "< .001"
    if p > 0.999:
        return "> .999"
    return f"= {p:.3f}".replace("0.", ".")


def interval(low: float, high: float, write=number) -> str:
    """An interval in brackets."""
    return f"[{write(low)}, {write(high)}]"


def texts(
    value: float, *, unit: str = "", decimals: int = 2, se: float | None = None,
    ci: list[float] | None = None, p: float | None = None, p_adjusted: float | None = None,
    n: int | None = None, df: float | None = None, statistic: float | None = None,
    bound: float | None = None, sd: float | None = None,
    corrected: list[float] | None = None, p_equivalence: float | None = None,
) -> dict[str, str]:
    """All ready texts of one entry; `est` is what `num ID` prints.

    Shares (unit `share`) are printed as percentages, their differences in percentage points.
    """
    if unit == "count":
        decimals = 0

    def write(x: float) -> str:
        if unit == POINTS:
            return number(100 * x, min(decimals, 1))
        return percent(x, min(decimals, 1)) if unit == "share" else number(x, decimals)

    out = {"est": write(value), "abs": write(abs(value))}
    if se is not None:
        out["se"] = write(se)
    if ci is not None:
        out["ci"] = interval(*ci, write=write)
    if corrected is not None:
        out["corrected"] = interval(*corrected, write=write)
    if p_equivalence is not None:
        out["tost"] = p_value(p_equivalence)
    if p is not None:
        out["p"] = p_value(p)
    if p_adjusted is not None:
        out["padj"] = p_value(p_adjusted)
    if n is not None:
        out["n"] = number(n, 0)
    if df is not None:
        out["df"] = number(df, 0 if abs(df - round(df)) < 0.05 else 1)
    if statistic is not None:
        out["t"] = number(statistic, 2)
    if bound is not None:
        out["sesoi"] = write(bound)
    if sd:
        out["d"] = number(value / sd, 2)
        out["absd"] = number(abs(value / sd), 2)
    return out


def tidy(value: float) -> float:
    """Ten significant digits: what the ledger keeps of a float."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    value = float(value)
    return float(f"{value:.10g}") if math.isfinite(value) else value
