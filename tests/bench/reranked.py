"""What a second look changes: the same questions with and without the reranker of the local encoder's token vectors."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress as ProgressBar

from plumbline_kit.clock import SystemClock
from plumbline_kit.identity import Identity
from plumbline_models.encoder import Encoder
from plumbline_models.threaded import ThreadedEncoder
from plumbline_retrieval.adapters.reranking import TokenInteraction
from plumbline_retrieval.domain.query import Query as Search
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import Registry
from plumbline_retrieval.handlers.search import SearchPassages
from plumbline_retrieval.ports import Index
from tests.bench.pooled import Pool, Query

QUESTIONS = 60
"""Of the held-out half of each set: a second look at 20 passages takes most of a second of a core."""
AT_ONCE = 2
PASSAGES = 30

Ranking = list[int]
Pairs = list[tuple[Query, Ranking]]


async def rankings(
    index: Index, encoder_folder: Path, tenant: str, pool: Pool, names: Sequence[str], console: Console
) -> dict[str, tuple[Pairs, Pairs]]:
    """By set: what is found for a sample of its held-out questions, without the second look and with it."""
    encoder = Encoder.load(encoder_folder, with_tokens=True)
    queries, reranker, clock = ThreadedEncoder(encoder), TokenInteraction(encoder, workers=2), SystemClock()
    search = SearchPassages(index, queries, Registry(index, clock), Readiness(complete=True), Progress(), reranker)
    asker, gate, found = Identity(tenant, "bench"), asyncio.Semaphore(AT_ONCE), dict[str, tuple[Pairs, Pairs]]()

    async def pair(query: Query, *, rerank: bool) -> tuple[Query, Ranking]:
        async with gate:
            result = await search(asker, Search(query.text, PASSAGES, rerank=rerank), None, "")
        progress.advance(task)
        return query, pool.distinct(int(each.ref.document_id[1:]) for each in result.found)

    async def pairs(sample: Sequence[Query], *, rerank: bool) -> Pairs:
        return await asyncio.gather(*(pair(query, rerank=rerank) for query in sample))

    with ProgressBar(console=console) as progress:
        task = progress.add_task("with and without a second look", total=2 * QUESTIONS * len(names))
        for name in names:
            held_out = [query for query in pool.queries[name] if query.is_held_out]
            sample = held_out[:: max(1, len(held_out) // QUESTIONS)][:QUESTIONS]
            found[name] = await pairs(sample, rerank=False), await pairs(sample, rerank=True)
    await reranker.aclose()
    await queries.aclose()
    return found
