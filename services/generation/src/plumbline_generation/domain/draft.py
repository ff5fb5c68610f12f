"""What is kept of a text when the model has ended, or has been ended."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from plumbline_generation.domain.answer import Answer, Claim, Outcome, Passage

EMPTY: Final = "the model wrote nothing"
NOTHING_SUPPORTED: Final = "no passage supports what the model wrote"

# A full stop after a digit may be the point of a number that was cut in two.
_ENDS: Final = re.compile(r"(?:[!?\u2026\u3002\uff01\uff1f]|(?<!\d)\.|```)[\"'\u2019\u201d\u00bb)\]]*$")


@dataclass(frozen=True, slots=True)
class Draft:
    """A text on its way to an answer."""

    text: str
    claims: tuple[Claim, ...] = ()
    outcome: Outcome = Outcome.ANSWERED
    by_model: bool = True
    reason: str = ""

    def answer(self, sources: Sequence[Passage]) -> Answer:
        """The text with its claims; a refusal claims nothing."""
        claims = () if self.outcome is Outcome.REFUSED else self.claims
        return Answer(self.text, claims, tuple(sources), self.outcome)

    def after(self, shown: str) -> list[str | Claim]:
        """What is still to be told to somebody who has seen *shown*: nothing where the text does not begin with it."""
        if not self.text.startswith(shown) or self.text == shown:
            return []
        claims = [claim for claim in self.answer(()).claims if claim.start >= len(shown)]
        return [self.text[len(shown) :], *claims]

    def followed_by(self, text: str, claims: Sequence[Claim]) -> "Draft":
        """This and, after a space, another text with its claims."""
        at = len(self.text) + 1
        moved = [moved_to(claim, claim.start + at) for claim in claims]
        return replace(self, text=f"{self.text} {text}", claims=(*self.claims, *moved))


def moved_to(claim: Claim, start: int) -> Claim:
    """*claim*, beginning at *start*."""
    return replace(claim, start=start, end=start + claim.end - claim.start)


def is_complete(sentence: str) -> bool:
    """Whether it ends as a sentence does, and was not cut off."""
    return _ENDS.search(sentence) is not None
