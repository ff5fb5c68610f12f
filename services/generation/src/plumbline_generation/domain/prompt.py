"""What the model is told of the packed passages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from plumbline_generation.domain.answer import Block, Passage
from plumbline_generation.domain.packing import Offsets, Order, Packed, pack
from plumbline_kit.release import Release
from plumbline_prompts.template import Prompt, PromptPassage, PromptTemplate

__all__ = ["Prompt", "PromptTokens", "PromptWriter"]

_HEADING: Final = re.compile(r"^#{1,6} ", re.MULTILINE)
TRUST: Final = {1: "low", 2: "medium", 3: "high"}
"""Of a source, by the contract's numbers."""


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """What a prompt takes, and each block in it."""

    system: int
    user: int
    blocks: tuple[Block, ...]


class PromptWriter:
    """Writes prompts as a release wants them."""

    def __init__(self, release: Release, offsets: Offsets) -> None:
        """Raises `ValueError` for a prompt that does not render, or an order that nobody knows."""
        self._template = PromptTemplate(release.prompt)
        self._budget = release.model.context_tokens
        self._offsets = offsets
        self._frame = self._template.frame_tokens(lambda text: len(offsets(text)))
        self._order = Order(release.model.passage_order)

    def pack(self, passages: Sequence[Passage]) -> Packed:
        """What the model reads of *passages*, which come best first."""
        return pack(passages, self._budget, self._offsets, frame=self._frame, order=self._order)

    def write(self, question: str, packed: Packed) -> Prompt:
        """The prompt for *question*: each block under the number of its best source."""
        passages = [_read(block, packed.sources[block.numbers[0] - 1]) for block in packed.blocks]
        return self._template.render(question, passages)

    def count(self, question: str, passages: Sequence[Passage]) -> PromptTokens:
        """The tokens of the prompt for *question* over what fits of *passages*."""
        packed = self.pack(passages)
        prompt = self.write(question, packed)
        system, user = (len(self._offsets(text)) for text in (prompt.system, prompt.user))
        return PromptTokens(system, user, packed.blocks)


def _read(block: Block, source: Passage) -> PromptPassage:
    provenance = source.provenance
    return PromptPassage(
        number=block.numbers[0],
        title=block.title,
        text=_without_headings(block.text, block.title),
        date=provenance.as_of.date().isoformat() if provenance.as_of else "",
        trust=TRUST.get(provenance.trust, ""),
        section=block.section,
    )


def _without_headings(text: str, title: str) -> str:
    first_line, _, rest = text.strip().partition("\n")
    says_title_again = first_line.lstrip("# ") == title and rest.strip()
    return _HEADING.sub("", rest if says_title_again else text)
