"""A server process that has imported what notebooks import, and forks a kernel for each of them.

Starting Python and importing pandas, statsmodels and Matplotlib takes longer than most notebooks
need for their work, and so does opening a large export; this way it is done once for all
notebooks of a build. `KernelServer` is the
side of the build, `main` that of the process: a request is one line on its standard input, the
answer the number of a new process. An empty line asks it to end all that notebooks have started:
whatever a kernel leaves behind becomes a child of the server. It ends when its standard input does.
"""

import atexit
import ctypes
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import psutil

MODULES = (
    "ipykernel.kernelapp", "claimledger.study", "statsmodels.formula.api", "fontTools.subset",
    "matplotlib_inline.backend_inline", "matplotlib.backends.backend_pdf",
    "matplotlib.backends.backend_svg", "tabulate",
)
_END_WITH_PARENT, _ADOPT = 1, 36  # PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER of Linux's prctl
_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of glibc's mallopt
PATIENCE = 20  # seconds for processes to end


class KernelServer:
    """The build's side of the process."""

    def __init__(self, environment: dict[str, str], own: Callable[[Path], dict[str, str]],
                 survey: Sequence[Path] = ()):
        """Let its imports begin; `own`: variables for its folder, `survey`: see `open_ahead`."""
        self._folder = tempfile.TemporaryDirectory(prefix="claimledger-")
        folder = Path(self._folder.name)
        self._said, self._asking = folder / "said", threading.Lock()
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "claimledger.pipeline.kernel_server", *survey],
                cwd=folder, env=os.environ | environment | own(folder), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=said, start_new_session=True,
            )
        self._idle = True
        atexit.register(self.end)

    def start(self, argv: list[str], env: dict[str, str], cwd: str, said: str) -> "ForkedKernel":
        """Start a kernel; `said` is the file for what it says outside its cells.

        Raises RuntimeError where the process does not answer.
        """
        return ForkedKernel(self._asked(
            json.dumps({"argv": argv, "env": env, "cwd": cwd, "said": said})))

    def sweep(self) -> int:
        """End every kernel and all that one has started or left behind; how many did not end."""
        return self._asked("")

    def _asked(self, request: str) -> int:
        with self._asking:
            self._idle = False
            try:
                self._process.stdin.write(request.encode() + b"\n")
                self._process.stdin.flush()
                return int(self._process.stdout.readline())
            except (OSError, ValueError):
                text = self._said.read_text("utf-8", "replace")
                raise RuntimeError(f"no process for a notebook: {text[-600:]}") from None

    def end(self) -> None:
        """Nothing more is asked of it: it ends; at once, where nothing ever was."""
        if self._idle:
            self._process.kill()
        with suppress(OSError):  # it is gone already
            self._process.stdin.close()
        self._process.wait()


class ForkedKernel:
    """As much of subprocess.Popen as is asked of a process that is not our own child."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        """Of the process with this number."""
        self.pid = pid

    def poll(self) -> int | None:
        """None while it runs."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return 0
        return None

    def wait(self) -> int:
        """Wait for its end."""
        while self.poll() is None:
            time.sleep(0.02)
        return 0

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def keep_memory() -> None:
    """Keep freed memory for the next arrays: fetching it anew costs a simulation a tenth more."""
    with suppress(AttributeError):  # another C library
        adjust = ctypes.CDLL(None).mallopt
        adjust(_MMAP, 2**25)  # bytes: the most that it takes
        adjust(_TRIM, 2**30)


def main() -> None:
    """Serve requests until standard input ends."""
    keep_memory()
    sys.modules["debugpy"] = None  # a build has no debugger: every kernel would load it
    for name in MODULES:
        import_module(name)
    with suppress(Exception):  # a notebook that opens it says what is wrong
        if sys.argv[1:]:
            sys.modules["claimledger.study"].open_ahead(*map(Path, sys.argv[1:]))
    gc.freeze()  # what is there stays shared with the copies
    signal.signal(signal.SIGCHLD, _reap)
    ctypes.CDLL(None).prctl(_ADOPT, 1)
    own = os.getpid()
    for line in sys.stdin.buffer:
        number = os.fork() if line.strip() else _sweep()
        if line.strip() and number == 0:
            _run_kernel(own, **json.loads(line))
        print(number, flush=True)
    _sweep()


def _sweep() -> int:
    """End all descendants; new ones may appear while others end. How many are left.

    Whoever loses its parent becomes a child of this process, so that there is none left exactly
    when this process has no child: a list alone may miss those of one that ends meanwhile.
    """
    until = time.monotonic() + PATIENCE
    left = []
    while _reap() and time.monotonic() < until:
        left = psutil.Process().children(recursive=True)
        for one in left:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        time.sleep(0.01)
    return max(1, len(left)) if _reap() else 0


def _reap(*_) -> bool:
    """Take note of every copy that has ended, so that its time counts as the build's.

    Whether there is a child that has not.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
        return True
    return False


def _run_kernel(parent: int, argv: list[str], env: dict[str, str], cwd: str, said: str) -> None:
    """In the forked process: run the kernel as a command of its own would; never returns."""
    try:
        ctypes.CDLL(None).prctl(_END_WITH_PARENT, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before
            return
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
            os.dup2(source, target)
        os.environ.clear()
        os.environ.update(env, JPY_PARENT_PID=str(parent))
        time.tzset()
        os.chdir(cwd)
        sys.argv = argv
        from ipykernel.kernelapp import launch_new_instance

        launch_new_instance()
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


if __name__ == "__main__":
    main()
