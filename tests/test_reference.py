"""The reference in `docs/` is what the code says."""

import inspect
import re

from claimledger.cli import app
from claimledger.ledger.entries import texts
from claimledger.ledger.recording import Record
from claimledger.study import Study
from make_reference import refresh


def test_the_reference_is_not_stale(root):
    stale = [path.name for path, text in refresh(root / "docs", app.registered_commands).items()
             if text != path.read_text("utf-8")]
    assert stale == [], "run `make docs`"


def test_every_key_of_the_registration_is_explained(root):
    text = (root / "docs" / "registration.md").read_text("utf-8")
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert [row[0] for row in rows if not row[3].strip()] == []


def test_links_of_the_reference_lead_somewhere(root):
    for path in (root / "docs").glob("*.md"):
        text = path.read_text("utf-8")
        for name, anchor in re.findall(r"\]\(([\w.]*)#?([\w-]*)\)", text):
            target = (path.parent / name if name else path).read_text("utf-8")
            assert not anchor or re.search(rf"^## {anchor}$", target, re.M | re.I), (path, anchor)


def test_every_field_of_num_is_listed(root):
    listed = (root / "docs" / "tokens.md").read_text("utf-8")
    made = texts(1.0, se=1.0, ci=[0, 1], p=0.1, p_adjusted=0.1, n=3, df=2, statistic=1, bound=1,
                 sd=1)
    assert [name for name in made if f"`{name}`" not in listed] == []


DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/*.md", "data/*.md", "examples/*/README.md",
             "_extensions/ledger/*.md")


def test_what_a_document_tells_people_to_call_exists(root):
    """Calls, commands with their options, targets of make and files that are linked."""
    commands = {command.name or command.callback.__name__: command.callback
                for command in app.registered_commands}
    targets = set(re.findall(r"^([\w-]+):(?!=)", (root / "Makefile").read_text("utf-8"), re.M))
    owners = {"study": Study, "record": Record}
    wrong, seen = [], 0
    for path in (path for pattern in DOCUMENTS for path in root.glob(pattern)):
        text, name = path.read_text("utf-8"), path.relative_to(root)
        for owner, call in re.findall(r"\b(study|record)\.(\w+)\(", text):
            seen += 1
            if not hasattr(owners[owner], call) and call not in owners[owner].__annotations__:
                wrong.append(f"{name}: {owner}.{call}")
        for command, rest in re.findall(r"[`\n/]claimledger ([a-z]+)([^`\n|]*)", text):
            seen += 1
            source = inspect.getsource(commands[command]) if command in commands else ""
            known = set(re.findall(r"--[a-z][\w-]*", source)) | {
                f"--{option.replace('_', '-')}" for option in
                (inspect.signature(commands[command]).parameters if source else ())}
            wrong += [f"{name}: claimledger {command} {option}"
                      for option in re.findall(r"--[a-z][\w-]*", rest)
                      if not source or option not in known | {"--help"}]
        for target in re.findall(r"`(?:[A-Z_]+=\S+ )?make ([\w-]+)", text):
            seen += 1
            if target not in targets:
                wrong.append(f"{name}: make {target}")
        for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
            if not (path.parent / link).exists():
                wrong.append(f"{name}: {link}")
    assert wrong == []
    assert seen > 100
