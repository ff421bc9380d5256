"""What a person sees while a build runs: moving bars on a terminal, plain lines elsewhere."""

import os
import sys
from collections.abc import Callable
from typing import Self

Report = Callable[[int, int], None]  # (part now at work, number of parts), both from one


class Progress:
    """Live progress of steps that run side by side; safe to call from their threads."""

    def __init__(self):
        """Bars move on a terminal, unless it is one of a CI service."""
        self.live = sys.stderr.isatty() and not os.environ.get("CI")
        self._bars = None
        self._rows: dict[str, int] = {}

    def say(self, line: str) -> None:
        """One plain line, above the bars if there are any."""
        if self._bars:
            self._bars.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr, flush=True)

    def begin(self, name: str) -> None:
        """A step starts."""
        if self._bars:
            self._rows[name] = self._bars.add_task(name, total=None)
        else:
            self.say(f"{name}: starts")

    def part(self, name: str, number: int, of: int) -> None:
        """Part `number` of a step starts: a notebook's cell, a format of the paper."""
        if self._bars:
            self._bars.update(self._rows[name], completed=number - 1, total=of)

    def end(self, name: str, seconds: float, ok: bool) -> None:
        """A step ends, well or not."""
        if self._bars:
            self._bars.remove_task(self._rows.pop(name))
        self.say(f"{name}: {'done' if ok else 'failed'} after {seconds:.1f} s")

    def __enter__(self) -> Self:
        """Bars appear on a terminal."""
        if self.live:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TimeElapsedColumn
            from rich.progress import Progress as Bars

            self._bars = Bars(
                "{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                console=Console(stderr=True), transient=True,
            )
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Bars go when the steps are over."""
        if self._bars:
            self._bars.stop()
            self._bars = None
