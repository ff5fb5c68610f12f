"""Contract messages to domain and back, once for every way in and out."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime

from google.protobuf.duration_pb2 import Duration

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_generation.domain.answer import (
    Answer,
    Assignment,
    Block,
    Claim,
    GroundingRecord,
    GuardRecord,
    GuardResult,
    Outcome,
    Passage,
    PassageRef,
    Provenance,
    Record,
)
from plumbline_generation.domain.attempts import Attempt, AttemptOutcome, Cost
from plumbline_generation.domain.breaker import BreakerState
from plumbline_generation.domain.budget import BudgetStatus
from plumbline_generation.domain.consistency import Consistency
from plumbline_generation.domain.conversation import (
    MAX_QUESTION_CHARACTERS,
    Condensation,
    Conversation,
    Method,
    Role,
    Turn,
)
from plumbline_generation.domain.prompt import PromptTokens
from plumbline_generation.domain.routing import EndpointStatus, Price, RouteStatus
from plumbline_generation.domain.schema import Schema
from plumbline_generation.handlers import Checked, Condensed, Counted, Direction, Text
from plumbline_guards.findings import Kind
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.errors import Invalid
from plumbline_kit.release import ModelSettings, Release

_OUTCOMES = {
    Outcome.ANSWERED: common_pb.ANSWER_OUTCOME_ANSWERED,
    Outcome.REFUSED: common_pb.ANSWER_OUTCOME_REFUSED,
    Outcome.DEGRADED: common_pb.ANSWER_OUTCOME_DEGRADED,
}
_ATTEMPTS = {
    AttemptOutcome.ANSWERED: pb.ATTEMPT_OUTCOME_ANSWERED,
    AttemptOutcome.UNREACHABLE: pb.ATTEMPT_OUTCOME_UNREACHABLE,
    AttemptOutcome.TIMED_OUT: pb.ATTEMPT_OUTCOME_TIMED_OUT,
    AttemptOutcome.BROKE_OFF: pb.ATTEMPT_OUTCOME_BROKE_OFF,
    AttemptOutcome.SERVER_ERROR: pb.ATTEMPT_OUTCOME_SERVER_ERROR,
    AttemptOutcome.RATE_LIMITED: pb.ATTEMPT_OUTCOME_RATE_LIMITED,
    AttemptOutcome.MALFORMED: pb.ATTEMPT_OUTCOME_MALFORMED,
    AttemptOutcome.REJECTED: pb.ATTEMPT_OUTCOME_REJECTED,
    AttemptOutcome.MISCONFIGURED: pb.ATTEMPT_OUTCOME_MISCONFIGURED,
    AttemptOutcome.OVERTAKEN: pb.ATTEMPT_OUTCOME_OVERTAKEN,
    AttemptOutcome.CIRCUIT_OPEN: pb.ATTEMPT_OUTCOME_CIRCUIT_OPEN,
    AttemptOutcome.FULL: pb.ATTEMPT_OUTCOME_FULL,
    AttemptOutcome.PROMPT_TOO_LONG: pb.ATTEMPT_OUTCOME_PROMPT_TOO_LONG,
    AttemptOutcome.OVER_BUDGET: pb.ATTEMPT_OUTCOME_OVER_BUDGET,
}
"""An abandoned attempt is in no record: nobody is left to get one."""
_BREAKERS = {
    BreakerState.CLOSED: pb.BREAKER_STATE_CLOSED,
    BreakerState.HALF_OPEN: pb.BREAKER_STATE_HALF_OPEN,
    BreakerState.OPEN: pb.BREAKER_STATE_OPEN,
}
MAX_REASON_CHARACTERS = 500
_SHA256 = re.compile("[0-9a-f]{64}")
_ROLES = {common_pb.TURN_ROLE_USER: Role.USER, common_pb.TURN_ROLE_ASSISTANT: Role.ASSISTANT}
_METHODS = {
    Method.UNCHANGED: common_pb.CONDENSATION_METHOD_UNCHANGED,
    Method.RULE: common_pb.CONDENSATION_METHOD_RULE,
    Method.MODEL: common_pb.CONDENSATION_METHOD_MODEL,
    Method.JOINED: common_pb.CONDENSATION_METHOD_JOINED,
}
_METHODS_FROM_PROTO = {value: method for method, value in _METHODS.items()}

_DIRECTIONS = {
    pb.TEXT_DIRECTION_INPUT: Direction.INPUT,
    pb.TEXT_DIRECTION_PASSAGE: Direction.PASSAGE,
    pb.TEXT_DIRECTION_OUTPUT: Direction.OUTPUT,
}


def assignment_from_proto(request: pb.GenerateAnswerRequest) -> Assignment:
    """Raises `Invalid` where the request cannot be answered."""
    return Assignment(
        request.answer_id,
        request.question,
        tuple(map(passage_from_proto, request.passages)),
        request.release.application_id,
        request.release.release_id,
        _condensation_from_proto(request) if request.HasField("condensation") else None,
        Schema.parse(request.json_schema) if request.json_schema else None,
        request.samples,
        request.audited_answer_id,
    )


def conversation_from_proto(request: pb.CondenseQuestionRequest) -> Conversation:
    """Raises `Invalid` where it is empty, too large, or a turn is nobody's."""
    turns = [Turn(_role(number, turn.role), turn.text) for number, turn in enumerate(request.turns)]
    return Conversation(tuple(turns), request.question)


def condensed_to_proto(condensed: Condensed) -> pb.CondenseQuestionResponse:
    """What became of a question, and what it took."""
    usage, trail = condensed.finish.usage, condensed.finish.trail
    return pb.CondenseQuestionResponse(
        condensation=condensation_to_proto(condensed.condensation),
        attempts=map(_attempt_to_proto, trail.attempts),
        cost=_cost_to_proto(trail.cost) if trail.cost else None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )


def condensation_to_proto(condensation: Condensation | None) -> common_pb.Condensation | None:
    """A question before and after."""
    if condensation is None:
        return None
    return common_pb.Condensation(
        original_question=condensation.original,
        standalone_question=condensation.standalone,
        method=_METHODS[condensation.method],
        reason=condensation.reason,
        conversation=condensation.conversation,
    )


def answer_to_proto(answer: Answer) -> common_pb.Answer:
    """The answer with its claims and sources."""
    return common_pb.Answer(
        text=answer.text,
        claims=map(claim_to_proto, answer.claims),
        sources=map(_passage_to_proto, answer.sources),
        outcome=_OUTCOMES[answer.outcome],
    )


def claim_to_proto(claim: Claim) -> common_pb.Claim:
    """One sentence, and what it rests on."""
    evidence = [
        common_pb.Evidence(source_number=one.source_number, start_offset=one.start, end_offset=one.end)
        for one in claim.evidence
    ]
    return common_pb.Claim(
        start_offset=claim.start,
        end_offset=claim.end,
        source_numbers=claim.source_numbers,
        support=claim.support,
        status=common_pb.ClaimStatus.Value(f"CLAIM_STATUS_{claim.status.name}"),
        evidence=evidence,
    )


def record_to_proto(record: Record, release: Release) -> pb.GenerationRecord:
    """How the answer came about, under this release."""
    return pb.GenerationRecord(
        model=record.model,
        prompt_version=release.prompt_version,
        temperature=release.model.temperature,
        seed=record.consistency.seed if record.consistency else release.model.seed,
        prompt_tokens=record.usage.prompt_tokens,
        completion_tokens=record.usage.completion_tokens,
        time_to_first_token=_duration(record.seconds_to_first_token),
        total_time=_duration(record.seconds),
        reason=record.reason,
        endpoint=record.trail.endpoint,
        attempts=map(_attempt_to_proto, record.trail.attempts),
        cost=_cost_to_proto(record.trail.cost) if record.trail.cost else None,
        guard=_guard_to_proto(record.guard) if record.guard else None,
        grounding=_grounding_to_proto(record.grounding) if record.grounding else None,
        condensation_method=_method(record.condensed),
        guards=map(guard_result_to_proto, record.guards),
        dropped_passages=map(_ref_to_proto, record.dropped),
        prompt_file=release.prompt.file,
        parameters=_parameters_to_proto(release.model),
        passages=map(_block_to_proto, record.blocks),
        consistency=_consistency_to_proto(record.consistency) if record.consistency else None,
        answerability=record.answerability,
        structured=None if record.repaired is None else pb.StructuredRecord(repaired=record.repaired),
        further_costs=map(_cost_to_proto, record.trail.further_costs),
    )


def _consistency_to_proto(consistency: Consistency) -> pb.Consistency:
    samples = [
        pb.Sample(seed=one.seed, completion_tokens=one.completion_tokens, agreement=one.agreement, reason=one.reason)
        for one in consistency.samples
    ]
    return pb.Consistency(samples=samples, agreement=consistency.agreement)


def _block_to_proto(block: Block) -> pb.PackedPassage:
    return pb.PackedPassage(source_numbers=block.numbers, tokens=block.tokens, cut=block.cut)


def _parameters_to_proto(model: ModelSettings) -> pb.ModelParameters:
    return pb.ModelParameters(
        max_tokens=model.max_tokens,
        context_tokens=model.context_tokens,
        stop=model.stop,
        passage_order=model.passage_order,
    )


def _attempt_to_proto(attempt: Attempt) -> pb.ModelAttempt:
    return pb.ModelAttempt(
        endpoint=attempt.endpoint,
        model=attempt.model,
        outcome=_ATTEMPTS[attempt.outcome],
        reason=attempt.reason,
        duration=_duration(attempt.seconds),
    )


def _cost_to_proto(cost: Cost) -> pb.Cost:
    return pb.Cost(currency_code=cost.currency, amount=cost.amount)


def text_from_proto(request: pb.CheckTextRequest) -> Text:
    """Raises `Invalid` where there is too much to check; a direction that this build does not know is an output's."""
    direction = _DIRECTIONS.get(request.direction, Direction.OUTPUT)
    return Text(request.text, request.canary, direction, tuple(request.passages))


def checked_to_proto(checked: Checked) -> pb.CheckTextResponse:
    """A checked text and what stands in it."""
    findings = [
        pb.GuardFinding(kind=_kind(finding.kind), start_offset=finding.start, end_offset=finding.end)
        for finding in checked.findings
    ]
    return pb.CheckTextResponse(
        outcome=_guard_outcome(checked.outcome),
        text=checked.text,
        findings=findings,
        guards=map(guard_result_to_proto, checked.results),
    )


def counted_to_proto(counted: Counted, tokenizer: str) -> pb.CountTokensResponse:
    """What was counted, and by whose *tokenizer*."""
    prompt = _prompt_to_proto(counted.prompt) if counted.prompt else None
    return pb.CountTokensResponse(token_counts=counted.texts, prompt=prompt, tokenizer=tokenizer)


def _prompt_to_proto(prompt: PromptTokens) -> pb.PromptTokens:
    blocks = map(_block_to_proto, prompt.blocks)
    return pb.PromptTokens(system_tokens=prompt.system, user_tokens=prompt.user, passages=blocks)


def route_to_proto(route: RouteStatus) -> pb.ListModelsResponse:
    """The endpoints without their addresses and keys."""
    hedge = None if route.hedge_seconds is None else _duration(route.hedge_seconds)
    return pb.ListModelsResponse(endpoints=map(_endpoint_to_proto, route.endpoints), hedge_time=hedge)


def budget_to_proto(budget: BudgetStatus) -> pb.GetBudgetResponse:
    """How a tenant's budget stands."""
    response = pb.GetBudgetResponse(
        tokens_per_day=budget.tokens_per_day, used_tokens=budget.spent.used, reserved_tokens=budget.spent.reserved
    )
    response.reset_time.FromDatetime(budget.resets)
    return response


def _endpoint_to_proto(status: EndpointStatus) -> pb.ModelEndpoint:
    endpoint = status.endpoint
    return pb.ModelEndpoint(
        name=endpoint.name,
        model=endpoint.model,
        weight=status.weight,
        context_tokens=_bound(endpoint.context_tokens),
        max_output_tokens=_bound(endpoint.max_output_tokens),
        concurrency=endpoint.concurrency,
        first_token_time=_bounded_duration(endpoint.first_token_seconds),
        total_time=_bounded_duration(endpoint.total_seconds),
        price=_price_to_proto(endpoint.price),
        breaker_state=_BREAKERS[status.breaker],
        at_work=status.at_work,
    )


def _bound(value: float) -> int:
    return 0 if math.isinf(value) else int(value)


def _bounded_duration(seconds: float) -> Duration | None:
    return None if math.isinf(seconds) else _duration(seconds)


def _price_to_proto(price: Price | None) -> pb.ModelPrice | None:
    if price is None:
        return None
    return pb.ModelPrice(
        currency_code=price.currency, input_amount=price.input_tokens, output_amount=price.output_tokens
    )


def _guard_to_proto(guard: GuardRecord) -> pb.GuardRecord:
    return pb.GuardRecord(outcome=_guard_outcome(guard.outcome), counts=counts_to_proto(guard.counts))


def guard_result_to_proto(result: GuardResult) -> pb.GuardResult:
    """What came of a guard."""
    return pb.GuardResult(
        guard=result.guard,
        outcome=_guard_outcome(result.outcome),
        counts=counts_to_proto(result.counts),
        duration=_duration(result.seconds),
    )


def counts_to_proto(counts: Mapping[Kind, int]) -> list[pb.GuardCount]:
    """How many there were of each kind."""
    return [pb.GuardCount(kind=_kind(kind), count=count) for kind, count in counts.items()]


def _grounding_to_proto(grounding: GroundingRecord) -> pb.GroundingRecord:
    counts = {f"{status.value}_count": count for status, count in grounding.counts.items()}
    return pb.GroundingRecord(
        policy=pb.UnsupportedPolicy.Value(f"UNSUPPORTED_POLICY_{grounding.policy.name}"),
        withheld_count=grounding.withheld,
        replaced_count=grounding.replaced,
        **counts,
    )


def _guard_outcome(outcome: GuardOutcome) -> "pb.GuardOutcome.ValueType":
    return pb.GuardOutcome.Value(f"GUARD_OUTCOME_{outcome.name}")


def _kind(kind: Kind) -> "pb.GuardFindingKind.ValueType":
    return pb.GuardFindingKind.Value(f"GUARD_FINDING_KIND_{kind.name}")


def _method(method: Method | None) -> "common_pb.CondensationMethod.ValueType":
    return common_pb.CONDENSATION_METHOD_UNSPECIFIED if method is None else _METHODS[method]


def _role(number: int, role: "common_pb.TurnRole.ValueType") -> Role:
    if role not in _ROLES:
        raise Invalid.field(f"turns[{number}].role", "must be the user's or the assistant's")
    return _ROLES[role]


def _condensation_from_proto(request: pb.GenerateAnswerRequest) -> Condensation:
    """What is answered is the request's question, whatever its condensation says.

    A method that this build does not know counts as changed: nobody else may be served what comes of it.
    """
    condensation = request.condensation
    if len(condensation.original_question) > MAX_QUESTION_CHARACTERS:
        raise Invalid.field("condensation.original_question", f"is longer than {MAX_QUESTION_CHARACTERS:,} characters")
    return Condensation(
        condensation.original_question,
        request.question,
        _METHODS_FROM_PROTO.get(condensation.method, Method.JOINED),
        condensation.reason[:MAX_REASON_CHARACTERS],
        _conversation(condensation.conversation),
    )


def _conversation(state: str) -> str:
    if state and not _SHA256.fullmatch(state):
        raise Invalid.field("condensation.conversation", "must be 64 hexadecimal digits, or empty")
    return state


def passage_from_proto(passage: common_pb.Passage) -> Passage:
    """A passage with all that is told of it, but what stands around it."""
    ref = passage.ref
    return Passage(
        PassageRef(ref.document_id, ref.version, ref.passage_hash),
        passage.title,
        passage.url,
        passage.text,
        passage.start_offset,
        passage.end_offset,
        passage.score,
        _provenance_from_proto(passage),
        passage.similarity if passage.HasField("similarity") else None,
    )


def _provenance_from_proto(passage: common_pb.Passage) -> Provenance:
    return Provenance(
        title_path=tuple(passage.title_path),
        page=passage.page,
        source_id=passage.source_id,
        as_of=_as_of(passage),
        freshness=passage.freshness,
        trust=passage.trust,
    )


def _as_of(passage: common_pb.Passage) -> datetime | None:
    if not passage.HasField("as_of_time"):
        return None
    try:
        return passage.as_of_time.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid.field("passages.as_of_time", "is not a time between the years 1 and 9999") from error


def _passage_to_proto(passage: Passage) -> common_pb.Passage:
    provenance = passage.provenance
    message = common_pb.Passage(
        ref=_ref_to_proto(passage.ref),
        title=passage.title,
        url=passage.url,
        text=passage.text,
        start_offset=passage.start,
        end_offset=passage.end,
        score=passage.score,
        title_path=provenance.title_path,
        page=provenance.page,
        source_id=provenance.source_id,
        freshness=provenance.freshness,  # type: ignore[arg-type]  # the stub wants its own integer
        trust=provenance.trust,  # type: ignore[arg-type]  # the stub wants its own integer
        similarity=passage.similarity,
    )
    if provenance.as_of is not None:
        message.as_of_time.FromDatetime(provenance.as_of)
    return message


def _ref_to_proto(ref: PassageRef) -> common_pb.PassageRef:
    return common_pb.PassageRef(document_id=ref.document_id, version=ref.version, passage_hash=ref.passage_hash)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
