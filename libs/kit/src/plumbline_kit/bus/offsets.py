"""Which offset of a partition may be committed while its records finish out of order."""

from collections import deque


class ContiguousOffsets:
    """Offsets of one partition in hand, and how far they are finished without a gap.

    Kafka commits one number a partition: everything below it counts as handled. So it may only be
    the first offset that is not finished. Offsets need not be consecutive (compaction, transactions).
    """

    def __init__(self) -> None:
        self._pending: deque[int] = deque()
        self._finished: set[int] = set()
        self._next: int | None = None
        self.first: int | None = None
        """Where the consumer began."""

    def __len__(self) -> int:
        """Offsets at or above the first unfinished one, finished or not."""
        return len(self._pending)

    @property
    def next(self) -> int | None:
        """What may be committed: the offset to go on from after a restart. None before anything came."""
        return self._pending[0] if self._pending else self._next

    def add(self, offset: int) -> None:
        """Take *offset* in hand. Raises `ValueError` when offsets don't grow."""
        if self._next is not None and offset < self._next:
            raise ValueError(f"offset {offset} after {self._next - 1}")
        self._pending.append(offset)
        if self.first is None:
            self.first = offset
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """Mark *offset* as handled."""
        self._finished.add(offset)
        while self._pending and self._pending[0] in self._finished:
            self._finished.remove(self._pending.popleft())
