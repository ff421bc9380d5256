"""Verify under other versions: the same command in a scratch environment that `uv run` makes."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

import claimledger
from claimledger.errors import LedgerError

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


def pins(replaced: list[Requirement]) -> list[str]:
    """What the engine needs, in the versions that it runs with here, but for what is replaced."""
    names = {canonicalize_name(one.name) for one in replaced}
    needed = [Requirement(line) for line in importlib.metadata.requires("claimledger") or []]
    kept = [one.name for one in needed if one.marker is None
            and canonicalize_name(one.name) not in names]
    return [*(f"{name}=={importlib.metadata.version(name)}" for name in kept), *map(str, replaced)]


def run_there(root: Path, wanted: list[str], arguments: list[str]) -> int:
    """`claimledger ARGUMENTS` under other versions; its exit status."""
    uv, asked = _uv(root), pins(requirements(wanted))
    with tempfile.TemporaryDirectory(prefix="verify-with-") as folder:
        (Path(folder) / "claimledger").symlink_to(Path(claimledger.__file__).parent)
        command = [uv, "run", "--quiet", "--isolated", "--no-project", "--python", sys.executable]
        command += [part for one in asked for part in ("--with", one)]
        environment = _environment(root) | {"PYTHONPATH": folder, "PYTHONNOUSERSITE": "1"}
        print(f"making an environment with {', '.join(wanted)}", file=sys.stderr, flush=True)
        made = subprocess.run([*command, "python", "-c", "import claimledger"], cwd=root,
                              env=environment, capture_output=True, text=True)
        if made.returncode:
            last = "\n    ".join(made.stderr.strip().splitlines()[-12:])
            raise LedgerError(
                f"--with {' --with '.join(wanted)}",
                found=f"the environment was not made:\n    {last}",
                expected="versions that exist and fit together, and a package index within reach",
                mend="correct the versions, or check that this machine reaches a package index",
            )
        return subprocess.run([*command, "python", "-m", "claimledger", *arguments], cwd=root,
                              env=environment).returncode


def _uv(root: Path) -> str:
    places = [str(root / ".venv" / "tools" / "bin"), str(Path(sys.executable).parent)]
    found = shutil.which("uv", path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if not found:
        raise LedgerError(
            "--with", found="no uv on this machine", expected="uv, which makes environments",
            mend="run `make paper` once, which fetches it, or install uv",
        )
    return found


def _environment(root: Path) -> dict[str, str]:
    """uv with the index that is set for pip, and with a cache that it can write to."""
    variables = {key: value for key, value in os.environ.items() if key != "VIRTUAL_ENV"}
    if not {"UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_OFFLINE"} & variables.keys():
        asked = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.index-url"],
                               capture_output=True, text=True)
        if asked.returncode == 0 and asked.stdout.strip():
            variables["UV_DEFAULT_INDEX"] = asked.stdout.strip()
    if not os.access(variables.get("XDG_CACHE_HOME") or Path.home(), os.W_OK):
        variables.setdefault("UV_CACHE_DIR", str(root / "build" / "uv"))
    return variables
