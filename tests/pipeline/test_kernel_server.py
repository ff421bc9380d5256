"""Notebooks start as copies of one process: each has its own surroundings, none outlives it."""

import json
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from claimledger.pipeline import kernels
from claimledger.pipeline.kernel_server import KernelServer
from claimledger.project import Run

pytestmark = pytest.mark.skipif(not kernels.FORKS, reason="processes are copied on Linux only")


@pytest.fixture
def server():
    made = KernelServer(kernels.environment(), kernels.own_settings)
    yield made
    made.end()


def start(server, folder):
    """A kernel in a folder of its own; returns once it listens."""
    folder.mkdir()
    env = {"PATH": os.environ["PATH"], "IPYTHONDIR": str(folder), "PLACE": folder.name}
    argv = ["ipykernel_launcher", "-f", str(folder / "kernel.json")]
    copy = server.start(argv, env, str(folder), str(folder / "said"))
    until(lambda: (folder / "kernel.json").is_file())
    return copy


@contextmanager
def client_of(folder):
    """Somebody who asks the kernel of a folder, and ends it."""
    from jupyter_client import BlockingKernelClient

    client = BlockingKernelClient(connection_file=str(folder / "kernel.json"))
    client.load_connection_file()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    yield client
    client.shutdown()
    client.stop_channels()


def until(reached):
    limit = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_each_copy_has_its_own_surroundings(server, tmp_path):
    for name in ("one", "two"):
        copy = start(server, tmp_path / name)
        with client_of(tmp_path / name) as client:
            said = []
            client.execute_interactive(
                "import os, sys, json\n"
                "print(json.dumps([os.environ['PLACE'], os.getcwd(), 'HOME' in os.environ,"
                " 'statsmodels.formula.api' in sys.modules, os.getpid()]))",
                output_hook=lambda message, said=said: said.append(message["content"].get("text")))
            found = json.loads(next(text for text in said if text))
            assert found == [name, str(tmp_path / name), False, True, copy.pid]
            assert copy.poll() is None
        assert copy.wait() == 0


def test_no_copy_outlives_the_process_it_came_from(server, tmp_path):
    copy = start(server, tmp_path / "one")
    os.kill(server._process.pid, signal.SIGKILL)
    server._process.wait()
    until(lambda: copy.poll() is not None)
    with pytest.raises(RuntimeError, match="no process for a notebook"):
        start(server, tmp_path / "two")


def test_it_ends_when_nobody_can_ask_it_any_more(server):
    server._process.stdin.close()
    assert server._process.wait(60) == 0


def test_one_that_was_never_asked_ends_before_its_imports_do(server):
    server.end()
    assert server._process.returncode == -signal.SIGKILL


def test_notebooks_that_begin_side_by_side_share_one(monkeypatch):
    def slow(*_):
        started.append(1)
        time.sleep(0.2)

    started: list[int] = []
    monkeypatch.setattr(kernels, "_server", [])
    monkeypatch.setattr(kernels, "KernelServer", slow)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(kernels.warm, Run.open()) for _ in range(4)]:
            done.result()
    assert len(started) == len(kernels._server) == 1


@pytest.mark.parametrize("hop", ["pass", "os.fork() and os._exit(0)"])  # ever another process
def test_nothing_that_a_notebook_leaves_behind_goes_on(server, tmp_path, hop):
    left = ("import os, time\n"
            "while True:\n"
            "    print(time.monotonic(), file=open('alive', 'w'), flush=True)\n"
            f"    {hop}; time.sleep(0.0005)")
    copy = start(server, tmp_path / "one")
    with client_of(tmp_path / "one") as client:
        client.execute_interactive(
            "import os, subprocess, sys\n"
            f"subprocess.Popen([sys.executable, '-ISc', {left!r}], start_new_session=True)")
    assert copy.wait() == 0
    alive = tmp_path / "one/alive"
    until(lambda: alive.is_file() and alive.read_text())
    assert server.sweep() == 0
    last = alive.read_text()
    time.sleep(0.2)
    assert alive.read_text() == last
    assert start(server, tmp_path / "two").poll() is None  # others can still begin
