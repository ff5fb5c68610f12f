"""Where the command line prints: no text of people, documents or models steers the terminal or sets a style."""

import re
from collections.abc import Iterable
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

_STEERING: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SIGN: Final = "\ufffd"


class PlainConsole(Console):
    """A console on which text is text. What has a style says so by `Text`."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False, emoji=False, markup=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """See `Console`; a sign stands for each character that steers a terminal."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_STEERING.sub(_SIGN, segment.text))
