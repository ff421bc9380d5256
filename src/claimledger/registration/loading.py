"""Read a registration, and say what is wrong with it in words for a person."""

from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from claimledger.errors import LedgerError
from claimledger.project import load_yaml
from claimledger.registration.models import Registration


def load(path: Path) -> Registration:
    """Load and validate; every mistake found is listed in one LedgerError."""
    path = Path(path)
    content = load_yaml(path, "a registration")
    if not isinstance(content, dict):
        raise LedgerError(path, found=type(content).__name__, expected="keys and values")
    try:
        registration = Registration.model_validate(content)
    except ValidationError as error:
        raise _readable(path, error) from None
    _check_names(path, registration)
    return registration


def _readable(path: Path, error: ValidationError) -> LedgerError:
    lines, wanted = [], []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: an unknown key")
            wanted.append("only keys of the registration's models")
        elif problem["type"] == "missing":
            lines.append(f"{key}: nothing")
            wanted.append(f"a value for `{problem['loc'][-1]}`")
        else:
            lines.append(f"{key}: {problem['input']!r:.60}")
            wanted.append(problem["msg"].removeprefix("Value error, "))
    return LedgerError(
        path, found="; ".join(lines), expected="; ".join(dict.fromkeys(wanted)),
        mend="correct the keys named above",
    )


def _check_names(path: Path, registration: Registration) -> None:
    """Names that refer to each other must exist; ids must be unique."""
    r = registration
    factors, items, derived = r.design.factors, r.instrument.items, r.instrument.derived
    variables = set(factors) | set(items) | set(derived)

    def known(key: str, name: str, names: set[str] | dict) -> None:
        if name in names:
            return
        near = get_close_matches(name, list(names), n=3)
        raise LedgerError(
            f"{path}: {key}", found=repr(name),
            expected="one of " + ", ".join(near or sorted(names)),
            mend="correct the name, or add what it names",
        )

    for name in r.design.vignette.order:
        known("design.vignette.order", name, factors)
    for name, item in items.items():
        known(f"instrument.items.{name}.scale", item.scale, r.instrument.scales)
        known(f"instrument.items.{name}.block", item.block, r.instrument.blocks)
        known(f"instrument.items.{name}.asked", item.asked, r.samples)
        if item.recalls:
            known(f"instrument.items.{name}.recalls", item.recalls, factors)
            for level in item.answers.values():
                known(f"instrument.items.{name}.answers", level, factors[item.recalls].levels)
    for name, variable in derived.items():
        for source in variable.mean or [variable.of]:
            known(f"instrument.derived.{name}", source, items)
    for name in r.instrument.covariates:
        known("instrument.covariates", name, variables)
    for name, conditions in r.samples.items():
        for factor, levels in conditions.items():
            known(f"samples.{name}", factor, factors)
            for level in levels:
                known(f"samples.{name}.{factor}", level, factors[factor].levels)
    for name in r.weighting.variables if r.weighting else []:
        known("weighting.variables", name, variables)
    ids = set()
    families = {hypothesis.family for hypothesis in r.hypotheses}
    for comparison in r.comparisons:
        if comparison.family in families:
            raise LedgerError(
                f"{path}: {comparison.id}.family", found=f"{comparison.family}, in use already",
                expected="a family of its own: what stands in a family is corrected together",
                mend="add a family, and name it here",
            )
        families.add(comparison.family)
    for analysis in [*r.hypotheses, *r.comparisons]:
        known(f"{analysis.id}.family", analysis.family, r.families)
        known(f"{analysis.id}.sample", analysis.sample, r.samples)
        for item in analysis.stack:
            known(f"{analysis.id}.stack", item, items)
        if analysis.outcome:
            known(f"{analysis.id}.outcome", analysis.outcome, variables)
        if analysis.id in ids:
            raise LedgerError(f"{path}: {analysis.id}", found="the id twice", expected="once")
        ids.add(analysis.id)
