"""The one place where parts meet. Read this file to see the service whole."""

import uuid
from collections.abc import Awaitable, Callable

from plumbline.gateway.v1.gateway_service_pb2_grpc import add_GatewayServiceServicer_to_server
from plumbline_gateway.adapters.audits import Announcers, BackgroundAudits
from plumbline_gateway.adapters.cache import GrpcAnswerCache
from plumbline_gateway.adapters.generation import GrpcAnswerGenerator, GrpcQuestionCondenser
from plumbline_gateway.adapters.retrieval import IDEMPOTENT, GrpcPassageSearch
from plumbline_gateway.api import SCOPES, GatewayService
from plumbline_gateway.events import BackgroundAnnouncer, BusAudits
from plumbline_gateway.handlers import Allowance, AskQuestion, AuditHit, Slots
from plumbline_gateway.settings import Settings
from plumbline_guards.stored import remembering
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.clock import SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.release import load_release
from plumbline_kit.rpc import Server, current_call, open_channel, outlive
from plumbline_kit.telemetry import Telemetry, meter, names


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet."""
    clock, common = SystemClock(), settings.service
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="gateway", clock=clock)
    cache = open_channel(settings.cache_address)
    retrieval = open_channel(settings.retrieval_address, idempotent=IDEMPOTENT)
    generation = open_channel(settings.generation_address)
    lost = meter().create_counter(
        "plumbline.gateway.answers_unannounced", description="served answers whose fact did not reach the log"
    )
    findings_in = remembering() if settings.redacts_stored else None
    announcer = BackgroundAnnouncer(
        publisher,
        clock,
        limit=settings.unannounced_answers,
        lost=lost,
        findings_in=findings_in,
    )
    release, slots = load_release(common.release_file), Slots(settings.concurrent_asks)
    search = GrpcPassageSearch(retrieval)
    generator = GrpcAnswerGenerator(generation, reserve_seconds=settings.reserve_seconds)
    audits = BackgroundAudits(
        AuditHit(search, generator, BusAudits(publisher, findings_in), release=release, clock=clock, new_id=_new_id),
        Allowance(settings.audits_per_minute, slots.is_busy, clock),
        share=release.cache.audit_share,
        at_once=settings.audits_at_once,
        seconds=settings.audit_seconds,
        audits=meter().create_counter(names.AUDITS, description="hits chosen to be audited, by what came of it"),
    )
    ask = AskQuestion(
        GrpcAnswerCache(cache, limit_seconds=settings.cache_seconds),
        search,
        GrpcQuestionCondenser(generation),
        generator,
        Announcers(announcer, audits),
        release=release,
        slots=slots,
        waiting=Slots(settings.waiting_asks),
        outlive=lambda: outlive(max(settings.writing_seconds, current_call().remaining())),
        reserve_seconds=settings.reserve_seconds,
        clock=clock,
        new_id=_new_id,
    )
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    add_GatewayServiceServicer_to_server(GatewayService(ask), server.grpc)
    closing: list[Callable[[], Awaitable[None]]] = [channel.close for channel in (cache, retrieval, generation)]
    return Service(
        common, server, background=[announcer, audits], publisher=publisher, closing=closing, telemetry=telemetry
    )


def _new_id() -> str:
    return str(uuid.uuid4())
