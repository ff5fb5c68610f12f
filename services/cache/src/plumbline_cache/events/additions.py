"""What a change of a document adds, from the contract."""

from collections.abc import Iterator

import numpy as np
import structlog

from plumbline.retrieval.v1.retrieval_events_pb2 import DocumentChanged
from plumbline_cache.domain.addition import Addition
from plumbline_cache.domain.entry import Vector
from plumbline_cache.handlers.revalidate import Added
from plumbline_kit.bus.messages import Received
from plumbline_kit.errors import Invalid

log = structlog.get_logger()


class AdditionReader:
    """Reads passages that were encoded as this cache encodes questions; others it cannot compare."""

    def __init__(self, encoder_id: str, dimensions: int) -> None:
        self._encoder_id = encoder_id
        self._dimensions = dimensions
        self._said: set[str] = set()

    def added(self, received: Received[DocumentChanged], event: DocumentChanged) -> list[Added]:
        """One a passage; one without a vector for all where they are not told; none of another encoder.

        Raises `Invalid` where the vectors are not as many as the hashes, or of another length than this encoder's.
        """
        hashes = event.added_passage_hashes
        if not hashes:
            return []
        if not event.added_vectors:
            return [(_addition(received, event, ""), None)]
        if event.added_encoder_id != self._encoder_id:
            self._say(event.added_encoder_id)
            return []
        additions = (_addition(received, event, each) for each in hashes)
        return list(zip(additions, self._directions(event.added_vectors, len(hashes)), strict=True))

    def _directions(self, told: bytes, count: int) -> Iterator[Vector]:
        if len(told) != count * self._dimensions:
            raise Invalid(f"{len(told)} bytes are not {count} vectors of {self._dimensions} numbers")
        rows = np.frombuffer(told, np.int8).reshape(count, -1).astype(np.float32)
        yield from rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)

    def _say(self, encoder_id: str) -> None:
        if encoder_id not in self._said:
            self._said.add(encoder_id)
            log.warning("additions_not_comparable", encoder_id=encoder_id, questions_by=self._encoder_id)


def _addition(received: Received[DocumentChanged], event: DocumentChanged, passage: str) -> Addition:
    return Addition(
        tenant=event.tenant_id,
        document=event.document_id,
        version=event.new_version,
        passage=passage,
        groups=frozenset(event.groups),
        time=received.event_time,
    )
