"""What scores texts by how much they read like an attack on a model."""

from collections.abc import Sequence
from typing import Final, Protocol

OPERATING_POINT: Final = 0.5
"""From this score on a text is taken for an attack."""


class Detector(Protocol):
    """Scores are in [0, 1], one a text, in their order."""

    def scores(self, texts: Sequence[str]) -> list[float]:
        """Of questions: injections and jailbreaks."""
        ...

    def document_scores(self, texts: Sequence[str]) -> list[float]:
        """Of documents' texts: instructions hidden in them."""
        ...
