"""What the engine keeps when the process is killed, and what it gives back."""

import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.adapters import qdrant
from plumbline_retrieval.adapters.qdrant import QdrantIndex
from plumbline_retrieval.domain.document import Document, DocumentKey, Passage
from plumbline_retrieval.domain.head import Head, Live, State
from plumbline_retrieval.domain.query import Scope

Make = Callable[..., Any]

KEY = DocumentKey("acme", "lamp")
NOON = datetime(2026, 3, 1, tzinfo=UTC)

# Publishes one version after the other without end, and says so after each.
WRITER = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
import numpy as np
from plumbline_retrieval.adapters.qdrant import QdrantIndex
from plumbline_retrieval.domain.document import Document, DocumentKey, Passage
from plumbline_retrieval.domain.head import next_head, published

async def main():
    index, before, version = QdrantIndex.open(Path(sys.argv[1]), 4), {}, 0
    while True:
        for name in ("lamp", "desk"):
            key, document = DocumentKey("acme", name), Document(name, name, f"{name} version {version}")
            passages = [Passage(number, 0, 1, f"{document.text} part {number}") for number in range(3)]
            now = datetime(2026, 3, 1, tzinfo=UTC)
            await index.stage(key, version, document, passages, np.ones((3, 4), np.float32) / 2, now)
            before[name] = published(next_head(before.get(name), key, version, now), document, passages, now)
            await index.put_head(before[name])
            await index.remove_others(key, version)
        sys.stdout.write(f"{version}\\n")
        sys.stdout.flush()
        version += 1

asyncio.run(main())
"""


def killed_after(folder: Path, versions: int) -> int:
    """The last version that the writer acknowledged before it was killed."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = next(int(line) for line in writer.stdout if int(line) >= versions)
        writer.send_signal(signal.SIGKILL)
        return max([last, *map(int, writer.stdout.read().split("\n")[:-1])])


async def write(index: QdrantIndex, version: int, count: int) -> None:
    passages = [Passage(number, 0, 1, f"version {version} part {number}") for number in range(count)]
    vectors = np.ones((count, 4), np.float32) / 2
    await index.stage(KEY, version, Document("lamp", "Lamp", "text"), passages, vectors, NOON)
    await index.put_head(Head(KEY, version, State.LIVE, NOON, Live(version)))
    await index.remove_others(KEY, version)


@pytest.mark.parametrize("versions", [0, 40, 200])
async def test_nothing_acknowledged_is_lost_when_the_process_is_killed(
    tmp_path: Path, look: Make, versions: int
) -> None:
    last = killed_after(tmp_path / "index", versions)
    index = QdrantIndex.open(tmp_path / "index", 4)
    heads = await index.heads([KEY, DocumentKey("acme", "desk")])
    found = await look(index, "acme", "part", np.ones(4, np.float32) / 2)
    for head in heads.values():
        assert head.version in (last, last + 1)
        texts = sorted(each.passage.text for each in found if each.ref.document_id == head.key.document_id)
        assert texts == [f"{head.key.document_id} version {head.version} part {number}" for number in range(3)]
    assert len(heads) == 2
    index.close()


async def test_the_log_is_cut_so_that_it_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qdrant, "FLUSH_EVERY", 10)
    index = QdrantIndex.open(tmp_path / "index", 4)
    for version in range(140):
        await index.put_head(Head(KEY, version, State.LIVE, NOON, Live(title="x" * 1_000_000)))
    log = sum(path.stat().st_size for path in (tmp_path / "index/heads/wal").rglob("*"))
    assert log < 4 * 32 * 2**20  # the engine keeps three pieces of 32 MiB
    index.close()


async def test_opening_gives_back_what_removed_passages_took(tmp_path: Path, look: Make) -> None:
    index = QdrantIndex.open(tmp_path / "index", 4)
    for version in range(8):
        await write(index, version, 400)
    index.close()
    before = size_of(tmp_path / "index/passages/segments")
    index = QdrantIndex.open(tmp_path / "index", 4)
    found = await look(index, "acme", "part", np.ones(4, np.float32) / 2)
    assert {each.ref.version for each in found} == {7}
    assert len(found) == 100  # of both lists, which are the same
    index.close()
    assert size_of(tmp_path / "index/passages/segments") < before


async def shelve(index: QdrantIndex, key: DocumentKey, version: int, text: str, *groups: str) -> None:
    document = Document(key.document_id, "Lamp", text, groups=groups)
    await index.stage(key, version, document, [Passage(0, 0, 1, text)], np.ones((1, 4), np.float32) / 2, NOON)
    await index.put_head(Head(key, version, State.LIVE, NOON, Live(version), groups))
    await index.remove_others(key, version)


@pytest.mark.parametrize("reopened", [False, True])
async def test_who_saw_everything_does_not_see_what_comes_for_others(
    tmp_path: Path, look: Make, reopened: bool
) -> None:
    index, near = QdrantIndex.open(tmp_path / "index", 4), np.ones(4, np.float32) / 2
    await shelve(index, KEY, 1, "a lamp for sales", "sales")
    await shelve(index, DocumentKey("acme", "desk"), 1, "a desk for everybody")
    assert len(await look(index, "acme", "lamp", near, groups=("sales",))) == 2
    await shelve(index, DocumentKey("acme", "bed"), 1, "a bed for ops", "ops")
    await shelve(index, DocumentKey("globex", "lamp"), 1, "a lamp of globex")
    if reopened:
        index.close()
        index = QdrantIndex.open(tmp_path / "index", 4)
    for tenant, groups, expected in (
        ("acme", ("sales",), {"a lamp for sales", "a desk for everybody"}),
        ("acme", ("sales", "ops", "it"), {"a lamp for sales", "a desk for everybody", "a bed for ops"}),
        ("acme", ("it",), {"a desk for everybody"}),
        ("globex", ("sales",), {"a lamp of globex"}),
        ("initech", ("sales",), set()),
    ):
        found = await look(index, tenant, "lamp", near, groups=groups)
        assert {each.passage.text for each in found} == expected
    index.close()


async def test_what_others_have_and_what_was_removed_does_not_show_in_scores(tmp_path: Path) -> None:
    index, near = QdrantIndex.open(tmp_path / "index", 4), np.ones(4, np.float32) / 2
    for number in range(5):
        await shelve(index, DocumentKey("acme", f"{number}"), 1, f"lamp number {number}")
    alone = await index.ranked(Scope("acme"), "lamp number 3", near)
    for number in range(20):
        await shelve(index, DocumentKey("acme", "old"), number, "lamp lamp")
    await index.remove_others(DocumentKey("acme", "old"), 99)
    assert (await index.ranked(Scope("acme"), "lamp number 3", near)).sparse == alone.sparse
    await shelve(index, DocumentKey("globex", "lamp"), 1, "lamp number 3")
    assert (await index.ranked(Scope("acme"), "lamp number 3", near)).sparse == alone.sparse
    index.close()


@pytest.mark.parametrize("most", [0, qdrant.MOST_VERSIONS])
async def test_a_search_knows_a_heads_next_version_at_once(
    tmp_path: Path, look: Make, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(qdrant, "MOST_VERSIONS", most)
    index, near = QdrantIndex.open(tmp_path / "index", 4), np.ones(4, np.float32) / 2
    for version in range(3):
        await shelve(index, KEY, version, f"version {version}")
        assert [each.ref.version for each in await look(index, "acme", "version", near)] == [version]
    await index.put_head(Head(KEY, 3, State.DELETED, NOON))
    assert await look(index, "acme", "version", near) == []
    index.close()


async def test_an_engine_that_fails_is_unavailable_and_does_not_say_where_it_lies(tmp_path: Path) -> None:
    index = QdrantIndex.open(tmp_path / "index", 4)
    index.close()
    with pytest.raises(Unavailable) as failure:
        await index.put_head(Head(KEY, 1, State.LIVE, NOON))
    assert str(failure.value) == "the index cannot be used"


def size_of(folder: Path) -> int:
    return sum(path.stat().st_blocks for path in folder.rglob("*"))
