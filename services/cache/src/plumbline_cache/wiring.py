"""The one place where parts meet. Read this file to see the service whole."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

from plumbline.cache.v1.cache_service_pb2_grpc import add_CacheServiceServicer_to_server
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline_cache.adapters.audit_meters import measure
from plumbline_cache.adapters.encoder import EncodedQuestions
from plumbline_cache.adapters.meters import TallyMeters
from plumbline_cache.adapters.opened import open_store
from plumbline_cache.adapters.readiness import CatchingUp
from plumbline_cache.adapters.turns import LoopTurns, ThreadTurns
from plumbline_cache.api import SCOPES, CacheService
from plumbline_cache.domain.room import Bounds
from plumbline_cache.events import (
    AUDITORS,
    AdditionReader,
    AuditEvents,
    AuditRequests,
    BusAnnouncer,
    BusWithdrawals,
    CacheEvents,
    LoggedEvaluations,
    WithdrawalEvents,
    group_of,
)
from plumbline_cache.handlers.admit import AdmitAnswer
from plumbline_cache.handlers.audits import AuditLedger
from plumbline_cache.handlers.compare import CompareAnswers
from plumbline_cache.handlers.explain import ExplainLookup
from plumbline_cache.handlers.forget import ForgetOld
from plumbline_cache.handlers.housekeeping import Housekeeping
from plumbline_cache.handlers.invalidate import AnnounceDrops, AnnounceRest, FollowChange
from plumbline_cache.handlers.lookup import LookupAnswer
from plumbline_cache.handlers.releases import DropOtherReleases
from plumbline_cache.handlers.retract import RetractAnswer
from plumbline_cache.handlers.revalidate import MarkEntries
from plumbline_cache.handlers.room import MakeRoom, RoomWatch, SweepExpired
from plumbline_cache.handlers.tallies import Tallies
from plumbline_cache.handlers.top import ListTopEntries
from plumbline_cache.handlers.uses import Uses, WriteUses
from plumbline_cache.handlers.warm import WarmEntries
from plumbline_cache.handlers.withdraw import FollowWithdrawal, InvalidateEntries, Withdraw
from plumbline_cache.ports import QuestionEncoder, Readiness, Store, Turns
from plumbline_cache.settings import Settings
from plumbline_kit.auth import TokenVerifier
from plumbline_kit.bus import History, KafkaConsumer, KafkaHistory, KafkaPublisher
from plumbline_kit.bus.messages import Publisher, Subscription
from plumbline_kit.clock import Clock, SteadyClock, SystemClock
from plumbline_kit.lifecycle import Service
from plumbline_kit.release import Release, load_release
from plumbline_kit.rpc import Server
from plumbline_kit.settings import ServiceSettings
from plumbline_kit.telemetry import Telemetry, meter, names
from plumbline_models import Encoder, RememberingEncoder, ThreadedEncoder


@dataclass(frozen=True)
class Parts:
    """What the use cases are made of."""

    store: Store
    encoder: QuestionEncoder
    encoder_id: str
    dimensions: int
    publisher: Publisher
    release: Release
    clock: Clock
    bounds: Bounds
    tallies: Tallies = field(default_factory=Tallies)
    uses: Uses = field(default_factory=Uses)
    writer: ThreadTurns = field(default_factory=lambda: ThreadTurns("cache-writer", 1))
    readers: Turns = field(default_factory=LoopTurns)
    auditor: ThreadTurns = field(default_factory=lambda: ThreadTurns("cache-auditor", 1))
    operators: ThreadTurns = field(default_factory=lambda: ThreadTurns("cache-operator", 1))

    def subscriptions(self) -> Sequence[Subscription[Any]]:
        """All that fills the store."""
        withdrawals = WithdrawalEvents(FollowWithdrawal(self._withdraw, self._announce()))
        return (*self._events().subscriptions(), *withdrawals.subscriptions())

    @cached_property
    def _admit(self) -> AdmitAnswer:
        return AdmitAnswer(
            self.store,
            self.encoder,
            self.writer,
            self.tallies,
            self.clock,
            application=self.release.application_id,
            release=self.release.id,
            time_to_live=self._time_to_live,
            room=RoomWatch(self._make_room),
        )

    def _events(self) -> CacheEvents:
        follow = FollowChange(self.store, self._announce(), self.writer, self.tallies, self.clock)
        additions = AdditionReader(self.encoder_id, self.dimensions)
        return CacheEvents(self._admit, follow, MarkEntries(self.store, self.writer), additions)

    def housekeeping(self) -> Housekeeping:
        """What is done from time to time."""
        sweep = SweepExpired(self.store, self._announce(), self.writer, self.tallies, self.clock)
        write = WriteUses(self.uses, self.store, self.writer)
        left = DropOtherReleases(
            self.store,
            self._announce(),
            self.writer,
            self.operators,
            self.tallies,
            self.clock,
            application=self.release.application_id,
            release=self.release.id,
        )
        forget = ForgetOld(self.store, self.writer, self.clock, self._time_to_live)
        rest = AnnounceRest(self._announce())
        return Housekeeping([left, write, sweep, forget, self._make_room, rest], self.clock)

    @property
    def _time_to_live(self) -> timedelta:
        return timedelta(hours=self.release.cache.time_to_live_hours)

    @cached_property
    def audits(self) -> AuditLedger:
        """What audits found."""
        return AuditLedger(self.release.cache.target_false_hit_rate, self.clock)

    def audit_events(self) -> AuditEvents:
        """What hears of audits."""
        return AuditEvents(self.audits, self.release)

    def audit_requests(self) -> AuditRequests:
        """What compares both answers of an audited hit."""
        compare = CompareAnswers(self.audits, self.auditor)
        retract = RetractAnswer(self.store, BusWithdrawals(self.publisher), self.auditor)
        return AuditRequests(compare, retract, self.publisher, self.release)

    def api(self, readiness: Readiness, history: History) -> CacheService:
        """The answering side."""
        settings = self.release.cache
        lookup = LookupAnswer(
            self.store,
            self.encoder,
            readiness,
            self.readers,
            self.tallies,
            self.uses,
            self.audits,
            self.clock,
            settings.semantic_threshold,
            settings.semantic_certainty,
        )
        invalidate = InvalidateEntries(BusWithdrawals(self.publisher), self._withdraw, self.clock)
        uncounted = replace(lookup, tallies=Tallies(), uses=Uses())
        return CacheService(
            lookup,
            invalidate,
            ExplainLookup(uncounted),
            ListTopEntries(self.store, self.uses, self.operators),
            WarmEntries(LoggedEvaluations(history), self._admit, self.operators, self.clock),
            self.store,
            self.tallies,
            self.audits,
            self.bounds,
            self.encoder_id,
            ReleaseRef(application_id=self.release.application_id, release_id=self.release.id),
            since=self.clock.now(),
        )

    def close(self) -> None:
        """Finish what the engine has in hand."""
        self.operators.close()
        self.writer.close()
        self.auditor.close()

    @cached_property
    def _make_room(self) -> MakeRoom:
        return MakeRoom(self.store, self._announce(), self.writer, self.uses, self.tallies, self.clock, self.bounds)

    @cached_property
    def _withdraw(self) -> Withdraw:
        return Withdraw(self.store, self.writer, self.tallies, self.clock)

    def _announce(self) -> AnnounceDrops:
        return AnnounceDrops(self.store, BusAnnouncer(self.publisher), self.writer)


def build_service(settings: Settings, telemetry: Telemetry) -> Service:
    """The service on its real parts; nothing runs yet. Opens the store."""
    clock, common = SystemClock(), settings.service
    encoder = Encoder.load(settings.encoder_dir)
    release = load_release(common.release_file)
    opened = open_store(settings, release.application_id, encoder.id, encoder.dimensions)
    publisher = KafkaPublisher(common.kafka_bootstrap_servers, source="cache", clock=clock)
    questions = _remembering(encoder, settings)
    parts = Parts(
        opened.store,
        EncodedQuestions(questions),
        encoder.id,
        encoder.dimensions,
        publisher,
        release,
        SteadyClock(clock),
        settings.bounds,
        readers=opened.readers,
    )
    TallyMeters(meter(), parts.tallies)
    consumer = KafkaConsumer(
        common.kafka_bootstrap_servers,
        group=group_of(opened.generation),
        subscriptions=parts.subscriptions(),
        dead_letters=publisher,
        clock=clock,
        alone=True,  # the folder is its own; of a server's store each replica hears all, and the first acts
    )
    measure(meter(), parts.audits)
    audit_reader, auditors = _audit_consumers(parts, common, publisher)
    catching_up = CatchingUp(consumer, audit_reader)
    server = Server(common, TokenVerifier.from_settings(common, clock), scopes=SCOPES)
    add_CacheServiceServicer_to_server(
        parts.api(catching_up, KafkaHistory(common.kafka_bootstrap_servers)), server.grpc
    )

    async def close() -> None:
        await questions.aclose()
        parts.close()
        opened.close()

    return Service(
        common,
        server,
        consumers=[consumer, audit_reader, auditors],
        background=[catching_up, parts.housekeeping()],
        publisher=publisher,
        closing=[close],
        telemetry=telemetry,
    )


def _remembering(encoder: Encoder, settings: Settings) -> RememberingEncoder:
    encoded = meter().create_counter(names.ENCODED_QUESTIONS, description="questions whose vector was asked for")
    return RememberingEncoder(
        ThreadedEncoder(encoder),
        most_bytes=settings.encoder_memo_bytes,
        told=lambda known: encoded.add(1, {names.REMEMBERED: known}),
    )


def _audit_consumers(
    parts: Parts, common: ServiceSettings, publisher: KafkaPublisher
) -> tuple[KafkaConsumer, KafkaConsumer]:
    """What hears of every audit, and what does its share of the comparing."""
    audits, kafka = parts.audit_events(), common.kafka_bootstrap_servers
    reader = KafkaConsumer(
        kafka,
        group=audits.group(),
        subscriptions=audits.subscriptions(),
        dead_letters=publisher,
        clock=parts.clock,
        alone=True,  # it fills this process' memory
    )
    auditors = KafkaConsumer(
        kafka,
        group=AUDITORS,
        subscriptions=parts.audit_requests().subscriptions(),
        dead_letters=publisher,
        clock=parts.clock,
        concurrency=1,  # nothing waits for them
    )
    return reader, auditors
