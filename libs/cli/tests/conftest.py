"""The command line against servers in this process that speak the services' contracts."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner, Result

from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.cache.v1 import cache_service_pb2_grpc as cache_grpc
from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.evaluation.v1 import evaluation_service_pb2 as evaluation_pb
from plumbline.evaluation.v1 import evaluation_service_pb2_grpc as evaluation_grpc
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline.gateway.v1 import gateway_service_pb2_grpc as gateway_grpc
from plumbline.generation.v1 import generation_service_pb2 as generation_pb
from plumbline.generation.v1 import generation_service_pb2_grpc as generation_grpc
from plumbline.retrieval.v1 import retrieval_service_pb2 as retrieval_pb
from plumbline.retrieval.v1 import retrieval_service_pb2_grpc as retrieval_grpc
from plumbline_cli.main import app

TEXT = "The Aurora desk lamp costs 49 euros. It is made of cheese."


def an_answer() -> common_pb.Answer:
    """Two sentences: the first rests on the second source, the other on nothing."""
    other = common_pb.Passage(ref=common_pb.PassageRef(document_id="chairs.md", version=2), title="Chairs")
    lamp = common_pb.Passage(
        ref=common_pb.PassageRef(document_id="lamps.md", version=7),
        title="Aurora",
        text="# Aurora\n\nA lamp for desks. The Aurora desk lamp costs 49 euros. It ships today.",
    )
    claims = [
        common_pb.Claim(start_offset=0, end_offset=36, source_numbers=[2], support=1.0),
        common_pb.Claim(start_offset=37, end_offset=58),
    ]
    return common_pb.Answer(text=TEXT, claims=claims, sources=[other, lamp], outcome=common_pb.ANSWER_OUTCOME_ANSWERED)


def completed(**changes: Any) -> gateway_pb.AskCompleted:
    """A generated answer that took 812 ms."""
    fields = {
        "answer_id": "answer-1",
        "answer": an_answer(),
        "origin": gateway_pb.ANSWER_ORIGIN_GENERATED,
        "model": "small-model",
        "recorded": True,
    }
    message = gateway_pb.AskCompleted(**(fields | changes))
    message.total_time.FromMilliseconds(812)
    return message


def a_saving() -> cache_pb.Saving:
    """What one answer took."""
    costs = [generation_pb.Cost(currency_code="EUR", amount=0.02)]
    saving = cache_pb.Saving(prompt_tokens=1700, completion_tokens=40, costs=costs)
    saving.time.FromMilliseconds(1500)
    return saving


@dataclass
class FakePlatform(
    gateway_grpc.GatewayServiceServicer,
    retrieval_grpc.RetrievalServiceServicer,
    cache_grpc.CacheServiceServicer,
    evaluation_grpc.EvaluationServiceServicer,
    generation_grpc.GenerationServiceServicer,
):
    """All services at once: answers as told, keeps what it was asked."""

    code: grpc.StatusCode | None = None
    details: str = "no"
    answer: gateway_pb.AskCompleted = field(default_factory=completed)
    documents: dict[str, retrieval_pb.Document] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    """Documents that submitting refuses, and why."""
    rejected: dict[str, str] = field(default_factory=dict)
    """Documents that the index rejects, and why."""
    searches: list[retrieval_pb.SearchPassagesRequest] = field(default_factory=list)
    sources: list[retrieval_pb.Source] = field(default_factory=list)
    facts: list[retrieval_pb.Fact] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    questions: list[gateway_pb.AskRequest] = field(default_factory=list)
    rankings: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """By generation of the index: the documents that it finds for a question."""
    serving: str = "old"
    stats: cache_pb.GetStatsResponse = field(default_factory=lambda: cache_pb.GetStatsResponse(entry_count=1))
    invalidated: list[cache_pb.InvalidateEntriesRequest] = field(default_factory=list)

    def Ask(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        self.questions.append(request)
        yield gateway_pb.AskResponse(started=gateway_pb.AskStarted(answer_id="answer-1"))
        yield gateway_pb.AskResponse(text_delta=self.answer.answer.text)
        yield gateway_pb.AskResponse(completed=self.answer)

    def SubmitDocument(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        document = request.document
        if document.document_id in self.refused:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.refused[document.document_id])
        self.documents[document.document_id] = document
        return retrieval_pb.SubmitDocumentResponse(version=len(self.documents))

    def SubmitFile(self, requests: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        header = next(requests).header
        text = b"".join(request.data for request in requests).decode()
        if not text.strip():
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "file holds no text")
        if header.document_id in self.refused:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, self.refused[header.document_id])
        title = text.splitlines()[0].strip("# ")
        self.documents[header.document_id] = retrieval_pb.Document(
            document_id=header.document_id,
            title=title,
            text=text,
            groups=header.groups,
            source_id=header.source_id,
            metadata=header.metadata,
        )
        return retrieval_pb.SubmitFileResponse(version=len(self.documents), title=title, notes=["read as it is"])

    def DeleteDocument(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        if self.documents.pop(request.document_id, None) is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no document {request.document_id}")
        return retrieval_pb.DeleteDocumentResponse(version=9)

    def WaitForDocument(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        status = retrieval_pb.DocumentStatus(document_id=request.document_id, passage_count=2)
        status.state = retrieval_pb.DOCUMENT_STATE_LIVE
        if request.document_id in self.rejected:
            status.state = retrieval_pb.DOCUMENT_STATE_REJECTED
            status.reason = self.rejected[request.document_id]
        return retrieval_pb.WaitForDocumentResponse(status=status)

    def ListDocuments(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        names = sorted(self.documents)
        start = int(request.page_token or 0)
        statuses = [
            retrieval_pb.DocumentStatus(
                document_id=name,
                state=retrieval_pb.DOCUMENT_STATE_LIVE,
                passage_count=1,
                freshness=common_pb.FRESHNESS_STALE,
            )
            for name in names[start : start + 1]
        ]
        following = str(start + 1) if start + 1 < len(names) else ""
        return retrieval_pb.ListDocumentsResponse(documents=statuses, next_page_token=following)

    def GetDocument(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        step = retrieval_pb.DocumentVersion(version=7, state=retrieval_pb.DOCUMENT_STATE_REJECTED, reason="no text")
        near = retrieval_pb.NearDuplicate(document_id="footer.md", similarity=0.97)
        status = retrieval_pb.DocumentStatus(
            document_id=request.document_id,
            title="Aurora",
            version=7,
            history=[step],
            duplicate_ids=["copy.md"],
            near_duplicates=[near],
        )
        return retrieval_pb.GetDocumentResponse(status=status)

    def SearchPassages(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.searches.append(request)
        if request.index_generation:
            names = self.rankings[request.index_generation].get(request.query, [])
            refs = [common_pb.PassageRef(document_id=name) for name in names]
            return retrieval_pb.SearchPassagesResponse(passages=[common_pb.Passage(ref=ref) for ref in refs])
        passages = [] if request.query == "nothing" else [an_answer().sources[1]]
        return retrieval_pb.SearchPassagesResponse(passages=passages, index_generation="g1", support=0.91)

    def PutSource(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.sources.append(request.source)
        return retrieval_pb.PutSourceResponse()

    def ListSources(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        return retrieval_pb.ListSourcesResponse(sources=self.sources)

    def ConfirmSource(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        response = retrieval_pb.ConfirmSourceResponse()
        response.as_of_time.FromSeconds(1_800_000_000)
        return response

    def RecordFacts(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self.facts.extend(request.facts)
        return retrieval_pb.RecordFactsResponse(
            recorded=[retrieval_pb.RecordedFact(document_id="facts/lamp/price", version=3)]
        )

    def ListGenerations(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        generations = [
            retrieval_pb.IndexGeneration(
                index_generation=name, description=f"built as {name}", serving=name == self.serving, complete=True
            )
            for name in self.rankings
        ]
        return retrieval_pb.ListGenerationsResponse(generations=generations)

    def SwitchGeneration(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        previous, self.serving = self.serving, request.index_generation
        return retrieval_pb.SwitchGenerationResponse(previous_generation=previous)

    def ListModels(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        price = generation_pb.ModelPrice(currency_code="EUR", input_amount=0.15, output_amount=0.6)
        own = generation_pb.ModelEndpoint(
            name="own",
            model="small",
            weight=1,
            concurrency=4,
            at_work=1,
            breaker_state=generation_pb.BREAKER_STATE_OPEN,
        )
        spare = generation_pb.ModelEndpoint(name="spare", model="big", context_tokens=8192, price=price)
        return generation_pb.ListModelsResponse(endpoints=[own, spare])

    def GetBudget(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        budget = generation_pb.GetBudgetResponse(tokens_per_day=10_000, used_tokens=2_500, reserved_tokens=500)
        budget.reset_time.FromJsonString("2026-01-02T00:00:00Z")
        return budget

    def GetStats(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        return self.stats

    def ListTopEntries(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        entry = cache_pb.TopEntry(entry_id="entry-1", question=f"Order {request.order}?", hit_count=7)
        entry.saving.CopyFrom(a_saving())
        entry.expire_time.FromJsonString("2026-01-08T00:00:00Z")
        return cache_pb.ListTopEntriesResponse(entries=[entry][: request.page_size], hidden_count=2)

    def ExplainLookup(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        checks = [
            cache_pb.LookupCheck(name="similarity", passed=True, detail="0.970; 0.95 is the least"),
            cache_pb.LookupCheck(name="words", detail="some that matter differ, or their order"),
        ]
        near = cache_pb.ExplainedEntry(
            entry_id="entry-1",
            answer_id="answer-1",
            question="What does the desk cost?",
            tier=cache_pb.CACHE_TIER_SEMANTIC,
            similarity=0.97,
            checks=checks,
        )
        return cache_pb.ExplainLookupResponse(
            normal_form=request.question.lower(),
            release=request.release,
            groups=["sales"],
            language="en",
            miss_reason=cache_pb.MISS_REASON_NOT_FOUND,
            entries=[near],
        )

    def WarmEntries(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        whole = request.maximum_time.seconds >= 30
        return cache_pb.WarmEntriesResponse(
            read_count=9, admitted_count=4, held_count=3, refused_counts={"not_passed": 2}, whole=whole
        )

    def InvalidateEntries(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        self.invalidated.append(request)
        return cache_pb.InvalidateEntriesResponse(invalidated_count=3, invalidation_id="i1")

    def GetEvaluation(self, request: Any, context: Any) -> Any:  # noqa: N802  # the contract's name
        self._check(context)
        scores = [
            evaluation_pb.Score(
                name="faithfulness", value=0.5, label=evaluation_pb.SCORE_LABEL_FAIL, explanation="1 of 2"
            ),
            evaluation_pb.Score(name="relevance", label=evaluation_pb.SCORE_LABEL_NOT_MEASURED),
        ]
        measured = evaluation_pb.Evaluation(scores=scores, verdict=evaluation_pb.VERDICT_FAILED)
        return evaluation_pb.GetEvaluationResponse(evaluation=measured)

    def _check(self, context: Any) -> None:
        self.tokens.append(dict(context.invocation_metadata()).get("authorization", ""))
        if self.code:
            context.abort(self.code, self.details)


@dataclass(frozen=True)
class CommandLine:
    """Runs commands against a fake platform."""

    platform: FakePlatform
    address: str
    state: Path

    def __call__(self, *arguments: str | Path, token: str = "secret", typed: str = "") -> Result:
        """The result of one command, its two outputs apart; *typed* is its standard input."""
        names = ("gateway", "retrieval", "cache", "evaluation", "generation")
        addresses = [part for name in names for part in (f"--{name}", self.address)]
        environment = {"PLUMBLINE_STATE": str(self.state), "PLUMBLINE_TOKEN": token, "COLUMNS": "200"}
        return CliRunner().invoke(app, [*addresses, *map(str, arguments)], env=environment, input=typed)

    def json(self, *arguments: str | Path) -> list[Any]:
        """Every line of a command's machine output."""
        return [json.loads(line) for line in self(*arguments, "--json").stdout.splitlines()]


@pytest.fixture
def platform() -> FakePlatform:
    return FakePlatform()


@pytest.fixture
def plumbline(platform: FakePlatform, tmp_path: Path) -> Iterator[CommandLine]:
    server = grpc.server(ThreadPoolExecutor(4))
    gateway_grpc.add_GatewayServiceServicer_to_server(platform, server)
    retrieval_grpc.add_RetrievalServiceServicer_to_server(platform, server)
    cache_grpc.add_CacheServiceServicer_to_server(platform, server)
    evaluation_grpc.add_EvaluationServiceServicer_to_server(platform, server)
    generation_grpc.add_GenerationServiceServicer_to_server(platform, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield CommandLine(platform, f"127.0.0.1:{port}", tmp_path / "state")
    server.stop(0).wait()


@pytest.fixture
def generated() -> gateway_pb.AskCompleted:
    return completed()
