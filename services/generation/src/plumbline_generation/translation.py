"""Contract messages to domain and back, once for every way in and out."""

from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_generation.domain.answer import (
    Answer,
    Assignment,
    Claim,
    GroundingRecord,
    GuardRecord,
    GuardResult,
    Outcome,
    Passage,
    PassageRef,
    Record,
)
from plumbline_generation.domain.attempts import Attempt, AttemptOutcome, Cost
from plumbline_generation.handlers import Checked, Direction, Text
from plumbline_guards.findings import Kind
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.release import Release

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
}
"""An abandoned attempt is in no record: nobody is left to get one."""

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
        tuple(map(_passage_from_proto, request.passages)),
        request.release.application_id,
        request.release.release_id,
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
        seed=release.model.seed,
        prompt_tokens=record.usage.prompt_tokens,
        completion_tokens=record.usage.completion_tokens,
        time_to_first_token=_duration(record.seconds_to_first_token),
        total_time=_duration(record.seconds),
        reason=record.reason,
        endpoint=record.trail.endpoint,
        attempts=map(_attempt_to_proto, record.trail.attempts),
        cost=_cost_to_proto(record.trail.cost),
        guard=_guard_to_proto(record.guard) if record.guard else None,
        grounding=_grounding_to_proto(record.grounding) if record.grounding else None,
        guards=map(guard_result_to_proto, record.guards),
        dropped_passages=map(_ref_to_proto, record.dropped),
    )


def _attempt_to_proto(attempt: Attempt) -> pb.ModelAttempt:
    return pb.ModelAttempt(
        endpoint=attempt.endpoint,
        model=attempt.model,
        outcome=_ATTEMPTS[attempt.outcome],
        reason=attempt.reason,
        duration=_duration(attempt.seconds),
    )


def _cost_to_proto(cost: Cost | None) -> pb.Cost | None:
    return None if cost is None else pb.Cost(currency_code=cost.currency, amount=cost.amount)


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


def _passage_from_proto(passage: common_pb.Passage) -> Passage:
    ref = passage.ref
    return Passage(
        PassageRef(ref.document_id, ref.version, ref.passage_hash),
        passage.title,
        passage.url,
        passage.text,
        passage.start_offset,
        passage.end_offset,
        passage.score,
    )


def _passage_to_proto(passage: Passage) -> common_pb.Passage:
    return common_pb.Passage(
        ref=_ref_to_proto(passage.ref),
        title=passage.title,
        url=passage.url,
        text=passage.text,
        start_offset=passage.start,
        end_offset=passage.end,
        score=passage.score,
    )


def _ref_to_proto(ref: PassageRef) -> common_pb.PassageRef:
    return common_pb.PassageRef(document_id=ref.document_id, version=ref.version, passage_hash=ref.passage_hash)


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
