"""How far a consumer is from the end of a partition."""


class PartitionProgress:
    """Compares what is handled with what the partition holds.

    *position* is always the offset below which everything is handled (None before the first record), *in_hand*
    the number of records that are not.
    """

    def __init__(self) -> None:
        self._target: int | None = None
        self._high = 0
        self._end = 0

    def observe(self, high: int) -> None:
        """The partition's last record lies just below *high*. The first call says what there is to catch up with."""
        self._high = max(self._high, high)
        if self._target is None:
            self._target = self._high

    def reached(self, end: int) -> None:
        """Everything readable below *end* has come."""
        self._end = end
        self.observe(end)

    def caught_up(self, position: int | None, in_hand: int) -> bool:
        """Whether what the partition held at first sight is handled. An empty partition is."""
        if self._target is None:
            return False
        handled = self._handled(position, in_hand)
        # Above the end there may be an open transaction: nothing that anybody may read yet.
        return handled >= self._target or handled >= self._end > 0

    def lag(self, position: int | None, in_hand: int) -> int:
        """Records not yet handled; offsets that hold none (compacted, transaction markers) count as well."""
        return 0 if self._target is None else max(0, self._high - self._handled(position, in_hand))

    def _handled(self, position: int | None, in_hand: int) -> int:
        # The last offsets may be transaction markers, which never come as records.
        return position or 0 if in_hand else max(position or 0, self._end)
