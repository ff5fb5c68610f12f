"""Passages out: found, and verified later."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from plumbline_kit.errors import Invalid, Unavailable
from plumbline_kit.identity import Identity
from plumbline_retrieval.adapters.memory import WordEncoder
from plumbline_retrieval.domain.document import PassageRef
from plumbline_retrieval.domain.ranking import Query
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.search import MAX_SOURCES, SearchPassages, VerifySources

Make = Callable[..., Any]

ANNA = Identity("acme", "anna")
QUERY = Query("What does the lamp cost?")


def search_of(bench: Any, *, complete: bool = True) -> SearchPassages:
    return SearchPassages(bench.index, WordEncoder(), Readiness(complete))


def verify_of(bench: Any, *, complete: bool = True) -> VerifySources:
    return VerifySources(bench.index, Readiness(complete))


async def test_a_question_finds_its_passage(bench: Any, document: Make) -> None:
    await bench.hear(1, document("lamp costs 12", "other things"))
    found = await search_of(bench)(ANNA, QUERY, None, "")
    assert found[0].text.startswith("lamp costs 12")


async def test_a_given_vector_is_used_and_nothing_is_encoded(bench: Any, document: Make, vector: Make) -> None:
    await bench.hear(1, document("costs 12"))
    search = search_of(bench)
    assert len(await search(ANNA, QUERY, vector(1), "words@1")) == 1


@pytest.mark.parametrize(
    ("given", "encoder_id", "field"),
    [
        pytest.param(np.ones(64, np.float32), "words@2", "embedding.encoder_id", id="other_encoder"),
        pytest.param(np.ones(64, np.float32), "", "embedding.encoder_id", id="no_encoder"),
        pytest.param(np.ones(63, np.float32), "words@1", "embedding.values", id="too_short"),
        pytest.param(np.ones(0, np.float32), "words@1", "embedding.values", id="empty"),
        pytest.param(np.full(64, np.nan, np.float32), "words@1", "embedding.values", id="not_a_number"),
        pytest.param(np.full(64, np.inf, np.float32), "words@1", "embedding.values", id="infinite"),
    ],
)
async def test_a_vector_that_does_not_belong_here_is_refused(
    bench: Any, given: np.ndarray, encoder_id: str, field: str
) -> None:
    with pytest.raises(Invalid) as refusal:
        await search_of(bench)(ANNA, QUERY, given, encoder_id)
    assert refusal.value.violations[0].field == field


async def test_an_index_that_was_never_whole_answers_nothing(bench: Any) -> None:
    with pytest.raises(Unavailable, match="rebuilt"):
        await search_of(bench, complete=False)(ANNA, QUERY, None, "")
    with pytest.raises(Unavailable, match="rebuilt"):
        await verify_of(bench, complete=False)(ANNA, [PassageRef("lamp", 1, "h1")])


async def test_sources_are_current_as_long_as_their_passage_is_live(bench: Any, document: Make) -> None:
    verify = verify_of(bench)
    await bench.hear(1, document("costs 12", "is grey"))
    price, colour = [found.ref for found in sorted(await bench.find(), key=lambda found: found.start)]
    assert await verify(ANNA, [price, colour]) == []

    await bench.hear(2, document("costs 13", "is grey"))
    assert await verify(ANNA, [colour, price]) == [price]

    await bench.hear(3, Invalid("document.text is empty"))
    assert await verify(ANNA, [colour, price]) == [price]

    await bench.hear(4, None)
    assert await verify(ANNA, [price, colour]) == [price, colour]


async def test_sources_of_others_are_not_current(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12", groups=("sales",)))
    [found] = await bench.find(groups=["sales"])
    verify = verify_of(bench)
    assert await verify(Identity("acme", "sam", ("sales",)), [found.ref]) == []
    assert await verify(ANNA, [found.ref]) == [found.ref]
    assert await verify(Identity("globex", "gus", ("sales",)), [found.ref]) == [found.ref]


async def test_verification_never_claims_more_than_a_search_shows(
    bench: Any, document: Make, fuse: Make, crash: type[Exception]
) -> None:
    await bench.hear(1, document("costs 12"))
    [old] = [found.ref for found in await bench.find()]
    with pytest.raises(crash, match="put_head"):
        await bench.hear(2, document("costs 13"), fuse(4))
    assert await verify_of(bench)(ANNA, [old]) == []
    with pytest.raises(crash, match="remove_others"):
        await bench.hear(2, document("costs 13"), fuse(5))
    assert await verify_of(bench)(ANNA, [old]) == [old]


async def test_no_sources_and_the_most_sources(bench: Any) -> None:
    refs = [PassageRef(f"document {number}", 1, "h1") for number in range(MAX_SOURCES)]
    assert await verify_of(bench)(ANNA, []) == []
    assert await verify_of(bench)(ANNA, refs) == refs
    with pytest.raises(Invalid, match="1001"):
        await verify_of(bench)(ANNA, [*refs, refs[0]])
