"""Whether what a question says may be kept for others."""

import re
from functools import lru_cache
from typing import Final

from plumbline_guards.findings import Kind
from plumbline_guards.scanner import scan

_CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


def has_personal_data(question: str) -> bool:
    """Whether it holds an e-mail address, a number of a telephone, card or account, a key, or the like."""
    return bool(_kinds(question) - {Kind.INVISIBLE})


def has_hidden(question: str) -> bool:
    """Whether it holds what is not seen: control characters, marks of direction, tags.

    The normal form leaves them out and a model reads them. An answer to what they say would be served to who asks
    the same without them.
    """
    return bool(_CONTROL.search(question)) or Kind.INVISIBLE in _kinds(question)


@lru_cache(maxsize=8)  # both are asked of a question, one after the other
def _kinds(question: str) -> frozenset[Kind]:
    return frozenset(finding.kind for finding in scan(question))
