"""Whether the index knows enough to be asked."""

from dataclasses import dataclass

from plumbline_kit.errors import Unavailable


@dataclass
class Readiness:
    """Whether the index has ever been whole. A new one is rebuilt from the corpus first and knows too little."""

    complete: bool = False

    def require(self) -> None:
        """Raise `Unavailable` unless it has."""
        if not self.complete:
            raise Unavailable("the index is being rebuilt from the corpus", retry_after=5.0)
