"""What the commands print: sentences, and the progress of long steps.

At a terminal progress is a bar that is gone when the step ends; elsewhere it is a plain line now and
then, so that a log stays readable and a step that takes long does not look dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars

from couchette.replication import Event, Progress, Status

LINE_PAUSE_S: Final = 2.0
"""How often a step tells of its progress where there is no terminal."""

PLAIN_WIDTH: Final = 100
"""Columns of tables and trees where there is no terminal."""

INDENT: Final = 3

SIZE_UNITS: Final = ("kB", "MB", "GB", "TB")


class Meter:
    """How far a long step has come. Any thread may tell it."""

    def __init__(self, show: Callable[[int, int | None, str], None], say: Callable[[str], None] | None = None) -> None:
        self.status: Status | None = None
        """What :meth:`watch` heard last."""
        self._show = show
        self._say = say
        self._started = time.perf_counter()

    def tell(self, done: int, pending: int | None) -> None:
        """So many documents are done; so many remain, where that is known."""
        text = f"{count(done, 'document')}, {rate(done, time.perf_counter() - self._started)}"
        if pending is None:
            self._show(done, None, text)
        else:
            self._show(done, done + pending, f"{text}, {pending:,} pending")

    def watch(self, event: Event) -> None:
        """What a replication calls at each event: a batch moves the bar, trouble and its end are lines."""
        before, self.status = self.status, event.status
        status = event.status
        done, pending = status.missing_checked, status.pending
        parts = [count(status.docs_written, "document"), size(status.bytes_read)]
        if status.attachments_read:
            parts.append(count(status.attachments_read, "attachment"))
        if status.state == "active":
            parts.append(rate(status.docs_written, time.perf_counter() - self._started))
            parts += [] if not pending else [f"{pending:,} pending"]
        else:
            parts.append(status.state)
        self._show(done, None if pending is None else done + pending, ", ".join(parts))
        if event.kind != "state" or self._say is None:
            return
        if status.next_retry is not None:
            self._say(f"{status.state}, again at {status.next_retry.astimezone():%H:%M:%S}: {status.last_error}")
        elif status.state == "idle" and before is not None and before.state in ("retrying", "denied"):
            self._say("Everything is in sync again.")

    def report(self, progress: Progress) -> None:
        """What a replication calls after each batch. Documents that the target has already are done too."""
        self.tell(progress.missing_checked, progress.pending)


class Screen:
    """Standard output, or any rich console, with our habits."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, emoji=False, markup=False)
        self._plain = not self._console.is_terminal
        if self._plain:
            self._console.width = PLAIN_WIDTH

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line; a terminal wraps it, a file gets it whole."""
        self._console.print(text, style=style, soft_wrap=self._plain)

    def show(self, content: RenderableType, indent: int = INDENT) -> None:
        """Print a text, a table or a tree, indented."""
        if not self._plain:
            self._console.print(Padding(content, (0, 0, 0, indent)))
            return
        if isinstance(content, str):
            lines = [content]
        else:
            with self._console.capture() as drawn:
                self._console.print(content)
            lines = drawn.get().splitlines()
        for line in lines:
            self.say(" " * indent + line.rstrip())

    @contextmanager
    def progress(self, label: str) -> Iterator[Meter]:
        """Show how a long step comes along; gives the meter to tell."""
        if self._plain:
            yield Meter(self._occasional_lines(label), self._say_indented)
            return
        told = TextColumn("{task.fields[told]}", style="dim")
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), told)
        with Bars(*columns, console=self._console, transient=True) as bars:
            bar = bars.add_task(label, total=None, told="")
            yield Meter(
                lambda done, total, text: bars.update(bar, completed=done, total=total, told=text), self._say_indented
            )

    def _say_indented(self, text: str) -> None:
        self.say(" " * INDENT + text)

    def _occasional_lines(self, label: str) -> Callable[[int, int | None, str], None]:
        last = time.perf_counter()

        def show(done: int, total: int | None, text: str) -> None:
            nonlocal last
            now = time.perf_counter()
            if now - last >= LINE_PAUSE_S and done != total:
                last = now
                self.say(f"{' ' * INDENT}{label}: {text}")

        return show


def count(number: int, noun: str) -> str:
    """``1 document``, ``34,006 documents``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def rate(number: int, seconds: float, noun: str = "docs") -> str:
    """``5,400 docs/s``, to two digits."""
    per_second = int(number / max(seconds, 1e-6))
    return f"{round(per_second, 2 - len(str(per_second))):,} {noun}/s"


def pace(number: int, seconds: float) -> str:
    """``34,006 documents in 5.1 s (6,700 docs/s)``."""
    return f"{count(number, 'document')} in {duration(seconds)} ({rate(number, seconds)})"


def duration(seconds: float) -> str:
    """``5.1 s``, ``0.04 s``."""
    return f"{seconds:.1f} s" if seconds >= 0.1 else f"{seconds:.2f} s"


def size(bytes_: int) -> str:
    """``25.3 MB``."""
    if bytes_ < 1000:
        return count(bytes_, "byte")
    power = min((len(str(bytes_)) - 1) // 3, len(SIZE_UNITS))
    return f"{bytes_ / 1000**power:.1f} {SIZE_UNITS[power - 1]}"
