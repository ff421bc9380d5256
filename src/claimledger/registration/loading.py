"""Read a registration, and say what is wrong with it in words for a person."""

from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.registration.checks import mistakes_of
from claimledger.registration.models import SCHEMA, Registration
from claimledger.validation import validated
from claimledger.yaml_files import OPEN, Source, complain


def load(path: Path) -> Registration:
    """Load and validate; every mistake found is listed in one LedgerError."""
    return parse(Source.read(path))


def parse(source: Source) -> Registration:
    """Validate what was read: first each value by itself, then what values say of each other."""
    schema = source.content.get("schema")
    if isinstance(schema, int) and schema > SCHEMA:
        raise LedgerError(
            source.where(("schema",)), found=f"schema {schema}",
            expected=f"1 or {SCHEMA}: this engine is older than the registration",
            mend="install a newer claimledger",
        )
    unfinished = source.open_marks()
    if unfinished:
        raise LedgerError(
            source.path, found=f"{len(unfinished)} unfinished: " + "; ".join(unfinished[:20]),
            expected=f"no text that begins with {OPEN!r}",
            mend="put in what each stands for, or remove its lines",
        )
    content = lifted(source.content) if schema == 1 else source.content
    registration = validated(source, Registration, content)
    mistakes = mistakes_of(registration)
    if mistakes:
        raise complain(source, mistakes)
    return registration


def lifted(content: dict) -> dict:
    """A registration of schema 1 as schema 2 says it, meaning the same.

    The one difference: codes that a `map` left out were missing without a word; they are now
    named under `missing`.
    """
    instrument = content.get("instrument")
    try:
        items, scales = instrument["items"], instrument["scales"]
        derived = dict(instrument["derived"])
        for name, rule in derived.items():
            if rule.get("map") and not rule.get("missing"):
                used = {code for codes in rule["map"].values() for code in codes}
                left = [c for c in scales[items[rule["of"]]["scale"]]["labels"] if c not in used]
                if left:
                    derived[name] = rule | {"missing": left}
    except (KeyError, TypeError, AttributeError, ValueError):
        return content      # something else is wrong, and validation says what
    return content | {"instrument": instrument | {"derived": derived}}
