"""Read a registration, and say what is wrong with it in words for a person.

At the end: the JSON schema by which editors check it while it is written, and `migrate`.
"""

import datetime
import json
import re
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.project import write_atomic
from claimledger.registration.analyses import POINTS, Analysis, Bound
from claimledger.registration.lock import amend, check_lock, lock_path
from claimledger.registration.models import SCHEMA, Derived, Registration
from claimledger.settings import Config
from claimledger.yaml_files import OPEN, Key, Mistake, Model, Source, complain, unknown, validated

MODELS = {"registration": Registration, "settings": Config}
LINE = "# yaml-language-server: $schema=registration.schema.json\n"


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
            mend="install a newer claimledger")
    if unfinished := source.open_marks():
        raise LedgerError(
            source.path, found=f"{len(unfinished)} unfinished: " + "; ".join(unfinished[:20]),
            expected=f"no text that begins with {OPEN!r}",
            mend="put in what each stands for, or remove its lines")
    content = lifted(source.content) if schema == 1 else source.content
    registration = validated(source, Registration, content)
    # What its parts say of each other: each is built on the one before it.
    for parts in ((_instrument,), (_variables,), (_design, _samples, _analyses)):
        if mistakes := [mistake for part in parts for mistake in part(registration)]:
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


def _known(r: Registration) -> list[str]:
    return [*r.design.factors, *r.instrument.items, *r.instrument.derived]


def _instrument(r: Registration) -> Iterator[Mistake]:
    factors, parts = r.design.factors, r.instrument
    for name in {*factors} & {*parts.items, *parts.derived} | {*parts.items} & {*parts.derived}:
        yield Mistake(("instrument",), f"{name!r} twice", "each variable under a name of its own")
    for name, item in parts.items.items():
        key: Key = ("instrument", "items", name)
        yield from unknown((*key, "scale"), [item.scale], parts.scales)
        yield from unknown((*key, "block"), [item.block], parts.blocks)
        yield from unknown((*key, "asked"), [item.asked], r.samples)
        for variable in r.samples.get(item.asked, {}):
            if variable not in factors:
                yield Mistake((*key, "asked"), f"a sample by {variable!r}",
                              "a sample by factors: who is asked depends on the design")
        if item.recalls:
            yield from unknown((*key, "recalls"), [item.recalls], factors)
            if item.recalls in factors:
                yield from unknown(
                    (*key, "answers"), item.answers.values(), factors[item.recalls].levels)
        if codes := parts.scales[item.scale].labels if item.scale in parts.scales else {}:
            yield from unknown((*key, "passes"), item.passes, codes)
            yield from unknown((*key, "answers"), item.answers, codes)


def _variables(r: Registration) -> Iterator[Mistake]:
    for name, rule in r.instrument.derived.items():
        yield from _derived(r, ("instrument", "derived", name), name, rule)
    yield from unknown(("instrument", "covariates"), r.instrument.covariates, _known(r))


def _derived(r: Registration, key: Key, name: str, rule: Derived) -> Iterator[Mistake]:
    parts = r.instrument
    kept = {n for n, i in parts.items.items() if i.role not in ("consent", "attention", "comment")}
    for source in rule.sources:
        if source not in kept | {*parts.derived}:
            yield from unknown(key, [source], sorted(kept | {*parts.derived}))
        elif name in _behind(r, source):
            yield Mistake(key, f"made from {source!r}, which is made from it", "no circle")
        elif rule.mean or rule.sum or rule.formula or rule.cut:
            scale = r.scale_of(source)
            group = parts.derived[source].groups if scale is None else scale.kind == "nominal"
            if group or (scale and scale.kind == "text"):
                yield Mistake(key, f"{source!r}, which has groups and no numbers", "numbers",
                              "make numbers of it first, with `map` or `yes`")
    scale = r.scale_of(rule.of) if rule.of else None
    if scale is None or not scale.labels or not (rule.map or rule.yes):
        return
    used = [c for codes in rule.map.values() for c in codes] + rule.yes + rule.missing
    yield from unknown(key, used, scale.labels)
    left = [code for code in scale.labels if code not in used]
    if rule.map and left:
        yield Mistake((*key, "map"), f"nothing for {', '.join(map(str, left))}",
                      f"a place for every code of {rule.of!r}",
                      f"add them to `map`, or say `missing: {left}`")


def _behind(r: Registration, name: str, seen: frozenset[str] = frozenset()) -> set[str]:
    """Every variable that a variable is made from, itself included."""
    rule = r.instrument.derived.get(name)
    if rule is None or name in seen:
        return {name}
    return {name}.union(*(_behind(r, source, seen | {name}) for source in rule.sources))


def _design(r: Registration) -> Iterator[Mistake]:
    design, factors = r.design, r.design.factors
    yield from unknown(("design", "vignette", "order"), design.vignette.order, factors)
    for place, rule in enumerate(design.restrictions):
        key: Key = ("design", "restrictions", place)
        for factor, levels in rule.items():
            yield from unknown((*key, factor), [factor], factors)
            if factor in factors:
                yield from unknown((*key, factor), levels, factors[factor].levels)
        if len(rule) == 2 and all(f in factors for f in rule):
            for (one, levels), (other, whole) in permutations(rule.items()):
                if set(whole) == set(factors[other].levels):
                    yield Mistake(key, f"{', '.join(levels)} of {one} excluded by every level of "
                                  f"{other}", "a level that can occur somewhere")


def _samples(r: Registration) -> Iterator[Mistake]:
    factors, parts = r.design.factors, r.instrument
    groups = {name: list(f.levels) for name, f in factors.items()}
    groups |= {name: rule.groups for name, rule in parts.derived.items() if rule.groups}
    groups |= {name: list(parts.scales[i.scale].labels.values())
               for name, i in parts.items.items() if parts.scales[i.scale].kind == "nominal"}
    for name, conditions in r.samples.items():
        for variable, levels in conditions.items():
            yield from unknown(("samples", name, variable), [variable], groups)
            if variable in groups:
                yield from unknown(("samples", name, variable), levels, groups[variable])
    if r.weighting:
        yield from unknown(("weighting", "variables"), r.weighting.variables, _known(r))
    for place, rule in enumerate(r.exclusions):
        if rule.column in r.instrument.derived:
            sources = " and ".join(r.instrument.derived[rule.column].sources)
            yield Mistake(("exclusions", place, "column"), f"{rule.column!r}, which is derived",
                          "an item, or a column of the export",
                          f"say it of {sources}, such as `below` or `above` a number")
        if rule.repeats and r.design.respondent:
            yield Mistake(("exclusions", place), "repeats, where a respondent has several rows",
                          "a rule by another column", "remove repeated respondents from the file")
        scale = r.scale_of(rule.column)
        if scale and scale.labels:
            yield from unknown(("exclusions", place), [*rule.equals, *rule.differs_from],
                               [*scale.labels, *scale.labels.values()])


def _analyses(r: Registration) -> Iterator[Mistake]:
    ids: set[str] = set()
    families = {hypothesis.family for hypothesis in r.hypotheses}
    for kind, analyses in (("hypotheses", r.hypotheses), ("comparisons", r.comparisons)):
        for place, analysis in enumerate(analyses):
            key: Key = (kind, place)
            if analysis.id in ids:
                yield Mistake((*key, "id"), f"the id {analysis.id!r} twice", "each id once")
            ids.add(analysis.id)
            if kind == "comparisons":
                if analysis.family in families:
                    yield Mistake(
                        (*key, "family"), f"{analysis.family!r}, in use already",
                        "a family of its own: what stands in a family is corrected together",
                        "add a family, and name it here")
                families.add(analysis.family)
            yield from _analysis(r, key, analysis)


def _analysis(r: Registration, key: Key, a: Analysis) -> Iterator[Mistake]:
    yield from unknown((*key, "family"), [a.family], r.families)
    yield from unknown((*key, "sample"), [a.sample], r.samples)
    numbers = [n for n in (*r.instrument.items, *r.instrument.derived) if _is_number(r, n)]
    if a.frame == "profiles" and r.design.respondent is None:
        yield Mistake((*key, "frame"), "profiles, and no `design.respondent`",
                      "the column that says whose a profile is")
    for name in a.stack or [a.outcome]:
        yield from unknown((*key, "stack" if a.stack else "outcome"), [name], numbers)
        if name not in numbers:
            return
    # Names and coefficients are tried on answers drawn at random (`ledger.audit.dry_run`).
    left = "response" if a.stack else a.outcome
    if not re.match(rf"\s*{left}\s*~\s*\S", a.model):
        yield Mistake((*key, "model"), repr(a.model), f"a formula such as `{left} ~ factor`")
    if a.weighted and r.weighting is None:
        yield Mistake((*key, "weighted"), "true", "`weighting`, which says what the weights are")
    if a.vcov in ("CR2", "stata") and a.frame == "respondents" and not r.design.clusters:
        yield Mistake((*key, "vcov"), f"{a.vcov}, and nothing that rows are clustered in",
                      "`design.clusters`, or HC2 for respondents who were assigned one by one")
    if a.estimator == "amce" and not r.design.restrictions:
        yield Mistake((*key, "estimator"), "amce, and no `design.restrictions`",
                      "ols: without restrictions it is the same")
    for name, bound in (("sesoi", a.sesoi), ("margin", getattr(a, "margin", None))):
        binary = all(r.is_binary(str(variable)) for variable in a.stack or [a.outcome])
        if isinstance(bound, Bound) and bound.unit == POINTS and not binary:
            yield Mistake((*key, name), f"{POINTS} of {a.outcome or 'items'}",
                          "points or sd: the outcome is not 0 or 1")
    for name, values in a.at.items():
        yield from unknown((*key, "at"), [name], numbers)
        ends = r.ends(name) if name in numbers else None
        for value in values if ends else ():
            if not ends[0] <= value <= ends[1]:
                yield Mistake((*key, "at", name), f"{value:g}",
                              f"a value that {name!r} can have: {ends[0]:g} to {ends[1]:g}")
        if name in numbers and name not in re.findall(r"\w+", a.model):
            yield Mistake((*key, "at"), f"{name!r}, which is not in the model",
                          "a moderator, such as `outcome ~ factor * moderator`")


def _is_number(r: Registration, name: str) -> bool:
    if name in r.instrument.derived:
        return r.instrument.derived[name].numeric
    item, scale = r.instrument.items[name], r.scale_of(name)
    return scale.kind in ("ordinal", "numeric") and item.role not in (  # type: ignore[union-attr]
        "consent", "attention", "comment")


# What editors complete and check by, and files of schema 1 rewritten as 2.


def json_schema(model: type[Model]) -> str:
    """JSON schema of a file, from its model: keys, types, descriptions, examples."""
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    made = head | model.model_json_schema(by_alias=True)
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def write_schema(document: Path, name: str) -> tuple[Path, bool]:
    """Write a schema beside the document, and the line that points editors to it.

    `name` is one of `MODELS`. Returns the schema's path, and whether the document has the line
    now: one that is frozen is not touched.
    """
    path = document.with_name(f"{name}.schema.json")
    write_atomic(path, json_schema(MODELS[name]))
    text, line = document.read_text(encoding="utf-8"), LINE.replace("registration", name)
    if line not in text and not lock_path(document).exists():
        write_atomic(document, line + text)
    return path, line in document.read_text(encoding="utf-8")


def migrate(registration: Path, today: datetime.date) -> bool:
    """Rewrite a registration of schema 1 as schema 2, and amend its lock where it is frozen.

    Comments stay. What is meant is compared before anything is written: both must be equal but
    for the number of the schema. Returns whether the lock was amended.

    Raises
    ------
    LedgerError : a registration that is not of schema 1, or does not fit its lock.
    """
    registration = Path(registration)
    before = load(registration)
    if before.schema_version == SCHEMA:
        raise LedgerError(registration, found=f"schema {SCHEMA}", expected="schema 1",
                          mend="nothing to do")
    frozen = lock_path(registration).exists()
    if frozen:
        check_lock(registration)
    text = rewritten(registration)
    trial = write_atomic(registration.with_name(f".{registration.name}.migrated"), text)
    try:
        after = load(trial)
    finally:
        trial.unlink(missing_ok=True)
    if after.model_copy(update={"schema_version": 1}) != before:
        raise LedgerError(
            registration, found="a rewritten text that means something else",
            expected="the same registration", mend="change `schema: 1` to `schema: 2` by hand, "
            "mend what is then an error, and amend the lock")
    write_atomic(registration, text)
    if frozen:
        amend(
            registration, f"Lifted from schema 1 to schema {SCHEMA} by `claimledger migrate`.",
            "A newer version of the registration's language. No promise changed: both texts were "
            "read and compared, and say the same.", today)
    return frozen


def rewritten(registration: Path) -> str:
    """The text of a registration of schema 1 as one of schema 2, comments kept."""
    text = Path(registration).read_text(encoding="utf-8")
    source = Source.read(registration)
    after, lines = lifted(source.content)["instrument"]["derived"], text.splitlines(keepends=True)
    for name, rule in reversed(after.items()):      # from the end, so that marks before it hold
        if rule.get("missing") and "missing" not in source.content["instrument"]["derived"][name]:
            mark = source.marks["instrument", "derived", name, "map"]
            before, rest = lines[mark.line][:mark.column], lines[mark.line][mark.column:]
            between = ", " if before.strip() else "\n" + before      # in braces, or a line
            lines[mark.line] = f"{before}missing: {rule['missing']}{between}{rest}"
    text = "".join(lines)
    text = re.sub(r"^schema:\s*1\b", f"schema: {SCHEMA}", text, count=1, flags=re.MULTILINE)
    return text if LINE in text else LINE + text
