"""The one place where parts meet. Read this file to see the service whole."""

from functools import partial
from pathlib import Path
from random import Random

import httpx
import structlog

from plumbline.retrieval.v1.retrieval_service_pb2_grpc import add_RetrievalServiceServicer_to_server
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Publisher
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.lifecycle import Runs, Service
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry
from plumbline_retrieval.adapters.change_records import ChangeRecords, read_change_mappings
from plumbline_retrieval.adapters.engine import Engine, WaitForOthers, open_engine
from plumbline_retrieval.adapters.filling import Filling
from plumbline_retrieval.adapters.known import IndexKnown
from plumbline_retrieval.adapters.models import open_models
from plumbline_retrieval.adapters.origins import open_feed_client, origin_of, read_plan
from plumbline_retrieval.adapters.reading import SandboxedReader
from plumbline_retrieval.api import SCOPES, RetrievalService
from plumbline_retrieval.domain.chunking import Offsets
from plumbline_retrieval.domain.ranking import Preferences
from plumbline_retrieval.events import BusAnnouncer, BusCorpus, ChangeEvents, CorpusEvents, RegistryEvents
from plumbline_retrieval.handlers.documents import (
    Acceptance,
    DeleteDocument,
    GetDocument,
    ListDocuments,
    RecordFacts,
    Statuses,
    SubmitDocument,
    SubmitFile,
    WaitForDocument,
)
from plumbline_retrieval.handlers.index import IndexDocument
from plumbline_retrieval.handlers.polling import Poller, PollSource
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import ConfirmSource, ListSources, PutSource, Registry
from plumbline_retrieval.handlers.retention import RetentionSweeper, SweepRetention
from plumbline_retrieval.handlers.search import SearchPassages, VerifySources
from plumbline_retrieval.ports import Index, PassageEncoder, QueryEncoder, Reader, Reranker
from plumbline_retrieval.settings import Roles, Settings

log = structlog.get_logger()

ACK_SECONDS = 5.0
"""How long a submitter waits for the event log."""


class Parts:
    """The use cases on their parts, whichever those are."""

    def __init__(
        self,
        index: Index,
        *,
        passages: PassageEncoder,
        queries: QueryEncoder,
        offsets: Offsets,
        reader: Reader,
        publisher: Publisher,
        clock: Clock,
        readiness: Readiness,
        generation: str = "",
        reranker: Reranker | None = None,
        preferences: Preferences | None = None,
    ) -> None:
        self.readiness = readiness
        progress = Progress()
        corpus = self.corpus = BusCorpus(publisher, clock)
        self.registry = Registry(index, clock)
        acceptance = self.acceptance = Acceptance(corpus, index, progress)
        self.known = IndexKnown(index)
        statuses = Statuses(index, progress, self.registry)
        submit = SubmitDocument(acceptance, self.registry)
        self.api = RetrievalService(
            submit,
            SubmitFile(reader, submit),
            DeleteDocument(acceptance, index, progress, readiness),
            GetDocument(index, statuses, readiness),
            ListDocuments(index, statuses, readiness),
            WaitForDocument(index, statuses, progress),
            SearchPassages(index, queries, self.registry, readiness, progress, reranker, preferences or Preferences()),
            VerifySources(index, readiness),
            PutSource(corpus, self.registry),
            ListSources(self.registry),
            ConfirmSource(corpus, self.registry),
            RecordFacts(acceptance, self.registry),
            clock,
            generation,
        )
        self.registry_events = RegistryEvents(index)
        self.events = CorpusEvents(
            IndexDocument(index, index, passages, offsets, BusAnnouncer(publisher), self.registry, clock, progress)
        )


async def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet. Opens the index."""
    clock, common = SystemClock(), settings.service
    models = await open_models(settings, clock)
    engine = await open_engine(settings, encoder_id=models.queries.id, dimensions=models.queries.dimensions)
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="retrieval", clock=clock, ack_seconds=ACK_SECONDS)
    reader = SandboxedReader()
    parts = Parts(
        engine.index,
        passages=models.passages,
        queries=models.queries,
        offsets=models.offsets,
        reader=reader,
        publisher=publisher,
        clock=clock,
        readiness=Readiness(complete=engine.complete),
        generation=engine.generation,
        reranker=models.reranker,
        preferences=settings.preferences,
    )
    serves = settings.roles is not Roles.INDEXER
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES if serves else {})
    if serves:
        add_RetrievalServiceServicer_to_server(parts.api, server.grpc)
    consumers, background = _listeners(settings, engine, parts, publisher, clock)
    feeds = open_feed_client()
    if settings.poll_plan is not None and settings.roles is not Roles.API:
        background.append(_poller(settings.poll_plan, parts, reader, feeds, clock))
    return Service(
        common,
        server,
        telemetry=telemetry,
        consumers=consumers,
        background=background,
        publisher=publisher,
        closing=[*models.closing, reader.aclose, feeds.aclose, engine.close],
    )


def _listeners(
    settings: Settings, engine: Engine, parts: Parts, publisher: KafkaPublisher, clock: Clock
) -> tuple[list[Runs], list[Runs]]:
    """The consumers of sources and corpus, and what runs beside them. A process that only serves has none.

    Their groups have the generation's name: a new one reads everything. Who has the index to himself reads alone, so
    that after a kill the next process goes on at once.
    """

    async def index_is_whole() -> None:
        parts.known.is_current = True
        if not parts.readiness.complete:
            await engine.completed()
            parts.readiness.complete = True
            log.info("index_complete", generation=engine.generation)

    async def sources_are_whole() -> None:
        parts.registry.completed()

    async def all_is_whole() -> None:
        await sources_are_whole()
        await index_is_whole()

    if settings.roles is Roles.API and engine.is_complete is not None:
        return [], [WaitForOthers(engine.is_complete, clock, all_is_whole)]
    servers = settings.service.kafka_bootstrap_servers
    consumer = partial(KafkaConsumer, servers, dead_letters=publisher, clock=clock, alone=engine.is_own)
    sources = consumer(
        group=f"retrieval-sources-{engine.generation}", subscriptions=parts.registry_events.subscriptions()
    )
    corpus = consumer(
        group=f"retrieval-indexer-{engine.generation}",
        subscriptions=parts.events.subscriptions(),
        concurrency=settings.index_concurrency,
    )
    consumers: list[Runs] = [sources, corpus]
    if settings.change_tables is not None:
        consumers.append(_change_consumer(settings.change_tables, servers, parts, publisher, clock))
    fillings = [Filling(sources, sources_are_whole), Filling(corpus, index_is_whole)]
    sweep = SweepRetention(parts.known, parts.registry, parts.known, parts.api.delete, lambda: corpus.lag() == 0)
    return consumers, [*fillings, RetentionSweeper(sweep, clock)]


def _change_consumer(
    tables: Path, servers: str, parts: Parts, publisher: KafkaPublisher, clock: Clock
) -> KafkaConsumer:
    """Raises `SettingsError` for tables that cannot be followed."""
    changes = [
        ChangeEvents(mapping.topic, mapping.tenant, ChangeRecords(mapping), parts.acceptance)
        for mapping in read_change_mappings(tables)
    ]
    subscriptions = [each.subscription() for each in changes]
    return KafkaConsumer(
        servers, group="retrieval-changes", subscriptions=subscriptions, dead_letters=publisher, clock=clock
    )


def _poller(plan: Path, parts: Parts, reader: Reader, client: httpx.AsyncClient, clock: Clock) -> Poller:
    """Raises `SettingsError` for a plan that cannot be followed."""
    api, corpus = parts.api, parts.corpus
    polls = [
        PollSource(
            source,
            origin_of(source, client, clock),
            parts.known,
            reader,
            api.put_source,
            api.submit,
            api.delete,
            corpus,
            clock,
        )
        for source in read_plan(plan)
    ]
    return Poller(polls, clock, Random())
