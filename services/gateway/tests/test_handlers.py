"""What a caller of the front door gets, in every state of the world behind it."""

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from plumbline_gateway.domain import (
    REFUSAL,
    Caller,
    Completed,
    Delta,
    Embedding,
    Event,
    Freshness,
    Generated,
    Hit,
    Lookup,
    Origin,
    Outcome,
    Passage,
    Question,
    Started,
    Tier,
    extract,
)
from plumbline_gateway.testing import FakeCache, FakeGenerator, FakeSearch, a_passage, an_answer, kept
from plumbline_kit.errors import (
    DeadlineExceeded,
    Exhausted,
    Invalid,
    NotFound,
    PermissionDenied,
    PlumblineError,
    Unavailable,
)

Door = Callable[..., Any]
Last = Callable[[list[Event]], Completed]
AWAY = Unavailable("away", retry_after=2.5)


def remembering(tier: Tier = Tier.EXACT, embedding: Embedding | None = None) -> FakeCache:
    """A cache that holds an answer to the question."""
    return FakeCache(Lookup(Hit("answer-0", kept(an_answer("It costs 48 euros.")), tier), embedding=embedding))


async def test_a_question_begins_with_its_answer_id_and_release(front_door: Door) -> None:
    door = front_door()
    events = await door.ask()
    assert events[0] == Started("answer-1", events[-1].release)
    assert events[0].release.release_id == door.release.id


async def test_a_miss_is_answered_from_the_documents_as_it_is_written(front_door: Door, completed: Last) -> None:
    door = front_door()
    events = await door.ask()
    assert [event.text for event in events if isinstance(event, Delta)] == ["It costs ", "49 euros."]
    done = completed(events)
    assert (done.result.origin, done.result.model, done.result.recorded) == (Origin.GENERATED, "small-model", True)
    assert door.generator.assignments[0].passages == door.search.passages
    assert door.search.limits == [door.release.retrieval.passages]


async def test_the_vector_of_a_miss_is_passed_on(front_door: Door) -> None:
    vector = Embedding("encoder", [0.6, 0.8])
    door = front_door(cache=FakeCache(Lookup(miss_reason="NOT_FOUND", embedding=vector)))
    await door.ask()
    assert door.search.embeddings == [vector]


async def test_a_vector_of_another_encoder_is_computed_again(front_door: Door, completed: Last) -> None:
    old = Embedding("old encoder", [0.6, 0.8])
    door = front_door(cache=FakeCache(Lookup(miss_reason="NOT_FOUND", embedding=old)))
    assert completed(await door.ask()).result.origin is Origin.GENERATED
    assert door.search.embeddings == [old, None]


@pytest.mark.parametrize("tier", Tier)
async def test_a_hit_is_served_in_one_piece_and_names_its_first_answer(
    front_door: Door, completed: Last, tier: Tier
) -> None:
    door = front_door(cache=remembering(tier))
    events = await door.ask()
    assert len(events) == 3
    done = completed(events)
    assert (done.result.origin, done.result.cached_answer_id, done.result.recorded) == (Origin.CACHED, "answer-0", True)
    assert not door.generator.assignments


async def test_a_strict_hit_is_verified_source_by_source(front_door: Door) -> None:
    door = front_door(cache=remembering())
    await door.ask(freshness=Freshness.STRICT)
    assert door.search.verified == [source.ref for source in an_answer().sources]


async def test_the_release_decides_how_fresh_a_hit_must_be(front_door: Door) -> None:
    door = front_door(cache=remembering())
    await door.ask(freshness=None)
    assert door.release.cache.freshness == "strict"
    assert door.search.verified


async def test_an_eventual_hit_needs_no_index(front_door: Door, completed: Last) -> None:
    door = front_door(cache=remembering(), search=FakeSearch(error=AWAY))
    assert completed(await door.ask(freshness=Freshness.EVENTUAL)).result.origin is Origin.CACHED


async def test_a_hit_whose_source_changed_is_answered_afresh(front_door: Door, completed: Last) -> None:
    vector = Embedding("encoder", [0.6, 0.8])
    door = front_door(cache=remembering(Tier.SEMANTIC, vector), search=FakeSearch(current=False))
    done = completed(await door.ask())
    assert (done.result.origin, done.result.answer.text) == (Origin.GENERATED, "It costs 49 euros.")
    assert door.search.embeddings == [vector]


async def test_a_hit_that_cannot_be_verified_is_not_served(front_door: Door) -> None:
    door = front_door(cache=remembering(), search=FakeSearch(error=AWAY))
    with pytest.raises(Unavailable):
        await door.ask()


def revalidating() -> FakeCache:
    """A cache that does not know whether a new passage changes the answer that it holds."""
    return FakeCache(Lookup(miss_reason="revalidating", to_revalidate=Hit("answer-0", kept(an_answer()), Tier.EXACT)))


async def test_where_a_search_finds_the_passages_of_a_cached_answer_and_no_other_it_is_served(
    front_door: Door, completed: Last
) -> None:
    door = front_door(cache=revalidating())
    done = completed(await door.ask())
    assert (done.result.origin, done.result.cached_answer_id) == (Origin.CACHED, "answer-0")
    assert not door.generator.assignments


@pytest.mark.parametrize(
    "found",
    [
        (),
        (a_passage(document_id="another"),),
        (a_passage(), a_passage(document_id="another")),
    ],
    ids=["none", "another", "one_more"],
)
async def test_where_a_search_finds_anything_else_the_question_is_answered_afresh(
    front_door: Door, completed: Last, found: tuple[Passage, ...]
) -> None:
    door = front_door(cache=revalidating(), search=FakeSearch(found))
    assert completed(await door.ask()).result.origin is Origin.GENERATED


async def test_a_cached_answer_that_a_search_found_unchanged_is_still_verified(
    front_door: Door, completed: Last
) -> None:
    door = front_door(cache=revalidating(), search=FakeSearch(current=False))
    assert completed(await door.ask()).result.origin is Origin.GENERATED


async def test_bypass_asks_no_cache(front_door: Door, completed: Last) -> None:
    door = front_door(cache=remembering())
    assert completed(await door.ask(freshness=Freshness.BYPASS)).result.origin is Origin.GENERATED
    assert not door.cache.questions


@pytest.mark.parametrize("error", [AWAY, DeadlineExceeded("slow"), PlumblineError("broken")], ids=repr)
async def test_without_a_cache_the_answer_comes_from_the_documents(
    front_door: Door, completed: Last, error: PlumblineError
) -> None:
    door = front_door(cache=FakeCache(error=error))
    assert completed(await door.ask()).result.origin is Origin.GENERATED


async def test_without_the_documents_the_caller_is_told_when_to_come_back(front_door: Door) -> None:
    door = front_door(search=FakeSearch(error=AWAY))
    with pytest.raises(Unavailable, match="documents cannot be searched") as failure:
        await door.ask()
    assert failure.value.retry_after == 2.5
    assert not door.announcer.told


@pytest.mark.parametrize("error", [AWAY, Exhausted("full"), DeadlineExceeded("slow"), NotFound("release")], ids=repr)
async def test_without_generation_the_best_passage_answers(
    front_door: Door, completed: Last, error: PlumblineError
) -> None:
    door = front_door(generator=FakeGenerator(deltas=(), error=error))
    done = completed(await door.ask())
    assert done.result.answer.text == "The Aurora desk lamp costs 49 euros. It is in stock."
    assert (done.result.origin, done.result.recorded, done.result.model) == (Origin.DEGRADED, False, "extractive")
    assert done.result.answer.claims[0].source_numbers == (1,)
    assert done.result.reason


async def test_generation_that_dies_while_writing_leaves_its_words_unsupported(
    front_door: Door, completed: Last
) -> None:
    door = front_door(generator=FakeGenerator(deltas=("The lamp is",), error=AWAY))
    answer = completed(await door.ask()).result.answer
    written, cited = answer.claims
    assert (answer.text[written.start : written.end], written.source_numbers) == ("The lamp is", ())
    assert answer.text[cited.start : cited.end].startswith("The Aurora desk lamp costs 49 euros.")
    assert cited.source_numbers == (1,)


async def test_an_extract_without_generation_tells_no_card(front_door: Door, completed: Last) -> None:
    passage = a_passage("The lamp was paid with 4111 1111 1111 1111, see javascript:pay(). It is blue.")
    door = front_door(search=FakeSearch(passages=(passage,)), generator=FakeGenerator(deltas=(), error=AWAY))
    answer = completed(await door.ask()).result.answer
    assert answer.text == "The lamp was paid with [card], see [link]. It is blue."
    assert (answer.claims[0].start, answer.claims[0].end) == (0, len(answer.text))


async def test_without_generation_and_passages_the_answer_is_a_refusal(front_door: Door, completed: Last) -> None:
    door = front_door(search=FakeSearch(passages=()), generator=FakeGenerator(deltas=(), error=AWAY))
    done = completed(await door.ask())
    assert (done.result.origin, done.result.answer.text, done.result.answer.claims) == (Origin.REFUSED, REFUSAL, ())


async def test_what_is_wrong_with_the_caller_is_not_hidden_by_an_extract(front_door: Door) -> None:
    door = front_door(generator=FakeGenerator(deltas=(), error=PermissionDenied("scope")))
    with pytest.raises(PermissionDenied):
        await door.ask()


async def test_a_used_up_budget_is_not_hidden_where_generation_insists_on_it(front_door: Door) -> None:
    used_up = Exhausted("used up", retry_after=60.0, reason="OVER_BUDGET")
    door = front_door(generator=FakeGenerator(deltas=(), error=used_up))
    with pytest.raises(Exhausted) as failure:
        await door.ask()
    assert failure.value is used_up


async def test_an_answer_as_json_is_neither_looked_up_nor_replaced_by_an_extract(
    front_door: Door, completed: Last
) -> None:
    door = front_door(cache=remembering())
    assert completed(await door.ask(json_schema="{}")).result.origin is Origin.GENERATED
    assert not door.cache.questions
    assert door.generator.assignments[0].json_schema == "{}"
    away = front_door(generator=FakeGenerator(deltas=(), error=AWAY))
    with pytest.raises(Unavailable):
        await away.ask(json_schema="{}")


async def test_an_answer_of_several_texts_is_not_looked_up(front_door: Door, completed: Last) -> None:
    generated = Generated(an_answer(), model="m", recorded=True, samples=4, agreement=0.5)
    door = front_door(cache=remembering(), generator=FakeGenerator(generated=generated))
    done = completed(await door.ask(samples=4))
    assert (done.result.samples, done.result.agreement, done.result.origin) == (4, 0.5, Origin.GENERATED)
    assert not door.cache.questions
    assert door.generator.assignments[0].samples == 4


@pytest.mark.parametrize(
    ("outcome", "origin"),
    [
        (Outcome.ANSWERED, Origin.GENERATED),
        (Outcome.REFUSED, Origin.REFUSED),
        (Outcome.DEGRADED, Origin.DEGRADED),
    ],
)
async def test_the_caller_sees_how_the_answer_came_out(front_door: Door, outcome: Outcome, origin: Origin) -> None:
    generated = Generated(an_answer(outcome=outcome), model="m", reason="why", recorded=True)
    door = front_door(generator=FakeGenerator(generated=generated))
    done = (await door.ask())[-1]
    assert (done.result.origin, done.result.reason, done.result.recorded) == (origin, "why", True)


async def test_a_served_answer_is_announced_with_its_tenant(front_door: Door) -> None:
    door = front_door()
    events = await door.ask()
    assert door.announcer.told == [(events[-1], Caller("acme", ("sales",)))]


async def test_a_caller_that_leaves_with_the_last_message_was_served(front_door: Door) -> None:
    door = front_door()
    async with aclosing(door.use_case(Question("Why?", "default"), Caller("acme"))) as events:
        async for event in events:
            if isinstance(event, Completed):
                break
    assert len(door.announcer.told) == 1


async def test_the_total_time_is_measured(front_door: Door) -> None:
    door = front_door()
    async with aclosing(door.use_case(Question("Why?", "default"), Caller("acme"))) as events:
        await anext(events)
        door.clock.advance(1.5)
        assert [event async for event in events][-1].total_seconds == 1.5


async def test_a_caller_that_leaves_stops_the_writing_and_frees_the_slot(front_door: Door, completed: Last) -> None:
    door = front_door(slots=1)
    async with aclosing(door.use_case(Question("Why?", "default"), Caller("acme"))) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    assert door.generator.stopped_early
    assert not door.announcer.told
    assert completed(await door.ask())


async def test_what_goes_beyond_the_bound_is_refused_at_once(front_door: Door) -> None:
    door = front_door(slots=1)
    async with aclosing(door.use_case(Question("Why?", "default"), Caller("acme"))) as events:
        await anext(events)
        with pytest.raises(Exhausted):
            await door.ask()


async def test_an_unknown_application_is_not_found(front_door: Door) -> None:
    with pytest.raises(NotFound, match="'shop'"):
        await front_door().ask(application="shop")


@pytest.mark.parametrize("text", ["", " \n\t", "x" * 8_001, "a\0b"], ids=["empty", "blank", "long", "nul"])
def test_a_question_that_nobody_can_answer_is_invalid(text: str) -> None:
    with pytest.raises(Invalid) as failure:
        Question(text, "default")
    assert [violation.field for violation in failure.value.violations] == ["question"]


def test_an_extract_leaves_out_headings() -> None:
    assert extract("# Aurora\n\nIt costs 49.50 euros. It glows! It is blue.") == "It costs 49.50 euros. It glows!"
