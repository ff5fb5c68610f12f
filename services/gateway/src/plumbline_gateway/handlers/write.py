"""Write an answer from the documents, and read what is written, whatever becomes of generation."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import structlog

from plumbline_gateway.domain import (
    Asked,
    Assignment,
    Claim,
    Claimed,
    Delta,
    Embedding,
    Generated,
    Passage,
    Spending,
    degraded_answer,
)
from plumbline_gateway.handlers.writing import Piece, Writing
from plumbline_gateway.ports import AnswerGenerator, PassageSearch
from plumbline_kit.errors import Invalid, PermissionDenied, PlumblineError, Unauthenticated, Unavailable

log = structlog.get_logger()

OVER_BUDGET = "OVER_BUDGET"
CALLERS_ERRORS = (Invalid, Unauthenticated, PermissionDenied)
"""What no other way to an answer would mend."""


@dataclass(frozen=True)
class WriteAnswer:
    """Finds passages and lets generation write from them."""

    search: PassageSearch
    generator: AnswerGenerator
    count: int
    """Passages that are asked for."""

    async def __call__(
        self, asked: Asked, assignment: Assignment, embedding: Embedding | None
    ) -> AsyncGenerator[Piece, None]:
        """The passages first, which *assignment* lacks. *embedding* is the question's, if it is known.

        Raises `Unavailable` when the documents cannot be searched, and what searching and generating raise.
        """
        passages = await self.find(asked.wordings, embedding)
        yield passages
        async with aclosing(self.generator.generate(replace(assignment, passages=passages))) as pieces:
            async for piece in pieces:
                yield piece

    async def find(self, wordings: Sequence[str], embedding: Embedding | None) -> tuple[Passage, ...]:
        """The passages that would be written from. Raises as above."""
        try:
            return await self.search.search(wordings, self.count, embedding)
        except Invalid as error:
            if embedding is None:
                raise
            # The question is valid, so the vector is not: cache and index run different encoders for now.
            log.warning("question_vector_refused", encoder_id=embedding.encoder_id, reason=str(error))
            return await self.find(wordings, None)
        except Unavailable as error:
            raise Unavailable(f"the documents cannot be searched: {error}", retry_after=error.retry_after) from error


async def read_answer(
    writing: Writing, answer_id: str, left: Callable[[], float | None], *, only_by_a_model: bool
) -> AsyncGenerator[Delta | Claimed | Generated, None]:
    """*writing* as one of its readers is told it, who asked under *answer_id* and has so many seconds *left*.

    Where generation fails or takes too long the best passage answers, unless it is wanted *only_by_a_model*.
    """
    passages, text = None, ""
    try:
        async with aclosing(writing.read(left)) as pieces:
            async for piece in pieces:
                match piece:
                    case str():
                        text += piece
                        yield Delta(piece)
                    case Claim():
                        yield Claimed(piece)
                    case Generated():
                        yield _for_reader(piece, writing, answer_id)
                    case _:
                        passages = piece
    except CALLERS_ERRORS:
        raise
    except PlumblineError as error:
        if passages is None or only_by_a_model or error.reason == OVER_BUDGET:
            raise
        log.warning("generation_unreachable", answer_id=answer_id, reason=str(error))
        answer = degraded_answer(text, passages)
        yield Delta(answer.text[len(text) :])
        yield Generated(answer, model="extractive", reason="generation could not be reached")


def _for_reader(generated: Generated, writing: Writing, answer_id: str) -> Generated:
    """What it took is counted once, with the question that began it."""
    if writing.answer_id == answer_id:
        return generated
    return replace(generated, coalesced_with=writing.answer_id, spending=Spending())
