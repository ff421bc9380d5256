"""What editors complete and check a file by (JSON schema), and files of schema 1 rewritten as 2."""

import datetime
import json
import re
from pathlib import Path

import yaml

from claimledger.errors import LedgerError
from claimledger.project import write_atomic
from claimledger.registration.loading import lifted, load
from claimledger.registration.lock import amend, check_lock, lock_path
from claimledger.registration.models import SCHEMA, Registration
from claimledger.settings_models import Config
from claimledger.validation import Model
from claimledger.yaml_files import Source

MODELS = {"registration": Registration, "settings": Config}
LINE = "# yaml-language-server: $schema=registration.schema.json\n"


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
    after = lifted(source.content)["instrument"]["derived"]
    inserted = []
    for name, node in _derived_nodes(text):
        new = after[name].get("missing")
        if new and "missing" not in source.content["instrument"]["derived"][name]:
            key = next(key for key, _ in node.value if key.value == "map")
            rest = ", " if node.flow_style else "\n" + " " * key.start_mark.column
            inserted.append((key.start_mark.index, f"missing: {new}{rest}"))
    for place, words in sorted(inserted, reverse=True):
        text = text[:place] + words + text[place:]
    text = re.sub(r"^schema:\s*1\b", f"schema: {SCHEMA}", text, count=1, flags=re.MULTILINE)
    return text if LINE in text else LINE + text


def _derived_nodes(text: str) -> list[tuple[str, yaml.MappingNode]]:
    """Name and node of each derived variable."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    for wanted in ("instrument", "derived"):
        node = next(value for key, value in node.value if key.value == wanted)
    return [(key.value, value) for key, value in node.value]
