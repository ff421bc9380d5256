"""`_quarto.yml`, read and checked."""

from pathlib import Path

from claimledger.errors import LedgerError
from claimledger.yaml_files import Source

CONFIG = "_quarto.yml"


def settings(root: Path) -> dict:
    """`_quarto.yml` as a dictionary, after what stands under `ledger` was checked."""
    from claimledger.settings_models import Config  # pydantic, only when it is needed
    from claimledger.validation import validated

    source = Source.read(Path(root) / CONFIG, "the settings of the paper")
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
            f"{CONFIG}: ledger.notebooks", found="nothing", expected="a list of notebooks",
        )
    return stems
