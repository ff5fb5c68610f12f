"""What generation's tests start from: the local release, the use case on fakes, the rpc on a fake model server."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plumbline.generation.v1.generation_service_pb2_grpc import (
    GenerationServiceStub,
    add_GenerationServiceServicer_to_server,
)
from plumbline_generation.adapters.memory_ledger import MemoryLedger
from plumbline_generation.api import SCOPES
from plumbline_generation.domain.answer import Assignment, Claim, GuardResult
from plumbline_generation.domain.budget import BudgetSettings
from plumbline_generation.domain.guarding import GuardSettings, OutputGuard, output_policy
from plumbline_generation.domain.routing import EndpointSettings, Leg, RouteSettings
from plumbline_generation.domain.screening import Screen, ScreenPolicy
from plumbline_generation.handlers import (
    Claimed,
    Completed,
    CountTokens,
    Delta,
    GenerateAnswer,
    GetBudget,
    Guarded,
    Patience,
)
from plumbline_generation.ports import Ledger
from plumbline_generation.testing import FakeJournal, FakeModel, words
from plumbline_generation.wiring import (
    build_api,
    build_guards,
    build_purse,
    build_redaction,
    build_route,
    open_clients,
)
from plumbline_guards.detector import Detector
from plumbline_guards.window import Policy
from plumbline_kit.bus import MemoryBus
from plumbline_kit.bus.messages import Publisher
from plumbline_kit.clock import SystemClock
from plumbline_kit.identity import Identity
from plumbline_kit.release import Release, Unsupported, load_release
from plumbline_kit.rpc import Server, open_channel
from plumbline_kit.testing import FakeClock, make_verifier, test_settings, token
from plumbline_kit.testing.llm import FakeLLM

RELEASE_FILE = Path(__file__).parents[3] / "deploy/local/release.toml"


@dataclass
class Desk:
    """The use case, and the fakes behind it."""

    release: Release
    model: FakeModel = field(default_factory=FakeModel)
    journal: FakeJournal = field(default_factory=FakeJournal)
    deadline: float = 30.0
    policy: Policy = field(default_factory=lambda: output_policy("redact", canary="zebra-7"))
    screen_policy: ScreenPolicy = field(default_factory=ScreenPolicy)
    detector: Detector | None = None
    monotonic: Callable[[], float] = FakeClock().monotonic
    claims: list[Claim] = field(default_factory=list)
    noticed: list[GuardResult] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.use_case = GenerateAnswer(
            self.model,
            self.journal,
            words,
            release=self.release,
            patience=Patience(record=2.0, margin=0.5),
            clock=FakeClock(),
            guard=OutputGuard(self.policy, self.monotonic),
            screen=Screen(self.screen_policy, self.detector, self.monotonic),
        )

    async def answer(self, assignment: Assignment) -> tuple[str, Completed]:
        """The text that was streamed, and the last event; `claims` are those that came with the text."""
        caller = Identity("acme", "tester", ("staff",))
        *pieces, done = [event async for event in self.use_case(assignment, caller, self.deadline)]
        assert isinstance(done, Completed)
        self.noticed += [piece.result for piece in pieces if isinstance(piece, Guarded)]
        self.claims = [piece.claim for piece in pieces if isinstance(piece, Claimed)]
        return "".join(piece.text for piece in pieces if isinstance(piece, Delta)), done


@dataclass
class Service:
    """A running server, the model server it asks, and the log it writes."""

    stub: GenerationServiceStub
    model: FakeLLM
    bus: Publisher


@pytest.fixture(scope="session")
def release() -> Release:
    """The local platform's, where unsupported sentences are only marked."""
    local = load_release(RELEASE_FILE)
    return replace(local, guard=replace(local.guard, unsupported=Unsupported.MARK))


@pytest.fixture
def strict(release: Release) -> Release:
    """The same, where they are withheld."""
    return replace(release, guard=replace(release.guard, unsupported=Unsupported.WITHHOLD))


@pytest.fixture
def desk(release: Release) -> Callable[..., Desk]:
    return lambda **fakes: Desk(**{"release": release} | fakes)


@pytest.fixture
def hasty(release: Release) -> Release:
    """The local release with a model that has a fifth of a second to begin, and two fifths to end."""
    return replace(release, model=replace(release.model, first_token_seconds=0.2, total_seconds=0.4))


@pytest.fixture
def serving(release: Release) -> Callable[..., AbstractAsyncContextManager[Service]]:
    """Runs the rpc: `async with serving(model=FakeLLM(...), bus=..., release=...) as service`."""

    @asynccontextmanager
    async def run(
        model: FakeLLM | None = None,
        bus: Publisher | None = None,
        release: Release = release,
        groups: tuple[str, ...] = (),
        route: RouteSettings | None = None,
        guards: GuardSettings | None = None,
        detector: Detector | None = None,
        budget: BudgetSettings | None = None,
        ledger: Ledger | None = None,
    ) -> AsyncIterator[Service]:
        clock, publisher = SystemClock(), bus or MemoryBus()
        server = Server(test_settings("generation"), make_verifier(), scopes=SCOPES)
        async with AsyncExitStack() as stack:
            llm = await stack.enter_async_context(model or FakeLLM())
            settings = route or RouteSettings((Leg(EndpointSettings("default", llm.base_url)),))
            clients = [await stack.enter_async_context(client) for client in open_clients(settings)]
            spending, kept = budget or BudgetSettings(), ledger or MemoryLedger()
            purse = build_purse(spending, kept, clock)
            stack.push_async_callback(purse.aclose)
            asked = build_route(settings, clients, words, release=release, clock=clock, purse=purse)
            patience = Patience(record=0.2, margin=0.2)
            told = guards or GuardSettings()
            guard, screen = build_guards(told, detector, clock)
            api = build_api(
                asked,
                publisher,
                words,
                release=release,
                patience=patience,
                clock=clock,
                guard=guard,
                screen=screen,
                redact=build_redaction(told),
                count=CountTokens(release, words, tokenizer="words"),
                budget=GetBudget(spending.budgets, kept, clock),
            )
            add_GenerationServiceServicer_to_server(api, server.grpc)
            await server.start()
            async with open_channel(f"127.0.0.1:{server.port}", token=token(groups=groups)) as channel:
                yield Service(GenerationServiceStub(channel), llm, publisher)
            await server.stop(0)

    return run


@pytest.fixture
def spans() -> InMemorySpanExporter:
    """The spans that ended since the test began."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # a process has one for all its tests
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter
