"""What a person sees while a build runs: moving bars on a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Self

Report = Callable[[int, int], None]  # (part now at work, number of parts), both from one
QUIET_SECONDS = 10  # plain lines: a step that is still at work says so this often at most


class Progress:
    """Live progress of steps that run side by side; safe to call from their threads."""

    def __init__(self):
        """Bars move on a terminal, unless it is one of a CI service."""
        self.live = sys.stderr.isatty() and not os.environ.get("CI")
        self._lock = Lock()
        self._said: dict[str, float] = {}
        self._bars = None
        self._rows: dict[str, int] = {}

    def say(self, line: str) -> None:
        """One plain line, above the bars if there are any."""
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def begin(self, name: str) -> None:
        """A step starts."""
        with self._lock:
            self._said[name] = monotonic()
            if not self.live:
                self.say(f"{name}: starts")
                return
            self._start_bars()
            self._rows[name] = self._bars.add_task(name, total=None)

    def part(self, name: str, number: int, of: int) -> None:
        """Part `number` of a step starts: a notebook's cell, a format of the paper."""
        with self._lock:
            if self.live:
                self._bars.update(self._rows[name], completed=number - 1, total=of)
            elif monotonic() - self._said[name] > QUIET_SECONDS:
                self._said[name] = monotonic()
                self.say(f"{name}: {number} of {of}")

    def end(self, name: str, seconds: float, ok: bool) -> None:
        """A step ends, well or not."""
        with self._lock:
            if self.live:
                self._bars.remove_task(self._rows.pop(name))
            self.say(f"{name}: {'done' if ok else 'failed'} after {seconds:.1f} s")

    def _start_bars(self) -> None:
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                console=Console(stderr=True), transient=True,
            )
            self._bars.start()

    def __enter__(self) -> Self:
        """Bars appear with the first step, not before."""
        return self

    def __exit__(self, *_: object) -> None:
        """Bars go when the steps are over."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
