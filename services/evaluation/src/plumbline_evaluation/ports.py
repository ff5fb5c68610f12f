"""What evaluation needs from outside, in its own words."""

from collections.abc import Sequence
from typing import Protocol

from plumbline_evaluation.domain.evaluation import CompletedEvaluation, Evaluation


class Similarity(Protocol):
    """How near texts are in meaning."""

    @property
    def encoder_id(self) -> str:
        """Figures of two encoders do not compare."""
        ...

    async def to_each(self, text: str, others: Sequence[str]) -> list[float]:
        """The cosine of *text* with each of *others*, in [-1, 1]. Raises `Unavailable`."""
        ...


class EvaluationStore(Protocol):
    """Keeps evaluations, one an answer, and announces each once."""

    async def record(self, completed: CompletedEvaluation, *, event_id: str) -> bool:
        """Keep and announce it in one step, and mark the event as used.

        False, and nothing happens, when the event was used before or the answer has an evaluation.
        Raises `Unavailable`; then nothing happened either.
        """
        ...

    async def find(self, tenant: str, answer_id: str) -> Evaluation | None:
        """The evaluation of the tenant's answer. Raises `Unavailable`."""
        ...
