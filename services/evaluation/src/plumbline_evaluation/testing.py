"""Fakes of evaluation's ports, and answers to evaluate."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from plumbline_evaluation.domain.answer import Answer, Claim, Outcome, Subject
from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation
from plumbline_evaluation.domain.measures import Minimums
from plumbline_kit.errors import Unavailable
from plumbline_models.evidence import Source

MINIMUMS = Minimums(
    citation_validity=1.0, faithfulness=0.6, answer_relevance=0.2, context_relevance=0.2, claim_support=0.6
)
QUESTION = "How much is the Aurora lamp?"


def an_answer(
    text: str = "The Aurora lamp costs 49 euros.",
    *,
    cites: tuple[int, ...] = (1,),
    sources: tuple[Source, ...] = (Source("Aurora", "The Aurora lamp costs 49 euros. It is in stock."),),
    outcome: Outcome = Outcome.ANSWERED,
) -> Answer:
    """An answer of one claim."""
    return Answer(text, (Claim(0, len(text), cites),), sources, outcome)


def a_subject(answer: Answer | None = None, *, tenant: str = "acme", answer_id: str = "answer-1") -> Subject:
    """A generated answer whose fact holds nothing."""
    return Subject(tenant, answer_id, "default", "release-1", QUESTION, answer or an_answer(), b"")


@dataclass
class FakeSimilarity:
    """Finds everything equally near; *error* stands for an encoder that fails."""

    cosine: float = 0.9
    error: Unavailable | None = None
    encoder_id: str = "fake-encoder"

    async def to_each(self, text: str, others: Sequence[str]) -> list[float]:
        """See `Similarity`."""
        if self.error:
            raise self.error
        return [self.cosine for _ in others]


@dataclass
class MemoryEvaluations:
    """`EvaluationStore` in a dictionary; *away* stands for a database that is not there."""

    away: bool = False
    refused: int = 0
    """How often it was asked while it was away."""
    announced: list[CompletedEvaluation] = field(default_factory=list)
    _used: set[str] = field(default_factory=set)
    _kept: dict[tuple[str, str], Evaluation] = field(default_factory=dict)

    async def record(self, completed: CompletedEvaluation, *, event_id: str) -> bool:
        """See `EvaluationStore`."""
        self._require()
        key = completed.subject.tenant, completed.subject.answer_id
        if event_id in self._used or key in self._kept:
            return False
        self._used.add(event_id)
        self._kept[key] = completed.evaluation
        self.announced.append(completed)
        return True

    async def find(self, tenant: str, answer_id: str) -> Evaluation | None:
        """See `EvaluationStore`."""
        self._require()
        return self._kept.get((tenant, answer_id))

    def _require(self) -> None:
        if self.away:
            self.refused += 1
            raise Unavailable("the store is away")
