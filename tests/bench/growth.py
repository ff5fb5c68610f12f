"""How the embedded index grows: 2,000, 20,000 and 200,000 passages, each in a process of its own.

Passages are those of the pooled corpus with changed words; beyond the first 2,000, whose vectors are the encoder's,
vectors are those with noise, because encoding 200,000 passages takes an hour and says nothing about the index. The time
to index has the encoding of those 2,000 in it.
"""

import asyncio
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil

from plumbline_kit.clock import SystemClock
from plumbline_kit.identity import Identity
from plumbline_local.encoder import ensure_encoder
from plumbline_local.layout import Layout
from plumbline_models import Encoder, ThreadedEncoder
from plumbline_retrieval.adapters.qdrant import QdrantIndex
from plumbline_retrieval.domain.document import Document, DocumentKey, Passage
from plumbline_retrieval.domain.head import next_head, published
from plumbline_retrieval.domain.query import Query, Scope
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import Registry
from plumbline_retrieval.handlers.search import SearchPassages
from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.pooled import load
from tests.bench.settings import BenchSettings

SIZES = (2_000, 20_000, 200_000)
ENCODED = 2_000
QUESTIONS = 200
NOISE = 0.6
TENANT = "bench"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    """Measure each size in a process of its own, then report."""
    results: list[Figure] = []
    for size in SIZES:
        printed = subprocess.run(
            [sys.executable, "-m", "tests.bench.growth", str(size)], stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        for line in printed.splitlines():
            name, value = line.split()
            baseline = next((each for each in results if each.name == f"{SIZES[0]:,}: {name}"), None)
            ratio = float(value) / baseline.value if baseline else None
            results.append(
                Figure(f"{size:,}: {name}", float(value), baseline=baseline.name if baseline else None, ratio=ratio)
            )
    figures.report("bench-growth", results)


async def measure(size: int) -> None:
    """Print what an index of *size* passages takes, a name and a value a line."""
    pool = load(BenchSettings.from_env().data)
    encoder = Encoder.load(ensure_encoder(Layout.local()))
    before = psutil.Process().memory_info().rss
    with tempfile.TemporaryDirectory(prefix="plumbline-growth-") as folder:
        index = QdrantIndex.open(Path(folder), encoder.dimensions)
        started = time.perf_counter()
        await _fill(index, size, [passage.untitled for passage in pool.passages], encoder)
        seconds = time.perf_counter() - started
        questions = [query.text for query in pool.queries["xquad"]][:QUESTIONS]
        say("index_us_per_passage", seconds / size * 1e6)
        await _search(index, encoder, questions)
        say("resident_mib", (psutil.Process().memory_info().rss - before) / 2**20)
        index.close()
        say("disk_mib", _disk_mib(Path(folder)))


def _disk_mib(folder: Path) -> float:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*")) / 2**20


async def _fill(index: QdrantIndex, size: int, texts: Sequence[str], encoder: Encoder) -> None:
    vectors = encoder.encode(texts[:ENCODED])
    for number, (text, vector) in enumerate(_changed(size, texts, vectors)):
        key, document = DocumentKey(TENANT, str(number)), Document(str(number), "", text)
        passages = [Passage(0, 0, len(text), text)]
        await index.stage(key, 0, document, passages, vector[None], NOW)
        await index.put_head(published(next_head(None, key, 0, NOW), document, passages, NOW))


def _changed(size: int, texts: Sequence[str], vectors: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    random = np.random.default_rng(0)
    for number in range(size):
        text, vector = texts[number % ENCODED], vectors[number % ENCODED]
        if number >= ENCODED:  # every seventh word is another one each time
            text = re.sub(r"((?:\S+\s+){6})(\S+)", rf"\1\g<2>{number}", texts[number % len(texts)])
            vector = vector + NOISE * random.normal(size=vector.shape) / np.sqrt(len(vector))
            vector = vector / np.linalg.norm(vector)
        yield text or str(number), np.asarray(vector, np.float32)


async def _search(index: QdrantIndex, encoder: Encoder, questions: Sequence[str]) -> None:
    queries = ThreadedEncoder(encoder)
    search = SearchPassages(index, queries, Registry(index, SystemClock(), complete=True), Readiness(True), Progress())
    anna, whole, engine = Identity(TENANT, "anna"), [], []
    for text in questions:
        vector = encoder.encode([text])[0]
        started = time.perf_counter()
        await index.ranked(Scope(TENANT), text, vector)
        engine.append(time.perf_counter() - started)
        started = time.perf_counter()
        await search(anna, Query(text), None, "")
        whole.append(time.perf_counter() - started)
    await queries.aclose()
    for name, seconds in (("engine", engine), ("search", whole)):
        for percent in (50, 99):
            say(f"{name}_p{percent}_ms", float(np.percentile(seconds, percent)) * 1e3)


def say(name: str, value: float) -> None:
    """For the process that started this one."""
    sys.stdout.write(f"{name} {value}\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(measure(int(sys.argv[1])))
    else:
        main()
