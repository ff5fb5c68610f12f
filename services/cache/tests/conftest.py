"""What the tests of the cache arrange with."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from plumbline.common.v1 import answer_pb2 as common
from plumbline.evaluation.v1.evaluation_events_pb2 import EvaluationCompleted
from plumbline.evaluation.v1.evaluation_service_pb2 import VERDICT_PASSED, Evaluation, Verdict
from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline.generation.v1.generation_service_pb2 import GUARD_FINDING_KIND_CARD
from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.entry import Entry, Saving, Scope, Source
from plumbline_cache.domain.freshness import Change
from plumbline_cache.domain.withdrawal import Selection, Withdrawal
from plumbline_kit.release import Release, load_release

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
RELEASE_FILE = Path(__file__).parents[3] / "deploy/local/release.toml"
SCOPE = Scope("acme", (), "default", "r1")
LIFETIME = timedelta(days=7)

MakeCandidate = Callable[..., Candidate]
MakeEntry = Callable[..., Entry]
MakeChange = Callable[..., Change]


@pytest.fixture(scope="session")
def candidate() -> MakeCandidate:
    """An answer that passed: `candidate("Q?", ("price-list", 1, "h1"), minute=3)`."""

    def make(
        question: str = "What does the lamp cost?",
        *sources: tuple[str, int, str],
        answer_id: str = "answer-1",
        minute: int = 0,
        scope: Scope = SCOPE,
        passed: bool = True,
        answered: bool = True,
        of_unknown_conversation: bool = False,
        redacted: bool = False,
        structured: bool = False,
        saving: Saving | None = None,
        least_similarity: float | None = None,
    ) -> Candidate:
        return Candidate(
            scope=scope,
            question=question,
            answer=b"bytes of the answer " + answer_id.encode(),
            answer_id=answer_id,
            sources=tuple(Source(*source) for source in sources),
            generate_time=NOON + timedelta(minutes=minute),
            evaluation_id=f"evaluation of {answer_id}",
            passed=passed,
            answered=answered,
            of_unknown_conversation=of_unknown_conversation,
            redacted=redacted,
            structured=structured,
            saving=saving or Saving(),
            least_similarity=least_similarity,
        )

    return make


@pytest.fixture(scope="session")
def entry(candidate: MakeCandidate) -> MakeEntry:
    """The same, admitted."""

    def make(*arguments: object, **fields: object) -> Entry:
        return candidate(*arguments, **fields).admitted(NOON, LIFETIME)

    return make


HASHES = frozenset(["h", "x", "y", *(f"h{number}" for number in range(10))])
"""Every passage that the tests' documents hold."""


@pytest.fixture(scope="session")
def change() -> MakeChange:
    """A step of a document: `change("price-list", 1, 2, removed=["h1"])`."""

    def make(
        document: str,
        old_version: int,
        new_version: int,
        *,
        removed: Sequence[str] = (),
        deleted: bool = False,
        tenant: str = "acme",
    ) -> Change:
        return Change(tenant, document, old_version, new_version, deleted, HASHES - frozenset(removed))

    return make


@pytest.fixture(scope="session")
def withdrawal() -> Callable[..., Withdrawal]:
    """Somebody wants entries gone: `withdrawal(Selection(Kind.TENANT), minute=3)`."""

    def make(selection: Selection, *, minute: int = 0, tenant: str = "acme") -> Withdrawal:
        time = NOON + timedelta(minutes=minute)
        return Withdrawal(f"{selection.kind.value} {selection.name} {minute}", tenant, selection, time)

    return make


@pytest.fixture
def spans() -> Iterator[Callable[[], Sequence[ReadableSpan]]]:
    """Reads the spans that ended since the test began."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # a process has one for all its tests
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter.get_finished_spans
    exporter.shutdown()


@pytest.fixture(scope="session")
def release() -> Release:
    """The local platform's."""
    return load_release(RELEASE_FILE)


@pytest.fixture(scope="session")
def evaluated(release: Release) -> Callable[..., EvaluationCompleted]:
    """The fact that an answer passed: `evaluated(("prices", 1, "h1"), question="Why?")`."""

    def make(
        *sources: tuple[str, int, str],
        answer_id: str = "a1",
        question: str = "Why?",
        tenant: str = "acme",
        groups: Sequence[str] = ("sales",),
        outcome: common.AnswerOutcome.ValueType = common.ANSWER_OUTCOME_ANSWERED,
        verdict: Verdict.ValueType = VERDICT_PASSED,
        redacted: int = 0,
        generate_time: datetime = NOON,
        structured: bool = False,
    ) -> EvaluationCompleted:
        refs = [common.PassageRef(document_id=d, version=v, passage_hash=h) for d, v, h in sources]
        subject = AnswerGenerated(
            answer_id=answer_id,
            tenant_id=tenant,
            groups=groups,
            release=common.ReleaseRef(application_id=release.application_id, release_id=release.id),
            question=question,
            answer=common.Answer(text="Because.", sources=[common.Passage(ref=ref) for ref in refs], outcome=outcome),
        )
        subject.generate_time.FromDatetime(generate_time)
        if structured:
            subject.record.structured.repaired = False
        if redacted:
            subject.record.redacted.add(kind=GUARD_FINDING_KIND_CARD, count=redacted)
        return EvaluationCompleted(
            evaluation_id=f"e-{answer_id}", subject=subject, evaluation=Evaluation(verdict=verdict)
        )

    return make


@pytest.fixture(scope="session")
def changed() -> Callable[..., DocumentChanged]:
    """The fact that the price list changed: `changed(1, 2, ["h1"])`."""

    def make(
        old: int, new: int, removed: Sequence[str] = (), *, deleted: bool = False, tenant: str = "acme"
    ) -> DocumentChanged:
        return DocumentChanged(
            tenant_id=tenant,
            document_id="prices",
            old_version=old,
            new_version=new,
            deleted=deleted,
            removed_passage_hashes=removed,
            kept_passage_hashes=HASHES - set(removed),
        )

    return make
