"""`_quarto.yml`: what may stand under `ledger`, as typed data, and how it is read."""

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field

from claimledger.errors import LedgerError
from claimledger.yaml_files import SHA256, Model, Source, about, validated

CONFIG = "_quarto.yml"


class Notebook(Model):
    """A notebook of the paper, and the title of its page."""

    notebook: str = about("Its source, which Quarto's preview watches; run, it lies in `build/`.",
                          "notebooks/01_results.ipynb")
    title: str | None = about("Title of its page; its first heading by default.", "Results",
                              default=None)


class Subject(Model):
    """Words by which the prose names what is compared, beside the registration's own labels."""

    words: list[str] = about("Words or phrases.", ["the purchase"])
    means: list[str] = about("Levels, items or factors that they stand for.", ["rival_arms"])


class AnotherStudy(Model):
    """Another study, whose data are not in the repository."""

    registration: str = about("Its registration.", "data/external/NAME/registration.yml")
    mapping: str | None = about("How its names and codes differ.", default=None)
    notebook: str = about("The notebook that analyzes it, without its ending.", "09_real")
    data: str = about("Where its data lie once they are fetched.", "data/external/NAME.csv")
    sha256: Annotated[str, Field(pattern=SHA256)] = about(
        "SHA-256 of its data, 64 hexadecimal digits (`sha256sum FILE`).")
    recorded: str = about("Results that stand in where the data are not there; written by "
                          "`claimledger record`.", "results/recorded/NAME.json")


class Settings(Model):
    """Paths, the seed, what is linted, and words of the prose."""

    registration: str = about("The registration; its lock stands beside it.", "registration.yml")
    data: str = about("The export of record; `claimledger render --data` takes another once.",
                      "data/raw/export.csv")
    mapping: str | None = about("How the export's names and codes differ.", "mapping.yml",
                                default=None)
    seed: Annotated[int, Field(ge=0)] = about("Of everything that an analysis draws.", 1)
    lint: list[str] = about("Ids of sections, and `abstract`, in which no number and no verdict "
                            "word may be typed.", ["abstract", "sec-results"])
    notebooks: list[Notebook | str] = about(
        "The notebooks, in reading order.",
        [{"notebook": "notebooks/01_results.ipynb", "title": "Results"}], default=[])
    words: dict[str, str | list[str]] = about(
        "How the prose names a member of a set; singular, plural and preposition of what a set is "
        "made of.", {"H1a": "words", "H1.kind": ["kind", "kinds", "after"]}, default={})
    sets: dict[str, list[str]] = about(
        "Sets of results for `members`, beside the families and comparisons.",
        {"both": ["H1a", "H1b"]}, default={})
    subjects: list[Subject] = about("Further words for what is compared, for the lint.",
                                    default=[])
    phrases: dict[str, dict[str, str]] = about(
        "Phrases of verdicts used more than once, for `{{< says ID NAME >}}`.",
        {"response": {"supported": "is milder", "undecided": "stays open"}}, default={})
    external: dict[str, AnotherStudy] = about("Other studies that the paper draws on.", default={})
    review: list[str] = about("Names that the version for review must not hold, beside authors "
                              "and committers.", ["Example Lab"], default=[])
    cell_seconds: Annotated[int, Field(gt=0)] | None = about(
        "How long one cell of a notebook may take.", 600, default=None)


class Config(Model):
    """`_quarto.yml`, of which only one key is ours; the others are Quarto's."""

    model_config = ConfigDict(extra="ignore")
    ledger: Settings = about("the settings of the paper, such as `registration:` and `data:`")


def settings(root: Path) -> dict:
    """`_quarto.yml` as a dictionary, after what stands under `ledger` was checked."""
    path = Path(root) / CONFIG
    return deepcopy(_read(path, path.stat().st_mtime_ns if path.is_file() else 0))


@lru_cache(maxsize=16)
def _read(path: Path, changed: int) -> dict:
    """Read once as long as the time of the last change is the same: a build asks thirty times."""
    source = Source.read(path, "the settings of the paper")
    validated(source, Config, source.content)
    config = source.content
    if listed := config["ledger"].get("notebooks"):  # named there, Quarto does not convert each
        config["manuscript"] = (config.get("manuscript") or {}) | {"notebooks": listed}
    return config


def notebook_titles(root: Path) -> dict[str, str]:
    """The notebooks in reading order, as `_quarto.yml` lists them: their titles, or "", by stem."""
    listed = settings(root).get("manuscript", {}).get("notebooks", [])
    named = [{"notebook": entry} if isinstance(entry, str) else entry for entry in listed]
    return {Path(entry["notebook"]).stem: entry.get("title", "") for entry in named}


def notebook_stems(root: Path) -> list[str]:
    """The same without their titles; at least one."""
    stems = list(notebook_titles(root))
    if not stems:
        raise LedgerError(
            f"{CONFIG}: ledger.notebooks", found="nothing", expected="a list of notebooks")
    return stems
