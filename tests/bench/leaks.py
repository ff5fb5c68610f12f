"""Whether anybody can get at what another tenant, group, release or application is answered with.

Every answer that is kept holds a canary of its scope: in its text, its id and the name of a document. Callers
with tokens of 100 tenants then ask for it, in every way that the cache's contract has, many at once. Whatever
comes back is searched for canaries that are not the caller's.
"""

import asyncio
import hashlib
import random
import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
from google.protobuf.message import Message

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub, add_CacheServiceServicer_to_server
from plumbline.common.v1 import answer_pb2 as common
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.evaluation.v1.evaluation_service_pb2 import VERDICT_PASSED, Evaluation
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_cache.adapters.memory import Ready
from plumbline_cache.adapters.state import open_state
from plumbline_cache.adapters.turns import ThreadTurns
from plumbline_cache.api import SCOPES
from plumbline_cache.domain.room import Bounds
from plumbline_cache.wiring import Parts
from plumbline_contracts.topics import EVALUATION_COMPLETED
from plumbline_kit import logs
from plumbline_kit.bus import MemoryBus, MemoryHistory
from plumbline_kit.clock import SystemClock
from plumbline_kit.release import Release, load_release
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.testing import make_verifier, test_settings, token
from plumbline_local.encoder import ensure_encoder
from plumbline_local.layout import Layout
from plumbline_models.encoder import Encoder
from tests.bench import figures

T = TypeVar("T")

RELEASE_FILE: Final = Path(__file__).parents[2] / "deploy/local/release.toml"
ASKED: Final = 20_000
IN_FLIGHT: Final = 16
GREEDY: Final[Mapping[str, Any]] = {"semantic_threshold": 0.5, "semantic_certainty": 0.05}
"""Far below what a release would say, so that whatever is near and can be reached is served."""
SEED: Final = 6

CANARY: Final = re.compile(rb"canary-[0-9a-f]{16}")

_PLAIN: Final = ("acme", "globex", "initech", "umbrella", "hooli", "stark", "wayne", "wonka", "tyrell", "cyberdyne")
TENANTS: Final = tuple(
    spelled
    for name in _PLAIN
    for spelled in (name, f"{name}2", f"{name}:eu", f'{name}", ["sales"]', f"{name.capitalize()}")
)
"""Fifty that hold answers. Names begin others, hold what separates parts elsewhere, or differ in case alone."""
STRANGERS: Final = tuple(
    spelled for name in _PLAIN for spelled in (f"{name} ", f"{name}\u200b", f"{name[:-1]}", f"{name}\x1f", f"{name}*")
)
"""Fifty that hold none, each a near miss of one that does."""

QUESTIONS: Final = (
    "What does the Aurora desk lamp cost?",
    "When does the shop in Oslo open on Saturday?",
    "Who approves travel above 500 euros?",
    "How many days of holiday are there in the first year?",
    "Which port does the billing service listen on?",
    "How is a broken pump of the cooling line replaced?",
    "Where are the contracts with suppliers kept?",
    "What happens when an invoice is paid late?",
)
DOCUMENT: Final = "handbook.md"
"""Of the same name with every tenant."""


@dataclass(frozen=True, slots=True)
class Circle:
    """Those who share answers."""

    tenant: str
    groups: tuple[str, ...]
    application: str
    release: str

    @property
    def canary(self) -> str:
        """Nobody else's."""
        return f"canary-{hashlib.sha256(repr(self).encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of one caller."""

    method: str
    caller: Circle
    request: Message
    allowed: frozenset[str]
    """The canaries that may come back."""
    own: bool = False
    """Whether it asks for what it may have."""


@dataclass
class Seen:
    """What came back."""

    attempts: Counter[str] = field(default_factory=Counter)
    leaks: list[Attempt] = field(default_factory=list)
    own_asked: int = 0
    own_served: int = 0

    def note(self, attempt: Attempt, response: Message) -> None:
        """Look for what is not the caller's."""
        found = canaries(response)
        self.attempts[attempt.method] += 1
        if found - attempt.allowed:
            self.leaks.append(attempt)
        self.own_asked += attempt.own
        self.own_served += attempt.own and bool(found)


def canaries(message: Message) -> frozenset[str]:
    """Every canary in any field of *message*."""
    return frozenset(found.decode() for found in CANARY.findall(message.SerializeToString()))


@dataclass(frozen=True)
class Remembering:
    """`QuestionEncoder` on the real one, which sees each text once."""

    encoder: Encoder
    vectors: dict[str, np.ndarray] = field(default_factory=dict)

    async def encode(self, question: str, *, patience: float) -> np.ndarray:
        """See `QuestionEncoder`."""
        if question not in self.vectors:
            [self.vectors[question]] = self.encoder.encode([question])
        return self.vectors[question]


class Patient(ThreadTurns):
    """Waits for every search: one that ran out of time would find nothing, which proves nothing."""

    async def run(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """See `Turns`."""
        return await super().run(work)


@dataclass(frozen=True)
class Range:
    """A cache on the real engine that holds the answers of fifty tenants."""

    stub: CacheServiceStub
    release: Release

    async def call(self, attempt: Attempt) -> Message:
        """With a token of the caller's own."""
        bearer = (("authorization", f"Bearer {_token(attempt.caller.tenant, attempt.caller.groups)}"),)
        response: Message = await getattr(self.stub, attempt.method)(attempt.request, metadata=bearer, timeout=60)
        return response


@cache
def _token(tenant: str, groups: tuple[str, ...]) -> str:
    return token(tenant, groups)


@asynccontextmanager
async def opened(encoder_dir: Path) -> AsyncIterator[Range]:
    """The cache behind a port, filled as it is filled in life: by evaluations on a log."""
    loaded = load_release(RELEASE_FILE)
    release = replace(loaded, cache=replace(loaded.cache, **GREEDY))
    encoder = Encoder.load(encoder_dir, threads=1)
    with tempfile.TemporaryDirectory(prefix="plumbline-leaks-") as folder:
        state = open_state(Path(folder), encoder_id=encoder.id, dimensions=encoder.dimensions)
        bus, clock = MemoryBus(), SystemClock()
        bounds = Bounds(100_000, 20_000)
        questions, readers = Remembering(encoder), Patient("leaks-reader", 2)
        of = (encoder.id, encoder.dimensions)
        parts = Parts(state.store, questions, *of, bus, release, clock, bounds, readers=readers)
        server = Server(test_settings("cache"), make_verifier(), scopes=SCOPES)
        add_CacheServiceServicer_to_server(parts.api(Ready(), MemoryHistory(bus)), server.grpc)
        await server.start()
        try:
            async with _filled(parts, bus, release), open_channel(f"127.0.0.1:{server.port}") as channel:
                yield Range(CacheServiceStub(channel), release)
        finally:
            await server.stop(1)
            parts.close()
            state.close()


@asynccontextmanager
async def _filled(parts: Parts, bus: MemoryBus, release: Release) -> AsyncIterator[None]:
    """Every answer is in, and the cache goes on listening."""
    for circle in holders(release):
        for number, question in enumerate(held_by(circle)):
            event = _evaluated(circle, question, f"{circle.canary}-{number}")
            await bus.publish(EVALUATION_COMPLETED, event.subject.answer_id, event)
    consumer = bus.consumer("leaks", parts.subscriptions())
    running = asyncio.create_task(consumer.run())
    await consumer.caught_up()
    try:
        yield
    finally:
        await consumer.stop()
        await running


def holders(release: Release) -> Iterator[Circle]:
    """Each tenant has answers for everybody, for one group and for a group that only it has."""
    for tenant in TENANTS:
        for groups in ((), ("sales",), (own_group(tenant),)):
            yield Circle(tenant, groups, release.application_id, release.id)


def own_group(tenant: str) -> str:
    """A group whose very name is a canary, for counts name groups."""
    return Circle(tenant, (), "", "").canary


def held_by(circle: Circle) -> Sequence[str]:
    """Half of the questions; the other half is held by others."""
    half = TENANTS.index(circle.tenant) % 2
    return QUESTIONS[half::2]


def _evaluated(circle: Circle, question: str, answer_id: str) -> EvaluationCompleted:
    refs = [
        common.PassageRef(document_id=name, version=1, passage_hash="ab" * 32)
        for name in (DOCUMENT, f"{circle.canary}.md")
    ]
    subject = AnswerGenerated(
        answer_id=answer_id,
        tenant_id=circle.tenant,
        groups=circle.groups,
        release=common.ReleaseRef(application_id=circle.application, release_id=circle.release),
        question=question,
        answer=common.Answer(
            text=f"The answer is {circle.canary}.",
            sources=[common.Passage(ref=ref) for ref in refs],
            outcome=common.ANSWER_OUTCOME_ANSWERED,
        ),
    )
    subject.generate_time.GetCurrentTime()
    return EvaluationCompleted(
        evaluation_id=f"e-{answer_id}", subject=subject, evaluation=Evaluation(verdict=VERDICT_PASSED)
    )


@dataclass(frozen=True)
class Script:
    """What is tried, the same every time."""

    held: Sequence[Circle]
    draw: random.Random = field(default_factory=lambda: random.Random(SEED))

    def attempts(self, count: int) -> Iterator[Attempt]:
        """*count* lookups, and one other call for every ten of them."""
        others = [self._top, self._stats, self._explain]
        for number in range(count):
            yield self._lookup()
            if number % 10 == 0:
                yield self.draw.choice(others)(self._caller())

    def _lookup(self) -> Attempt:
        caller, question = self._caller(), self.draw.choice(QUESTIONS)
        own = caller in self.held and question in held_by(caller)
        asked = self._worded(question)
        request = pb.LookupAnswerRequest(question=asked, release=_release(caller))
        allowed = frozenset([caller.canary]) if own else frozenset()
        return Attempt("LookupAnswer", caller, request, allowed, own=own and asked == question)

    def _top(self, caller: Circle) -> Attempt:
        request = pb.ListTopEntriesRequest(page_size=100, order=self.draw.choice(pb.TopOrder.values()))
        readable = {one.canary for one in self._of(caller.tenant) if set(one.groups) <= set(caller.groups)}
        return Attempt("ListTopEntries", caller, request, frozenset(readable | set(caller.groups)))

    def _stats(self, caller: Circle) -> Attempt:
        # Counts name the groups that callers of the tenant came with, made up or not; other canaries have no place.
        groups = frozenset(own_group(tenant) for tenant in TENANTS)
        return Attempt("GetStats", caller, pb.GetStatsRequest(), groups)

    def _explain(self, caller: Circle) -> Attempt:
        asked = self._worded(self.draw.choice(QUESTIONS))
        request = pb.ExplainLookupRequest(question=asked, release=_release(caller))
        own = {caller.canary} if caller in self.held else set()
        return Attempt("ExplainLookup", caller, request, frozenset(own | set(caller.groups)))

    def _caller(self) -> Circle:
        """One that holds answers, in one of ten times; else somebody who differs in one thing."""
        draw, holder = self.draw, self.draw.choice(self.held)
        others = [
            replace(holder, tenant=draw.choice(TENANTS)),
            replace(holder, tenant=draw.choice(STRANGERS)),
            replace(holder, groups=draw.choice([("hr",), ("sales", "hr"), ("sale",), ("",), ('sales", "hr',)])),
            replace(holder, groups=(own_group(draw.choice(TENANTS)),)),
            replace(holder, release=draw.choice(["0" * 12, f"{holder.release} ", holder.release[:-1]])),
            replace(holder, application=draw.choice(["shop", f"{holder.application}2", holder.application.upper()])),
        ]
        return holder if draw.random() < 0.1 else draw.choice(others)

    def _worded(self, question: str) -> str:
        """As it is kept, the same but for what does not count, or near to it."""
        return self.draw.choice(
            [
                question,
                question.upper(),
                f"Please, {question[0].lower()}{question[1:]}",
                f"  {question}?? ",
                f"{question[:-1]} of {self.draw.choice(_PLAIN)}?",
                f"{question}\u200b",
            ]
        )

    def _of(self, tenant: str) -> Iterator[Circle]:
        return (circle for circle in self.held if circle.tenant == tenant)


def _release(circle: Circle) -> common.ReleaseRef:
    return common.ReleaseRef(application_id=circle.application, release_id=circle.release)


async def probe(target: Range, count: int) -> Seen:
    """Make the attempts, many at once so that callers meet."""
    seen, script = Seen(), Script(tuple(holders(target.release)))
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def make(attempt: Attempt) -> None:
        async with gate:
            seen.note(attempt, await target.call(attempt))

    for batch in _batches(script.attempts(count)):
        await asyncio.gather(*map(make, batch))
    return seen


def _batches(attempts: Iterator[Attempt]) -> Iterator[list[Attempt]]:
    batch = list[Attempt]()
    for attempt in attempts:
        batch.append(attempt)
        if len(batch) == 100:
            yield batch
            batch = []
    yield batch


async def drop_as_others(target: Range) -> Counter[str]:
    """Every tenant drops what it names, by the ids and documents of another; how often that took more than its own."""
    wrong: Counter[str] = Counter()
    stranger = Circle(STRANGERS[0], ("sales",), target.release.application_id, target.release.id)
    for selection in ({"all": True}, {"document_id": DOCUMENT}):
        wrong["strangers_all"] += await _drop(target, stranger, **selection)
    for tenant in TENANTS:
        caller = replace(stranger, tenant=tenant)
        other = replace(stranger, tenant=TENANTS[TENANTS.index(tenant) - 1])
        entry = await _first_entry(target, other)
        wrong["by_id"] += await _drop(target, caller, entry_id=entry)
        wrong["by_document"] += await _drop(target, caller, document_id=f"{other.canary}.md")
        wrong["gone"] += await _first_entry(target, other) != entry
    return wrong


async def _drop(target: Range, caller: Circle, **selection: Any) -> int:
    request = pb.InvalidateEntriesRequest(**selection)
    response = await target.call(Attempt("InvalidateEntries", caller, request, frozenset()))
    assert isinstance(response, pb.InvalidateEntriesResponse)
    return response.invalidated_count


async def _first_entry(target: Range, caller: Circle) -> str:
    request = pb.ListTopEntriesRequest(order=pb.TOP_ORDER_NEWEST, page_size=1)
    response = await target.call(Attempt("ListTopEntries", caller, request, frozenset()))
    assert isinstance(response, pb.ListTopEntriesResponse)
    return response.entries[0].entry_id


async def main() -> None:
    """Ask 20,000 times and report."""
    logs.configure("eval-leaks", "WARNING")
    async with opened(ensure_encoder(Layout.local())) as target:
        seen = await probe(target, ASKED)
        wrong = await drop_as_others(target)
    leaked = Counter(attempt.method for attempt in seen.leaks)
    results = [_none(f"{method}_leaks_of_{n}", leaked[method], n) for method, n in sorted(seen.attempts.items())]
    served = figures.at_least(f"own_served_share_of_{seen.own_asked}", seen.own_served / seen.own_asked, 1.0)
    results.append(served)
    results += [_none(f"entries_of_others_dropped_{kind}", count, len(TENANTS)) for kind, count in wrong.items()]
    figures.report("eval-leaks", results)


def _none(name: str, count: int, of: int) -> figures.Figure:
    """A count that has to be 0; beside it how many in *of* there may be after all, with 95 % confidence."""
    bound = figures.share(name, [number < count for number in range(of)])
    return replace(bound, value=float(count), low=0.0, high=(bound.high or 0.0) * of, goal="0", met=count == 0)


if __name__ == "__main__":
    asyncio.run(main())
