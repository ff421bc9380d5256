"""Every registered result once more, from the raw file and the registration alone.

A notebook computes and hands over a table; nothing here looks at what made it. Rows, outcome,
design, weights and clusters are rebuilt from the registration and the survey as it is read from the
file, and every column of the table is computed by a path of its own. The notebook's process asks
for this as soon as a table is recorded, so that a difference shows at once; the merge asks for it
again in a process of its own, from the file, and only its answer makes a result `registered`.
"""

import datetime
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from claimledger.errors import LedgerError
from claimledger.ledger.entries import Entry, entry, fact, lower_first
from claimledger.registration.analyses import Analysis, Comparison, Hypothesis
from claimledger.registration.loading import parse
from claimledger.registration.lock import Deviation, Lock
from claimledger.registration.models import Registration
from claimledger.statistics.decision import DIRECTIONS, decide
from claimledger.statistics.estimators import contrasts_of, estimate, model_of, moderator_values
from claimledger.survey.loading import Survey
from claimledger.survey.recoding import STRATUM, UNIT, WEIGHT, recode, sample_rows
from claimledger.survey.weighting import check_margins
from claimledger.yaml_files import Source

TOLERANCE = 1e-8  # absolute, and relative to numbers above one
NUMBERS = ("estimate", "se", "df", "p", "p_adjusted", "low", "high", "p_equivalence", "n")
JOINT = ("statistic", "df1")  # of a joint test also these


@dataclass(frozen=True)
class Test:
    """One registered claim: a contrast of an analysis; direction 0 is a comparison."""

    id: str
    label: str
    analysis: Analysis
    contrast: dict[str, float]
    direction: int


def groups(registration: Registration) -> dict[str, list[Analysis]]:
    """What is decided and recorded together: families of hypotheses, sets of comparisons."""
    found: dict[str, list[Analysis]] = {}
    for hypothesis in registration.hypotheses:
        found.setdefault(hypothesis.family, []).append(hypothesis)
    return found | {comparison.id: [comparison] for comparison in registration.comparisons}


def tests_of(registration: Registration, group: str) -> list[Test]:
    """The claims of a group, in their registered order."""
    known = groups(registration)
    if group not in known:
        raise LedgerError(group, found="no such family of hypotheses or set of comparisons",
                          expected="one of: " + ", ".join(known), mend="correct the name")
    found = []
    for analysis in known[group]:
        if isinstance(analysis, Hypothesis):
            found.append(Test(analysis.id, analysis.estimand, analysis, analysis.contrast,
                              DIRECTIONS[analysis.direction]))
            continue
        for id, contrast in contrasts_of(analysis).items():
            levels = id.removeprefix(f"{analysis.id}.").split(".")
            label = f"{analysis.estimand}: " + " minus ".join(map(registration.label, levels))
            places = [(ending, f", at {registration.label(name)} {value:g}")
                      for name, value, ending in moderator_values(analysis)] or [("", "")]
            found += [Test(id + ending, label + place, analysis, contrast, 0)
                      for ending, place in places]
    return found


@dataclass
class Audit:
    """The registered results of answers: `frame` has a row each, `weigh` gives a weight for each.

    `lock` says what is declared; `source` names the answers in errors.
    """

    registration: Registration
    frame: pd.DataFrame
    weigh: Callable[[], pd.Series]  # asked only for what is registered as weighted
    lock: Lock = field(default_factory=lambda: Lock(
        registration="", sha256="", frozen=datetime.date.min))
    source: str = "answers at random"
    _tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    @classmethod
    def of(cls, registration: Registration, lock: Lock, survey: Survey) -> "Audit":
        """Of a survey, as it was read from its file."""
        return cls(registration, survey.frame, lambda: survey.weights, lock, survey.path.name)

    def table(self, group: str) -> pd.DataFrame:
        """All numbers of a group as registered, one row a claim; a copy.

        Columns: estimate, se, df, n, sd, bound, direction, alpha, p, p_adjusted, equivalence_p,
        p_equivalence (corrected), verdict, and the intervals of `with_intervals`.
        """
        if group not in self._tables:
            self._tables[group] = self._decided(group, {}, {})
        return self._tables[group].copy()

    def as_run(self, group: str, handed: dict[str, dict]) -> pd.DataFrame:
        """The same with the declared deviations.

        `handed` are the numbers that a notebook handed over: of a claim with a deviation that
        cannot be computed here (`other`), its estimate, error and degrees of freedom are taken.
        """
        declared = {a.id: self.deviations(a) for a in groups(self.registration)[group]}
        if not any(declared.values()):
            return self.table(group)
        return self._decided(group, declared, handed)

    def _decided(self, group: str, declared: dict[str, list[Deviation]], handed) -> pd.DataFrame:
        tests = tests_of(self.registration, group)
        family = self.registration.families[tests[0].analysis.family]
        corrections = [one.run for listed in declared.values() for one in listed
                       if one.aspect == "correction"]
        run = {test.id: _ran(test.analysis, declared.get(test.analysis.id, [])) for test in tests}
        parts = [self.estimates(analysis) for analysis in {a.id: a for a in run.values()}.values()]
        table = pd.concat(parts).loc[[test.id for test in tests]]
        for test in tests:
            if any(one.aspect == "other" for one in declared.get(test.analysis.id, [])):
                joint = isinstance(test.analysis, Hypothesis) and test.analysis.joint
                own = ("statistic", "p") if joint else ("estimate", "se")
                for name in (*own, "df", "n"):
                    given = handed[test.id].get(name)
                    table.loc[test.id, name] = np.nan if given is None else float(given)
        bounds = [run[id].bound(sd) for id, sd in table["sd"].items()]
        table["bound"] = np.array(bounds, dtype=float)
        table["direction"] = [test.direction for test in tests]
        return decided(table, family.alpha, [family.correction, *corrections][-1])

    def deviations(self, analysis: Analysis) -> list[Deviation]:
        """What is declared for an analysis."""
        return [one for one in self.lock.deviations if one.analysis == analysis.id]

    def estimates(self, analysis: Analysis) -> pd.DataFrame:
        """Every contrast of an analysis, from the survey's own rows: a row each, by id."""
        rows, given = self.rows(analysis)
        return estimate(analysis, rows, **given)

    def rows(self, analysis: Analysis) -> tuple[pd.DataFrame, dict[str, pd.Series]]:
        """The rows of an analysis, and what else its estimator takes: weights, strata."""
        rows = sample_rows(self.registration, self.frame, analysis.sample)
        given: dict = {"restrictions": self.registration.design.restrictions}
        if analysis.weighted:
            given["weights"] = self.weigh().loc[rows.index]
        for key, name in (("strata", STRATUM), ("clusters", UNIT)):
            if analysis.vcov == "survey" and name in rows:
                given[key] = rows[name]
        return rows, given

    def compare(self, group: str, handed: dict[str, dict], where: str) -> None:
        """Stop where a table that was handed over is not what file and registration give."""
        run = self.as_run(group, handed)
        wrong = {id: names for id, row in run.iterrows()
                 if (names := differences(pd.Series(handed[id]), row))}
        if not wrong:
            return
        id, names = next(iter(wrong.items()))
        analysis = next(t.analysis for t in tests_of(self.registration, group) if t.id == id)
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        ran = "; ".join(f"{d.aspect} {d.run}" for d in self.deviations(analysis))
        both = ("; ".join(f"{name} {_shown(row.get(name))}" for name in names[:3])
                for row in (handed[id], run.loc[id]))
        raise LedgerError(
            f"{where}: {id}, {', '.join(names)}{more}",
            found=f"{next(both)}, handed over by the notebook",
            expected=f"{next(both)}, from {self.source} and the registration: {analysis.model}, "
            f"sample {analysis.sample}, {analysis.vcov}{', weighted' * analysis.weighted}, "
            + self.registration.families[analysis.family].correction
            + (f"; with what is declared instead: {ran}" if ran else ""),
            mend=f"run in the notebook what is {'declared' if ran else 'registered'}, or declare "
            f"what is run: claimledger deviate --analysis {analysis.id}")

    # From tables to entries of the ledger -------------------------------------------------------

    def entries(self, group: str, handed: dict | None = None) -> dict[str, Entry]:
        """The ledger's entries of a group, as run: tests, then pattern or ranks."""
        run, promised = self.as_run(group, handed or {}), self.table(group)
        found, tests = {}, tests_of(self.registration, group)
        for test in tests:
            row, registered = run.loc[test.id], promised.loc[test.id]
            same = not differences(row, registered)
            ran = _ran(test.analysis, self.deviations(test.analysis))
            found[test.id] = entry(
                test.id, test.label, row,
                unit=self.registration.unit(test.analysis.outcome or test.analysis.stack[0]),
                model=ran.model, weighted=ran.weighted, vcov=ran.vcov,
                family=test.analysis.family, status="registered" if same else "deviation",
                deviation=None if same else self._words(test.analysis),
                as_registered=None if same else _numbers(registered),
                amended=self.lock.amended(test.analysis.id))
        analysis = tests[0].analysis
        if tests[0].direction:
            return found | self._pattern(group, found)
        ranked = analysis.pairs == "all" and not moderator_values(analysis)
        return found | (self._ranks(analysis, found) if ranked else {})

    def _words(self, analysis: Analysis) -> str:
        own = self.deviations(analysis)
        if not own:
            return "corrected together with a hypothesis that deviates"
        return "; ".join(f"{d.aspect}: {d.run} instead of {self.registered(analysis, d.aspect)}"
                         for d in own)

    def registered(self, analysis: Analysis, aspect: str) -> str:
        """What is registered of an aspect, in the words of a deviation."""
        if aspect == "correction":
            return self.registration.families[analysis.family].correction
        if aspect == "weights":
            return "weighted" if analysis.weighted else "none"
        return str(getattr(analysis, aspect, None) or "as registered")

    def deviation_rows(self, group: str, found: dict[str, Entry]) -> list[dict]:
        """Rows of the table of deviations: what was registered, what was run, both verdicts."""
        rows = []
        for analysis in groups(self.registration)[group]:
            for d in self.deviations(analysis):
                both = [
                    (one.as_registered["verdict"], one.verdict) for test_id, one in found.items()
                    if one.as_registered and (test_id + ".").startswith(f"{analysis.id}.")
                ] or [(one.verdict,) * 2 for id, one in found.items() if id == analysis.id]
                before, after = (", ".join(dict.fromkeys(v)) for v in zip(*both, strict=True)) \
                    if both else ("", "")
                rows.append({
                    "id": analysis.id, "aspect": d.aspect, "run": d.run,
                    "registered": self.registered(analysis, d.aspect), "reason": d.reason,
                    "when": d.when, "impact": d.impact, "verdict_registered": before,
                    "verdict_run": after, "recomputed": d.aspect != "other",
                })
        return rows

    def _pattern(self, group: str, found: dict[str, Entry]) -> dict[str, Entry]:
        number = sum(one.verdict == "supported" for one in found.values())
        deviates = any(one.status == "deviation" for one in found.values())
        return {f"{group}.pattern": fact(
            f"{group}.pattern", number, f"Hypotheses of {group} that are supported", unit="count",
            status="deviation" if deviates else "registered", decision="pattern",
            verdict={0: "none", len(found): "all"}.get(number, "some"),
        )}

    def _ranks(self, c: Comparison, found: dict[str, Entry]) -> dict[str, Entry]:
        """Who is first and last, and whether that is clear: ahead of the next after correction."""
        name = self.registration.label
        terms = {level: {c.term.format(level=level): 1.0} for level in c.levels}
        rows, given = self.rows(c)
        place = model_of(c, rows, **given).contrasts(terms)["estimate"].to_dict()
        order, ranks = sorted(c.levels, key=lambda level: -place[level]), {}
        for end, (one, other) in {"top": order[:2], "bottom": order[::-1][:2]}.items():
            pair = found.get(f"{c.id}.{one}.{other}") or found[f"{c.id}.{other}.{one}"]
            ranks[f"{c.id}.{end}"] = fact(
                f"{c.id}.{end}", place[one],
                f"{'Highest' if end == 'top' else 'Lowest'} of {c.id}", status=pair.status,
                decision="rank", verdict="clear" if pair.verdict in ("higher", "lower") else "tied",
                text={"name": lower_first(name(one)), "second": lower_first(name(other))})
        return ranks


def _ran(analysis: Analysis, deviations: list[Deviation]) -> Analysis:
    """The analysis as it is run, as far as what is declared can be computed here."""
    for one in deviations:
        change: dict = {one.aspect: one.run}
        if one.aspect in ("correction", "other"):
            continue
        if one.aspect == "outcome":
            change["model"] = f"{one.run} ~{analysis.model.split('~', 1)[1]}"
        elif one.aspect == "weights":
            change = {"weighted": one.run == "weighted"}
        elif one.aspect == "sesoi":
            try:
                change = {"sesoi": float(one.run)}
            except ValueError:
                raise LedgerError(
                    f"deviation of {analysis.id}, sesoi", found=one.run,
                    expected="a number of SD", mend="correct it in a new deviation") from None
        analysis = analysis.model_copy(update=change)
    return analysis


def dry_run(path: Path) -> None:
    """Every registered analysis on answers drawn at random, so that no promise is empty.

    Arms are drawn with their probabilities and answers evenly over their scales. LedgerError with
    file, line and id where an analysis cannot be computed even then.
    """
    source = Source.read(path)
    registration = parse(source)
    audit = rehearsal(registration)
    places = [(kind, place, analysis) for kind in ("hypotheses", "comparisons")
              for place, analysis in enumerate(getattr(registration, kind))]
    for group, members in groups(registration).items():
        own = [one for one in places if any(one[2] is a for a in members)]
        try:  # decided and written down, as a notebook will
            _tried(source, *own[0], lambda g=group: audit.entries(g))
        except LedgerError:
            for one in own:  # which of them it is
                _tried(source, *one, lambda a=one[2]: audit.estimates(a))
            raise
    check_margins(registration, audit.frame, Path(path).parent)


def rehearsal(registration: Registration) -> Audit:
    """The audit of answers drawn at random, without deviations."""
    frame = recode(_random_answers(registration), registration)
    return Audit(registration, frame,
                 lambda: frame.get(WEIGHT, pd.Series(1.0, index=frame.index)))


def _tried(source: Source, kind: str, place: int, analysis: Analysis, run: Callable) -> None:
    """Run it; what fails is told with the line of the key that asks for it.

    Any exception counts: what statsmodels or patsy cannot do fails before the promise, not after.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
        return
    except LedgerError as error:
        told = error
    except Exception as error:
        told = LedgerError(
            analysis.id, found=f"{type(error).__name__}: {error or 'no message'}", expected="",
            mend="simplify the model, or register another estimator, vcov or rule for covariates")
    key = "model"
    if "coefficient" in told.found or "main effect" in told.found:
        key = "term" if kind == "comparisons" else "joint" if analysis.joint else "contrast"
    where = source.where((kind, place, key))
    raise LedgerError(
        where if analysis.id in where else f"{where} ({analysis.id})", found=told.found,
        expected=told.expected or "an analysis that can be computed on answers drawn at random",
        mend=told.mend or "correct it before the registration is frozen") from None


def _random_answers(registration: Registration) -> pd.DataFrame:
    """Codes as they are read from an export, drawn at random; restricted arms never together."""
    rng, design, respondents = np.random.default_rng(1), registration.design, 600
    n = respondents * (design.rows if design.respondent else 1)
    drawn: dict[str, object] = {}
    if design.respondent:
        drawn[design.respondent] = np.repeat(np.arange(respondents), n // respondents).astype(str)
    whole: dict[str, np.ndarray] = {}
    allowed = np.zeros(n, dtype=bool)
    while not allowed.all():  # draw again what restrictions exclude
        for name, factor in design.factors.items():
            levels = list(factor.levels)
            again = rng.choice(levels, n, p=[one.probability for one in factor.levels.values()])
            whole[name] = np.where(allowed, whole.get(name, again), again)
        allowed = ~np.any([np.zeros(n, dtype=bool)] + [
            np.all([np.isin(whole[f], levels) for f, levels in rule.items()], axis=0)
            for rule in design.restrictions], axis=0)
    drawn |= whole
    for name, item in registration.instrument.items.items():
        scale = registration.instrument.scales[item.scale]
        if scale.labels:
            drawn[name] = rng.choice(list(scale.labels), n).astype(float)
        elif scale.kind == "numeric":
            low = scale.minimum or 0
            high = low + 100 if scale.maximum is None else scale.maximum
            drawn[name] = np.floor(rng.uniform(low, high + 1, n)).clip(low, high)
    weighting = registration.weighting
    columns = {design.blocks: 8, design.clusters: 60}
    if weighting:
        columns |= {weighting.strata: 5, weighting.clusters: 60}
        drawn |= {weighting.column: rng.uniform(0.5, 2, n)} if weighting.column else {}
    for name, number in columns.items():
        if name and name not in drawn:
            drawn[name] = rng.integers(0, number, n).astype(str)
    answers = pd.DataFrame(drawn)
    if design.clusters:  # assigned whole, each in one block
        same = [*design.factors] * (design.respondent is None) + [design.blocks] * bool(
            design.blocks)
        answers[same] = answers.groupby(design.clusters)[same].transform("first")
    if weighting and weighting.strata and weighting.clusters:  # nested
        units = answers.groupby(weighting.clusters)
        answers[weighting.strata] = units[weighting.strata].transform("first")
    if any(a.missing != "complete" for a in (*registration.hypotheses, *registration.comparisons)):
        for name in registration.instrument.covariates:  # so that the rule has something to do
            if name in answers:
                answers[name] = answers[name].mask(rng.uniform(size=n) < 0.03)
    return answers


def decided(table: pd.DataFrame, alpha: float, correction: str) -> pd.DataFrame:
    """A table of estimates with tests, intervals and verdicts added; the family is its rows.

    A joint test (a row with `df1`) has its own p value and no estimate, hence no interval.
    """
    t, (estimate, se, df) = table.copy(), table[["estimate", "se", "df"]].to_numpy(float).T
    bound, direction = t["bound"].to_numpy(float), t["direction"].to_numpy()
    joint = t["df1"].notna().to_numpy() if "df1" in t else np.zeros(len(t), dtype=bool)
    p = np.where(joint, t["p"].to_numpy(float), np.nan) if joint.any() else None
    found = decide(np.where(joint, 0.0, estimate), np.where(joint, 1.0, se), df, bound, direction,
                   alpha, correction, p=p)
    t["alpha"], t["p"], t["p_adjusted"] = alpha, found.p, found.p_adjusted
    t["equivalence_p"], t["p_equivalence"] = found.tost_p, found.tost_p_adjusted
    t["verdict"] = found.names
    return with_intervals(t, alpha)


def with_intervals(table: pd.DataFrame, alpha: float) -> pd.DataFrame:
    """Intervals of each estimate by itself, and at the level of its corrected test.

    A correction multiplies p, so that it tests an estimate at alpha times p over corrected p: at
    that level an interval excludes zero (or lies within the bound) exactly where the corrected p is
    below alpha. It shows the test's outcome; the intervals do not cover jointly. Where the
    corrected p has reached one, the level is that of Bonferroni.
    """
    t, (estimate, se, df) = table.copy(), table[["estimate", "se", "df"]].to_numpy(float).T

    def step(p: str, adjusted: str) -> np.ndarray:
        ratio = (t[p] / t[adjusted]).astype(float)
        return ratio.where(t[adjusted].between(0, 1, inclusive="neither"), 1 / len(t)).to_numpy()

    for name, share in {"": alpha / 2, "narrow_": alpha,
                        "corrected_": step("p", "p_adjusted") * alpha / 2,
                        "inner_": step("equivalence_p", "p_equivalence") * alpha}.items():
        half = special.stdtrit(df, 1 - np.broadcast_to(share, len(t))) * se
        t[f"{name}low"], t[f"{name}high"] = estimate - half, estimate + half
    return t


def differences(handed: pd.Series, found: pd.Series) -> list[str]:
    """Columns in which two rows of tables do not agree."""
    wrong = []
    for name in (*NUMBERS, *(JOINT if pd.notna(found.get("df1")) else ())):
        a, b = handed.get(name), found.get(name)
        if name == "p_equivalence" and pd.isna(found.get("bound")):
            continue
        if pd.isna(b) and (a is None or pd.isna(a)):  # what a joint test does not have
            continue
        try:
            near = a == b or abs(float(a) - float(b)) <= TOLERANCE * max(1.0, abs(float(b)))
        except (TypeError, ValueError):
            near = False
        if not near:
            wrong.append(name)
    return wrong + (["verdict"] if handed.get("verdict") != found["verdict"] else [])


def _shown(value: object) -> str:
    return value if isinstance(value, str) else "nothing" if value is None else f"{value:.10g}"


def _numbers(row: pd.Series) -> dict:
    """What an entry with a deviation keeps of the result as registered."""
    kept = {name: float(row[name]) for name in ("se", "df", "p", "p_adjusted", "p_equivalence")
            if isfinite(row[name])}
    kept |= {"n": int(row["n"]), "verdict": row["verdict"]}
    if isfinite(row["low"]):
        return kept | {"value": float(row["estimate"]),
                       "ci": [float(row["low"]), float(row["high"])]}
    return kept | {"value": float(row["statistic"])}
