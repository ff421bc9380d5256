"""The JSON schema, and the way from schema 1 to schema 2."""

import datetime
import json
import shutil

import pytest

from claimledger.errors import LedgerError
from claimledger.registration.loading import LINE, MODELS, json_schema, load, migrate, write_schema
from claimledger.registration.lock import check_lock, freeze

TODAY = datetime.date(2026, 3, 4)


@pytest.mark.parametrize("model", MODELS.values())
def test_the_json_schema_describes_every_key(model):
    schema = json.loads(json_schema(model))
    for name, model in schema["$defs"].items():
        for key, about in model.get("properties", {}).items():
            assert about.get("description"), f"{name}.{key}"


@pytest.fixture
def old(root, tmp_path):
    """A registration of schema 1 whose map leaves codes out, with comments."""
    text = (root / "registration.yml").read_text("utf-8").replace("schema: 2", "schema: 1")
    text = text.replace(', "All others": [2, 4, 5]', "")
    path = tmp_path / "registration.yml"
    path.write_text(text)
    return path


def test_what_is_lifted_means_the_same_and_the_lock_knows_why(old):
    before, comments = load(old), old.read_text().count("#")
    assert before.instrument.derived["race3"].missing == [2, 4, 5]
    freeze(old, TODAY)
    assert migrate(old, TODAY)
    after = load(old)
    assert after.schema_version == 2
    assert after.model_copy(update={"schema_version": 1}) == before
    assert old.read_text().startswith(LINE) and old.read_text().count("#") == comments + 1
    amendment = check_lock(old).amendments[-1]
    assert "No promise changed" in amendment.why
    with pytest.raises(LedgerError, match="nothing to do"):
        migrate(old, TODAY)


def test_a_registration_that_is_not_as_frozen_is_not_lifted(old):
    freeze(old, TODAY)
    old.write_text(old.read_text().replace("size: 1502", "size: 1503"))
    before = old.read_text()
    with pytest.raises(LedgerError, match="changed since it was frozen"):
        migrate(old, TODAY)
    assert old.read_text() == before


def test_editors_are_pointed_to_the_schema_unless_the_file_is_frozen(old, tmp_path):
    other = tmp_path / "frozen" / "registration.yml"
    other.parent.mkdir()
    shutil.copy(old, other)
    freeze(other, TODAY)
    path, pointed = write_schema(old, "registration")
    assert pointed and path.name == "registration.schema.json" and old.read_text().startswith(LINE)
    assert write_schema(old, "registration")[1] and old.read_text().count(LINE) == 1
    before = other.read_text()
    assert not write_schema(other, "registration")[1] and other.read_text() == before
