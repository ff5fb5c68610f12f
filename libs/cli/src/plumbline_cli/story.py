"""The demo: from a document to an evaluated, cached, invalidated and renewed answer, every step checked."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from opentelemetry import trace

from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.cache.v1.cache_events_pb2 import EntryInvalidated
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline.evaluation.v1 import evaluation_service_pb2 as evaluation_pb
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_cli.commands.answers import ask_once
from plumbline_cli.commands.documents import ingest_files
from plumbline_cli.ingestion import About, Report
from plumbline_cli.log import LogReader, Seen
from plumbline_cli.problems import Problem
from plumbline_cli.reading import Source, sources
from plumbline_cli.remembered import saved_words
from plumbline_cli.rendering import cited_numbers, origin_name
from plumbline_cli.session import Session
from plumbline_contracts.topics import (
    ANSWER_GENERATED,
    DOCUMENT_CHANGED,
    ENTRY_INVALIDATED,
    EVALUATION_COMPLETED,
)
from plumbline_kit.telemetry import tracer
from plumbline_local.traces.spans import StoredSpan

QUESTION: Final = "How much does the Aurora desk lamp cost?"
OTHER_WORDS: Final = "Can you tell me how much the Aurora desk lamp costs?"
UNANSWERABLE: Final = "Who painted the ceiling of the Sistine Chapel?"
DOCUMENT_ID: Final = "products/aurora-desk-lamp.md"
OLD_PRICE: Final = 49
NEW_PRICES: Final = range(60, 100)

TOPICS: Final = (EVALUATION_COMPLETED.name, ENTRY_INVALIDATED.name)
SERVICES: Final = ("gateway", "cache", "retrieval", "generation", "evaluation")
HOPS: Final = (ANSWER_GENERATED.name, EVALUATION_COMPLETED.name, DOCUMENT_CHANGED.name, ENTRY_INVALIDATED.name)

EVENT_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.2
CACHE_TRIES: Final = 4
DEGRADED_TRIES: Final = 3

_PRICE: Final = re.compile(r"costs (\d+) euros")


class Differs(Exception):
    """A step did not show what it was to show; the text says what was seen."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it went."""

    name: str
    seen: str
    milliseconds: float
    passed: bool


@dataclass
class Story:
    """The steps between a running platform and the look at the trace. Run it once."""

    session: Session
    reader: LogReader
    documents: Path
    new_price: int = 0
    first: pb.AskCompleted = field(default_factory=pb.AskCompleted)
    stats: cache_pb.GetStatsResponse = field(default_factory=cache_pb.GetStatsResponse)
    new_version: int = -1
    degraded: int = 0
    """Answers that were asked for again."""
    _unread: list[Seen] = field(default_factory=list)

    def steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        """Name and deed of each step, in order."""
        return [
            ("documents go in", self.ingest),
            ("a question", self.ask_first),
            ("its evaluation", self.see_evaluation),
            ("the question again", self.ask_again),
            ("in other words", self.ask_in_other_words),
            ("the price changes", self.change_price),
            ("the cached answer goes", self.see_invalidation),
            ("the question once more", self.ask_after_change),
            ("not in the documents", self.ask_unanswerable),
        ]

    async def ingest(self) -> str:
        """Every document goes in; what the cache kept of an earlier demo goes out."""
        files = list(sources([self.documents]))
        self.new_price = _new_price(files)
        await self._forget()
        reports = await ingest_files(self.session, files, About(), tell=self._report)
        refused = [report for report in reports if report.failed]
        if refused:
            raise Differs(
                f"{len(refused)} of {len(reports)} documents refused; {refused[0].place}: {refused[0].reason}"
            )
        return f"{len(reports)} documents, {sum(report.passages for report in reports)} passages indexed"

    async def ask_first(self) -> str:
        """The answer comes from the documents and says from which one."""
        self.stats = await self._cache_stats()
        self.first = await self._ask(QUESTION)
        _expect_origin(self.first, {pb.ANSWER_ORIGIN_GENERATED})
        _expect_price(self.first, OLD_PRICE, unwanted=None)
        return _quoted(self.first, f"generated from {_sources(self.first)}")

    async def see_evaluation(self) -> str:
        """The answer was measured, and whoever listens hears of it."""

        def is_its_evaluation(record: Seen) -> bool:
            body = record.body
            return isinstance(body, EvaluationCompleted) and body.subject.answer_id == self.first.answer_id

        body = (await self._event(is_its_evaluation)).body
        assert isinstance(body, EvaluationCompleted)
        scores = ", ".join(f"{score.name} {score.value:.2f}" for score in body.evaluation.scores)
        if body.evaluation.verdict != evaluation_pb.VERDICT_PASSED:
            raise Differs(f"{evaluation_pb.Verdict.Name(body.evaluation.verdict)}: {scores}")
        return f"passed: {scores}"

    async def ask_again(self) -> str:
        """The evaluated answer is served from the cache."""
        await self._until_admitted()
        again = await self._ask_until_cached()
        _expect_origin(again, {pb.ANSWER_ORIGIN_CACHED})
        _expect_price(again, OLD_PRICE, unwanted=None)
        if (await self._cache_stats()).exact_hit_count <= self.stats.exact_hit_count:
            raise Differs("the cache counted no exact hit")
        return _quoted(again, f"cached, exact; saved {saved_words(again.saved)}")

    async def ask_in_other_words(self) -> str:
        """A question that means the same may be served from the cache too."""
        answer = await self._ask(OTHER_WORDS)
        _expect_origin(answer, {pb.ANSWER_ORIGIN_CACHED, pb.ANSWER_ORIGIN_GENERATED})
        _expect_price(answer, OLD_PRICE, unwanted=None)
        cached = answer.origin == pb.ANSWER_ORIGIN_CACHED
        return _quoted(answer, "cached, semantic" if cached else "generated: too far from the first question")

    async def change_price(self) -> str:
        """The shop changes the price."""
        text = (self.documents / DOCUMENT_ID).read_text(encoding="utf-8")
        old, new = f"costs {OLD_PRICE} euros", f"costs {self.new_price} euros"
        document = retrieval_pb.Document(document_id=DOCUMENT_ID, title="Aurora desk lamp", text=text.replace(old, new))
        async with self.session.channel("retrieval") as channel:
            stub = RetrievalServiceStub(channel)
            request = retrieval_pb.SubmitDocumentRequest(document=document)
            self.new_version = (await stub.SubmitDocument(request, timeout=30)).version
            wait = retrieval_pb.WaitForDocumentRequest(document_id=DOCUMENT_ID, version=self.new_version)
            status = (await stub.WaitForDocument(wait, timeout=60)).status
        if status.state != retrieval_pb.DOCUMENT_STATE_LIVE:
            raise Differs(f"the new version was not indexed: {status.reason}")
        return f"{OLD_PRICE} → {self.new_price} euros, version {self.new_version} indexed"

    async def see_invalidation(self) -> str:
        """The cached answer is dropped because its source changed, and whoever listens hears of it."""

        def is_its_end(record: Seen) -> bool:
            body = record.body
            return isinstance(body, EntryInvalidated) and body.document_version == self.new_version

        body = (await self._event(is_its_end)).body
        assert isinstance(body, EntryInvalidated)
        if body.document_id != DOCUMENT_ID:
            raise Differs(f"the event names {body.document_id}")
        return f"dropped “{body.question}”: {body.document_id} changed"

    async def ask_after_change(self) -> str:
        """The new answer carries the new price."""
        answer = await self._ask(QUESTION)
        _expect_origin(answer, {pb.ANSWER_ORIGIN_GENERATED})
        _expect_price(answer, self.new_price, unwanted=OLD_PRICE)
        return _quoted(answer, f"generated from {_sources(answer)}")

    async def ask_unanswerable(self) -> str:
        """What the documents do not say is not guessed."""
        answer = await self._ask(UNANSWERABLE)
        _expect_origin(answer, {pb.ANSWER_ORIGIN_REFUSED})
        return _quoted(answer, "refused")

    async def _ask(self, question: str) -> pb.AskCompleted:
        """The answer; a degraded one is asked for again, since a small model on a busy machine may need longer."""
        for _ in range(DEGRADED_TRIES):
            answer = await ask_once(self.session, pb.AskRequest(question=question))
            if answer.origin != pb.ANSWER_ORIGIN_DEGRADED:
                break
            self.degraded += 1
        return answer

    async def _ask_until_cached(self) -> pb.AskCompleted:
        """Ask again; on a busy machine the cache may miss its time limit, which makes a miss of a hit."""
        for _ in range(CACHE_TRIES - 1):
            answer = await self._ask(QUESTION)
            if answer.origin == pb.ANSWER_ORIGIN_CACHED:
                return answer
        return await self._ask(QUESTION)

    async def _cache_stats(self) -> cache_pb.GetStatsResponse:
        async with self.session.channel("cache") as channel:
            return await CacheServiceStub(channel).GetStats(cache_pb.GetStatsRequest(), timeout=10)

    async def _forget(self) -> None:
        async with self.session.channel("cache") as channel:
            request = cache_pb.InvalidateEntriesRequest(document_id=DOCUMENT_ID)
            await CacheServiceStub(channel).InvalidateEntries(request, timeout=10)

    async def _until_admitted(self) -> None:
        until = time.monotonic() + EVENT_SECONDS
        while (stats := await self._cache_stats()).admitted_count <= self.stats.admitted_count:
            if time.monotonic() > until:
                refused = stats.refused_count - self.stats.refused_count
                raise Differs(f"the cache took no answer within {EVENT_SECONDS:g} s and refused {refused}")
            await asyncio.sleep(POLL_SECONDS)

    async def _event(self, wanted: Callable[[Seen], bool]) -> Seen:
        """The first record that is *wanted* among those published since the story began."""
        until = time.monotonic() + EVENT_SECONDS
        while time.monotonic() < until:
            for record in self._unread:
                if wanted(record):
                    return record
            self._unread += await asyncio.to_thread(self.reader.read, POLL_SECONDS)
        raise Differs(f"the event did not arrive within {EVENT_SECONDS:g} s")

    def _report(self, report: Report) -> None:
        self.session.err.print(f"  {report.state:<8} {report.document_id}  {report.reason}")


async def play(story: Story, tell: Callable[[Step], None]) -> str:
    """Play the steps under one root span until one differs; the id of their trace."""
    with tracer().start_as_current_span("plumbline demo") as root:
        for name, deed in story.steps():
            with tracer().start_as_current_span(f"demo: {name}"):
                before = story.degraded
                step = await timed(name, deed)
            if story.degraded > before:
                step = replace(step, seen=f"{step.seen}, after {story.degraded - before} degraded")
            tell(step)
            if not step.passed:
                break
        return trace.format_trace_id(root.get_span_context().trace_id)


async def timed(name: str, deed: Callable[[], Awaitable[str]]) -> Step:
    """Do one step and say how it went."""
    began = time.perf_counter()
    try:
        seen, passed = await deed(), True
    except (Differs, Problem) as error:
        seen, passed = str(error), False
    return Step(name, seen, (time.perf_counter() - began) * 1000, passed)


async def see_trace(spans_now: Callable[[], Awaitable[list[StoredSpan]]]) -> str:
    """The trace holds every service and every hop of the story. Raises `Differs`."""
    until = time.monotonic() + EVENT_SECONDS
    while True:
        spans = await spans_now()
        missing = missing_from(spans)
        if not missing:
            return f"{len(spans)} spans of {len({span.service for span in spans})} processes in one trace"
        if time.monotonic() > until:
            raise Differs(f"{len(spans)} spans; missing {', '.join(missing)}")
        await asyncio.sleep(POLL_SECONDS)


def missing_from(spans: Collection[StoredSpan]) -> list[str]:
    """The services and topics that the spans of a told story should name and do not."""
    services = {span.service for span in spans}
    names = [span.name for span in spans]
    hops = [topic for topic in HOPS if not any(topic in name for name in names)]
    return [service for service in SERVICES if service not in services] + hops


def _new_price(files: Collection[Source]) -> int:
    """A price that no document of the corpus names."""
    taken = {int(price) for file in files for price in _PRICE.findall(file.path.read_text(encoding="utf-8"))}
    return secrets.choice([price for price in NEW_PRICES if price not in taken])


def _expect_origin(answer: pb.AskCompleted, wanted: "set[pb.AnswerOrigin.ValueType]") -> None:
    if answer.origin not in wanted:
        expected = " or ".join(sorted(map(origin_name, wanted)))
        seen = " ".join(filter(None, (origin_name(answer.origin), answer.reason)))
        degraded = answer.origin == pb.ANSWER_ORIGIN_DEGRADED
        advice = ": if the machine is busy, `plumbline demo` again when it is not" if degraded else ""
        raise Differs(_quoted(answer, f"{seen}, expected was {expected}{advice}"))


def _expect_price(answer: pb.AskCompleted, price: int, *, unwanted: int | None) -> None:
    numbers = set(re.findall(r"\d+", answer.answer.text))
    if str(price) not in numbers or str(unwanted) in numbers:
        raise Differs(_quoted(answer, f"expected was the price {price}"))
    if DOCUMENT_ID not in {answer.answer.sources[n - 1].ref.document_id for n in cited_numbers(answer.answer)}:
        raise Differs(_quoted(answer, f"{DOCUMENT_ID} is not among its sources"))


def _sources(answer: pb.AskCompleted) -> str:
    cited = [answer.answer.sources[number - 1].ref for number in cited_numbers(answer.answer)]
    return ", ".join(f"{ref.document_id} version {ref.version}" for ref in cited)


def _quoted(answer: pb.AskCompleted, remark: str) -> str:
    return f"“{answer.answer.text.strip()}” ({remark})"
