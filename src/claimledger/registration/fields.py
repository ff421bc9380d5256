"""The common rules of the registration's models: types, and fields that describe themselves."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

POINTS = "percentage points"        # the unit of outcomes that are 0 or 1

Mark = Literal["public", "assumed"]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
EntryId = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.]*$")]
Probability = Annotated[float, Field(gt=0, le=1)]


class Model(BaseModel):
    """The common rules: no unknown key, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def about(text: str, *example: object, **rules) -> Field:
    """A field with its description and an example, as the reference prints them."""
    return Field(description=text, examples=list(example) or None, **rules)


def marked(text: str) -> Field:
    """Where a statement comes from."""
    return Field("assumed", description=text)
