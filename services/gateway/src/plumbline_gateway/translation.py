"""Contract messages to domain and back, once for every way in and out."""

from collections.abc import Sequence
from datetime import UTC

from plumbline.cache.v1 import cache_service_pb2 as cache_pb
from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.gateway.v1 import gateway_service_pb2 as gateway_pb
from plumbline.generation.v1.generation_service_pb2 import Cost
from plumbline_gateway.domain import (
    Answer,
    Claim,
    Condensation,
    Evidence,
    KeptAnswer,
    Method,
    Origin,
    Outcome,
    Passage,
    PassageRef,
    Provenance,
    ReleaseRef,
    Role,
    Saving,
    Spending,
    Tier,
    Turn,
)
from plumbline_kit.errors import Invalid

_OUTCOMES = {
    common_pb.ANSWER_OUTCOME_ANSWERED: Outcome.ANSWERED,
    common_pb.ANSWER_OUTCOME_REFUSED: Outcome.REFUSED,
    common_pb.ANSWER_OUTCOME_DEGRADED: Outcome.DEGRADED,
}
_OUTCOMES_TO_PROTO = {outcome: value for value, outcome in _OUTCOMES.items()}
ORIGINS_TO_PROTO = {
    Origin.GENERATED: gateway_pb.ANSWER_ORIGIN_GENERATED,
    Origin.CACHED: gateway_pb.ANSWER_ORIGIN_CACHED,
    Origin.DEGRADED: gateway_pb.ANSWER_ORIGIN_DEGRADED,
    Origin.REFUSED: gateway_pb.ANSWER_ORIGIN_REFUSED,
}
_ROLES = {common_pb.TURN_ROLE_USER: Role.USER, common_pb.TURN_ROLE_ASSISTANT: Role.ASSISTANT}
_ROLES_TO_PROTO = {role: value for value, role in _ROLES.items()}
_METHODS = {
    common_pb.CONDENSATION_METHOD_UNCHANGED: Method.UNCHANGED,
    common_pb.CONDENSATION_METHOD_RULE: Method.RULE,
    common_pb.CONDENSATION_METHOD_MODEL: Method.MODEL,
    common_pb.CONDENSATION_METHOD_JOINED: Method.JOINED,
}
_METHODS_TO_PROTO = {method: value for value, method in _METHODS.items()}


def turns_from_proto(turns: Sequence[common_pb.Turn]) -> tuple[Turn, ...]:
    """What was said. Raises `Invalid` for a turn that is nobody's."""
    for number, turn in enumerate(turns):
        if turn.role not in _ROLES:
            raise Invalid.field(f"turns[{number}].role", "must be the user's or the assistant's")
    return tuple(Turn(_ROLES[turn.role], turn.text) for turn in turns)


def turn_to_proto(turn: Turn) -> common_pb.Turn:
    """A turn as the contract has it."""
    return common_pb.Turn(role=_ROLES_TO_PROTO[turn.role], text=turn.text)


def condensation_from_proto(condensation: common_pb.Condensation) -> Condensation:
    """A method that this build does not know counts as changed: what comes of it is nobody else's."""
    return Condensation(
        condensation.original_question,
        condensation.standalone_question,
        _METHODS.get(condensation.method, Method.JOINED),
        condensation.reason,
        condensation.conversation,
    )


def condensation_to_proto(condensation: Condensation | None) -> common_pb.Condensation | None:
    """The inverse of `condensation_from_proto`; None where nothing was said before."""
    if condensation is None:
        return None
    return common_pb.Condensation(
        original_question=condensation.original,
        standalone_question=condensation.standalone,
        method=_METHODS_TO_PROTO[condensation.method],
        reason=condensation.reason,
        conversation=condensation.conversation,
    )


TIERS = {cache_pb.CACHE_TIER_EXACT: Tier.EXACT, cache_pb.CACHE_TIER_SEMANTIC: Tier.SEMANTIC}
TIERS_TO_PROTO = {tier: value for value, tier in TIERS.items()}


def saving_from_proto(saving: cache_pb.Saving) -> Saving:
    """What a generation took."""
    costs = {cost.currency_code: cost.amount for cost in saving.costs}
    spending = Spending(costs, saving.prompt_tokens, saving.completion_tokens)
    return Saving(spending, saving.time.ToTimedelta().total_seconds())


def saving_to_proto(saving: Saving) -> cache_pb.Saving:
    """The inverse of `saving_from_proto`."""
    message = cache_pb.Saving(
        prompt_tokens=saving.spending.prompt_tokens,
        completion_tokens=saving.spending.completion_tokens,
        costs=[Cost(currency_code=name, amount=amount) for name, amount in saving.spending.costs.items()],
    )
    message.time.FromNanoseconds(round(saving.seconds * 1e9))
    return message


def release_to_proto(release: ReleaseRef) -> common_pb.ReleaseRef:
    """The release as the contract names it."""
    return common_pb.ReleaseRef(application_id=release.application_id, release_id=release.release_id)


def ref_to_proto(ref: PassageRef) -> common_pb.PassageRef:
    """A source as the contract names it."""
    return common_pb.PassageRef(document_id=ref.document_id, version=ref.version, passage_hash=ref.passage_hash)


def _ref_from_proto(ref: common_pb.PassageRef) -> PassageRef:
    return PassageRef(ref.document_id, ref.version, ref.passage_hash)


def passage_from_proto(passage: common_pb.Passage) -> Passage:
    """A passage with all that is told of it, but what stands around it."""
    return Passage(
        _ref_from_proto(passage.ref),
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
        as_of=passage.as_of_time.ToDatetime(UTC) if passage.HasField("as_of_time") else None,
        freshness=passage.freshness,
        trust=passage.trust,
    )


def passage_to_proto(passage: Passage) -> common_pb.Passage:
    """The inverse of `passage_from_proto`."""
    provenance = passage.provenance
    message = common_pb.Passage(
        ref=ref_to_proto(passage.ref),
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


def claim_from_proto(claim: common_pb.Claim) -> Claim:
    """A sentence with what it rests on."""
    evidence = (Evidence(one.source_number, one.start_offset, one.end_offset) for one in claim.evidence)
    return Claim(
        claim.start_offset,
        claim.end_offset,
        tuple(claim.source_numbers),
        claim.support,
        claim.status,
        tuple(evidence),
    )


def claim_to_proto(claim: Claim) -> common_pb.Claim:
    """The inverse of `claim_from_proto`."""
    evidence = [
        common_pb.Evidence(source_number=one.source_number, start_offset=one.start, end_offset=one.end)
        for one in claim.evidence
    ]
    return common_pb.Claim(
        start_offset=claim.start,
        end_offset=claim.end,
        source_numbers=claim.source_numbers,
        support=claim.support,
        status=common_pb.ClaimStatus.ValueType(claim.status),
        evidence=evidence,
    )


def answer_from_proto(answer: common_pb.Answer) -> Answer:
    """An answer; an outcome that this build does not know counts as degraded."""
    return Answer(
        answer.text,
        tuple(map(claim_from_proto, answer.claims)),
        tuple(map(passage_from_proto, answer.sources)),
        _OUTCOMES.get(answer.outcome, Outcome.DEGRADED),
    )


def kept_from_proto(answer: common_pb.Answer) -> KeptAnswer:
    """An answer of which only the text and the sources' names are looked at."""
    sources = tuple(_ref_from_proto(source.ref) for source in answer.sources)
    return KeptAnswer(answer.text, sources, answer.SerializeToString())


def answer_to_proto(answer: Answer | KeptAnswer) -> common_pb.Answer:
    """The inverse of `answer_from_proto` and of `kept_from_proto`."""
    if isinstance(answer, KeptAnswer):
        return common_pb.Answer.FromString(answer.content)
    return common_pb.Answer(
        text=answer.text,
        claims=map(claim_to_proto, answer.claims),
        sources=map(passage_to_proto, answer.sources),
        outcome=_OUTCOMES_TO_PROTO[answer.outcome],
    )
