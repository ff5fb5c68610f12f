"""Places that documents come from by themselves."""

import httpx

from plumbline_kit.clock import Clock
from plumbline_retrieval.adapters.origins.feed import FeedOrigin, open_feed_client
from plumbline_retrieval.adapters.origins.folder import FolderOrigin
from plumbline_retrieval.adapters.origins.plan import read_plan
from plumbline_retrieval.domain.origin import Kind, PolledSource

__all__ = ["FeedOrigin", "FolderOrigin", "open_feed_client", "origin_of", "read_plan"]


def origin_of(source: PolledSource, client: httpx.AsyncClient, clock: Clock) -> FolderOrigin | FeedOrigin:
    """What *source* is polled from; *client* is the one of `open_feed_client`."""
    if source.kind is Kind.FOLDER:
        return FolderOrigin(source, clock)
    return FeedOrigin(source, client, clock)
