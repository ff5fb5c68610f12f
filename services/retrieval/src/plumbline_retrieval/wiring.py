"""The one place where parts meet. Read this file to see the service whole."""

from plumbline.retrieval.v1.retrieval_service_pb2_grpc import add_RetrievalServiceServicer_to_server
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Publisher
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry
from plumbline_models import BatchingEncoder, Encoder
from plumbline_retrieval.adapters.rebuild import Rebuild
from plumbline_retrieval.adapters.state import open_state
from plumbline_retrieval.api import SCOPES, RetrievalService
from plumbline_retrieval.domain.chunking import Offsets
from plumbline_retrieval.events import BusAnnouncer, BusCorpus, CorpusEvents
from plumbline_retrieval.handlers.documents import (
    Acceptance,
    DeleteDocument,
    GetDocument,
    SubmitDocument,
    WaitForDocument,
)
from plumbline_retrieval.handlers.index import IndexDocument
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.search import SearchPassages, VerifySources
from plumbline_retrieval.ports import Index, PassageEncoder, QueryEncoder
from plumbline_retrieval.settings import Settings

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
        publisher: Publisher,
        clock: Clock,
        readiness: Readiness,
    ) -> None:
        progress = Progress()
        acceptance = Acceptance(BusCorpus(publisher, clock), index, progress)
        self.api = RetrievalService(
            SubmitDocument(acceptance),
            DeleteDocument(acceptance, index, progress, readiness),
            GetDocument(index, readiness),
            WaitForDocument(index, progress),
            SearchPassages(index, queries, readiness),
            VerifySources(index, readiness),
        )
        self.events = CorpusEvents(
            IndexDocument(index, index, passages, offsets, BusAnnouncer(publisher), clock, progress)
        )


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet. Opens the state folder."""
    clock, common = SystemClock(), settings.service
    encoder = Encoder.load(settings.encoder_dir)
    state = open_state(settings.state_dir, encoder_id=encoder.id, dimensions=encoder.dimensions)
    readiness = Readiness(complete=state.generation.complete)
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="retrieval", clock=clock, ack_seconds=ACK_SECONDS)
    passages = BatchingEncoder(encoder, workers=settings.index_workers)
    queries = BatchingEncoder(encoder)
    parts = Parts(
        state.index,
        passages=passages,
        queries=queries,
        offsets=encoder.offsets,
        publisher=publisher,
        clock=clock,
        readiness=readiness,
    )
    consumer = KafkaConsumer(
        common.kafka_bootstrap_servers,
        group=f"retrieval-indexer-{state.generation.id}",
        subscriptions=[parts.events.subscription()],
        dead_letters=publisher,
        clock=clock,
        concurrency=settings.index_concurrency,
    )
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    add_RetrievalServiceServicer_to_server(parts.api, server.grpc)

    async def close() -> None:
        await passages.aclose()
        await queries.aclose()
        state.close()

    return Service(
        common,
        server,
        telemetry=telemetry,
        consumers=[consumer],
        background=[Rebuild(consumer, state, readiness)],
        publisher=publisher,
        closing=[close],
    )
