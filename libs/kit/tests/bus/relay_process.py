"""A process that only relays: the test kills it."""

import asyncio
import sys

from psycopg_pool import AsyncConnectionPool

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_contracts.topics import Topic
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.bus.outbox import OutboxRelay
from plumbline_kit.clock import SystemClock


async def main(dsn: str, servers: str, name: str) -> None:
    topic = Topic(name, DocumentChanged, "tenant/document", 4)
    async with AsyncConnectionPool(dsn, min_size=1) as pool:
        publisher = KafkaPublisher(servers, source="relay", clock=SystemClock())
        await OutboxRelay(pool, publisher, [topic], SystemClock()).run()


asyncio.run(main(*sys.argv[1:]))
