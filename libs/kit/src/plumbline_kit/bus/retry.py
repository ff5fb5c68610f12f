"""How long to wait before a record is tried again."""

from dataclasses import dataclass, field
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubling waits with jitter, so that consumers that failed together don't come back together."""

    first: float = 0.2
    """Seconds before the second try."""
    most: float = 30.0
    """Seconds that no wait exceeds."""
    random: Random = field(default_factory=Random)

    def seconds(self, failures: int) -> float:
        """The wait after so many *failures* in a row (1 or more): between half and all of the doubled time."""
        full = min(self.most, self.first * 2.0 ** min(failures - 1, 32))
        return full * (0.5 + self.random.random() / 2)
