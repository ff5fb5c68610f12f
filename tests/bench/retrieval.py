"""Ingest the pooled corpus through the gRPC front door, then measure speed and quality of search.

With `--untitled` the passages go in without the titles of their pages, as the published figures were measured. Then
what others would pick instead is measured on the same passages and questions, unless `--no-peers` says otherwise.
"""

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import grpc
import numpy as np
import psutil
from rich.console import Console
from rich.progress import Progress

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_local.layout import Layout
from plumbline_models.encoder import Encoder
from plumbline_retrieval.adapters import payloads, state
from plumbline_retrieval.adapters.engine import Recipe
from plumbline_retrieval.domain.document import DocumentKey
from plumbline_retrieval.domain.query import Scope
from plumbline_retrieval.domain.ranking import Ranked
from plumbline_retrieval.ports import Index, Vector
from plumbline_retrieval.settings import Settings
from tests.bench import figures, reranked
from tests.bench.figures import Figure
from tests.bench.peers import run as peers
from tests.bench.peers.yardstick import Job
from tests.bench.platform import Bench, running
from tests.bench.pooled import Pool, Query, is_held_out, load
from tests.bench.settings import BenchSettings

TENANT = "bench"
IN_FLIGHT = 64
WAIT_SECONDS = 5
DOCUMENTS_A_SEARCH = 10
PASSAGES_A_SEARCH = 30  # a long document is several passages: enough to name ten documents
SPEED_PASSAGES = 8  # what an answer asks for
SPEED_SEARCHES = 1_000
SPEED_IN_FLIGHT = 16
BASELINE_PASSAGES = 256
PEERS_SETS = ("xquad", "clapnq")
"""What shows whether a peer is set up sanely."""
ANSWERABLE_FLOOR = 0.735  # by the share of a question's words that its passage holds
KNOWN = {
    "xquad": (0.882, 0.975),
    "clapnq": (0.850, 0.980),
    "medquad": (0.456, 0.778),
    "mtrag last turn": (0.749,),
}  # exact cosine and plain BM25 joined by reciprocal ranks, measured on the same questions
MIN_MAX = {
    "xquad": (0.918, 0.985),
    "clapnq": (0.892, 0.994),
    "medquad": (0.499, 0.817),
    "mtrag last turn": (0.756,),
    "mtrag last three": (0.792,),
}  # the held-out half under 0.6 dense + 0.4 BM25, each list min-max scaled, without titles: computed from both lists

Ranking = list[int]
"""Numbers of passages of the pool, best first, each once."""


@dataclass
class Found:
    """What searches over gRPC found, how likely they said it held the answer, and how long they took."""

    rankings: dict[str, list[Ranking]] = field(default_factory=dict)
    support: dict[str, list[tuple[str, bool, float]]] = field(default_factory=dict)
    speed: list[Figure] = field(default_factory=list)


async def main(*, untitled: bool, with_peers: bool) -> None:
    """Run the benchmark on its own platform in a temporary folder; the peers when that is gone."""
    console = Console(stderr=True)
    pool = load(BenchSettings.from_env().data)
    documents = submitted(pool, untitled=untitled)
    async with running(["kafka", "retrieval"]) as bench:
        encoder = Encoder.load(bench.layout.encoder, threads=1)
        ingesting = await _ingest(bench, encoder, pool, documents, console)
        found = await _search(bench, encoder, pool, console)
        await bench.supervisor.stop(["retrieval"])
        async with _left_index(bench.layout, encoder) as index:
            ways = await _ways(index, encoder, pool, console)
            looks = await reranked.rankings(index, bench.layout.encoder, TENANT, pool, list(MIN_MAX), console)
            vectors = await _vectors(index, documents)
    ours = [*ingesting, *found.speed]
    measured = peers.measure(_job(pool, documents, vectors), bench.layout.inherited, console) if with_peers else {}
    quality = [*_quality(pool, found, ways), *_second_look(looks), *_answerability(found)]
    results = [*ours, *peers.beside(ours, measured), *quality]
    figures.report("bench-retrieval-untitled" if untitled else "bench-retrieval", results)


def submitted(pool: Pool, *, untitled: bool) -> list[pb.Document]:
    if untitled:
        texts = [passage.untitled for passage in pool.passages]
        return [pb.Document(document_id=_name(number), text=text) for number, text in enumerate(texts)]
    return [
        pb.Document(document_id=_name(number), title=passage.title, text=passage.text or passage.title)
        for number, passage in enumerate(pool.passages)
    ]


async def _ingest(
    bench: Bench, encoder: Encoder, pool: Pool, documents: Sequence[pb.Document], console: Console
) -> list[Figure]:
    texts = [passage.untitled for passage in pool.passages]
    process = psutil.Process(bench.supervisor.pid("retrieval"))
    bare = _encode_rate(encoder, texts)
    before = _cpu(process)
    rate = await submit_all(bench.driver.retrieval, documents, console)
    spent = _cpu(process) - before
    bare = max(bare, _encode_rate(encoder, texts))
    return [
        Figure("bare_encoder_passages_per_s", bare),
        Figure("ingest_passages_per_s", rate, baseline="bare_encoder_passages_per_s", ratio=rate / bare),
        Figure("ingest_passages_per_cpu_s", len(documents) / spent),
        Figure("resident_mib", process.memory_info().rss / 2**20),
    ]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _encode_rate(encoder: Encoder, passages: Sequence[str]) -> float:
    """Passages a second of one thread that does nothing but encode, over an even sample."""
    sample = passages[:: len(passages) // BASELINE_PASSAGES][:BASELINE_PASSAGES]
    started = time.perf_counter()
    encoder.encode(sample)
    return len(sample) / (time.perf_counter() - started)


async def submit_all(stub: RetrievalServiceStub, documents: Sequence[pb.Document], console: Console) -> float:
    """Submit every document; documents a second from the first submission until all are searchable."""
    left = iter(documents)
    versions: list[tuple[str, int]] = []
    started = time.perf_counter()
    with Progress(console=console) as progress:
        task = progress.add_task("submit and index", total=2 * len(documents))

        async def submit() -> None:
            for document in left:
                reply = await stub.SubmitDocument(pb.SubmitDocumentRequest(document=document), timeout=60)
                versions.append((document.document_id, reply.version))
                progress.advance(task)

        async def wait() -> None:
            for document_id, version in waiting:
                await _indexed(stub, pb.WaitForDocumentRequest(document_id=document_id, version=version))
                progress.advance(task)

        await asyncio.gather(*(submit() for _ in range(IN_FLIGHT)))
        waiting = iter(versions)
        await asyncio.gather(*(wait() for _ in range(IN_FLIGHT)))
    return len(documents) / (time.perf_counter() - started)


async def _indexed(stub: RetrievalServiceStub, request: pb.WaitForDocumentRequest) -> None:
    """Return once the document is live; ask again where a connection grew old over the wait."""
    while True:
        try:
            reply = await stub.WaitForDocument(request, timeout=WAIT_SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE):
                raise
        else:
            assert reply.status.state == pb.DOCUMENT_STATE_LIVE, reply.status
            return


async def _search(bench: Bench, encoder: Encoder, pool: Pool, console: Console) -> Found:
    found = Found()
    stub = bench.driver.retrieval
    with Progress(console=console) as progress:
        for name, queries in pool.queries.items():
            replies = [await _asked(stub, query.text) for query in progress.track(queries, description=name)]
            found.rankings[name] = [ranking_of(pool, reply) for reply in replies]
        for name, questions in pool.answerable.items():
            asked = [(text, held, await _asked(stub, text)) for text, held in progress.track(questions)]
            found.support[name] = [(text, held, reply.support) for text, held, reply in asked]
    found.speed += await _speed(bench, encoder, _timed(pool))
    return found


def _timed(pool: Pool) -> list[str]:
    """Questions of every set for the measurement of speed."""
    texts = [query.text for queries in pool.queries.values() for query in queries]
    return texts[:: len(texts) // SPEED_SEARCHES][:SPEED_SEARCHES]


async def _asked(stub: RetrievalServiceStub, text: str, count: int = PASSAGES_A_SEARCH) -> pb.SearchPassagesResponse:
    return await stub.SearchPassages(pb.SearchPassagesRequest(query=text, page_size=count), timeout=30)


def ranking_of(pool: Pool, reply: pb.SearchPassagesResponse) -> Ranking:
    return pool.distinct(int(passage.ref.document_id[1:]) for passage in reply.passages)[:DOCUMENTS_A_SEARCH]


async def _speed(bench: Bench, encoder: Encoder, texts: Sequence[str]) -> list[Figure]:
    """One search at a time, with the bare encoder in between; then many at once."""
    stub, bare, alone, together = bench.driver.retrieval, [], [], list[float]()
    for text in texts:
        bare.append(_timed_encode(encoder, text))
        alone.append(await _timed_search(stub, text))
    left = iter(texts)

    async def caller() -> None:
        for text in left:
            together.append(await _timed_search(stub, text))

    process = psutil.Process(bench.supervisor.pid("retrieval"))
    before, started = _cpu(process), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(SPEED_IN_FLIGHT)))
    rate = len(texts) / (time.perf_counter() - started)
    return [
        *figures.timings("bare_encode", bare),
        *figures.timings("search", alone, bare, "bare_encode"),
        *figures.timings(f"search_{SPEED_IN_FLIGHT}_in_flight", together),
        Figure("searches_per_s", rate, baseline="one thread that only encodes", ratio=rate * float(np.mean(bare))),
        Figure("cpu_ms_per_search", (_cpu(process) - before) / len(texts) * 1e3),
    ]


async def _timed_search(stub: RetrievalServiceStub, text: str) -> float:
    started = time.perf_counter()
    await _asked(stub, text, SPEED_PASSAGES)
    return time.perf_counter() - started


def _timed_encode(encoder: Encoder, text: str) -> float:
    started = time.perf_counter()
    encoder.encode([text])
    return time.perf_counter() - started


@asynccontextmanager
async def _left_index(layout: Layout, encoder: Encoder) -> AsyncIterator[Index]:
    """The index that the service left."""
    recipe = Recipe(Settings.from_env({}).index, encoder.id, encoder.dimensions)
    folder, opened = state.open_alone(layout.state / "retrieval", str(recipe), encoder.dimensions)
    yield opened.index
    folder.close()


async def _ways(index: Index, encoder: Encoder, pool: Pool, console: Console) -> dict[str, dict[str, list[Ranking]]]:
    """What each way of searching alone finds: by way and set."""
    ways: dict[str, dict[str, list[Ranking]]] = {"dense": {}, "BM25": {}, "min-max": {}}
    with Progress(console=console) as progress:
        for name, queries in pool.queries.items():
            for query in progress.track(queries if name in MIN_MAX else (), description=f"{name}, each way alone"):
                ranked = await index.ranked(Scope(TENANT), query.text, encoder.encode([query.text])[0])
                for way, ids in _alone(ranked).items():
                    ways[way].setdefault(name, []).append(await _documents(index, pool, ids))
    return ways


async def _vectors(index: Index, documents: Sequence[pb.Document]) -> Vector:
    """One vector a document for the peers' stores, that of its first passage, so that they need not encode for long.

    Its cosine to the vector of the whole document is 0.98 on average, and it finds as well.
    """
    keys = [DocumentKey(TENANT, document.document_id) for document in documents]
    heads = await index.heads(keys)
    ids = [UUID(payloads.passage_id(key, heads[key].version, 0)).int for key in keys]
    vectors = await index.vectors_of(ids)
    return np.stack([vectors[name] for name in ids])


def _job(pool: Pool, documents: Sequence[pb.Document], vectors: Vector) -> Job:
    """What the peers are given: the texts that went in here too, and the same questions."""
    timed = _timed(pool)
    return Job(
        model=str(peers.MODEL),
        passages=["\n".join(filter(None, (document.title, document.text))) for document in documents],
        vectors=vectors,
        questions={name: [(query.text, list(query.relevant)) for query in pool.queries[name]] for name in PEERS_SETS},
        timed=random.Random(0).sample(timed, len(timed)),  # mixed: a slow peer is asked the first of them only
        in_flight=SPEED_IN_FLIGHT,
        count=SPEED_PASSAGES,
    )


def _alone(ranked: Ranked) -> dict[str, list[str]]:
    joined: dict[str, float] = {}
    for scored, weight in ((ranked.dense, 0.6), (ranked.sparse, 0.4)):
        low, high = (scored[-1][1], scored[0][1]) if scored else (0.0, 1.0)
        for name, score in scored:
            joined[name] = joined.get(name, 0.0) + weight * (score - low) / ((high - low) or 1.0)
    best = sorted(joined, key=lambda name: -joined[name])
    return {"dense": [name for name, _ in ranked.dense], "BM25": [name for name, _ in ranked.sparse], "min-max": best}


async def _documents(index: Index, pool: Pool, ids: Sequence[str]) -> Ranking:
    some = ids[:PASSAGES_A_SEARCH]
    live = (await index.read(TENANT, some)).live
    return pool.distinct(int(live[name].ref.document_id[1:]) for name in some if name in live)[:DOCUMENTS_A_SEARCH]


def _quality(pool: Pool, found: Found, ways: dict[str, dict[str, list[Ranking]]]) -> Iterator[Figure]:
    for name, queries in pool.queries.items():
        pairs = list(zip(queries, found.rankings[name], strict=True))
        yield from _measured(name, pairs, KNOWN.get(name, ()))
        if name not in MIN_MAX:
            continue  # nothing was chosen by these at all
        held_out = [pair for pair in pairs if pair[0].is_held_out]
        yield from _measured(f"{name}, held-out half", held_out, MIN_MAX[name])
        for way, rankings in ways.items():
            alone = [pair for pair in zip(queries, rankings[name], strict=True) if pair[0].is_held_out]
            yield from _measured(f"{name}, held-out half, {way}", alone, ())


def _second_look(looks: dict[str, tuple[reranked.Pairs, reranked.Pairs]]) -> Iterator[Figure]:
    for name, (plain, again) in looks.items():
        sample = f"{name}, {len(plain)} of the held-out half"
        yield from _measured(sample, plain, ())
        yield from _measured(f"{sample}, reranked", again, ())


def _measured(name: str, pairs: Sequence[tuple[Query, Ranking]], known: Sequence[float]) -> list[Figure]:
    """nDCG@10 where relevance is graded, else hit@1 and hit@5."""
    if name.startswith("mtrag"):
        gains = [figures.ndcg(ranking, query.relevant) for query, ranking in pairs]
        return [figures.mean(f"{name}: nDCG@10", gains, known=next(iter(known), None))]
    return [
        figures.share(
            f"{name}: hit@{k}",
            [not query.relevant.keys().isdisjoint(ranking[:k]) for query, ranking in pairs],
            known=floor,
        )
        for k, floor in itertools.zip_longest((1, 5), known[:2])
    ]


def _answerability(found: Found) -> Iterator[Figure]:
    """How well the support score tells questions that the corpus answers from others: area under the ROC curve."""
    for name, asked in found.support.items():
        held_out = [(held, support) for text, held, support in asked if is_held_out(text)]
        answered = [support for held, support in held_out if held]
        others = [support for held, support in held_out if not held]
        known = ANSWERABLE_FLOOR if name == "clapnq" else None
        yield figures.roc_area(f"{name}, held-out half: answerability AUROC", answered, others, known=known)
        gaps = [(float(held) - support) ** 2 for held, support in held_out]
        yield figures.mean(f"{name}, held-out half: Brier score of support", gaps)


def _name(number: int) -> str:
    return f"p{number}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--untitled", action="store_true")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True)
    arguments = parser.parse_args()
    asyncio.run(main(untitled=arguments.untitled, with_peers=arguments.peers))
