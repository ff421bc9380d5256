"""What is claimed: families, hypotheses and comparisons, each with the model that is fitted."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from claimledger.yaml_files import ENTRY, IDENTIFIER, Model, about

POINTS = "percentage points"        # the unit of outcomes that are 0 or 1

Mark = Literal["public", "assumed"]
Identifier = Annotated[str, Field(pattern=IDENTIFIER)]
EntryId = Annotated[str, Field(pattern=ENTRY)]
Code = Annotated[int, Field(ge=-1_000_000, le=1_000_000)]
Probability = Annotated[float, Field(gt=0, le=1)]
# `null` without quotes is nothing in YAML, and meant as the word.
Direction = Annotated[
    Literal["positive", "negative", "two-sided", "null", "non-inferiority"],
    BeforeValidator(lambda said: "null" if said is None else said),
    WithJsonSchema({"enum": [
        "positive", "negative", "two-sided", "null", "non-inferiority", None]})]


# The rule of `statistics.decision`, in words.
_TEST = "the corrected p value is below alpha"
_REST = {
    "negligible": "neither, and both one-sided tests against the smallest effect of interest "
                  "reject after correction",
    "undecided": "none of these"}
CRITERIA = {
    "positive": {"supported": f"{_TEST} and the estimate is positive",
                 "refuted": f"{_TEST} and the estimate is negative"} | _REST,
    "negative": {"supported": f"{_TEST} and the estimate is negative",
                 "refuted": f"{_TEST} and the estimate is positive"} | _REST,
    "two-sided": {"supported": _TEST} | _REST,
    "null": {
        "supported": "both one-sided tests against the smallest effect of interest reject after "
                     "correction",
        "refuted": "not so, and the corrected p value against zero is below alpha",
        "undecided": "none of these"},
    "non-inferiority": {
        "supported": "the one-sided test against minus the margin rejects after correction",
        "refuted": "the estimate is below minus the margin, and the test that it is not rejects "
                   "after correction",
        "undecided": "none of these"}}


def marked(text: str) -> Field:
    """Where a statement comes from."""
    return Field("assumed", description=text)


class Family(Model):
    """Tests whose error rate is controlled together."""

    label: str = about("Label in tables.", "Main hypotheses")
    correction: Literal["holm", "bh", "none"] = about(
        "`holm`: any false rejection; `bh` (Benjamini-Hochberg): the share of false ones among "
        "the rejections; `none`.", "holm", default="holm")
    alpha: Annotated[float, Field(gt=0, lt=1)] = about("Its level.", 0.05, default=0.05)


class Bound(Model):
    """A size that matters: in standard deviations of the outcome, or in its units."""

    value: Annotated[float, Field(gt=0)] = about("The size, above zero.", 5)
    unit: Literal["sd", "points", "percentage points"] = about(
        "`points` are units of the outcome; `percentage points` are hundredths of a 0/1 outcome.",
        "percentage points", default="sd")

    def of(self, sd: float) -> float:
        """The bound in units of the estimate, where the outcome has this standard deviation."""
        return self.value * {"sd": sd, "points": 1.0, POINTS: 0.01}[self.unit]


class Analysis(Model):
    """What hypotheses and comparisons share: the model that is fitted and where."""

    id: EntryId = about("Its id, also in the ledger and in the prose.", "H1")
    estimand: str = about("What is estimated, in words.", "Effect of the letter on willingness")
    outcome: Identifier | None = about("The variable that is explained.", "willing", default=None)
    stack: list[Identifier] = about("Items compared within respondents (frame `stacked`).",
                                    default=[])
    frame: Literal["respondents", "profiles", "stacked"] = about(
        "A row for each respondent, for each profile that one rated, or for each respondent and "
        "item of `stack` (columns `item`, `response`).", default="respondents")
    sample: Identifier = about("One of `samples`.", "all", default="all")
    model: str = about("Formula, as in statsmodels and R.", "willing ~ letter")
    estimator: Literal["ols", "logit", "probit", "amce"] = about(
        "`logit` and `probit` report average marginal effects, in percentage points. `amce` "
        "averages a level's effect over the combinations that could occur both with it and with "
        "the reference, weighted by how often they were shown (restricted conjoints; R's cregg "
        "weighs them alike).", default="ols")
    vcov: Literal["HC2", "HC3", "CR2", "stata", "survey"] = about(
        "Variance estimator. CR2 is that of clubSandwich and estimatr, with Satterthwaite degrees "
        "of freedom; `stata` and `survey` are the corrections of those packages.", default="HC2")
    weighted: bool = about("Whether the registered weights are used.", default=False)
    missing: Literal["complete", "indicator", "impute"] = about(
        "Rows without a covariate: `complete` leaves them out; `indicator` puts in the mean (or "
        "a group of its own) and adds a column that says so; `impute` draws them by chained "
        "equations and pools by Rubin's rules. Rows without an outcome are always left out.",
        default="complete")
    at: dict[Identifier, Annotated[list[float], Field(min_length=1)]] = about(
        "Values of a continuous moderator at which the effect is reported.", {"age": [30, 60]},
        default={})
    family: Identifier = about("One of `families`: tests that are corrected together.", "H1")
    sesoi: Annotated[float, Field(gt=0)] | Bound | None = about(
        "Smallest effect of interest: a number in SD of the analyzed outcome, or value and unit. "
        "Without one, nothing is called negligible.", {"value": 5, "unit": "percentage points"},
        default=None)
    role: Literal["primary", "secondary"] = about("Its place in the paper.", default="primary")

    @model_validator(mode="after")
    def _whole(self) -> "Analysis":
        if (self.frame == "stacked") != bool(self.stack):
            raise ValueError("`stack` with `frame: stacked`, and only there")
        if self.outcome is None and not self.stack:
            raise ValueError("`outcome`: the variable that is explained")
        if self.missing != "complete" and self.stack:
            raise ValueError("`missing: complete` with stacked items")
        return self

    def bound(self, sd: float) -> float | None:
        """The smallest effect of interest in units of the estimate; None without one."""
        if self.sesoi is None:
            return None
        return (self.sesoi if isinstance(self.sesoi, Bound) else Bound(value=self.sesoi)).of(sd)


class Hypothesis(Analysis):
    """A claim about one contrast of a model's coefficients, or about several terms at once."""

    statement: str = about("The claim in a sentence.", "The letter makes people more willing.")
    contrast: dict[str, float] = about("Coefficient to its weight.",
                                       {"letter[T.neighbors]": 1}, default={})
    joint: list[str] = about("Coefficients that are tested together (an F test).",
                             ["letter[T.neighbors]", "letter[T.mayor]"], default=[])
    direction: Direction = about(
        "`null` claims that the effect is smaller than `sesoi` (equivalence); `non-inferiority` "
        "that it is above minus `margin`.", "positive")
    margin: Bound | None = about("How much worse is still acceptable (non-inferiority).",
                                 {"value": 3, "unit": "percentage points"}, default=None)
    criterion: dict[Literal["supported", "refuted", "negligible", "undecided"], str] = about(
        "When each verdict is given; written from the direction where it is left out.", default={})
    mark: Mark = marked("`public` where the claim is taken from a public source.")

    def bound(self, sd: float) -> float | None:
        """The size that the claim is tested against, in units of the estimate; None without one."""
        if self.joint:
            return None
        return self.margin.of(sd) if self.margin else super().bound(sd)

    @model_validator(mode="after")
    def _claim(self) -> "Hypothesis":
        if bool(self.contrast) == bool(self.joint):
            raise ValueError("exactly one of contrast, joint")
        if self.joint and self.direction != "two-sided":
            raise ValueError("`direction: two-sided` with a joint test: it has none")
        if self.direction == "null" and self.sesoi is None:
            raise ValueError("`sesoi` with `direction: null`: smaller than what?")
        if (self.direction == "non-inferiority") != (self.margin is not None):
            raise ValueError("`margin` with `direction: non-inferiority`, and only there")
        if any(len(values) > 1 for values in self.at.values()):
            raise ValueError("one value of `at` for a hypothesis; several in a comparison")
        if not self.criterion:
            bounded = self.sesoi is not None and not self.joint
            object.__setattr__(self, "criterion", {
                verdict: said for verdict, said in CRITERIA[self.direction].items()
                if bounded or verdict != "negligible"})
        return self


class Comparison(Analysis):
    """A set of two-sided contrasts between levels: each against the reference, or all pairs."""

    levels: Annotated[list[Identifier], Field(min_length=1)] = about(
        "The levels that are compared.", ["neighbors", "mayor"])
    term: str = about("A level's coefficient, with `{level}` for the level's id.",
                      "letter[T.{level}]")
    pairs: Literal["reference", "all"] = about(
        "Each against the reference, or each against each.", default="reference")

    @model_validator(mode="after")
    def _levels(self) -> "Comparison":
        if len(set(self.levels)) < len(self.levels) or (
                self.pairs == "all" and len(self.levels) < 2):
            raise ValueError("`levels`: each once, and two for a pair")
        if "{level}" not in self.term:
            raise ValueError("`term`: a coefficient with `{level}` in it")
        return self


class Robustness(Model):
    """The alternatives of the multiverse: one dimension, its options, the registered one first."""

    label: str = about("Label of the dimension.", "Covariates")
    options: dict[Identifier, str] = about("Option to its label.", {"none": "None", "lin": "Lin"})
