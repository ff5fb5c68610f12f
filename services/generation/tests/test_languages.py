"""Text in any language passes guards, windows, grounding and citations unharmed, in whatever pieces it comes."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_generation.domain.answer import ClaimStatus, Outcome, Passage
from plumbline_generation.testing import FakeModel, a_passage, an_assignment
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.release import Release
from plumbline_kit.testing.llm import FakeLLM
from services.generation.tests.languages import SENTENCES

SUPPORTING = (ClaimStatus.SUPPORTED, ClaimStatus.ATTRIBUTED)


def a_source(language: str) -> Passage:
    return a_passage(" ".join(SENTENCES[language]), title="Aurora")


def said(language: str) -> str:
    """What a model writes that cites its only source."""
    return " ".join(f"{sentence} [1]" for sentence in SENTENCES[language])


def cuts(text: str, language: str, step: int) -> Iterator[list[str]]:
    """*text* in two at every point or, with a *step*, at some, in single characters, and in pieces of any length."""
    yield from ([text[:at], text[at:]] for at in range(1, len(text), step))
    yield list(text)
    choose = random.Random(language)
    places = sorted(choose.sample(range(1, len(text)), 6))
    yield [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def test_there_are_64_languages() -> None:
    assert len(SENTENCES) == 64


@pytest.mark.parametrize("held", [False, True], ids=["marked", "withheld"])
@pytest.mark.parametrize("language", SENTENCES)
async def test_an_answer_in_any_language_is_whole_cited_and_unchanged_wherever_it_is_cut(
    desk: Callable[..., Any], release: Release, strict: Release, language: str, held: bool
) -> None:
    chosen, source = (strict if held else release), a_source(language)
    asked = an_assignment(chosen, SENTENCES[language][0], [source])
    answers, one = [], desk(release=chosen, model=FakeModel())
    for pieces in cuts(said(language), language, step=7 if held else 1):
        one.model.pieces = pieces
        streamed, done = await one.answer(asked)
        assert streamed == done.answer.text
        assert {result.outcome for result in done.record.guards} == {GuardOutcome.PASSED}
        answers.append(done.answer)
    assert all(answer == answers[0] for answer in answers)
    answer = answers[0]
    assert (answer.text, answer.outcome) == (" ".join(SENTENCES[language]), Outcome.ANSWERED)
    assert all(claim.status in SUPPORTING and claim.source_numbers == (1,) for claim in answer.claims)
    assert "".join(source.text[one.start : one.end] for claim in answer.claims for one in claim.evidence).split()


async def test_all_languages_come_through_the_wire_byte_by_byte(serving: Callable[..., Any], release: Release) -> None:
    ref = common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id)
    model = FakeLLM()
    async with serving(model=model) as service:
        for number, (language, (question, _)) in enumerate(SENTENCES.items()):
            text = a_source(language).text
            model.script = lambda _, language=language: said(language)
            passage = common_pb.Passage(title="Aurora", text=text, end_offset=len(text))
            request = pb.GenerateAnswerRequest(
                answer_id=f"00000000-0000-4000-8000-{number:012d}",
                question=question,
                passages=[passage],
                release=ref,
            )
            with model.failing(byte_by_byte=True):
                *pieces, last = [m async for m in service.stub.GenerateAnswer(request, timeout=10)]
            assert "".join(piece.text_delta for piece in pieces) == last.completed.answer.text == text, language
