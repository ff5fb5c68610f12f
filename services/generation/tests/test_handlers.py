"""The use case, on fakes."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from plumbline_generation.domain.answer import EXTRACTIVE, ClaimStatus, Outcome
from plumbline_generation.domain.attempts import Usage
from plumbline_generation.domain.guarding import BLOCKED, output_policy
from plumbline_generation.domain.screening import ScreenPolicy
from plumbline_generation.handlers import Claimed, Delta
from plumbline_generation.ports import Finish
from plumbline_generation.testing import FakeJournal, FakeModel, a_passage, an_assignment
from plumbline_guards.findings import Kind
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.errors import NotFound
from plumbline_kit.identity import Identity
from plumbline_kit.release import Release

NewDesk = Callable[..., Any]
OTHER = a_passage("The Meridian clock costs 52 euros.", "Meridian clock", "clock")


async def test_an_answer_streams_and_says_what_each_sentence_rests_on(desk: NewDesk, release: Release) -> None:
    streamed, done = await desk().answer(an_assignment(release, passages=(OTHER, a_passage())))
    assert streamed == done.answer.text == "The Aurora desk lamp costs 49 euros."
    assert done.answer.outcome is Outcome.ANSWERED
    assert done.answer.claims[0].source_numbers == (2,)
    assert [source.ref.document_id for source in done.answer.sources] == ["clock", "lamp"]


async def test_the_record_says_how_the_answer_came_about(desk: NewDesk, release: Release) -> None:
    _, done = await desk().answer(an_assignment(release))
    assert (done.record.model, done.record.usage, done.record.reason) == (release.model.name, Usage(90, 9), "")
    assert done.recorded


async def test_the_fact_belongs_to_the_caller(desk: NewDesk, release: Release) -> None:
    at = desk()
    assignment = an_assignment(release)
    _, done = await at.answer(assignment)
    [fact] = at.journal.facts
    assert (fact.caller.tenant, fact.caller.groups) == ("acme", ("staff",))
    assert (fact.assignment, fact.answer, fact.record) == (assignment, done.answer, done.record)


async def test_a_full_log_costs_nothing_but_the_promise(desk: NewDesk, release: Release) -> None:
    streamed, done = await desk(journal=FakeJournal(away=True)).answer(an_assignment(release))
    assert streamed == done.answer.text
    assert not done.recorded


async def test_markers_of_the_model_do_not_reach_the_caller(desk: NewDesk, release: Release) -> None:
    model = FakeModel(pieces=("[", "1] The Aurora desk lamp costs 49 euros [1", "]."))
    streamed, done = await desk(model=model).answer(an_assignment(release))
    assert streamed == done.answer.text == "The Aurora desk lamp costs 49 euros."


@pytest.mark.parametrize(
    ("passages", "found"),
    [((), ""), ((a_passage(" "),), ""), ((OTHER,), " Found instead: Meridian clock.")],
    ids=["none", "empty", "unrelated"],
)
async def test_what_the_documents_do_not_answer_is_refused_without_the_model(
    desk: NewDesk, release: Release, passages: Any, found: str
) -> None:
    at = desk()
    streamed, done = await at.answer(an_assignment(release, "Who won in Oslo?", passages))
    assert streamed == done.answer.text == f"The documents do not answer this question.{found}"
    assert (done.answer.outcome, done.answer.claims, done.record.model) == (Outcome.REFUSED, (), EXTRACTIVE)
    assert done.record.reason
    assert not at.model.asked
    assert at.journal.facts


async def test_passages_that_are_unlikely_to_answer_are_refused_with_the_figure(
    desk: NewDesk, release: Release
) -> None:
    at = desk(release=replace(release, guard=replace(release.guard, minimum_answerability=0.5)))
    far = replace(a_passage("The Aurora is sold in Oslo. Lamps come in grey."), similarity=0.1)
    streamed, done = await at.answer(an_assignment(at.release, "Which cable do Aurora lamps take?", (far,)))
    assert done.answer.outcome is Outcome.REFUSED
    assert streamed.endswith("Found instead: Aurora desk lamp.")
    assert done.record.answerability < 0.5
    assert f"{done.record.answerability:.2f}" in done.record.reason
    assert not at.model.asked


async def test_a_release_may_ask_for_no_likelihood(desk: NewDesk, release: Release) -> None:
    at = desk(release=replace(release, guard=replace(release.guard, minimum_answerability=0.0)))
    _, done = await at.answer(an_assignment(at.release))
    assert done.answer.outcome is Outcome.ANSWERED
    assert done.record.answerability is None


async def test_a_title_without_text_is_nothing_to_answer_from(desk: NewDesk, release: Release) -> None:
    at = desk()
    _, done = await at.answer(an_assignment(release, "Aurora desk lamp", (a_passage(" "),)))
    assert done.answer.outcome is Outcome.REFUSED
    assert not at.model.asked


async def test_a_model_that_does_not_know_makes_a_refusal(desk: NewDesk, release: Release) -> None:
    _, done = await desk(model=FakeModel(pieces=("I don't", " know."))).answer(an_assignment(release))
    assert (done.answer.text, done.answer.outcome) == ("I don't know.", Outcome.REFUSED)
    assert done.record.model == release.model.name


async def test_a_model_that_fails_at_once_leaves_an_extract_with_its_source(desk: NewDesk, release: Release) -> None:
    at = desk(model=FakeModel(pieces=(), failure="the model could not be reached"))
    streamed, done = await at.answer(an_assignment(release, passages=(OTHER, a_passage())))
    assert "The Aurora desk lamp costs 49 euros." in streamed
    assert streamed == done.answer.text
    assert done.answer.outcome is Outcome.DEGRADED
    assert (done.record.model, done.record.reason) == (EXTRACTIVE, "the model could not be reached")
    assert all(claim.source_numbers for claim in done.answer.claims)
    assert at.journal.facts


async def test_a_model_that_writes_nothing_leaves_an_extract(desk: NewDesk, release: Release) -> None:
    _, done = await desk(model=FakeModel(pieces=(" ", "\n"))).answer(an_assignment(release))
    assert (done.answer.outcome, done.record.reason) == (Outcome.DEGRADED, "the model wrote nothing")


async def test_a_model_that_breaks_off_leaves_its_complete_sentences(desk: NewDesk, release: Release) -> None:
    model = FakeModel(pieces=("The Aurora desk lamp costs 49 euros.", " It wei"), failure="the model broke off")
    streamed, done = await desk(model=model).answer(an_assignment(release))
    assert streamed == "The Aurora desk lamp costs 49 euros. It wei"
    assert done.answer.text == "The Aurora desk lamp costs 49 euros."
    assert (done.answer.outcome, done.record.model) == (Outcome.DEGRADED, release.model.name)
    assert len(done.answer.claims) == 1


async def test_a_model_that_breaks_off_within_its_first_sentence_is_replaced(desk: NewDesk, release: Release) -> None:
    model = FakeModel(pieces=("The Aurora desk lamp is",), failure="the model broke off")
    streamed, done = await desk(model=model).answer(an_assignment(release))
    assert streamed == "The Aurora desk lamp is"
    assert done.answer.text.startswith("The Aurora desk lamp costs 49 euros.")
    assert done.record.model == EXTRACTIVE


async def test_an_answer_cut_by_its_limit_ends_with_a_sentence(desk: NewDesk, release: Release) -> None:
    pieces = ("The Aurora desk lamp costs 49 euros.", " It weighs 1")
    _, done = await desk(model=FakeModel(pieces, Finish(ended_itself=False))).answer(an_assignment(release))
    assert done.answer.text == "The Aurora desk lamp costs 49 euros."
    assert done.answer.outcome is Outcome.ANSWERED


@pytest.mark.parametrize(
    ("deadline", "first_token", "total"), [(100.0, 15.0, 25.0), (20.5, 15.0, 20.0), (10.5, 10.0, 10.0)]
)
async def test_the_model_gets_what_release_and_caller_leave(
    desk: NewDesk, release: Release, deadline: float, first_token: float, total: float
) -> None:
    at = desk(deadline=deadline)
    await at.answer(an_assignment(release))
    [(_, limits)] = at.model.asked
    assert (limits.first_token, limits.total) == (first_token, total)


async def test_a_caller_with_no_time_gets_an_extract_at_once(desk: NewDesk, release: Release) -> None:
    at = desk(deadline=0.4)
    _, done = await at.answer(an_assignment(release))
    assert (done.answer.outcome, done.record.reason) == (Outcome.DEGRADED, "no time was left for the model")
    assert not at.model.asked
    assert 0 < at.journal.waits[0] < 0.4


async def test_the_prompt_holds_no_more_than_its_budget(desk: NewDesk, release: Release) -> None:
    at = desk()
    await at.answer(an_assignment(release, passages=(a_passage("lamp " * 500 + "."), OTHER)))
    [(prompt, _)] = at.model.asked
    assert len(prompt.user.split()) < release.model.context_tokens + 30
    assert "Meridian" not in prompt.user


async def test_another_release_is_not_found(desk: NewDesk, release: Release) -> None:
    with pytest.raises(NotFound):
        await desk().answer(replace(an_assignment(release), release_id="0123456789ab"))


async def test_a_caller_that_leaves_stops_the_model_and_leaves_no_fact(desk: NewDesk, release: Release) -> None:
    at = desk(model=FakeModel(hangs=True))
    events = at.use_case(an_assignment(release), Identity("acme", "tester"), 30.0)
    for _ in at.model.pieces:
        await anext(events)
    waiting = asyncio.ensure_future(anext(events))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(waiting, 0.01)
    await events.aclose()
    assert at.model.stopped_early
    assert not at.journal.facts


CARD = "4111 1111 1111 1111"


async def test_a_card_in_pieces_does_not_leave_though_a_passage_holds_it(desk: NewDesk, release: Release) -> None:
    passage = a_passage(f"The Aurora desk lamp costs 49 euros, paid with {CARD}.")
    pieces = ("The Aurora desk lamp costs 49 euros", ", paid with 4111 1", "111[1] 1111", " 1111", ".")
    streamed, done = await desk(model=FakeModel(pieces)).answer(an_assignment(release, passages=(passage,)))
    assert streamed == done.answer.text == "The Aurora desk lamp costs 49 euros, paid with [card]."
    assert done.record.guard.outcome is GuardOutcome.CHANGED
    assert done.record.guard.counts == {Kind.CARD: 1}


async def test_the_support_number_and_a_quoted_account_are_answers(desk: NewDesk, release: Release) -> None:
    text = "Aurora desk lamp: call 0490 75 40 81, write to help@shop.example, pay to GB82 WEST 1234 5698 7654 32."
    model = FakeModel((text[:40], text[40:]))
    streamed, done = await desk(model=model).answer(an_assignment(release, passages=(a_passage(text),)))
    assert streamed == done.answer.text == text
    assert done.record.guard.outcome is GuardOutcome.PASSED
    assert done.record.guard.counts == {Kind.PHONE: 1, Kind.EMAIL: 1, Kind.IBAN: 1}


async def test_an_account_that_no_passage_holds_does_not_leave(desk: NewDesk, release: Release) -> None:
    model = FakeModel(("The Aurora desk lamp costs 49 euros, to GB82 WEST 1234 5698 7654 32.",))
    streamed, _ = await desk(model=model).answer(an_assignment(release))
    assert streamed == "The Aurora desk lamp costs 49 euros, to [iban]."


async def test_an_extract_is_guarded_too(desk: NewDesk, release: Release) -> None:
    at = desk(model=FakeModel(pieces=(), failure="the model could not be reached"))
    passage = a_passage(f"The Aurora desk lamp costs 49 euros with {CARD}.")
    streamed, done = await at.answer(an_assignment(release, passages=(passage,)))
    assert streamed == done.answer.text == "The Aurora desk lamp costs 49 euros with [card]."


async def test_a_canary_ends_the_answer_and_stops_the_model(desk: NewDesk, release: Release) -> None:
    at = desk(model=FakeModel(("The Aurora desk lamp: zeb", "ra-7 is", " my secret"), hangs=True))
    streamed, done = await at.answer(an_assignment(release))
    assert streamed == f"The Aurora desk lamp: {BLOCKED}"
    assert (done.answer.text, done.answer.outcome, done.answer.claims) == (BLOCKED, Outcome.REFUSED, ())
    assert done.record.guard.outcome is GuardOutcome.BLOCKED
    assert done.record.reason == "the guards blocked the answer"
    assert at.model.stopped_early


@pytest.mark.parametrize(("fails_open", "said"), [(True, "The Aurora desk lamp costs 49 euros."), (False, BLOCKED)])
async def test_a_guard_that_takes_too_long_does_what_its_policy_says(
    desk: NewDesk, release: Release, fails_open: bool, said: str
) -> None:
    slow = output_policy("redact", fails_open=fails_open)
    screening, ticks = ScreenPolicy(fails_open=fails_open), count(0.0, 9.0).__next__
    at = desk(policy=slow, screen_policy=screening, monotonic=ticks)
    streamed, done = await at.answer(an_assignment(release))
    assert streamed == done.answer.text == said
    assert done.record.guard.outcome is GuardOutcome.UNSCANNED


async def test_guards_that_are_off_hold_nothing_back_and_claim_nothing(desk: NewDesk, release: Release) -> None:
    model = FakeModel((f"The Aurora desk lamp costs 49 euros with {CARD}.",))
    streamed, done = await desk(model=model, policy=output_policy("off")).answer(an_assignment(release))
    assert CARD in streamed
    assert done.record.guard is None


async def test_citations_stay_with_their_sentences_behind_a_redaction(desk: NewDesk, release: Release) -> None:
    model = FakeModel((f"Card {CARD} was seen. The Aurora desk lamp costs 49 euros [2].",))
    twin = a_passage("The Aurora desk lamp costs 49 euros. It is black.", document_id="twin")
    _, done = await desk(model=model).answer(an_assignment(release, passages=(a_passage(), twin)))
    assert done.answer.claims[-1].source_numbers[0] == 2


FALSE = " It was invented by Nordlys in 1911."


async def test_claims_come_with_the_text_and_are_those_of_the_answer(desk: NewDesk, release: Release) -> None:
    at = desk(model=FakeModel(("The Aurora desk lamp costs 49 euros.", FALSE)))
    _, done = await at.answer(an_assignment(release))
    assert tuple(at.claims) == done.answer.claims
    assert [claim.status for claim in at.claims] == [ClaimStatus.ATTRIBUTED, ClaimStatus.UNSUPPORTED]


async def test_a_withheld_sentence_is_neither_streamed_nor_in_the_answer(desk: NewDesk, strict: Release) -> None:
    at = desk(release=strict, model=FakeModel(("The Aurora desk lamp costs 49 euros.", FALSE, " It weighs 1.2 kil")))
    at.model.finish = Finish(ended_itself=False)
    streamed, done = await at.answer(an_assignment(strict))
    assert streamed == done.answer.text == "The Aurora desk lamp costs 49 euros."
    assert tuple(at.claims) == done.answer.claims
    assert done.record.grounding.withheld == 1


async def test_a_model_whose_every_sentence_is_withheld_refuses(desk: NewDesk, strict: Release) -> None:
    streamed, done = await desk(release=strict, model=FakeModel((FALSE,))).answer(an_assignment(strict))
    assert streamed == done.answer.text
    assert (done.answer.outcome, done.record.model) == (Outcome.REFUSED, EXTRACTIVE)
    assert done.record.reason == "no passage supports what the model wrote"


async def test_a_canary_ends_an_answer_whose_sentences_are_withheld(desk: NewDesk, strict: Release) -> None:
    at = desk(release=strict, model=FakeModel(("The Aurora desk lamp costs 49 euros. It is zeb", "ra-7"), hangs=True))
    streamed, done = await at.answer(an_assignment(strict))
    assert streamed == f"The Aurora desk lamp costs 49 euros.{BLOCKED}"
    assert (done.answer.text, done.answer.claims) == (BLOCKED, ())


async def test_sentences_that_a_model_sends_together_leave_as_one_delta(
    desk: Callable[..., Any], strict: Release
) -> None:
    text = "The Aurora desk lamp costs 49 euros. It weighs 1.2 kilograms."
    one = desk(release=strict, model=FakeModel((f"{text} It weighs",)))
    events = [event async for event in one.use_case(an_assignment(strict), Identity("acme", "tester", ()), 30.0)]
    assert [type(event) for event in events[:3]] == [Delta, Claimed, Claimed]
    assert isinstance(events[0], Delta)
    assert events[0].text == text
