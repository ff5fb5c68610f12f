"""The one place where parts meet. Read this file to see the service whole."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Protocol

import httpx
import structlog

from plumbline.retrieval.v1.retrieval_service_pb2_grpc import add_RetrievalServiceServicer_to_server
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import KafkaConsumer, KafkaPublisher, Publisher
from plumbline_kit.bus.records import Appender
from plumbline_kit.clock import Clock, SystemClock
from plumbline_kit.lifecycle import Runs, Service
from plumbline_kit.rpc import Server
from plumbline_kit.telemetry import Telemetry
from plumbline_retrieval.adapters.change_records import ChangeRecords, read_change_mappings
from plumbline_retrieval.adapters.engine import Engine, Recipe, WaitForOthers, open_engines
from plumbline_retrieval.adapters.filling import Filling
from plumbline_retrieval.adapters.known import IndexKnown
from plumbline_retrieval.adapters.models import Models, open_all_models
from plumbline_retrieval.adapters.origins import open_feed_client, origin_of, read_plan
from plumbline_retrieval.adapters.reading import SandboxedReader
from plumbline_retrieval.api import SCOPES, RetrievalService, UseCases
from plumbline_retrieval.domain.ranking import Preferences
from plumbline_retrieval.events import (
    BusAnnouncer,
    BusCorpus,
    ChangeEvents,
    CorpusEvents,
    RegistryEvents,
    WholeAnnouncer,
)
from plumbline_retrieval.handlers.documents import (
    Acceptance,
    DeleteDocument,
    GetDocument,
    ListDocuments,
    RecordFacts,
    Statuses,
    SubmitDocument,
    SubmitFile,
    View,
    WaitForDocument,
)
from plumbline_retrieval.handlers.generations import UNKNOWN, Beside, FollowMark, Generation, Generations
from plumbline_retrieval.handlers.index import IndexDocument
from plumbline_retrieval.handlers.polling import Poller, PollSource
from plumbline_retrieval.handlers.progress import Progress
from plumbline_retrieval.handlers.readiness import Readiness
from plumbline_retrieval.handlers.registry import ConfirmSource, ListSources, PutSource, Registries, Registry
from plumbline_retrieval.handlers.retention import RetentionSweeper, SweepRetention
from plumbline_retrieval.handlers.search import SearchPassages, VerifySources
from plumbline_retrieval.ports import Announcer, Index, Reader
from plumbline_retrieval.settings import IndexSettings, Roles, Settings

log = structlog.get_logger()

ACK_SECONDS = 5.0
"""How long a submitter waits for the event log."""


class EventLog(Publisher, Appender, Protocol):
    """Takes facts, and records as they are."""


@dataclass(frozen=True)
class Held:
    """What this process knows of a generation of the index."""

    index: Index
    progress: Progress
    registry: Registry
    readiness: Readiness

    @classmethod
    def of(cls, index: Index, clock: Clock, *, complete: bool) -> "Held":
        """Of an *index* that was just opened."""
        return cls(index, Progress(), Registry(index, clock), Readiness(complete=complete))


@dataclass(frozen=True)
class Shared:
    """What all generations of the index have in common."""

    acceptance: Acceptance
    registries: Registries
    reader: Reader
    publisher: EventLog
    clock: Clock
    preferences: Preferences

    @classmethod
    def by(
        cls,
        held: Sequence[Held],
        reader: Reader,
        publisher: EventLog,
        clock: Clock,
        preferences: Preferences | None = None,
    ) -> "Shared":
        """By all that are *held*, the first first."""
        acceptance = Acceptance(BusCorpus(publisher, clock), [View(each.index, each.progress) for each in held])
        registries = Registries([each.registry for each in held])
        return cls(acceptance, registries, reader, publisher, clock, preferences or Preferences())


class Parts:
    """One generation of the index, what it listens to and what can be done with it."""

    def __init__(self, held: Held, models: Models, shared: Shared, *, tells: bool = True) -> None:
        """Unless it *tells* always, it tells of changes once the index is whole."""
        index = held.index
        self.known, self.registry = IndexKnown(index), held.registry
        self.uses = _use_cases(held, models, shared)
        self.registry_events = RegistryEvents(index)
        announcer: Announcer = BusAnnouncer(shared.publisher, models.queries.id)
        self.events = CorpusEvents(
            IndexDocument(
                index,
                index,
                models.passages,
                models.cutting,
                announcer if tells else WholeAnnouncer(announcer, held.readiness),
                shared.registries,
                shared.clock,
                held.progress,
            )
        )


def _use_cases(held: Held, models: Models, shared: Shared) -> UseCases:
    index, progress, registry, readiness = held.index, held.progress, held.registry, held.readiness
    acceptance = shared.acceptance
    statuses = Statuses(index, progress, registry)
    submit = SubmitDocument(acceptance, shared.registries)
    return UseCases(
        submit,
        SubmitFile(shared.reader, submit),
        DeleteDocument(acceptance, index, progress, readiness),
        GetDocument(index, statuses, readiness),
        ListDocuments(index, statuses, readiness),
        WaitForDocument(index, statuses, progress),
        SearchPassages(index, models.queries, registry, readiness, progress, models.reranker, shared.preferences),
        VerifySources(index, readiness),
        PutSource(acceptance.corpus, registry),
        ListSources(registry),
        ConfirmSource(acceptance.corpus, registry),
        RecordFacts(acceptance, shared.registries),
    )


async def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet. Opens the indexes."""
    clock, common = SystemClock(), settings.service
    async with AsyncExitStack() as on_failure:
        closing: list[Callable[[], Awaitable[None]]] = []
        on_failure.push_async_callback(_close_all, closing)
        models = await open_all_models(settings, clock)
        reader, feeds = SandboxedReader(), open_feed_client()
        closing += [*(close for each in models for close in each.closing), reader.aclose, feeds.aclose]
        recipes = [_recipe(*pair) for pair in zip(settings.indexes, models, strict=False)]
        engines = await open_engines(settings, recipes, all_named=len(recipes) == len(settings.indexes))
        closing.append(engines.close)
        publisher = KafkaPublisher(
            common.kafka_bootstrap_servers, source="retrieval", clock=clock, ack_seconds=ACK_SECONDS
        )
        held = [Held.of(engine.index, clock, complete=engine.complete) for engine in engines.all]
        shared = Shared.by(held, reader, publisher, clock, settings.preferences)
        kept = [Kept(settings, *each, shared, held[0]) for each in zip(engines.all, held, models, strict=False)]
        generations = Generations([each.generation for each in kept], engines.mark)
        await generations.follow()
        consumers, background = _keepers(settings, kept[0], shared, feeds)
        if not engines.all[0].is_own:
            background.append(FollowMark(generations, clock))
        server = _server(settings, RetrievalService(generations, clock), clock)
        on_failure.pop_all()
    return Service(
        common,
        server,
        telemetry=telemetry,
        consumers=[*(consumer for each in kept for consumer in each.consumers(generations)), *consumers],
        background=[*(part for each in kept for part in each.background), *background],
        publisher=publisher,
        closing=closing,
    )


async def _close_all(closing: Sequence[Callable[[], Awaitable[None]]]) -> None:
    for close in closing:
        await close()


def _recipe(index: IndexSettings, models: Models) -> Recipe:
    tokens_of = "" if models.tokens_of == models.queries.id else models.tokens_of
    return Recipe(index, models.queries.id, models.queries.dimensions, tokens_of)


def _server(settings: Settings, api: RetrievalService, clock: Clock) -> Server:
    common, serves = settings.service, settings.roles is not Roles.INDEXER
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES if serves else {})
    if serves:
        add_RetrievalServiceServicer_to_server(api, server.grpc)
    return server


class Kept:
    """A generation, its parts and what fills it."""

    def __init__(
        self, settings: Settings, engine: Engine, held: Held, models: Models, shared: Shared, first: Held
    ) -> None:
        """What goes wrong with any but the *first* is not the service's failure, unless it answers."""
        self._engine, self._held, self._is_first = engine, held, held is first
        self.parts = Parts(held, models, shared, tells=self._is_first)
        self._consumers: list[Runs] = []
        self.background: list[Runs] = []
        behind = self._listen(settings, shared)
        self.generation = Generation(engine.generation, engine.description, self.parts.uses, held.readiness, behind)

    def consumers(self, generations: Generations[UseCases]) -> list[Runs]:
        """None in a process that only serves."""
        if self._is_first:
            return self._consumers
        return [
            Beside(each, self._held.readiness, lambda: generations.serving is self.generation)
            for each in self._consumers
        ]

    def _listen(self, settings: Settings, shared: Shared) -> Callable[[], int]:
        """Set up the consumers, and return how far they are behind. A process that only serves has none.

        Their groups have the generation's name: a new one reads everything. Who has the index to himself reads alone,
        so that after a kill the next process goes on at once.
        """
        engine = self._engine
        if settings.roles is Roles.API and engine.is_complete is not None:
            self.background = [WaitForOthers(engine.is_complete, shared.clock, self._all_is_whole)]
            return lambda: UNKNOWN
        consumer = partial(
            KafkaConsumer,
            settings.service.kafka_bootstrap_servers,
            dead_letters=shared.publisher,
            clock=shared.clock,
            alone=engine.is_own,
        )
        sources = consumer(
            group=f"retrieval-sources-{engine.generation}", subscriptions=self.parts.registry_events.subscriptions()
        )
        corpus = consumer(
            group=f"retrieval-indexer-{engine.generation}",
            subscriptions=self.parts.events.subscriptions(),
            concurrency=settings.index_concurrency,
        )
        self._consumers = [sources, corpus]
        self.background = [Filling(sources, self._sources_are_whole), Filling(corpus, self._index_is_whole)]
        return lambda: sources.lag() + corpus.lag()

    async def _sources_are_whole(self) -> None:
        self.parts.registry.completed()

    async def _index_is_whole(self) -> None:
        self.parts.known.is_current = True
        if not self._held.readiness.complete:
            await self._engine.completed()
            self._held.readiness.complete = True
            log.info("index_complete", generation=self._engine.generation)

    async def _all_is_whole(self) -> None:
        await self._sources_are_whole()
        await self._index_is_whole()


def _keepers(
    settings: Settings, first: Kept, shared: Shared, feeds: httpx.AsyncClient
) -> tuple[list[Runs], list[Runs]]:
    """What brings documents in and takes them out by itself: consumers, and what runs beside them.

    It looks at the first generation, which takes in everything whether it answers or not.
    """
    if settings.roles is Roles.API:
        return [], []
    parts, uses = first.parts, first.parts.uses
    sweep = SweepRetention(
        parts.known, parts.registry, parts.known, uses.delete, lambda: first.generation.behind() == 0
    )
    background: list[Runs] = [RetentionSweeper(sweep, shared.clock)]
    if settings.poll_plan is not None:
        background.append(_poller(settings.poll_plan, parts, shared, feeds))
    if settings.change_tables is None:
        return [], background
    return [_change_consumer(settings.change_tables, settings.service.kafka_bootstrap_servers, shared)], background


def _change_consumer(tables: Path, servers: str, shared: Shared) -> KafkaConsumer:
    """Raises `SettingsError` for tables that cannot be followed."""
    changes = [
        ChangeEvents(mapping.topic, mapping.tenant, ChangeRecords(mapping), shared.acceptance)
        for mapping in read_change_mappings(tables)
    ]
    subscriptions = [each.subscription() for each in changes]
    return KafkaConsumer(
        servers,
        group="retrieval-changes",
        subscriptions=subscriptions,
        dead_letters=shared.publisher,
        clock=shared.clock,
    )


def _poller(plan: Path, parts: Parts, shared: Shared, client: httpx.AsyncClient) -> Poller:
    """Raises `SettingsError` for a plan that cannot be followed."""
    uses, clock = parts.uses, shared.clock
    polls = [
        PollSource(
            source,
            origin_of(source, client, clock),
            parts.known,
            shared.reader,
            uses.put_source,
            uses.submit,
            uses.delete,
            shared.acceptance.corpus,
            clock,
        )
        for source in read_plan(plan)
    ]
    return Poller(polls, clock, Random())
