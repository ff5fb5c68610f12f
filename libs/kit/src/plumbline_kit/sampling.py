"""Which of many things are looked at: decided by their names, so that everybody who asks decides the same."""

import hashlib
from typing import Final

_ALL: Final = 2**64


def is_sampled(name: str, share: float) -> bool:
    """Whether *name* is in the sample of that *share*, in [0, 1]: what is in a smaller one is in a greater one too.

    Over random names, such as UUIDs, every one has the probability *share*.
    """
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) < share * _ALL
