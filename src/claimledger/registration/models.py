"""What a registration may say: a survey experiment as typed data.

Every model refuses unknown keys, so that a typing mistake is an error and not a silent default.
Descriptions of the keys are written here once: the reference in `docs/` and the JSON schema that
editors read are made from them.
"""

import ast
import operator
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from claimledger.registration.analyses import (
    POINTS,
    Code,
    Comparison,
    Family,
    Hypothesis,
    Identifier,
    Mark,
    Probability,
    Robustness,
    marked,
)
from claimledger.yaml_files import Model, about

SCHEMA = 2      # what is written; files of schema 1 are read and lifted


class Person(Model):
    """An author of the study, not of the edition."""

    name: str = about("Name as it is printed.", "Ada Example")
    affiliation: str = about("University or institute.", "Example University", default="")


class Study(Model):
    """What is studied, by whom, and with how many."""

    title: str = about("Title of the study.", "Do street trees need neighbors?")
    short: Identifier = about("A short name for files.", "street_trees")
    authors: list[Person] = about("Who did the study.", [{"name": "Ada Example"}])
    citation: str = about("Key of the study in `references.bib`.", "example2025trees", default="")
    question: str = about("The question in a sentence.", "Do people water trees that others water?")
    population: str = about("Whom the sample stands for.", "Adults in the United States")
    size: Annotated[int, Field(gt=0, le=10_000_000)] = about(
        "Respondents who are to remain after all exclusions.", 1500)
    public: list[str] = about("What of it can be read in public.", default=[])
    assumed: list[str] = about("What this edition assumes.", default=[])


class Level(Model):
    """One level of a factor: its label in tables, and its sentence in the vignette."""

    label: str = about("Label in tables; also what the export may say.", "Letter naming neighbors")
    text: str = about("What respondents read; empty where the label is shown.",
                      "Many of your neighbors already water theirs.", default="")
    probability: Probability | None = about(
        "Chance of being assigned; where no level has one, all are equal.", 0.5, default=None)
    mark: Mark = marked("`public` where taken from a public source.")


class Factor(Model):
    """A randomized factor; its first level is the reference."""

    label: str = about("Label in tables and figures.", "Letter")
    mark: Mark = marked("`public` where taken from a public source.")
    levels: Annotated[dict[Identifier, Level], Field(min_length=2)] = about(
        "The levels by their ids; the first is what the others are compared with.",
        {"plain": {"label": "Plain letter"}, "neighbors": {"label": "Letter naming neighbors"}})
    columns: dict[Identifier, str] = about(
        "Where the export holds the arms in columns of their own: level id to the column that is "
        "filled (or 1, or true) for those in that arm. One level may be left out: it is given to "
        "those with none.", {"neighbors": "FL_12_DO_neighbors"}, default={})

    @model_validator(mode="after")
    def _chances(self) -> "Factor":
        given = [x.probability for x in self.levels.values() if x.probability is not None]
        if not given:      # equal chances, written out, so that nobody has to ask again
            equal = 1 / len(self.levels)
            levels = {k: x.model_copy(update={"probability": equal})
                      for k, x in self.levels.items()}
            object.__setattr__(self, "levels", levels)
        elif len(given) < len(self.levels):
            raise ValueError("a probability for each level, or for none")
        elif abs(sum(given) - 1) > 1e-9:
            raise ValueError(f"the probabilities of the levels sum to {sum(given):g}, not to 1")
        if absent := set(self.columns) - set(self.levels):
            raise ValueError("columns names a level that the factor does not have: "
                             + ", ".join(sorted(absent)))
        if self.columns and len(self.levels) - len(self.columns) > 1:
            raise ValueError("columns may leave out one level only")
        return self

    @property
    def reference(self) -> str:
        """The level that the others are compared with."""
        return next(iter(self.levels))


class Vignette(Model):
    """The text around the factors' sentences, and the order of the latter."""

    opening: str = about("Before the factors' sentences.", "Please read this letter.", default="")
    order: list[Identifier] = about("Factors in the order of their sentences.", ["letter"],
                                    default=[])
    closing: str = about("After them.", "We will now ask what you think.", default="")


class Design(Model):
    """What was randomized, to whom, and how.

    Factors are assigned independently of each other, but for `restrictions`. Without `respondent`
    each row of the export is a respondent.
    """

    factors: dict[Identifier, Factor] = about("The randomized factors by their ids.")
    vignette: Vignette = about("The text that respondents read.", default=Vignette())
    respondent: str | None = about(
        "Column that says whose a row is, where each respondent rates several profiles, one a "
        "row.", "ResponseId", default=None)
    tasks: Annotated[int, Field(gt=0, le=100)] | None = about(
        "How many choices (or ratings) each respondent makes; needs `respondent`.", 5, default=None)
    profiles: Annotated[int, Field(gt=0, le=20)] | None = about(
        "How many profiles are shown side by side in each task; needs `respondent`.", 2,
        default=None)
    restrictions: list[Annotated[dict[Identifier, list[Identifier]], Field(min_length=2)]] = about(
        "Combinations of levels that cannot occur. Each entry names levels of two or more "
        "factors: no profile has one of each.",
        [{"education": ["none", "primary"], "job": ["doctor", "teacher"]}], default=[])
    blocks: str | None = about(
        "Variable within whose groups arms were assigned: an item, a derived variable, or a "
        "column of the export. Rows get it as `block`; the randomization test stays within it.",
        "region", default=None)
    clusters: str | None = about(
        "Variable whose groups were assigned whole: an item, a derived variable, or a column of "
        "the export. Rows get it as `cluster`; CR2 errors and the randomization test know it.",
        "classroom", default=None)

    @model_validator(mode="after")
    def _several(self) -> "Design":
        for name in ("tasks", "profiles"):
            if getattr(self, name) and self.respondent is None:
                raise ValueError(f"`{name}` needs `respondent`: the column with whose a row is")
        if {self.blocks, self.clusters} & self.factors.keys():
            raise ValueError("`blocks` and `clusters`: what arms were assigned within, not an arm")
        if self.clusters and self.clusters in (self.blocks, self.respondent):
            raise ValueError("clusters of their own: blocks or respondents are another thing")
        return self

    @property
    def rows(self) -> int:
        """Rows of a respondent who answered everything."""
        return (self.tasks or 1) * (self.profiles or 1)


class Scale(Model):
    """The answers an item allows: labeled codes, a range of numbers, or text."""

    kind: Literal["ordinal", "nominal", "numeric", "text"] = about(
        "`ordinal` codes are numbers in an analysis, `nominal` ones are groups.", "ordinal")
    labels: dict[Code, str] = about("Code to label.", {1: "Oppose", 2: "Support"}, default={})
    minimum: float | None = about("Lowest number, of a numeric scale.", 18, default=None)
    maximum: float | None = about("Highest number, of a numeric scale.", 110, default=None)

    @model_validator(mode="after")
    def _complete(self) -> "Scale":
        if (self.kind in ("ordinal", "nominal")) != bool(self.labels):
            raise ValueError("ordinal and nominal scales have labels, other scales none")
        return self


class Item(Model):
    """One question."""

    wording: str = about("The question as asked.", "How willing would you be to water the tree?")
    label: str = about("Label in tables.", "Willingness to water")
    scale: Identifier = about("One of `instrument.scales`.", "willing")
    block: Identifier = about("One of `instrument.blocks`.", "outcome")
    role: Literal["consent", "attention", "background", "outcome", "recall", "comment"] = about(
        "What it is for. Background items are asked before the treatment; comments stay out of "
        "every analysis.", "outcome")
    asked: Identifier = about("The sample that sees it.", "all", default="all")
    reverse: bool = about("Whether its codes are turned around before the analysis.", default=False)
    recalls: Identifier | None = about("Factor whose level is the right answer.", default=None)
    answers: dict[Code, str] = about("Code to the level that it recalls.", default={})
    passes: list[Code] = about("Codes that pass an attention check.", default=[])
    mark: Mark = marked("`public` where the wording is taken from a public source.")


class Derived(Model):
    """A variable made from items or from other derived variables, by exactly one rule."""

    label: str = about("Label in tables.", "Supports the measure")
    of: Identifier | None = about("What `map`, `yes` and `cut` are made from.", "support",
                                  default=None)
    mean: list[Identifier] = about("Mean of these; missing where one of them is.",
                                   ["trust", "warmth"], default=[])
    sum: list[Identifier] = about("Sum of these; missing where one of them is.",
                                  ["knows_a", "knows_b"], default=[])
    yes: list[Code] = about("Codes that count as 1; all others as 0. Effects are then in "
                           "percentage points.", [4, 5], default=[])
    map: dict[float | str, list[Code]] = about(
        "Group, or number, to the codes that belong to it. Numbers make a number; with 0 and 1 "
        "alone, effects are in percentage points.", {"Left": [1, 2], "Right": [4, 5]}, default={})
    missing: list[Code] = about("Codes that `map` and `yes` leave missing, on purpose.", [9],
                               default=[])
    cut: dict[str, float] = about("Group to the lowest number that belongs to it.",
                                  {"Under 30": 0, "30 and over": 30}, default={})
    formula: str | None = about(
        "Arithmetic on variables: + - * /, parentheses, comparisons (1 or 0).",
        "2025 - birth_year", default=None)

    @model_validator(mode="after")
    def _one_rule(self) -> "Derived":
        rules = [self.mean, self.sum, self.map, self.yes, self.cut, self.formula]
        if sum(map(bool, rules)) != 1:
            raise ValueError("exactly one of mean, sum, map, yes, cut, formula")
        if (self.of is None) == bool(self.map or self.yes or self.cut):
            raise ValueError("`of`, the variable it is made from, with map, yes and cut only")
        if self.missing and not (self.map or self.yes):
            raise ValueError("`missing` with map and yes only")
        kinds = {isinstance(key, str) for key in self.map}
        if len(kinds) > 1:
            raise ValueError("a map to numbers, or to groups, not to both")
        codes = [code for listed in [*self.map.values(), self.missing] for code in listed]
        if len(codes) > len(set(codes)):
            raise ValueError("each code once")
        if list(self.cut.values()) != sorted(set(self.cut.values())):
            raise ValueError("lowest numbers that rise from group to group")
        if self.formula:
            names_in(self.formula)
        return self

    @property
    def sources(self) -> list[str]:
        """The variables that it is made from."""
        if self.formula:
            return names_in(self.formula)
        return [*self.mean, *self.sum, *([self.of] if self.of else [])]

    @property
    def groups(self) -> list[str]:
        """Labels of its groups, in order; none for a number."""
        return [k for k in self.map if isinstance(k, str)] or list(self.cut)

    @property
    def numeric(self) -> bool:
        """Whether it is a number, not a group."""
        return not self.groups

    def rule(self) -> str:
        """The rule in words, for codebooks."""
        for name in ("mean", "sum"):
            if getattr(self, name):
                return f"{name} of " + ", ".join(getattr(self, name))
        if self.formula:
            return self.formula
        if self.yes:
            return f"1 where {self.of} is {' or '.join(map(str, self.yes))}, else 0"
        if self.groups:
            return f"groups of {self.of}: " + "; ".join(self.groups)
        return f"numbers for {self.of}: " + "; ".join(
            f"{', '.join(map(str, codes))} to {number:g}" for number, codes in self.map.items())


class Instrument(Model):
    """Scales, blocks in their order, items, and the variables derived from them."""

    scales: dict[Identifier, Scale] = about("Answer scales by their ids.")
    blocks: dict[Identifier, str] = about("Blocks of the questionnaire, in order: id to title.")
    items: dict[Identifier, Item] = about("Questions by their ids.")
    derived: dict[Identifier, Derived] = about("Variables made from others.", default={})
    covariates: list[Identifier] = about(
        "Background variables for balance tests and covariate adjustment.", ["age"], default=[])


class Exclusion(Model):
    """Rows that are dropped: those that the rule matches, or those after the first of a key."""

    id: Identifier = about("Its id.", "speed")
    label: str = about("What it is, in the flow of respondents.", "Finished in under two minutes")
    column: str = about("Item, or column of the export.", "Duration (in seconds)")
    equals: list[str | int] = about("Drop rows with one of these.", ["Survey Preview"], default=[])
    differs_from: list[str | int] = about("Drop rows with none of these.", [1], default=[])
    below: float | None = about("Drop rows with a smaller number.", 120, default=None)
    above: float | None = about("Drop rows with a larger number.", 7200, default=None)
    repeats: bool = about("Drop rows whose key stood in an earlier one.", default=False)

    @model_validator(mode="after")
    def _one_rule(self) -> "Exclusion":
        if bool(self.equals) + bool(self.differs_from) + self.by_number + self.repeats != 1:
            raise ValueError("exactly one of equals, differs_from, below (or above), repeats")
        return self

    @property
    def by_number(self) -> bool:
        """Whether numbers outside a range are dropped."""
        return self.below is not None or self.above is not None


class Weighting(Model):
    """Weights: raked to population margins, or those that come with the answers.

    Standard errors `survey` are linearized (Taylor), with replacement: a finite population is left
    out, which makes them slightly too large.
    """

    margins: str | None = about("CSV with columns variable, category, percent.",
                                "data/population-margins.csv", default=None)
    variables: list[Identifier] = about("Variables that are raked.", ["age_group"], default=[])
    trim: Annotated[float, Field(gt=1)] | None = about(
        "Largest weight, in multiples of the mean.", 5, default=None)
    column: str | None = about("Column of the export that holds the weights.", "weight",
                               default=None)
    strata: str | None = about("Column with the strata of the sample's design.", "stratum",
                               default=None)
    clusters: str | None = about("Column with its primary sampling units.", "psu", default=None)
    note: str = about("What the weights stand for, and what not.", default="")

    @model_validator(mode="after")
    def _one_rule(self) -> "Weighting":
        own, some = self.column is not None, self.margins or self.variables or self.trim
        raked = self.margins is not None and bool(self.variables)
        if (own and some) or not (own or raked or self.strata or self.clusters):
            raise ValueError("either column, or margins with variables")
        if self.strata and self.strata == self.clusters:
            raise ValueError("`clusters`: sampling units, several in each of the `strata`")
        return self


class Registration(Model):
    """The whole registration."""

    schema_version: Annotated[Literal[1, 2], Field(alias="schema")] = Field(
        alias="schema", description="Version of this language; files of schema 1 are read too.",
        examples=[SCHEMA])
    study: Study = about("What is studied, by whom, and with how many.")
    design: Design = about("What was randomized.")
    instrument: Instrument = about("What was asked.")
    exclusions: list[Exclusion] = about("Rows that are dropped, in this order.", default=[])
    samples: dict[Identifier, dict[Identifier, list[str]]] = about(
        "Samples by their names: factor (or variable in groups) to the levels that belong to it.",
        {"all": {}, "treated": {"letter": ["neighbors"]}}, default={"all": {}})
    weighting: Weighting | None = about("The registered weights.", default=None)
    families: dict[Identifier, Family] = about("Families of tests by their ids.")
    hypotheses: list[Hypothesis] = about("The claims.", default=[])
    comparisons: list[Comparison] = about("Sets of further contrasts.", default=[])
    robustness: dict[Identifier, Robustness] = about(
        "The dimensions of the specification curve.", default={})

    def hypothesis(self, id: str) -> Hypothesis:
        """The hypothesis of that name."""
        return next(h for h in self.hypotheses if h.id == id)

    def comparison(self, id: str) -> Comparison:
        """The comparison of that name."""
        return next(c for c in self.comparisons if c.id == id)

    def label(self, variable: str) -> str:
        """The label of a factor, an item, a derived variable or a level."""
        for known in (self.design.factors, self.instrument.items, self.instrument.derived):
            if variable in known:
                return known[variable].label
        for factor in self.design.factors.values():
            if variable in factor.levels:
                return factor.levels[variable].label
        return variable

    def scale_of(self, variable: str) -> Scale | None:
        """The scale of an item; None of anything else."""
        item = self.instrument.items.get(variable)
        return self.instrument.scales[item.scale] if item else None

    def values(self, variable: str) -> list[float] | None:
        """The numbers that a variable can be, rising; None where they are not a list."""
        derived, scale = self.instrument.derived.get(variable), self.scale_of(variable)
        if derived is None:
            ordinal = scale is not None and scale.kind == "ordinal"
            return sorted(map(float, scale.labels)) if ordinal else None
        if derived.yes:
            return [0.0, 1.0]
        if derived.map and derived.numeric:
            return sorted(float(number) for number in derived.map)
        return None

    def is_binary(self, variable: str) -> bool:
        """Whether a variable is 0 or 1, so that effects are differences of shares."""
        derived = self.instrument.derived.get(variable)
        if derived and derived.formula and any(c in derived.formula for c in "<>=") \
                and not any(c in derived.formula for c in "+-*/"):
            return True
        return self.values(variable) == [0.0, 1.0]

    def ends(self, variable: str) -> tuple[float, float] | None:
        """Lowest and highest value that a variable can have; None where that is not known."""
        derived, scale = self.instrument.derived.get(variable), self.scale_of(variable)
        if derived and (derived.mean or derived.sum):
            ends = [self.ends(name) for name in derived.sources]
            if None in ends:
                return None
            lows, highs = zip(*ends, strict=True)  # type: ignore[misc]
            if derived.mean:
                return sum(lows) / len(lows), sum(highs) / len(highs)
            return sum(lows), sum(highs)
        if derived and derived.cut:
            return None
        if scale and scale.kind == "numeric" and None not in (scale.minimum, scale.maximum):
            return scale.minimum, scale.maximum  # type: ignore[return-value]
        values = self.values(variable)
        return (values[0], values[-1]) if values else None

    def unit(self, variable: str) -> str:
        """The unit of an outcome: percentage points, or points between the ends of its scale."""
        if self.is_binary(variable):
            return POINTS
        ends = self.ends(variable)
        return f"points, {ends[0]:g} to {ends[1]:g}" if ends else ""

    def analyses(self) -> Iterator[Hypothesis | Comparison]:
        """Hypotheses, then comparisons."""
        yield from self.hypotheses
        yield from self.comparisons


# Arithmetic of derived variables: names, numbers, + - * /, parentheses, and comparisons (1 or 0).

_BINARY = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
           ast.Div: operator.truediv}
_COMPARISON = {ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt,
               ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge}


def names_in(formula: str) -> list[str]:
    """The variables of a formula, in order; ValueError (in words) where it cannot be read."""
    try:
        tree = ast.parse(formula, mode="eval").body
        found = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        names = [node.id for node in sorted(found, key=lambda node: node.col_offset)]
        _value(tree, dict.fromkeys(names, np.ones(1)))
    except (SyntaxError, RecursionError, MemoryError):
        raise ValueError("arithmetic such as `2025 - birth_year`") from None
    if not names:
        raise ValueError("arithmetic that names a variable")
    return list(dict.fromkeys(names))


def evaluate(formula: str, variables: Mapping[str, np.ndarray]) -> np.ndarray:
    """The formula on arrays (n,) of floats: missing where a variable is, or where 0 divides."""
    with np.errstate(divide="ignore", invalid="ignore"):
        result = np.asarray(_value(ast.parse(formula, mode="eval").body, variables), dtype=float)
    gone = ~np.isfinite(result)
    for name in names_in(formula):
        gone |= np.isnan(variables[name])
    return np.where(gone, np.nan, result)


def _value(node: ast.AST, variables: Mapping[str, np.ndarray]):
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return float(node.value)
    if isinstance(node, ast.Name):
        return variables[node.id]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, variables)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left, variables), _value(node.right, variables)
        return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARISON:
        left, right = _value(node.left, variables), _value(node.comparators[0], variables)
        return np.asarray(_COMPARISON[type(node.ops[0])](left, right), dtype=float)
    raise ValueError("only variables, numbers, + - * /, parentheses and one comparison at a time")
