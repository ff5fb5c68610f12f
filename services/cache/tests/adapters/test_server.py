"""The store on a server that is away, silent or says no; what it does with one that answers is the contract suite's."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient

from plumbline_cache.adapters import server
from plumbline_cache.adapters.memory import Ready, WordEncoder
from plumbline_cache.adapters.server import ServerStore, connect
from plumbline_cache.adapters.turns import ThreadTurns
from plumbline_cache.domain.entry import Scope
from plumbline_cache.domain.freshness import Floor, dropped_by
from plumbline_cache.domain.lookup import Miss, MissReason
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.uses import Uses
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable
from plumbline_kit.testing import FakeClock

Make = Callable[..., Any]
SCOPE = Scope("acme", (), "default", "r1")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VECTOR = np.ones(4, np.float32) / 2
IN_ALL = 0.03


@pytest.fixture
def silent() -> Iterator[ServerStore]:
    """A store on a server that takes connections and says nothing."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        store = ServerStore(connect(f"http://127.0.0.1:{listener.getsockname()[1]}"), "plumbline-test")
        yield store
        store.close()


@pytest.fixture
def away() -> Iterator[ServerStore]:
    """A store on a server that is not there."""
    with closing(socket.socket()) as closed:  # bound and never listened on, so that nobody else can take it
        closed.bind(("127.0.0.1", 0))
        store = ServerStore(connect(f"http://127.0.0.1:{closed.getsockname()[1]}"), "plumbline-test")
        yield store
        store.close()


def test_every_call_to_a_server_that_is_away_is_unavailable_and_its_address_is_not_told(
    away: ServerStore, entry: Make, change: Make
) -> None:
    kept = entry("Why?", ("prices", 1, "h1"))
    notice = dropped_by(kept, change("prices", 1, 2), NOON)
    calls: list[Callable[[], object]] = [
        lambda: away.prepare(4),
        lambda: away.find(kept.id),
        lambda: away.nearest(SCOPE, VECTOR, least=0.9, limit=1),
        lambda: away.count("acme"),
        away.count_by_tenant,
        lambda: away.put(kept, VECTOR),
        lambda: away.carry(kept, kept),
        lambda: away.drop(kept),
        lambda: list(away.of_tenant("acme")),
        lambda: away.expired(NOON, 1),
        lambda: away.sample("acme", 1),
        lambda: away.floors("acme", ["prices"]),
        lambda: away.keep_floor(Floor("acme", "prices", 1)),
        lambda: away.add_notice(notice),
        lambda: list(away.notices("acme", "prices")),
        lambda: away.waiting(1),
        away.generation,
        lambda: away.remove_notice(notice.id),
    ]
    for call in calls:
        with pytest.raises(Unavailable) as failure:
            call()
        assert (str(failure.value), failure.value.retry_after) == ("the cache's store cannot be used", 5.0)


async def test_a_lookup_on_a_silent_server_is_a_miss_within_30_ms_and_its_threads_come_back(
    silent: ServerStore,
) -> None:
    readers = ThreadTurns("test-reader", 2)
    ledger = AuditLedger(0.03, SystemClock())
    ask = LookupAnswer(
        silent,
        WordEncoder(),
        Ready(),
        readers,
        Tallies(),
        Uses(),
        ledger,
        FakeClock(NOON),
        semantic_threshold=0.9,
        semantic_certainty=0.8,
    )
    seconds = []
    for _ in range(8):
        began = time.perf_counter()
        miss = await ask(SCOPE, "Why?")
        seconds.append(time.perf_counter() - began)
        assert isinstance(miss, Miss)
        assert miss.reason is MissReason.UNREACHABLE
    assert min(seconds) <= IN_ALL
    assert sum(thread.name.startswith("test-reader") for thread in threading.enumerate()) <= 2
    async with asyncio.timeout(10 * server.READ_SECONDS):
        assert await readers.run(lambda: "free") == "free"
    readers.close()


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
def test_all_processes_on_a_collection_go_by_the_mark_of_whoever_came_first() -> None:
    client = QdrantClient(":memory:")
    first, second = ServerStore(client, "plumbline-test"), ServerStore(client, "plumbline-test")
    first.prepare(4)
    mark = first.generation()
    assert [second.generation(), first.generation()] == [mark, mark]
    first.close()
