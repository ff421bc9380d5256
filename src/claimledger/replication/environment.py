"""Verify under other versions: a scratch environment with some packages replaced."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import claimledger
from claimledger.errors import LedgerError
from claimledger.project import write_atomic

OFFER = "name them like `--with pandas==3.0.0`, or `--with pandas` for the newest"


def requirements(wanted: list[str]) -> list[Requirement]:
    """The packages to replace; only names and versions, so that nothing strange is fetched."""
    parsed = []
    for one in wanted:
        try:
            requirement = Requirement(one)
        except InvalidRequirement as error:
            raise LedgerError(
                f"--with {one}", found=str(error).splitlines()[0], expected="a name and a version",
                mend=OFFER,
            ) from None
        if requirement.url:
            raise LedgerError(
                f"--with {one}", found="an address", expected="a name and a version", mend=OFFER)
        parsed.append(requirement)
    return parsed


def pins(lock: str, replaced: list[Requirement]) -> list[str]:
    """The lock's versions without its hashes, but for the packages that are replaced."""
    names = {canonicalize_name(one.name) for one in replaced}
    kept = []
    for line in re.sub(r"\\\n\s*", "", lock).splitlines():
        found = re.match(r"([A-Za-z0-9._-]+)==", line)
        if found and canonicalize_name(found[1]) not in names:
            kept.append(re.sub(r"\s*--hash=\S+", "", line).strip())
    return kept + [str(one) for one in replaced]


def make(root: Path, wanted: list[str]) -> Path:
    """The environment's Python; made anew unless the same versions were asked for before."""
    replaced = requirements(wanted)
    asked = pins((root / "requirements.lock").read_text("utf-8"), replaced)
    listed = "\n".join([sys.version, *asked])
    folder = root / "build" / "verify" / hashlib.sha256(listed.encode()).hexdigest()[:12]
    python, stamp = folder / "bin" / "python", folder / "complete"
    if stamp.is_file() and python.exists() and all(one.specifier for one in replaced):
        return python
    shutil.rmtree(folder, ignore_errors=True)
    uv = _uv(root)
    _call([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], wanted)
    pinned = write_atomic(folder / "requirements.txt", "\n".join(asked) + "\n")
    override = write_atomic(folder / "override.txt", "\n".join(map(str, replaced)) + "\n")
    _call([uv, "pip", "install", "--quiet", "--python", str(python), "--override", str(override),
           "--requirements", str(pinned)], wanted)
    engine = folder / "engine"
    engine.mkdir()
    (engine / "claimledger").symlink_to(Path(claimledger.__file__).parent)
    write_atomic(stamp, "")
    return python


def run_there(root: Path, wanted: list[str], arguments: list[str]) -> int:
    """`claimledger ARGUMENTS` under other versions; its exit status."""
    print(f"making an environment with {', '.join(wanted)}", file=sys.stderr, flush=True)
    python = make(root, wanted)
    variables = {**os.environ, "PYTHONPATH": str(python.parent.parent / "engine"),
                 "PYTHONNOUSERSITE": "1"}
    variables.pop("VIRTUAL_ENV", None)
    return subprocess.run([python, "-m", "claimledger", *arguments], env=variables).returncode


def _uv(root: Path) -> str:
    own = root / ".venv" / "tools" / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if not found:
        raise LedgerError(
            "--with", found="no uv on this machine", expected="uv, which makes environments",
            mend="run `make paper` once, which fetches it, or install uv",
        )
    return found


def _call(command: list[str], wanted: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=_with_index())
    if done.returncode:
        last = "\n    ".join(done.stderr.strip().splitlines()[-12:])
        raise LedgerError(
            f"--with {' --with '.join(wanted)}", found=f"the environment was not made:\n    {last}",
            expected="versions that exist and fit together, and a package index within reach",
            mend="correct the versions, or check that this machine reaches a package index",
        )


def _with_index() -> dict[str, str]:
    """uv does not read pip's settings: an index that is set for pip is handed on."""
    variables = dict(os.environ)
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_OFFLINE"} & variables.keys():
        asked = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
        found = re.search(r"^[^=\n]*\.index-url='(.*)'$", asked.stdout, re.MULTILINE)
        if found:
            variables["UV_DEFAULT_INDEX"] = found[1]
    return variables
