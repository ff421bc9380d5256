"""A valid registration, changed anywhere in any way, is valid or refused in words."""

import copy
import random

import pytest
import yaml

from claimledger.errors import LedgerError
from claimledger.registration.codebook import files
from claimledger.registration.loading import load
from claimledger.start.assumed import assumptions
from claimledger.start.folder import notebook, paper
from claimledger.templates import fill
from claimledger.yaml_files import Source

VALUES = (
    None, True, False, 0, -1, 2, 3.5, float("nan"), float("inf"), -0.0, 10**30, 1e308, "", " ", "x",
    "?", "no", "2025-01-01", "letter[T.x]", "\u202e\u0000"[:1], "a" * 5000, [], {}, [[]], [None],
    ["all"], {"x": 1}, {1: "x"}, {"id": "H1"}, [{"id": 3}], ["ordinal", "nominal"], 1 << 70)


def places(content, path=()):
    """The path of every value."""
    children = content.items() if isinstance(content, dict) else (
        enumerate(content) if isinstance(content, list) else ())
    for key, child in children:
        yield (*path, key)
        yield from places(child, (*path, key))


def mutate(content, rng):
    """One change at a random place: delete, replace, rename, wrap, swap, nest, repeat."""
    path = rng.choice(list(places(content)))
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    key, kind = path[-1], rng.randrange(8)
    value = parent[key]
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[rng.choice(["labl", "Label", f"{key}x", 7, "of", "all"])] = parent.pop(key)
    elif kind == 2:
        parent[key] = [value] if rng.random() < 0.5 else {"a": value}
    elif kind == 3:
        other = rng.choice(list(places(content)))
        taken = content
        for step in other:
            taken = taken[step]
        parent[key] = copy.deepcopy(taken)
    elif kind == 4:
        deep = value
        for _ in range(rng.choice([3, 30, 60])):
            deep = {"a": deep} if rng.random() < 0.5 else [deep]
        parent[key] = deep
    elif kind == 5 and isinstance(parent, list):
        parent.extend([value] * rng.choice([1, 50]))
    elif kind == 6 and isinstance(value, str) and value:
        at = rng.randrange(len(value))
        parent[key] = value[:at] + rng.choice(["", "[", "~", "{", "}", "%", "(", "é", " "]) + \
            value[at + 1:]
    else:
        parent[key] = rng.choice(VALUES)


def used(path):
    """Read it, and write all that is written from a registration."""
    r = load(path)
    for text in (*files(r).values(), assumptions(r), notebook(r), paper(r),
                 fill("parts/CITATION.cff", study=r.study)):
        assert text
    return r


def bases(root):
    designs = sorted((root / "src" / "claimledger" / "template" / "designs").glob("*.yml"))
    return [root / "registration.yml", *designs,
            *sorted((root / "examples").glob("*/registration.yml"))]


@pytest.mark.parametrize("changes", [24, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize("base", range(7))
def test_any_change_is_valid_or_told(root, tmp_path, base, changes):
    source = bases(root)[base]
    first = Source.read(source).content
    rng, refused = random.Random(base), 0
    path = tmp_path / "registration.yml"
    for number in range(changes):
        content = copy.deepcopy(first)
        for _ in range(rng.choice([1, 1, 1, 2, 4])):
            mutate(content, rng)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
        try:
            used(path)
        except LedgerError as error:
            refused += 1
            said = str(error)
            assert not any(word in said for word in ("pydantic", "Input should", "Traceback",
                                                     "validation error")), said
        except Exception as error:
            kept = tmp_path / f"broken-{number}.yml"
            path.rename(kept)
            raise AssertionError(f"{kept}: {type(error).__name__}: {error}") from error
    assert refused > changes / 3


@pytest.mark.parametrize("text", [
    "a: &a [*a]\n", "a: &a {b: *a}\n", "schema: 2\nstudy: &s {title: *s}\n", "\x00", "\ufeff",
    "", "- 1\n", "5\n", "schema: 2\n---\nschema: 2\n", "a: !!python/object:os.system x\n",
    "? [a]\n: b\n", "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n", "a: b: c\n",
    "\t- a\n", "schema: ~\n", "schema: '2'\n", "schema: 2.5\n", "schema: [2]\n",
    "schema: 99999999999999999999\n"])
def test_files_that_are_hardly_yaml_are_told(tmp_path, text):
    path = tmp_path / "registration.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LedgerError):
        load(path)
