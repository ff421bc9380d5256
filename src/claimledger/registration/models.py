"""What a registration may say: the study as typed data.

Every model refuses unknown keys, so that a typing mistake is an error and not a silent default.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Mark = Literal["public", "assumed"]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
EntryId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]*$")]
Probability = Annotated[float, Field(gt=0, le=1)]


class Model(BaseModel):
    """The common rules: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Person(Model):
    """An author of the study, not of the edition."""

    name: str
    affiliation: str = ""


class Study(Model):
    """What is studied, and what of it can be read in public."""

    title: str
    short: Identifier
    authors: list[Person]
    citation: str
    question: str
    population: str
    size: Annotated[int, Field(gt=0)]
    public: list[str]
    assumed: list[str]


class Level(Model):
    """One level of a factor: its label in tables, and its sentence in the vignette."""

    label: str
    text: str
    probability: Probability
    mark: Mark


class Factor(Model):
    """A randomised factor; its first level is the reference."""

    label: str
    mark: Mark
    levels: dict[Identifier, Level]

    @model_validator(mode="after")
    def _sums_to_one(self) -> "Factor":
        total = sum(level.probability for level in self.levels.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the probabilities of the levels sum to {total:g}, not to 1")
        return self

    @property
    def reference(self) -> str:
        """The level that the others are compared with."""
        return next(iter(self.levels))


class Vignette(Model):
    """The text around the factors' sentences, and the order of the latter."""

    opening: str
    order: list[Identifier]
    closing: str


class Design(Model):
    """Factors assigned independently of each other.

    `respondent` names the column that says whose a row is, where each respondent rates several
    profiles, one a row; without it each row is a respondent.
    """

    factors: dict[Identifier, Factor]
    vignette: Vignette
    respondent: str | None = None


class Scale(Model):
    """The answers an item allows: labelled codes, a range of numbers, or text."""

    kind: Literal["ordinal", "nominal", "numeric", "text"]
    labels: dict[int, str] = {}
    minimum: float | None = None
    maximum: float | None = None


class Item(Model):
    """One question.

    `asked` names the sample that sees it; `recalls` names the factor whose level is the right
    answer, with `answers` mapping each code to a level; `passes` lists the codes that pass a check.
    """

    wording: str
    label: str
    scale: Identifier
    block: Identifier
    role: Literal["consent", "attention", "background", "outcome", "recall", "comment"]
    asked: Identifier = "all"
    reverse: bool = False
    recalls: Identifier | None = None
    answers: dict[int, str] = {}
    passes: list[int] = []
    mark: Mark = "assumed"


class Derived(Model):
    """A variable made from others: a mean of items, a map of codes, or a cut of a number."""

    label: str
    mean: list[Identifier] = []
    of: Identifier | None = None
    map: dict[str, list[int]] = {}
    cut: dict[str, float] = Field({}, description="label: lowest value that belongs to it")

    @model_validator(mode="after")
    def _one_rule(self) -> "Derived":
        if bool(self.mean) + bool(self.map) + bool(self.cut) != 1:
            raise ValueError("give exactly one of mean, map, cut")
        if not self.mean and self.of is None:
            raise ValueError("map and cut need `of`: the item they are made from")
        return self


class Instrument(Model):
    """Scales, blocks in their order, items, and the variables derived from them."""

    scales: dict[Identifier, Scale]
    blocks: dict[Identifier, str]
    items: dict[Identifier, Item]
    derived: dict[Identifier, Derived]
    covariates: list[Identifier]


class Exclusion(Model):
    """Rows that are dropped: those that the rule matches, or those after the first of a key."""

    id: Identifier
    label: str
    column: str
    equals: list[str | int] = []
    differs_from: list[str | int] = []
    below: float | None = None
    repeats: bool = False

    @model_validator(mode="after")
    def _one_rule(self) -> "Exclusion":
        rules = bool(self.equals) + bool(self.differs_from) + (self.below is not None)
        if rules + self.repeats != 1:
            raise ValueError("give exactly one of equals, differs_from, below, repeats")
        return self


class Weighting(Model):
    """Raking: which variables meet which margins, and where weights are trimmed.

    Or, for weights that come with the answers, the `column` that holds them.
    """

    margins: str | None = None
    variables: list[Identifier] = []
    trim: Annotated[float, Field(gt=1)] | None = None
    column: str | None = None
    note: str

    @model_validator(mode="after")
    def _one_rule(self) -> "Weighting":
        if (self.column is None) != (self.margins is not None and self.trim is not None):
            raise ValueError("give either column, or margins with variables and trim")
        return self


class Family(Model):
    """Tests whose error rate is controlled together."""

    label: str
    correction: Literal["holm", "none"]
    alpha: Annotated[float, Field(gt=0, lt=1)]


class Analysis(Model):
    """What hypotheses and comparisons share: the model that is fitted and where.

    `frame` is `respondents` (one row each), `profiles` (one row for each profile that a respondent
    rated) or `stacked` (one row for each respondent and item of `stack`, with columns `item` and
    `response`). `weighted` says whether the registered weights are used.
    """

    id: EntryId
    estimand: str
    outcome: Identifier | None = None
    stack: list[Identifier] = []
    frame: Literal["respondents", "profiles", "stacked"]
    sample: Identifier
    model: str
    vcov: Literal["HC2", "HC3", "CR2", "stata", "survey"]
    weighted: bool = False
    family: Identifier
    sesoi: Annotated[float, Field(gt=0, description="in SD of the analysed outcome")]
    role: Literal["primary", "secondary"]


class Hypothesis(Analysis):
    """A directional claim about one contrast of a model's coefficients."""

    statement: str
    contrast: dict[str, float]
    direction: Literal["positive", "negative"]
    criterion: dict[Literal["supported", "refuted", "negligible", "undecided"], str]
    mark: Mark


class Comparison(Analysis):
    """A set of two-sided contrasts between levels: each against the reference, or all pairs.

    `term` turns a level into the name of its coefficient, such as `kind[T.{level}]`.
    """

    levels: list[Identifier]
    term: str
    pairs: Literal["reference", "all"]


class Robustness(Model):
    """The alternatives of the multiverse: one dimension, its options, the registered one first."""

    label: str
    options: dict[Identifier, str]


class Registration(Model):
    """The whole promise."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    study: Study
    design: Design
    instrument: Instrument
    exclusions: list[Exclusion]
    samples: dict[Identifier, dict[Identifier, list[str]]]
    weighting: Weighting | None = None
    families: dict[Identifier, Family]
    hypotheses: list[Hypothesis]
    comparisons: list[Comparison]
    robustness: dict[Identifier, Robustness]

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
