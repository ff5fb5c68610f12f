"""Generated answers as they are published: without the values that nobody needs to read there."""

from collections.abc import Callable

from plumbline.generation.v1.generation_events_pb2 import AnswerGenerated
from plumbline_generation.translation import counts_to_proto
from plumbline_guards.stored import redact, remembering

Redact = Callable[[AnswerGenerated], None]


def redaction(canary: str) -> Redact:
    """Redacts a fact in place and tells in its record what was redacted. *canary* is redacted too."""
    findings_in = remembering(canary)

    def redact_and_tell(fact: AnswerGenerated) -> None:
        fact.record.redacted.extend(counts_to_proto(redact(fact, findings_in)))

    return redact_and_tell


def as_it_is(fact: AnswerGenerated) -> None:
    """Redacts nothing."""
