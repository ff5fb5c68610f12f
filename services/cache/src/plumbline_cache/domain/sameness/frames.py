"""Ways to begin a question that ask for the same: each is made into its shortest."""

import re
from typing import Final

FRAMES: Final = tuple(
    (re.compile(pattern), form)
    for pattern, form in (
        (
            r"^(?:(?:hi|hello|hey|please"
            r"|(?:can|could|would|will) (?:you|someone|anyone)(?: please)? (?:tell|explain to) me|tell me"
            r"|do you know|i(?: would|'d) like to know|i want to know|in your opinion)\b[\s,:!.]*)+",
            "",
        ),
        (r",? or not\b(?! )|(?<=whether )or not ", ""),
        (r"\bdo (?:you|people) think (?:that )?|\baccording to you,? ?|\bin your opinion,? ?", ""),
        (r"\b(?:of )?all[- ]time\b", ""),
        (r"\b(?:start|begin|get started|go about|get better at|try|keep) (?:to )?(?=\w+ing\b)", ""),
        (
            r"\b(?:what (?:is|was) it like|how (?:does|do|did) (?:it|you) feel"
            r"|what does it feel like) to (?:be |have )?",
            "how feel ",
        ),
        (r"\bwhat (?:do|does) (.+?) mean\b", r"what is meaning of \1"),
        (r"\bwhat (?:is|are) (?:the )?(?:cost|price|prices)\b(?: of)?", "how much price"),
        (r"\b(?:how much|what) (?:does|do|is|are|would) (.+?) costs?\b", r"how much price \1"),
        (r"\bhow come\b", "why"),
        (
            r"\bwhat (?:is|are|was|were) (?:the |some |your |a )?(?:of the )?(?:main |real |exact )?reasons? "
            r"(?:why|that|behind|for)\b",
            "why",
        ),
        (
            r"\b(?:what|which) (?:is|are|could be|would be|can be) (?:the |some |a |your )?(?:of the )?"
            r"(?:(?:best|good|great|easy|easiest|simple|simplest|effective|most effective"
            r"|possible|different|top|proper|right|correct) )*"
            r"(?:ways?|methods?|steps|tips?)"
            r"(?: i can| one can| you can| i should do| for| of| on how)? (?:to )?",
            "how ",
        ),
        (
            r"\bwhat (?:should|can|must|could|do) (?:i|we|you|one|someone) "
            r"(?:have to |need to )?do (?:to|in order to|so that i can) ",
            "how ",
        ),
        (r"\b(?:is there (?:a|any) (?:good |easy )?way|is it possible|are there any ways) to ", "can "),
        (
            r"\bhow (?:to|(?:(?:can|could|do|should|would|might) (?:i|we|you|one|someone|somebody|people|a person)"
            r"|does (?:one|someone|somebody|a person))) "
            r"(?:go about |best |actually |possibly |be able to )*",
            "how ",
        ),
        (r"\b(?:_us|usa|u\.s\.(?:a\.)?)(?!\w)|\bunited states(?: of america)?\b", "america"),
        (r"\bu\.?k\.?(?!\w)|\bunited kingdom\b|\bgreat britain\b", "britain"),
    )
)
"""In their order: what one makes another may change."""


def shortest(question: str) -> str:
    """The *question*, in lower case and with single spaces, in as few words as ask the same."""
    for pattern, form in FRAMES:
        question = pattern.sub(form, question)
    return question
