"""The one place where parts meet. Read this file to see the service whole."""

from plumbline.generation.v1.generation_service_pb2_grpc import add_GenerationServiceServicer_to_server
from plumbline_generation.adapters.openai import OpenAIModel, open_client
from plumbline_generation.api import SCOPES, GenerationService
from plumbline_generation.domain.guarding import OutputGuard, output_policy
from plumbline_generation.domain.packing import Offsets
from plumbline_generation.events import BusJournal
from plumbline_generation.handlers import CheckText, GenerateAnswer, Patience
from plumbline_generation.ports import LanguageModel
from plumbline_generation.settings import Settings
from plumbline_guards.window import Policy
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.bus.messages import Publisher
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.release import Release, load_release
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry, meter
from plumbline_models.encoder import Encoder


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet."""
    clock, common = SystemClock(), settings.service
    release, offsets = load_release(common.release_file), Encoder.load(settings.encoder_dir).offsets
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="generation", clock=clock)
    client = open_client(settings.llm_base_url, settings.llm_api_key, connections=settings.concurrent_completions)
    model = OpenAIModel(client, release.model, places=settings.concurrent_completions, clock=clock)
    patience = Patience(record=settings.record_seconds, margin=settings.margin_seconds)
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    guard = OutputGuard(_policy(settings), clock.monotonic)
    api = build_api(model, publisher, offsets, release=release, patience=patience, clock=clock, guard=guard)
    add_GenerationServiceServicer_to_server(api, server.grpc)
    return Service(common, server, publisher=publisher, closing=[client.aclose], telemetry=telemetry)


def build_api(
    model: LanguageModel,
    publisher: Publisher,
    offsets: Offsets,
    *,
    release: Release,
    patience: Patience,
    clock: Clock,
    guard: OutputGuard,
) -> GenerationService:
    """The rpc on any model and any event log."""
    unrecorded = meter().create_counter(
        "plumbline.generation.answers_unrecorded", description="answers that the event log did not take"
    )
    journal = BusJournal(publisher, release, unrecorded=unrecorded)
    generate = GenerateAnswer(model, journal, offsets, release=release, patience=patience, clock=clock, guard=guard)
    return GenerationService(generate, CheckText(guard), release)


def _policy(settings: Settings) -> Policy:
    return output_policy(
        settings.guard_output,
        seconds=settings.guard_seconds,
        fails_open=settings.guard_failure == "open",
        canary=settings.guard_canary,
    )
