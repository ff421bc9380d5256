"""The processes in which notebooks run: what they see, how they start, how all are ended."""

import os
import sys
import tempfile
import threading
from importlib import import_module
from pathlib import Path
from weakref import WeakSet

from claimledger.errors import LedgerError
from claimledger.pipeline.kernel_server import KernelServer
from claimledger.project import Run, write_atomic

FIXED_DATE = "315532800"  # 1980-01-01, the first day that a ZIP archive can hold
THREADS = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")  # ..._NUM_THREADS
LONGEST = 60  # bytes of the path above a notebook's folder
SAID = "said"  # the file, in a kernel's folder, for what it says outside its cells
FORKS = sys.platform == "linux"  # elsewhere a copied process is not safe with all libraries

_running: WeakSet = WeakSet()
_server: list[KernelServer] = []  # one at most, which serves all builds of this process
_starting = threading.Lock()


def environment() -> dict[str, str]:
    """What every kernel sees: one thread, fixed hashes, UTC, a fixed date.

    Side by side, notebooks with many threads each would only stand in each other's way.
    """
    return {
        **{f"{name}_NUM_THREADS": "1" for name in THREADS},
        "PYTHONHASHSEED": "0", "PYTHONNOUSERSITE": "1", "TZ": "UTC", "LC_ALL": "C.UTF-8",
        "COLUMNS": "100",  # pandas prints as wide as the terminal
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", FIXED_DATE),
    }


def own_settings(folder: Path) -> dict[str, str]:
    """Let IPython and Matplotlib read their settings in `folder`, not in the user's home."""
    rcfile = write_atomic(folder / "matplotlibrc", "svg.hashsalt: claimledger\n")
    return {"MATPLOTLIBRC": str(rcfile), "IPYTHONDIR": str(folder)}


def folder_for_sockets() -> str:
    """Where a notebook's folder goes: a socket's name holds 107 bytes, whatever TMPDIR says."""
    for place in (tempfile.gettempdir(), "/tmp"):
        if len(os.fsencode(place)) <= LONGEST and os.access(place, os.W_OK):
            return place
    raise LedgerError(
        "TMPDIR", found=f"a path of {len(os.fsencode(tempfile.gettempdir()))} bytes",
        expected=f"at most {LONGEST}: notebooks are talked to through files in it",
        mend="set TMPDIR to a shorter path",
    )


def warm(run: Run) -> None:
    """Let the kernel server's imports begin, and read the audit before any notebook runs."""
    survey = [run.registration, run.data, run.root, *([run.mapping] if run.mapping else [])]
    with _starting:  # notebooks begin side by side
        if FORKS and not _server:
            _server.append(KernelServer(environment(), own_settings, survey))
    import_module("claimledger.ledger.merging")


def manager(folder: Path):
    """A class of kernels of this very interpreter, whatever is installed on the machine.

    `folder` is the notebook's own, for its sockets and for what it says outside its cells.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import LocalProvisioner

    class Provisioner(LocalProvisioner):
        async def launch_kernel(self, cmd, **options):
            if not FORKS:
                return await super().launch_kernel(cmd, **options)
            self.process = _server[0].start(
                cmd[2:], options["env"], str(options["cwd"]), str(folder / SAID))
            self.pid = self.pgid = self.process.pid
            self.cwd = options["cwd"]
            return self.connection_info

    variables = environment() | own_settings(folder)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    literal = {key: value.replace("$", "$$") for key, value in variables.items()}
    spec = KernelSpec(argv=argv, display_name="Python 3", language="python", env=literal)

    class OwnKernel(AsyncKernelManager):
        kernel_spec = spec

        def __init__(self, **options):
            super().__init__(**options)
            self.transport = "ipc"  # sockets in our own folder: no port that another could take
            self.connection_file = str(folder / "kernel.json")
            self.provisioner = Provisioner(kernel_id=folder.name, kernel_spec=spec, parent=self)

        async def start_kernel(self, **options):
            with (folder / SAID).open("wb") as said:
                await self._async_start_kernel(stdout=said, stderr=said, **options)
            _running.add(self.provisioner.process)

    return OwnKernel


def stop() -> None:
    """End every notebook's process, and on Linux all that one has started or left behind."""
    for process in list(_running):
        if process.poll() is None:
            process.kill()
    try:
        left = _server[0].sweep() if _server else 0
    except RuntimeError:
        left = "the process that notebooks are started from has ended"
    if left:
        _server.clear()
        raise LedgerError(
            "notebooks", found=f"{left} processes do not end" if isinstance(left, int) else left,
            expected="nothing of a notebook that goes on after it",
            mend="look at what a notebook starts, then run the same command again",
        )
