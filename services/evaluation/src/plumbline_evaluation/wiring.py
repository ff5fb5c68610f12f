"""The one place where parts meet. Read this file to see the service whole."""

from plumbline.evaluation.v1.evaluation_service_pb2_grpc import add_EvaluationServiceServicer_to_server
from plumbline_contracts.topics import EVALUATION_COMPLETED
from plumbline_evaluation.adapters.postgres import PostgresEvaluations, create_schema, open_pool
from plumbline_evaluation.adapters.similarity import EncoderSimilarity
from plumbline_evaluation.api import SCOPES, EvaluationService
from plumbline_evaluation.domain.measures import Minimums
from plumbline_evaluation.events import GROUP, EvaluationEvents
from plumbline_evaluation.handlers import EvaluateAnswer, GetEvaluation, RecordEvaluation
from plumbline_evaluation.settings import Settings
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher
from plumbline_kit.bus.outbox import OutboxRelay
from plumbline_kit.clock import SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.release import Release, load_release
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry
from plumbline_models.encoder import Encoder
from plumbline_models.threaded import ThreadedEncoder


async def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts, its tables made; waits for PostgreSQL, and nothing else runs yet."""
    clock, common = SystemClock(), settings.service
    encoder = ThreadedEncoder(Encoder.load(settings.encoder_dir), workers=settings.encoder_workers)
    minimums = minimums_of(load_release(common.release_file))
    pool = open_pool(settings.postgres_dsn)
    await pool.open()
    await create_schema(pool, clock)
    store = PostgresEvaluations(pool)
    evaluate = EvaluateAnswer(EncoderSimilarity(encoder), minimums, clock)
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="evaluation", clock=clock)
    consumer = KafkaConsumer(
        common.kafka_bootstrap_servers,
        group=GROUP,
        subscriptions=EvaluationEvents(RecordEvaluation(evaluate, store)).subscriptions(),
        dead_letters=publisher,
        clock=clock,
        concurrency=settings.concurrent_answers,
    )
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    add_EvaluationServiceServicer_to_server(EvaluationService(evaluate, GetEvaluation(store)), server.grpc)
    return Service(
        common,
        server,
        consumers=[consumer],
        background=[OutboxRelay(pool, publisher, [EVALUATION_COMPLETED], clock)],
        publisher=publisher,
        closing=[encoder.aclose, pool.close],
        telemetry=telemetry,
    )


def minimums_of(release: Release) -> Minimums:
    """What the release asks of an answer."""
    return Minimums(
        citation_validity=release.evaluation.minimum_citation_validity,
        faithfulness=release.evaluation.minimum_faithfulness,
        answer_relevance=release.evaluation.minimum_answer_relevance,
        context_relevance=release.evaluation.minimum_context_relevance,
        claim_support=release.guard.minimum_claim_support,
    )
