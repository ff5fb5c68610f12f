"""Deletes documents that their source has not confirmed for as long as it is to keep them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import NotFound, Retryable
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.document import FACTS, DocumentKey
from plumbline_retrieval.domain.source import Source
from plumbline_retrieval.handlers.documents import DeleteDocument
from plumbline_retrieval.handlers.polling import Known, KnownDocument, until
from plumbline_retrieval.handlers.registry import Registry

log = structlog.get_logger()

SWEEP_SECONDS: Final = 60.0
KEEPER: Final = "retention"
"""Who deletes what was kept long enough."""


class Tenants(Protocol):
    """Whose sources there are."""

    async def tenants(self) -> Sequence[str]:
        """Those that have registered a source."""
        ...


@dataclass(frozen=True)
class SweepRetention:
    """Deletes what was last confirmed before its source's retention.

    Facts stay: they are of another log, in which only the fact itself can be taken back.
    """

    tenants: Tenants
    registry: Registry
    known: Known
    delete: DeleteDocument
    is_settled: Callable[[], bool]
    """Whether the index holds all that was accepted, whoever wrote it: else a document may be newer than it seems."""

    async def __call__(self) -> int:
        """How many were deleted. Raises `Unavailable`; some may be deleted then."""
        # The confirmation that keeps a document may not have been read yet, or the document's newer version.
        if not self.registry.complete or not self.is_settled():
            return 0
        deleted = 0
        for tenant in await self.tenants.tenants():
            for source in (await self.registry.read(tenant)).values():
                if source.retention is not None:
                    deleted += await self._sweep(tenant, source)
        return deleted

    async def _sweep(self, tenant: str, source: Source) -> int:
        now = self.registry.clock.now()
        known = await self.known.documents(tenant, source.source_id)
        old = [name for name, document in known.items() if self._is_over(source, document, now)]
        deleted = 0
        for document_id in old:
            deleted += await self._deleted(DocumentKey(tenant, document_id))
        if deleted:
            log.info("retention_swept", tenant_id=tenant, source_id=source.source_id, deleted=deleted)
        return deleted

    def _is_over(self, source: Source, document: KnownDocument, now: datetime) -> bool:
        """Whether a live document was kept long enough; what is not live holds no text."""
        if source.retention is None or not document.text_hash:
            return False
        return now - source.confirmed(document.submitted_at) > source.retention

    async def _deleted(self, key: DocumentKey) -> bool:
        """Whether it went: a newer version that is on its way into the index is newly submitted and stays."""
        if key.document_id.startswith(FACTS) or self.delete.progress.is_on_its_way(key):
            return False
        try:
            await self.delete(Identity(key.tenant, KEEPER), key.document_id)
        except NotFound:  # somebody else was faster
            return False
        return True


class RetentionSweeper:
    """Sweeps every minute, for as long as the service runs; what goes wrong is logged."""

    def __init__(self, sweep: SweepRetention, clock: Clock) -> None:
        self._sweep = sweep
        self._clock = clock
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        await until(self._stopping, [self._repeat()])

    async def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()

    async def _repeat(self) -> None:
        while True:
            await self._sweep_once()
            await self._clock.sleep(SWEEP_SECONDS)

    async def _sweep_once(self) -> None:
        try:
            await self._sweep()
        except Retryable as error:
            log.warning("retention_sweep_failed", reason=str(error))
        except Exception as error:  # a mistake in here must not end the service
            log.error("retention_sweep_failed", exc_info=error)
