"""The one place where parts meet. Read this file to see the service whole."""

from functools import partial

import structlog

from plumbline.retrieval.v1.retrieval_service_pb2_grpc import add_RetrievalServiceServicer_to_server
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Publisher
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry
from plumbline_models import BatchingEncoder, Encoder
from plumbline_retrieval.adapters.filling import Filling
from plumbline_retrieval.adapters.reading import SandboxedReader
from plumbline_retrieval.adapters.state import OpenState, open_state
from plumbline_retrieval.api import SCOPES, RetrievalService
from plumbline_retrieval.domain.chunking import Offsets
from plumbline_retrieval.events import BusAnnouncer, BusCorpus, CorpusEvents, RegistryEvents
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
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import ConfirmSource, ListSources, PutSource, Registry
from plumbline_retrieval.handlers.search import SearchPassages, VerifySources
from plumbline_retrieval.ports import Index, PassageEncoder, QueryEncoder, Reader
from plumbline_retrieval.settings import Settings

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
    ) -> None:
        self.generation, self.readiness = generation, readiness
        progress = Progress()
        corpus = BusCorpus(publisher, clock)
        self.registry = Registry(index, clock)
        acceptance = Acceptance(corpus, index, progress)
        statuses = Statuses(index, progress, self.registry)
        submit = SubmitDocument(acceptance, self.registry)
        self.api = RetrievalService(
            submit,
            SubmitFile(reader, submit),
            DeleteDocument(acceptance, index, progress, readiness),
            GetDocument(index, statuses, readiness),
            ListDocuments(index, statuses, readiness),
            WaitForDocument(index, statuses, progress),
            SearchPassages(index, queries, self.registry, readiness, progress),
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


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet. Opens the state folder."""
    clock, common = SystemClock(), settings.service
    encoder = Encoder.load(settings.encoder_dir)
    state = open_state(settings.state_dir, encoder_id=encoder.id, dimensions=encoder.dimensions)
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="retrieval", clock=clock, ack_seconds=ACK_SECONDS)
    passages = BatchingEncoder(encoder, workers=settings.index_workers)
    queries = BatchingEncoder(encoder)
    reader = SandboxedReader()
    parts = Parts(
        state.index,
        passages=passages,
        queries=queries,
        offsets=encoder.offsets,
        reader=reader,
        publisher=publisher,
        clock=clock,
        readiness=Readiness(complete=state.generation.complete),
        generation=state.generation.id,
    )
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    add_RetrievalServiceServicer_to_server(parts.api, server.grpc)
    sources, corpus = _consumers(settings, parts, publisher, clock)

    async def close() -> None:
        for each in (passages, queries, reader):
            await each.aclose()
        state.close()

    return Service(
        common,
        server,
        telemetry=telemetry,
        consumers=[sources, corpus],
        background=[Filling(sources, parts.registry.completed), Filling(corpus, partial(_is_whole, state, parts))],
        publisher=publisher,
        closing=[close],
    )


def _consumers(
    settings: Settings, parts: Parts, publisher: KafkaPublisher, clock: Clock
) -> tuple[KafkaConsumer, KafkaConsumer]:
    """Of the sources and of the corpus: whose group has the generation's name reads all of it for a new one."""
    servers = settings.service.kafka_bootstrap_servers
    sources = KafkaConsumer(
        servers,
        group=f"retrieval-sources-{parts.generation}",
        subscriptions=parts.registry_events.subscriptions(),
        dead_letters=publisher,
        clock=clock,
    )
    corpus = KafkaConsumer(
        servers,
        group=f"retrieval-indexer-{parts.generation}",
        subscriptions=parts.events.subscriptions(),
        dead_letters=publisher,
        clock=clock,
        concurrency=settings.index_concurrency,
    )
    return sources, corpus


def _is_whole(state: OpenState, parts: Parts) -> None:
    if not parts.readiness.complete:
        state.completed()
        parts.readiness.complete = True
        log.info("index_complete", generation=parts.generation)
