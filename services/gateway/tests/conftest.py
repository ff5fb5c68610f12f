"""What the gateway's tests start from: the use case on fakes, and the local release."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from plumbline_gateway.domain import Caller, Completed, Delta, Event, Freshness, Question, Turn
from plumbline_gateway.handlers import AskQuestion, Slots
from plumbline_gateway.testing import FakeAnnouncer, FakeCache, FakeCondenser, FakeGenerator, FakeSearch
from plumbline_kit.release import Release, load_release
from plumbline_kit.testing import FakeClock

RESERVE_SECONDS = 0.25


@dataclass
class FrontDoor:
    """The use case, and the fakes behind it."""

    release: Release
    cache: FakeCache = field(default_factory=FakeCache)
    search: FakeSearch = field(default_factory=FakeSearch)
    condenser: FakeCondenser = field(default_factory=FakeCondenser)
    generator: FakeGenerator = field(default_factory=FakeGenerator)
    announcer: FakeAnnouncer = field(default_factory=FakeAnnouncer)
    clock: FakeClock = field(default_factory=FakeClock)
    slots: int = 64
    waiting: int = 1_000

    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.use_case = AskQuestion(
            self.cache,
            self.search,
            self.condenser,
            self.generator,
            self.announcer,
            release=self.release,
            slots=Slots(self.slots),
            waiting=Slots(self.waiting),
            outlive=lambda: None,
            reserve_seconds=RESERVE_SECONDS,
            clock=self.clock,
            new_id=lambda: f"answer-{next(self.numbers)}",
        )

    async def ask(
        self,
        text: str = "What does the Aurora cost?",
        freshness: Freshness | None = None,
        application: str = "default",
        turns: tuple[Turn, ...] = (),
        **more: Any,
    ) -> list[Event]:
        """Every event of one answer."""
        question = Question(text, application, freshness, turns, **more)
        return [event async for event in self.use_case(question, Caller("acme", ("sales",)))]


@pytest.fixture(scope="session")
def release() -> Release:
    return load_release(Path(__file__).resolve().parents[3] / "deploy" / "local" / "release.toml")


@pytest.fixture
def front_door(release: Release) -> Callable[..., FrontDoor]:
    return lambda **fakes: FrontDoor(release, **fakes)


@pytest.fixture
def completed() -> Callable[[list[Event]], Completed]:
    """The last event, once it is proved that the pieces before it make its text."""

    def last(events: list[Event]) -> Completed:
        done = events[-1]
        assert isinstance(done, Completed)
        assert "".join(event.text for event in events if isinstance(event, Delta)) == done.result.answer.text
        return done

    return last
