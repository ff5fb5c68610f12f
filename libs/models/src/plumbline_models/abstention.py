"""Whether an answer says that it is none."""

import re
from typing import Final

_DOES_NOT_KNOW: Final = re.compile(
    r"(?:i'?m sorry|sorry|unfortunately)?[\s,.]*(?:but )?"
    r"(?:i (?:do not|don't|cannot|can't) (?:know|tell|answer|find)"
    r"|i(?: am|'m) (?:not sure|unable|not able)"
    r"|i have no (?:information|answer)"
    r"|(?:the |this |these )?(?:passages?|documents?|texts?|context|information)(?: provided| given)?"
    r" (?:do(?:es)? not|don't|doesn't) (?:say|mention|state|tell|contain|provide|answer|specify)"
    r"|(?:there is|there's) no (?:information|mention|answer)"
    r"|it is not (?:mentioned|stated|known|specified))\b",
    re.IGNORECASE,
)


def says_it_does_not_know(text: str) -> bool:
    """Whether an answer begins with the admission that it is none. A short list of English forms."""
    return _DOES_NOT_KNOW.match(text.replace("\u2019", "'").lstrip()) is not None
