"""What the index knows of a source, for the polls and the retention that keep it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plumbline_kit.errors import Unavailable
from plumbline_retrieval.handlers.polling import KnownDocument
from plumbline_retrieval.ports import Index


@dataclass
class IndexKnown:
    """`Known` and `Tenants` on the index that this process fills."""

    index: Index
    is_current: bool = False
    """Whether everything that was accepted before this process started is indexed: what is missing before that may
    only not be here yet, and would be submitted again."""

    async def documents(self, tenant: str, source_id: str) -> Mapping[str, KnownDocument]:
        """See `Known`."""
        if not self.is_current:
            raise Unavailable("the index has not caught up yet", retry_after=5.0)
        heads = await self.index.heads_of(tenant, source_id)
        return {
            head.key.document_id: KnownDocument(
                head.live.fingerprint, head.live.text_hash, head.live.title, head.groups, head.live.submitted_at
            )
            for head in heads
        }

    async def tenants(self) -> Sequence[str]:
        """See `Tenants`."""
        return await self.index.tenants()
