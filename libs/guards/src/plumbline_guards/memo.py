"""Results that are kept, because the same texts come again."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

V = TypeVar("V")


class Memo(Generic[V]):
    """What *compute* makes of texts, of the last *size* of them. May be asked by several threads."""

    def __init__(self, compute: Callable[[Sequence[str]], Sequence[V]], size: int) -> None:
        """*compute* gives one result a text, in their order; it may raise, and nothing is kept then."""
        self._compute = compute
        self._size = size
        self._kept: dict[str, V] = {}
        self._lock = Lock()

    def of(self, texts: Sequence[str]) -> list[V]:
        """One result a text, in their order; what is not kept is computed in one go."""
        found = {text: self._kept[text] for text in texts if text in self._kept}
        new = [text for text in dict.fromkeys(texts) if text not in found]
        if new:
            found |= zip(new, self._compute(new), strict=True)
            self._keep({text: found[text] for text in new})
        return [found[text] for text in texts]

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Those of *texts* that would be computed."""
        return [text for text in texts if text not in self._kept]

    def _keep(self, results: dict[str, V]) -> None:
        with self._lock:
            self._kept |= results
            for oldest in list(self._kept)[: max(0, len(self._kept) - self._size)]:
                del self._kept[oldest]
