"""Passages out: found, and verified later."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from plumbline_kit.errors import Invalid, Unavailable
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.content import Layout
from plumbline_retrieval.domain.document import Document, PassageRef
from plumbline_retrieval.domain.query import Filter, Query
from plumbline_retrieval.domain.source import Freshness, Source, Trust
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.search import MAX_SOURCES, VerifySources

Make = Callable[..., Any]

pytestmark = pytest.mark.parametrize("index", ["memory"], indirect=True)  # what an index does is the contract suite's

ANNA = Identity("acme", "anna")
QUERY = Query("What does the lamp cost?")


def verify_of(bench: Any, *, complete: bool = True) -> VerifySources:
    return VerifySources(bench.index, Readiness(complete))


async def test_a_question_finds_its_passage(bench: Any, document: Make) -> None:
    await bench.hear(1, document("lamp costs 12", "other things"))
    result = await bench.search()(ANNA, QUERY, None, "")
    assert result.found[0].passage.text.startswith("lamp costs 12")
    assert 0 < result.support <= 1


async def test_what_is_found_tells_its_cosine_to_the_nearest_wording(bench: Any, document: Make) -> None:
    await bench.hear(1, document("lamp costs 12"))
    alone = (await bench.search()(ANNA, Query("colour"), None, "")).found[0].similarity
    both = (await bench.search()(ANNA, Query("colour", more=("lamp costs 12",)), None, "")).found[0].similarity
    assert alone is not None
    assert both is not None
    assert alone < both < 1.01  # a vector in 8 bits is not quite as long as 1


async def test_a_given_vector_is_used_and_nothing_is_encoded(bench: Any, document: Make, vector: Make) -> None:
    await bench.hear(1, document("costs 12"))
    search = bench.search()
    assert len((await search(ANNA, QUERY, vector(1), "words@1")).found) == 1


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
        await bench.search()(ANNA, QUERY, given, encoder_id)
    assert refusal.value.violations[0].field == field


async def test_an_index_that_was_never_whole_answers_nothing(bench: Any) -> None:
    with pytest.raises(Unavailable, match="rebuilt"):
        await bench.search(complete=False)(ANNA, QUERY, None, "")
    with pytest.raises(Unavailable, match="rebuilt"):
        await verify_of(bench, complete=False)(ANNA, [PassageRef("lamp", 1, "h1")])


async def test_sources_are_current_as_long_as_their_passage_is_live(bench: Any, document: Make) -> None:
    verify = verify_of(bench)
    await bench.hear(1, document("costs 12", "is grey"))
    price, colour = [found.ref for found in sorted(await bench.find(), key=lambda found: found.passage.start)]
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


async def ask(bench: Any, text: str = "What does the lamp cost?", groups: tuple[str, ...] = (), **fields: Any) -> Any:
    return (await bench.search()(Identity("acme", "anna", groups), Query(text, **fields), None, "")).found


async def test_no_more_passages_than_asked_for(bench: Any, document: Make) -> None:
    await bench.hear(1, document(*(f"part {number}" for number in range(20))))
    assert len(await ask(bench, limit=3)) == 3
    assert len(await ask(bench, limit=100)) == 20


async def test_another_wording_finds_what_the_first_one_misses(bench: Any, document: Make) -> None:
    await bench.hear(1, document("shade linen grey", "wattage seven bulb", "made porto"))
    found = await ask(bench, "shade linen", more=("wattage bulb seven",), limit=2)
    assert {each.passage.text.split()[0] for each in found} == {"shade", "wattage"}


async def test_neighbours_come_with_a_passage(bench: Any, document: Make) -> None:
    await bench.hear(1, document("alpha one", "beta two", "gamma three"))
    [found] = await ask(bench, "beta two", neighbours=1, limit=1)
    assert found.preceding.startswith("alpha one")
    assert found.following.startswith("gamma three")
    [alone] = await ask(bench, "beta two", limit=1)
    assert (alone.preceding, alone.following) == ("", "")


async def test_only_sources_that_are_trusted_enough_are_searched(bench: Any, document: Make) -> None:
    await bench.index.put_source("acme", Source("law", trust=Trust.HIGH))
    await bench.hear(1, document("costs 12", source_id="law"))
    assert await ask(bench, filter=Filter(minimum_trust=Trust.HIGH))
    assert await ask(bench, filter=Filter(minimum_trust=Trust.HIGH, source_ids=("default",))) == []
    await bench.hear(2, document("costs 13"))
    assert await ask(bench, filter=Filter(minimum_trust=Trust.HIGH)) == []
    assert await ask(bench, filter=Filter(minimum_trust=Trust.MEDIUM))


async def test_a_passage_says_how_current_it_is(bench: Any, document: Make) -> None:
    await bench.index.put_source("acme", Source("wiki", refresh_interval=timedelta(minutes=1)))
    await bench.hear(1, document("costs 12", source_id="wiki"))
    submitted = bench.clock.now()
    [found] = await ask(bench)
    assert (found.freshness, found.as_of) == (Freshness.CURRENT, submitted)
    bench.clock.advance(90)
    [found] = await ask(bench)
    assert (found.freshness, found.as_of) == (Freshness.STALE, submitted)
    await bench.index.confirm_source("acme", "wiki", bench.clock.now())
    bench.clock.advance(2)
    [found] = await ask(bench)
    assert (found.freshness, found.as_of) == (Freshness.CURRENT, submitted + timedelta(seconds=90))
    await bench.hear(2, Invalid("document.text is empty"))
    assert [each.freshness for each in await ask(bench)] == [Freshness.SUPERSEDED]


async def test_diversity_prefers_another_subject(bench: Any) -> None:
    texts = ["lamp twelve euros", "lamp twelve euros new", "lamp twelve wattage shade linen grey porto"]
    await bench.hear(1, Document("shop", "", "\n\n".join(texts), layout=Layout.RECORDS))
    plain = [each.passage.text for each in await ask(bench, "lamp twelve euros", limit=2)]
    mixed = [each.passage.text for each in await ask(bench, "lamp twelve euros", limit=2, diversity=0.9)]
    assert (plain, mixed) == (texts[:2], [texts[0], texts[2]])


class LikesShades:
    """A reranker."""

    async def scores(self, question: str, texts: Sequence[str]) -> list[float]:
        return [1.0 if "shade" in text else 0.1 for text in texts]


async def test_a_reranker_has_the_last_word_where_it_is_asked(bench: Any, document: Make) -> None:
    await bench.hear(1, document("lamp costs twelve", "shade linen grey"))
    query = Query("lamp costs", rerank=True)
    found = (await bench.search(reranker=LikesShades())(ANNA, query, None, "")).found
    assert found[0].passage.text.startswith("shade")
    with pytest.raises(Invalid, match="RERANKER"):
        await bench.search()(ANNA, query, None, "")


async def test_nothing_found_supports_nothing(bench: Any) -> None:
    result = await bench.search()(ANNA, QUERY, None, "")
    assert (list(result.found), result.support) == ([], 0.0)
