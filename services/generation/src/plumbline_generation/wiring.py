"""The one place where parts meet. Read this file to see the service whole."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from plumbline.generation.v1.generation_service_pb2_grpc import add_GenerationServiceServicer_to_server
from plumbline_generation.adapters.budgeted import BudgetedModel
from plumbline_generation.adapters.endpoint import Endpoint
from plumbline_generation.adapters.memory_ledger import MemoryLedger
from plumbline_generation.adapters.openai import ApiClient, OpenAIModel
from plumbline_generation.adapters.postgres_ledger import PostgresLedger
from plumbline_generation.adapters.purse import Purse, PurseMeters
from plumbline_generation.adapters.route import Route
from plumbline_generation.adapters.route_meters import RouteMeters
from plumbline_generation.adapters.stored import Redact, as_it_is, redaction
from plumbline_generation.api import SCOPES, GenerationService, SentenceMeters
from plumbline_generation.domain.breaker import Breaker
from plumbline_generation.domain.budget import BudgetSettings
from plumbline_generation.domain.guarding import GuardSettings, OutputGuard, output_policy
from plumbline_generation.domain.packing import Offsets
from plumbline_generation.domain.routing import EndpointSettings, RouteSettings
from plumbline_generation.domain.screening import Screen, ScreenPolicy, Similarity
from plumbline_generation.events import BusJournal
from plumbline_generation.handlers import (
    CheckText,
    CondenseQuestion,
    CountTokens,
    GenerateAnswer,
    GetBudget,
    ListModels,
    Patience,
)
from plumbline_generation.ports import Ledger
from plumbline_generation.settings import Settings
from plumbline_guards.detector import Detector
from plumbline_guards.injection import InjectionDetector
from plumbline_guards.window import Action
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.bus.messages import Publisher
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.release import ModelSettings, Release, load_release
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry, meter
from plumbline_models.encoder import Encoder, Vectors

Encode = Callable[[Sequence[str]], Vectors]
_ACTIONS = {"block": Action.BLOCK, "drop": Action.BLOCK, "mark": Action.MARK, "off": Action.PASS}

REMEMBERED_PASSAGES: Final = 512
"""Whose tokens are known again: popular passages come back, and each takes some 25 kB."""


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet."""
    clock, common = SystemClock(), settings.service
    release, encoder = load_release(common.release_file), Encoder.load(settings.encoder_dir)
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="generation", clock=clock)
    clients = open_clients(settings.route)
    dsn = settings.budget.postgres_dsn
    ledger = PostgresLedger(dsn) if dsn else MemoryLedger()
    purse = build_purse(settings.budget, ledger, clock)
    model = build_route(settings.route, clients, encoder.offsets, release=release, clock=clock, purse=purse)
    patience = Patience(record=settings.record_seconds, margin=settings.margin_seconds)
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    guard, screen = build_guards(settings.guards, InjectionDetector.load(), clock, encode=encoder.encode)
    api = build_api(
        model,
        publisher,
        lru_cache(REMEMBERED_PASSAGES)(encoder.offsets),
        release=release,
        patience=patience,
        clock=clock,
        guard=guard,
        screen=screen,
        redact=build_redaction(settings.guards),
        count=CountTokens(release, encoder.offsets, tokenizer=encoder.id),
        budget=GetBudget(settings.budget.budgets, ledger, clock),
    )
    add_GenerationServiceServicer_to_server(api, server.grpc)
    closing = [*(client.aclose for client in clients), purse.aclose, ledger.aclose]
    return Service(common, server, publisher=publisher, closing=closing, telemetry=telemetry)


def open_clients(route: RouteSettings) -> list[ApiClient]:
    """One for each leg, in their order."""
    endpoints = [leg.endpoint for leg in route.legs]
    return [ApiClient(one.base_url, one.api_key, connections=one.concurrency) for one in endpoints]


def build_purse(settings: BudgetSettings, ledger: Ledger, clock: Clock) -> Purse:
    """What pays for the models' tokens."""
    meters = PurseMeters(meter(), clock)
    return Purse(settings.budgets, ledger, fails_open=settings.fails_open, meters=meters, clock=clock)


def build_route(
    settings: RouteSettings,
    clients: Sequence[ApiClient],
    offsets: Offsets,
    *,
    release: Release,
    clock: Clock,
    purse: Purse | None = None,
) -> Route:
    """The models that *settings* name, as one. Without a *purse* nobody's tokens are counted."""
    endpoints = [
        _endpoint(leg.endpoint, client, settings, release.model, clock)
        for leg, client in zip(settings.legs, clients, strict=True)
    ]
    if purse:
        endpoints = [_budgeted(endpoint, purse, offsets, clock) for endpoint in endpoints]
    return Route(
        endpoints,
        [leg.weight for leg in settings.legs],
        hedge_seconds=settings.hedge_seconds,
        tokens=lambda prompt: len(offsets(prompt.system)) + len(offsets(prompt.user)),
        meters=RouteMeters(meter()),
        clock=clock,
        draw=random.random,
    )


def build_api(
    model: Route,
    publisher: Publisher,
    offsets: Offsets,
    *,
    release: Release,
    patience: Patience,
    clock: Clock,
    guard: OutputGuard,
    screen: Screen,
    count: CountTokens,
    budget: GetBudget,
    redact: Redact = as_it_is,
) -> GenerationService:
    """The rpcs on any models and any event log."""
    unrecorded = meter().create_counter(
        "plumbline.generation.answers_unrecorded", description="answers that the event log did not take"
    )
    journal = BusJournal(publisher, release, unrecorded=unrecorded, redact=redact)
    generate = GenerateAnswer(
        model, journal, offsets, release=release, patience=patience, clock=clock, guard=guard, screen=screen
    )
    condense = CondenseQuestion(model, release=release, clock=clock, screen=screen)
    return GenerationService(
        generate,
        condense,
        CheckText(guard, screen),
        release,
        SentenceMeters(meter()),
        count=count,
        models=ListModels(model),
        budget=budget,
    )


def _endpoint(
    own: EndpointSettings, client: ApiClient, route: RouteSettings, model: ModelSettings, clock: Clock
) -> Endpoint:
    """What the release asks for, within what the endpoint allows."""
    tokens = int(min(own.max_output_tokens, model.max_tokens))
    own = replace(own, model=own.model or model.name, max_output_tokens=tokens)
    asked = replace(model, name=own.model, max_tokens=tokens)
    writer = OpenAIModel(client, asked, endpoint=own.name, clock=clock, takes_schema=own.json_schema)
    return Endpoint(own, writer, Breaker(route.breaker))


def _budgeted(endpoint: Endpoint, purse: Purse, offsets: Offsets, clock: Clock) -> Endpoint:
    model = BudgetedModel(
        endpoint.model,
        purse,
        max_output_tokens=int(endpoint.settings.max_output_tokens),
        count=lambda text: len(offsets(text)),
        clock=clock,
    )
    return replace(endpoint, model=model)


def build_redaction(settings: GuardSettings) -> Redact:
    """What changes a fact before it is published."""
    return redaction(settings.canary) if settings.stored != "off" else as_it_is


def build_guards(
    settings: GuardSettings, detector: Detector | None, clock: Clock, encode: Encode | None = None
) -> tuple[OutputGuard, Screen]:
    """What looks at texts on the way out and on the way in. *encode* is needed where topics have examples."""
    fails_open = settings.failure == "open"
    out = output_policy(
        settings.output,
        seconds=settings.seconds,
        fails_open=fails_open,
        canary=settings.canary,
        topics=settings.topics,
    )
    into = ScreenPolicy(
        hidden_in_questions=settings.hidden_in_questions,
        hidden_in_passages=settings.hidden_in_passages,
        injection=_ACTIONS[settings.injection],
        instructions=_ACTIONS[settings.instructions],
        topics=settings.topics,
        minimum_similarity=settings.minimum_similarity,
        seconds=settings.seconds,
        fails_open=fails_open,
    )
    similarity = _similarity(encode, settings.examples) if encode and settings.examples else None
    guard = OutputGuard(out, clock.monotonic, looks_at_links=settings.links != "off")
    return guard, Screen(into, detector, clock.monotonic, similarity)


def _similarity(encode: Encode, examples: Sequence[str]) -> Similarity:
    vectors = encode(examples)
    return lambda question: float((encode([question]) @ vectors.T).max())
