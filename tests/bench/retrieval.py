"""Ingest the pooled corpus through the gRPC front door, then measure speed and quality of search."""

import asyncio
import itertools
import time
from collections.abc import Iterator, Sequence

import grpc
from rich.console import Console
from rich.progress import Progress

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_models.encoder import Encoder
from tests.bench import figures
from tests.bench.platform import running
from tests.bench.pooled import Pool, Query, load
from tests.bench.settings import BenchSettings

IN_FLIGHT = 64
WAIT_SECONDS = 5
DOCUMENTS_A_SEARCH = 10
PASSAGES_A_SEARCH = 30  # a long document is several passages: enough to name ten documents
BASELINE_PASSAGES = 256
KNOWN = {
    "xquad": (0.882, 0.975),
    "clapnq": (0.850, 0.980),
    "medquad": (0.456, 0.778),
    "mtrag last turn": (0.749,),
}  # exact cosine and plain BM25 joined by reciprocal ranks, measured on the same questions


async def main() -> None:
    """Run the benchmark on its own platform in a temporary folder."""
    console = Console(stderr=True)
    data = BenchSettings.from_env().data
    async with running(["kafka", "retrieval"]) as bench:
        pool = load(data)
        stub = bench.driver.retrieval
        encoder = Encoder.load(bench.layout.encoder, threads=1)
        encoding = _encode_rate(encoder, pool.passages)
        ingesting = await _ingest(stub, pool.passages, console)
        encoding = max(encoding, _encode_rate(encoder, pool.passages))
        results = [
            figures.Figure("bare_encoder_passages_per_s", encoding),
            figures.Figure(
                "ingest_passages_per_s", ingesting, baseline="bare_encoder_passages_per_s", ratio=ingesting / encoding
            ),
            *await _search(stub, encoder, pool, console),
        ]
        figures.report("bench-retrieval", results)


def _encode_rate(encoder: Encoder, passages: Sequence[str]) -> float:
    """Passages a second of one thread that does nothing but encode, over an even sample."""
    sample = passages[:: len(passages) // BASELINE_PASSAGES][:BASELINE_PASSAGES]
    started = time.perf_counter()
    encoder.encode(sample)
    return len(sample) / (time.perf_counter() - started)


async def _ingest(stub: RetrievalServiceStub, passages: Sequence[str], console: Console) -> float:
    """Submit every passage as a document; passages a second from the first submission until all are searchable."""
    numbers = iter(range(len(passages)))
    versions: list[tuple[str, int]] = []
    started = time.perf_counter()
    with Progress(console=console) as progress:
        task = progress.add_task("submit and index", total=2 * len(passages))

        async def submit() -> None:
            for number in numbers:
                document = pb.Document(document_id=_name(number), text=passages[number])
                reply = await stub.SubmitDocument(pb.SubmitDocumentRequest(document=document), timeout=60)
                versions.append((_name(number), reply.version))
                progress.advance(task)

        async def wait() -> None:
            for document_id, version in waiting:
                await _indexed(stub, pb.WaitForDocumentRequest(document_id=document_id, version=version))
                progress.advance(task)

        await asyncio.gather(*(submit() for _ in range(IN_FLIGHT)))
        waiting = iter(versions)
        await asyncio.gather(*(wait() for _ in range(IN_FLIGHT)))
    return len(passages) / (time.perf_counter() - started)


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


async def _search(
    stub: RetrievalServiceStub, encoder: Encoder, pool: Pool, console: Console
) -> Iterator[figures.Figure]:
    taken: list[float] = []
    encoded: list[float] = []
    quality: list[figures.Figure] = []
    with Progress(console=console) as progress:
        for name, queries in pool.queries.items():
            ranked = []
            for query in progress.track(queries, description=name):
                ranked.append(await _timed_search(stub, query.text, taken))
                encoded.append(_timed_encode(encoder, query.text))
            quality += _quality(name, queries, ranked)
    baseline = figures.timings("bare_encode", encoded)
    return itertools.chain(baseline, figures.timings("search", taken, encoded, "bare_encode"), quality)


async def _timed_search(stub: RetrievalServiceStub, text: str, taken: list[float]) -> list[int]:
    """The numbers of the documents found, best first, each once."""
    started = time.perf_counter()
    request = pb.SearchPassagesRequest(query=text, page_size=PASSAGES_A_SEARCH)
    reply = await stub.SearchPassages(request, timeout=30)
    taken.append(time.perf_counter() - started)
    documents = dict.fromkeys(int(passage.ref.document_id[1:]) for passage in reply.passages)
    return list(documents)[:DOCUMENTS_A_SEARCH]


def _timed_encode(encoder: Encoder, text: str) -> float:
    started = time.perf_counter()
    encoder.encode([text])
    return time.perf_counter() - started


def _quality(name: str, queries: Sequence[Query], ranked: Sequence[list[int]]) -> list[figures.Figure]:
    known = KNOWN.get(name, (None, None))
    if name.startswith("mtrag"):
        gains = [figures.ndcg(found, query.relevant) for found, query in zip(ranked, queries, strict=True)]
        return [figures.mean(f"{name}: nDCG@10", gains, known=known[0])]
    return [
        figures.share(
            f"{name}: hit@{k}",
            [not query.relevant.keys().isdisjoint(found[:k]) for found, query in zip(ranked, queries, strict=True)],
            known=floor,
        )
        for k, floor in zip((1, 5), known, strict=True)
    ]


def _name(number: int) -> str:
    return f"p{number}"


if __name__ == "__main__":
    asyncio.run(main())
