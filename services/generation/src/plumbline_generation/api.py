"""gRPC in: an assignment to the use case, its events to the caller."""

from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing

import grpc
from opentelemetry.metrics import Meter

from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline.generation.v1.generation_service_pb2_grpc import GenerationServiceServicer
from plumbline_generation.domain.answer import Assignment, GroundingRecord, GuardRecord, GuardResult
from plumbline_generation.handlers import (
    CheckText,
    Claimed,
    Completed,
    CondenseQuestion,
    CountTokens,
    Delta,
    GenerateAnswer,
    GetBudget,
    Guarded,
    ListModels,
)
from plumbline_generation.translation import (
    answer_to_proto,
    assignment_from_proto,
    budget_to_proto,
    checked_to_proto,
    claim_to_proto,
    condensed_to_proto,
    conversation_from_proto,
    counted_to_proto,
    guard_result_to_proto,
    passage_from_proto,
    record_to_proto,
    route_to_proto,
    text_from_proto,
)
from plumbline_kit.release import Release
from plumbline_kit.rpc import current_call
from plumbline_kit.telemetry import annotate, meter, names

SCOPES = {
    "/plumbline.generation.v1.GenerationService/GenerateAnswer": "ask",
    "/plumbline.generation.v1.GenerationService/CondenseQuestion": "ask",
    "/plumbline.generation.v1.GenerationService/CheckText": "ask",
    "/plumbline.generation.v1.GenerationService/CountTokens": "ask",
    "/plumbline.generation.v1.GenerationService/ListModels": "ask",
    "/plumbline.generation.v1.GenerationService/GetBudget": "ask",
}


class SentenceMeters:
    """Counts what became of the models' sentences."""

    def __init__(self, meter: Meter) -> None:
        self._sentences = meter.create_counter(names.SENTENCES, description="by what their check came to")
        self._withheld = meter.create_counter(names.SENTENCES_WITHHELD, description="of those: did not leave")
        self._replaced = meter.create_counter(names.SENTENCES_REPLACED, description="quoted in their place")

    def count(self, grounding: GroundingRecord) -> None:
        """Those of one answer."""
        for status, count in grounding.counts.items():
            self._sentences.add(count, {names.CLAIM_STATUS: status.value})
        self._withheld.add(grounding.withheld)
        self._replaced.add(grounding.replaced)


class GenerationService(GenerationServiceServicer):
    """The rpcs of generation."""

    def __init__(
        self,
        generate: GenerateAnswer,
        condense: CondenseQuestion,
        check: CheckText,
        release: Release,
        meters: SentenceMeters,
        *,
        count: CountTokens,
        models: ListModels,
        budget: GetBudget,
    ) -> None:
        self._generate = generate
        self._condense = condense
        self._check = check
        self._release = release
        self._meters = meters
        self._tokens = count
        self._models = models
        self._budget = budget
        self._guarded = meter().create_counter(names.GUARD_RESULTS, description="texts by guard and what came of it")

    async def GenerateAnswer(
        self,
        request: pb.GenerateAnswerRequest,
        context: "grpc.aio.ServicerContext[pb.GenerateAnswerRequest, pb.GenerateAnswerResponse]",
    ) -> AsyncIterator[pb.GenerateAnswerResponse]:
        """Stream the answer."""
        assignment, call = assignment_from_proto(request), current_call()
        annotate(_asked(assignment))
        async with aclosing(self._generate(assignment, call.identity, call.deadline)) as events:
            async for event in events:
                yield self._to_proto(event)

    async def CondenseQuestion(
        self,
        request: pb.CondenseQuestionRequest,
        context: "grpc.aio.ServicerContext[pb.CondenseQuestionRequest, pb.CondenseQuestionResponse]",
    ) -> pb.CondenseQuestionResponse:
        """The question as it stands alone."""
        conversation, release = conversation_from_proto(request), request.release
        annotate({names.CONVERSATION_TURNS: len(conversation.turns)})
        call = current_call()
        condensed = await self._condense(
            conversation,
            release.application_id,
            release.release_id,
            tenant=call.identity.tenant,
            deadline=call.deadline,
        )
        annotate({names.CONDENSATION_METHOD: condensed.condensation.method.value})
        return condensed_to_proto(condensed)

    async def CheckText(
        self,
        request: pb.CheckTextRequest,
        context: "grpc.aio.ServicerContext[pb.CheckTextRequest, pb.CheckTextResponse]",
    ) -> pb.CheckTextResponse:
        """The text as it may go out."""
        checked = await self._check(text_from_proto(request))
        self._count(checked.results)
        annotate({names.GUARD_OUTCOME: checked.outcome.value, names.GUARD_FINDINGS: len(checked.findings)})
        return checked_to_proto(checked)

    async def CountTokens(
        self,
        request: pb.CountTokensRequest,
        context: "grpc.aio.ServicerContext[pb.CountTokensRequest, pb.CountTokensResponse]",
    ) -> pb.CountTokensResponse:
        """What texts and a prompt would take."""
        passages = [passage_from_proto(passage) for passage in request.passages]
        counted = await self._tokens(request.texts, request.question, passages)
        return counted_to_proto(counted, self._tokens.tokenizer)

    async def ListModels(
        self,
        request: pb.ListModelsRequest,
        context: "grpc.aio.ServicerContext[pb.ListModelsRequest, pb.ListModelsResponse]",
    ) -> pb.ListModelsResponse:
        """The endpoints of the route."""
        return route_to_proto(await self._models())

    async def GetBudget(
        self,
        request: pb.GetBudgetRequest,
        context: "grpc.aio.ServicerContext[pb.GetBudgetRequest, pb.GetBudgetResponse]",
    ) -> pb.GetBudgetResponse:
        """What the caller's tenant has left."""
        return budget_to_proto(await self._budget(current_call().identity.tenant))

    def _to_proto(self, event: Delta | Claimed | Guarded | Completed) -> pb.GenerateAnswerResponse:
        if isinstance(event, Delta):
            return pb.GenerateAnswerResponse(text_delta=event.text)
        if isinstance(event, Claimed):
            return pb.GenerateAnswerResponse(claim=claim_to_proto(event.claim))
        if isinstance(event, Guarded):
            return pb.GenerateAnswerResponse(guard=guard_result_to_proto(event.result))
        self._count(event.record.guards)
        annotate(_answered(event))
        if event.record.grounding:
            self._meters.count(event.record.grounding)
        completed = pb.AnswerCompleted(
            answer=answer_to_proto(event.answer),
            record=record_to_proto(event.record, self._release),
            recorded=event.recorded,
        )
        return pb.GenerateAnswerResponse(completed=completed)

    def _count(self, results: Iterable[GuardResult]) -> None:
        for result in results:
            self._guarded.add(1, {names.GUARD: result.guard, names.GUARD_OUTCOME: result.outcome.value})


def _asked(assignment: Assignment) -> dict[str, str | int]:
    return {
        names.ANSWER_ID: assignment.answer_id,
        names.APPLICATION_ID: assignment.application_id,
        names.RELEASE_ID: assignment.release_id,
        names.PASSAGE_COUNT: len(assignment.passages),
    }


def _answered(event: Completed) -> dict[str, str | int | list[str]]:
    trail = event.record.trail
    return {
        **_guarded(event.record.guard),
        **_grounded(event.record.grounding),
        names.GUARD_OUTCOMES: [f"{one.guard}: {one.outcome.value}" for one in event.record.guards],
        names.GUARD_DROPPED_PASSAGES: len(event.record.dropped),
        names.MODEL_ENDPOINT: trail.endpoint,
        names.ANSWER_ATTEMPTS: [f"{one.endpoint}: {one.outcome.value}" for one in trail.attempts],
        names.ANSWER_OUTCOME: event.answer.outcome.value,
        names.GEN_AI_RESPONSE_MODEL: event.record.model,
        names.GEN_AI_INPUT_TOKENS: event.record.usage.prompt_tokens,
        names.GEN_AI_OUTPUT_TOKENS: event.record.usage.completion_tokens,
    }


def _guarded(guard: GuardRecord | None) -> dict[str, str | int]:
    if guard is None:
        return {}
    return {names.GUARD_OUTCOME: guard.outcome.value, names.GUARD_FINDINGS: sum(guard.counts.values())}


def _grounded(grounding: GroundingRecord | None) -> dict[str, str | int | list[str]]:
    if grounding is None:
        return {}
    counts = {status.value: count for status, count in grounding.counts.items()}
    counts |= {"withheld": grounding.withheld, "replaced": grounding.replaced}
    told = [f"{name}: {count}" for name, count in counts.items()]
    return {names.GROUNDING_POLICY: grounding.policy.value, names.GROUNDING_COUNTS: told}
