"""Progress of a start on standard error: one line for each part, and the last thing it said."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from plumbline_local.parts import Say

DONE = ("healthy", "stopped", "ready")


@contextmanager
def showing(console: Console | None = None) -> Iterator[Say]:
    """A display of what the parts say, for `up` and `down`. Without a terminal it prints one line for each change."""
    out = console or Console(stderr=True)
    if not out.is_terminal:
        yield lambda part, doing: out.print(f"{part}: {doing}", highlight=False)
        return
    columns = (SpinnerColumn(finished_text="[green]✓"), TextColumn("{task.description:<11}"))
    with Progress(*columns, TextColumn("{task.fields[doing]}"), TimeElapsedColumn(), console=out) as progress:
        yield _Lines(progress).say


class _Lines:
    """The lines of a progress display, by part."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def say(self, part: str, doing: str) -> None:
        if part not in self._tasks:
            self._tasks[part] = self._progress.add_task(part, total=1, doing=doing)
        self._progress.update(self._tasks[part], doing=doing, completed=1 if doing in DONE else 0)
