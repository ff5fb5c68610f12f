"""The use case that condenses questions, on a fake model; and the rpc, over a real channel."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import grpc
import pytest

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_generation.domain.conversation import Conversation, Method, Role, Turn
from plumbline_generation.domain.rewriting import MAX_TOKENS
from plumbline_generation.domain.screening import Screen, ScreenPolicy
from plumbline_generation.handlers import Condensed, CondenseQuestion
from plumbline_generation.ports import Finish
from plumbline_generation.testing import FakeModel, an_assignment
from plumbline_generation.translation import condensation_to_proto
from plumbline_kit.errors import NotFound
from plumbline_kit.release import Release
from plumbline_kit.testing import FakeClock
from plumbline_kit.testing.llm import FakeLLM

Serving = Callable[..., Any]
SAID = (Turn(Role.USER, "How much does the Aurora desk lamp cost?"), Turn(Role.ASSISTANT, "It costs 49 euros."))
SCREEN = Screen(ScreenPolicy(), None, FakeClock().monotonic)
LEANING = Conversation(SAID, "And how heavy is it?")
REWRITTEN = "How heavy is the Aurora desk lamp?"


@pytest.fixture
def asking_model(release: Release) -> Release:
    """The local release, but a model condenses."""
    return replace(release, conversation=replace(release.conversation, method="model"))


async def condense(
    release: Release,
    model: FakeModel,
    conversation: Conversation = LEANING,
    deadline: float = 10.0,
    screen: Screen = SCREEN,
) -> Condensed:
    use_case = CondenseQuestion(model, release=release, clock=FakeClock(), screen=screen)
    return await use_case(conversation, release.application_id, release.id, tenant="acme", deadline=deadline)


async def test_by_rule_no_model_is_asked(release: Release) -> None:
    model = FakeModel()
    condensed = await condense(release, model)
    assert (condensed.condensation.method, model.asked) == (Method.RULE, [])


async def test_a_model_writes_the_question_anew(asking_model: Release) -> None:
    condensed = await condense(asking_model, FakeModel(pieces=("How heavy is the", " Aurora desk lamp?")))
    assert (condensed.condensation.standalone, condensed.condensation.method) == (REWRITTEN, Method.MODEL)
    assert condensed.finish.usage.prompt_tokens == 90


async def test_the_model_reads_placeholders_for_what_was_said(asking_model: Release) -> None:
    card = "4111 1111 1111 1111"
    said = Conversation((Turn(Role.USER, f"My card is {card}."),), "Is it valid?")
    model = FakeModel(
        pieces=(
            "Is my card [card",
            "-1] valid?",
        )
    )
    condensed = await condense(asking_model, model, said)
    [(prompt, _)] = model.asked
    assert "4111" not in prompt.user
    assert "[card-1]" in prompt.user
    assert condensed.condensation.standalone == f"Is my card {card} valid?"


class WatchedScreen(Screen):
    """Tells in which threads it looked."""

    def __init__(self) -> None:
        super().__init__(ScreenPolicy(), None, FakeClock().monotonic)
        self.threads: set[int] = set()

    def hidden(self, texts: Sequence[str]) -> tuple[list[str], Mapping[str, str]]:
        self.threads.add(threading.get_ident())
        return super().hidden(texts)


async def test_a_conversation_is_looked_at_off_the_event_loop(asking_model: Release) -> None:
    screen = WatchedScreen()
    await condense(asking_model, FakeModel(pieces=(REWRITTEN,)), screen=screen)
    assert screen.threads
    assert threading.get_ident() not in screen.threads


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (FakeModel(pieces=("It weighs 1.2 kilograms.",)), "no question"),
        (FakeModel(pieces=(), failure="the model could not be reached"), "could not be reached"),
        (FakeModel(pieces=("How ",), failure="the model broke off"), "broke off"),
        (FakeModel(pieces=("How heavy? ",) * 5_000), "too much"),
        (FakeModel(pieces=("How heavy is the Aurora desk lamp?",), finish=Finish(ended_itself=False)), "too much"),
    ],
    ids=["answers", "away", "breaks", "never ends", "is cut"],
)
async def test_where_the_model_fails_the_rule_takes_its_place(
    asking_model: Release, model: FakeModel, reason: str
) -> None:
    condensation = (await condense(asking_model, model)).condensation
    assert condensation.method is Method.RULE
    assert "Aurora" in condensation.standalone
    assert reason in condensation.reason


async def test_the_model_writes_a_question_s_length_and_leaves_nothing_to_chance(asking_model: Release) -> None:
    model = FakeModel(pieces=(REWRITTEN,))
    await condense(asking_model, model)
    [(prompt, _)] = model.asked
    assert (prompt.temperature, prompt.max_tokens) == (0.0, MAX_TOKENS)


async def test_the_model_gets_a_share_of_the_time(asking_model: Release) -> None:
    model = FakeModel(pieces=(REWRITTEN,))
    await condense(asking_model, model, deadline=10.0)
    [(_, limits)] = model.asked
    assert 0 < limits.total <= 6.0
    late = await condense(asking_model, model, deadline=0.0)
    assert (late.condensation.method, len(model.asked)) == (Method.RULE, 1)


async def test_without_turns_there_is_nothing_to_do(asking_model: Release) -> None:
    model = FakeModel()
    condensed = await condense(asking_model, model, Conversation((), "How heavy is it?"))
    assert (condensed.condensation.method, model.asked) == (Method.UNCHANGED, [])


async def test_a_release_that_looks_at_no_turns_changes_nothing(release: Release) -> None:
    deaf = replace(release, conversation=replace(release.conversation, turns=0))
    assert (await condense(deaf, FakeModel())).condensation.method is Method.UNCHANGED


async def test_another_release_is_not_found(release: Release) -> None:
    with pytest.raises(NotFound):
        await CondenseQuestion(FakeModel(), release=release, clock=FakeClock(), screen=SCREEN)(
            LEANING, "default", "other", tenant="acme", deadline=10.0
        )


def request_of(
    release: Release, *turns: common_pb.Turn, question: str = LEANING.question
) -> pb.CondenseQuestionRequest:
    ref = common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id)
    return pb.CondenseQuestionRequest(question=question, turns=turns, release=ref)


USER = common_pb.Turn(role=common_pb.TURN_ROLE_USER, text=SAID[0].text)


async def test_the_rpc_says_what_became_of_the_question(serving: Serving, release: Release) -> None:
    async with serving() as service:
        response = await service.stub.CondenseQuestion(request_of(release, USER), timeout=10)
    assert response.condensation.method == common_pb.CONDENSATION_METHOD_RULE
    assert response.condensation.original_question == LEANING.question
    assert "Aurora" in response.condensation.standalone_question
    assert not response.attempts


async def test_the_rpc_says_what_the_model_took(serving: Serving, asking_model: Release) -> None:
    async with serving(model=FakeLLM(lambda messages: REWRITTEN), release=asking_model) as service:
        response = await service.stub.CondenseQuestion(request_of(asking_model, USER), timeout=10)
    assert response.condensation.standalone_question == REWRITTEN
    assert response.condensation.method == common_pb.CONDENSATION_METHOD_MODEL
    assert [attempt.outcome for attempt in response.attempts] == [pb.ATTEMPT_OUTCOME_ANSWERED]
    assert response.prompt_tokens > 0


@pytest.mark.parametrize(
    ("turns", "question", "field"),
    [
        ([common_pb.Turn(text="Obey.")], "Why?", "turns[0].role"),
        ([USER, common_pb.Turn(role=common_pb.TURN_ROLE_ASSISTANT)], "Why?", "turns[1].text"),
        ([USER] * 101, "Why?", "turns"),
        ([USER], " ", "question"),
    ],
)
async def test_a_wrong_conversation_says_which_field_is_wrong(
    serving: Serving, release: Release, turns: list[common_pb.Turn], question: str, field: str
) -> None:
    async with serving() as service:
        with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT") as failure:
            await service.stub.CondenseQuestion(request_of(release, *turns, question=question), timeout=10)
    assert field in str(failure.value.details())


@pytest.mark.parametrize(
    ("name", "value"),
    [("original_question", "x" * 8_001), ("conversation", "5f" * 33), ("conversation", "what I said")],
)
async def test_a_condensation_that_nobody_can_have_made_is_refused(
    serving: Serving, release: Release, name: str, value: str
) -> None:
    assignment = an_assignment(release)
    request = pb.GenerateAnswerRequest(
        answer_id=assignment.answer_id,
        question=assignment.question,
        release=common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id),
        condensation=common_pb.Condensation(**{name: value}),
    )
    async with serving() as service:
        with pytest.raises(grpc.aio.AioRpcError, match="INVALID_ARGUMENT") as failure:
            _ = [message async for message in service.stub.GenerateAnswer(request, timeout=10)]
    assert f"condensation.{name}" in str(failure.value.details())


async def test_event_and_record_keep_the_question_before_and_after(serving: Serving, release: Release) -> None:
    condensation = replace((await condense(release, FakeModel())).condensation, conversation="5f" * 32)
    assignment = an_assignment(release, condensation.standalone)
    request = pb.GenerateAnswerRequest(
        answer_id=assignment.answer_id,
        question=condensation.standalone,
        release=common_pb.ReleaseRef(application_id=release.application_id, release_id=release.id),
        condensation=condensation_to_proto(condensation),
    )
    async with serving() as service:
        messages = [message async for message in service.stub.GenerateAnswer(request, timeout=10)]
        [fact] = service.bus.records(ANSWER_GENERATED)
    assert messages[-1].completed.record.condensation_method == common_pb.CONDENSATION_METHOD_RULE
    assert fact.body.record.condensation_method == common_pb.CONDENSATION_METHOD_RULE
    assert (fact.body.question, fact.body.condensation) == (condensation.standalone, request.condensation)
