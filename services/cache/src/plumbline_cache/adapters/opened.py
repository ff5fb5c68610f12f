"""The store of this process: an engine inside it on a folder of its own, or a server that many share."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from plumbline_cache.adapters.state import FORMAT, open_state
from plumbline_cache.adapters.turns import LoopTurns, ThreadTurns
from plumbline_cache.ports import Store, Turns
from plumbline_cache.settings import ServerSettings, Settings

READERS: Final = 16
"""Reads of a server that wait at once. One that hangs is over after a second."""

_UNFIT: Final = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True)
class OpenStore:
    """The open store and what to know of it."""

    store: Store
    generation: str
    """Names the consumer group: a new one has to hear every event from the first on."""
    readers: Turns
    """How lookups read it."""
    close: Callable[[], None]


def open_store(settings: Settings, application: str, encoder_id: str, dimensions: int) -> OpenStore:
    """Blocks. Raises `Unavailable` for a folder that another process has and for a server that is away."""
    if settings.server.url:
        return _on_server(settings.server, application, encoder_id, dimensions)
    state = open_state(settings.state_dir, encoder_id=encoder_id, dimensions=dimensions)
    return OpenStore(state.store, state.generation.id, LoopTurns(), state.close)


def _on_server(settings: ServerSettings, application: str, encoder_id: str, dimensions: int) -> OpenStore:
    from plumbline_cache.adapters.server import ServerStore, connect  # its client takes half a second to load

    # Each drops what releases other than its own left behind, so applications share nothing.
    collection = "-".join(["plumbline-cache", _fit(application), _fit(encoder_id), str(FORMAT)])
    store = ServerStore(connect(settings.url, settings.api_key), collection)
    store.prepare(dimensions, shards=settings.shards, replicas=settings.replicas)
    readers = ThreadTurns("cache-reader", READERS)

    def close() -> None:
        readers.close()
        store.close()

    return OpenStore(store, store.generation(), readers, close)


def _fit(name: str) -> str:
    return _UNFIT.sub("-", name)
