"""Questions within a conversation, on the whole platform: what they find, and what the cache keeps of them."""

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_contracts.topics import ANSWER_GENERATED
from plumbline_kit.testing import eventually
from tests.conftest import System
from tests.driver import read_all
from tests.system.test_one_answer import ask_about_a_new_lamp, cached

FOLLOW_UP = "And what does it cost?"


def after(*said: str) -> list[common_pb.Turn]:
    """User and assistant in turn."""
    roles = (common_pb.TURN_ROLE_USER, common_pb.TURN_ROLE_ASSISTANT)
    return [common_pb.Turn(role=roles[number % 2], text=text) for number, text in enumerate(said)]


async def test_it_is_what_was_talked_about(system: System) -> None:
    name, question, answer = await ask_about_a_new_lamp(system.driver, price=43)
    follow_up = await system.driver.ask(FOLLOW_UP, turns=after(question, answer.answer.text))
    assert follow_up.condensation.method == common_pb.CONDENSATION_METHOD_RULE
    assert name in follow_up.condensation.standalone_question
    assert "43" in follow_up.answer.text

    events = read_all(system.layout.address("kafka"), ANSWER_GENERATED.name)
    [fact] = [AnswerGenerated.FromString(body) for key, body in events if key == follow_up.answer_id]
    assert fact.question == fact.condensation.standalone_question == follow_up.condensation.standalone_question
    assert fact.condensation.original_question == FOLLOW_UP


async def test_what_was_said_earlier_answers_the_same_conversation_only(system: System) -> None:
    _, question, answer = await ask_about_a_new_lamp(system.driver)
    await cached(system.driver, question)
    turns = after(question, answer.answer.text, "My card number is my own affair.", "It is.")
    assert (await system.driver.ask(FOLLOW_UP, turns=turns)).origin == gateway_pb.ANSWER_ORIGIN_GENERATED

    async def remembered() -> bool:
        return (await system.driver.ask(FOLLOW_UP, turns=turns)).origin == gateway_pb.ANSWER_ORIGIN_CACHED

    await eventually(remembered, seconds=20)
    others = after(question, answer.answer.text, "My card number is nobody's affair.", "It is.")
    assert (await system.driver.ask(FOLLOW_UP, turns=others)).origin == gateway_pb.ANSWER_ORIGIN_GENERATED


async def test_a_question_that_stands_alone_is_answered_for_everyone(system: System) -> None:
    name, question, _ = await ask_about_a_new_lamp(system.driver)
    await cached(system.driver, question)
    answer = await system.driver.ask(question, turns=after(f"Is the {name} in stock?", "I do not know."))
    assert answer.condensation.method == common_pb.CONDENSATION_METHOD_UNCHANGED
    assert answer.origin == gateway_pb.ANSWER_ORIGIN_CACHED
    assert not answer.costs
