"""One form for questions that ask the same in the same words."""

import re
from functools import lru_cache
from typing import Final

from plumbline_models.text import normalise

_ACRONYMS: Final = re.compile(r"\b(?:US|IT|WHO|AIDS|ACT|SAT)\b")
"""Names that mean something else in lower case, and are words that questions are made of."""


@lru_cache(maxsize=512)  # a lookup asks for it several times
def normal_form(question: str) -> str:
    """Equal for questions that differ in case, white space, punctuation and forms of the same character only.

    "US" is "U.S." and not "us", unless all is in capitals. What consists of marks alone stays as it is.
    """
    shouted = question == question.upper()
    spelt = question if shouted else _ACRONYMS.sub(lambda name: ".".join(name[0]), question)
    return normalise(spelt) or question.strip()
