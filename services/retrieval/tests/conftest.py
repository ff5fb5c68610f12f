"""What the tests of retrieval arrange with."""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plumbline_retrieval.adapters.memory import MemoryIndex, WordEncoder
from plumbline_retrieval.adapters.qdrant import QdrantIndex
from plumbline_retrieval.adapters.server import ServerIndex, connect
from plumbline_retrieval.domain.document import Document, Found, Passage
from plumbline_retrieval.domain.query import Scope
from plumbline_retrieval.domain.ranking import fuse
from plumbline_retrieval.ports import Index

MakeDocument = Callable[..., Document]


@pytest.fixture(scope="session")
def document() -> MakeDocument:
    """A document of as many passages as it has parts: `document("costs 12", "is grey", groups=("sales",))`.

    A part's words come first, its filler makes it too long to share a passage with another part.
    """

    def make(*parts: str, document_id: str = "lamp", title: str = "Lamp", **fields: Any) -> Document:
        filler = " ".join(f"filler{number}" for number in range(150))
        text = "\n\n".join(f"{part} {filler}" for part in parts)
        return Document(document_id, title, text, **fields)

    return make


@pytest.fixture(scope="session")
def passages() -> Callable[..., list[Passage]]:
    """Passages with these texts: `passages("costs 12", "is grey")`."""

    def make(*texts: str) -> list[Passage]:
        return [Passage(number, 0, len(text), text) for number, text in enumerate(texts)]

    return make


@pytest.fixture(params=["memory", "engine", "server"])
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Index]:
    """An empty index: the one in memory, then the engine in this process, then a server's."""
    if request.param == "memory":
        yield MemoryIndex()
    elif request.param == "engine":
        engine = QdrantIndex.open(tmp_path / "index", WordEncoder.dimensions)
        yield engine
        engine.close()
    else:
        async with server_index() as server:
            yield server


@asynccontextmanager
async def server_index() -> AsyncIterator[Index]:
    """An empty index on the server at QDRANT_URL, removed afterwards."""
    url, generation = os.environ.get("QDRANT_URL"), f"test-{uuid.uuid4().hex[:12]}"  # noqa: TID251  # a test's own setting
    if not url:
        pytest.skip("not run: QDRANT_URL is not set, no Qdrant server to run against")
    client = connect(url)
    try:
        index = await ServerIndex.open(url, generation=generation, dimensions=WordEncoder.dimensions)
        yield index
        await index.aclose()
    finally:
        for part in ("passages", "heads"):
            await client.delete_collection(f"plumbline-{generation}-{part}")
        await client.close()


@pytest.fixture(scope="session")
def look() -> Callable[..., Awaitable[list[Found]]]:
    """What an index shows, best first: `await look(index, "acme", "lamp", vector)`."""

    async def find(index: Index, tenant: str, text: str, vector: np.ndarray, **wanted: Any) -> list[Found]:
        fused = fuse([await index.ranked(Scope(tenant, **wanted), text, vector)])
        read = await index.read(tenant, [name for name, _ in fused])
        return [replace(read.live[name], score=score) for name, score in fused if name in read.live]

    return find


@pytest.fixture
def vector() -> Callable[..., np.ndarray]:
    """A unit vector that leans to its first numbers: `vector(1, 0.5)`."""

    def make(*numbers: float) -> np.ndarray:
        full = np.full(WordEncoder.dimensions, 1e-3, np.float32)
        full[: len(numbers)] += numbers
        return np.asarray(full / np.linalg.norm(full), np.float32)

    return make


@pytest.fixture
def spans() -> Iterator[Callable[[], Sequence[ReadableSpan]]]:
    """Reads the spans that ended since the test began."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # a process has one for all its tests
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    exporter.shutdown()
