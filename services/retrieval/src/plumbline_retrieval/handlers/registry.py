"""The registered sources: look them up, register, confirm."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.source import DEFAULT_SOURCE, Source
from plumbline_retrieval.ports import Corpus, Sources

KEPT_SECONDS: Final = 1.0
"""How long what is known of a tenant's sources is taken as it was."""
LOOK_SECONDS: Final = 0.02
WAIT_SECONDS: Final = 10.0
DEFAULT: Final = Source(DEFAULT_SOURCE, name="Submitted without a source")


@dataclass
class Registry:
    """The sources of each tenant, read again every second."""

    stored: Sources
    clock: Clock
    complete: bool = False
    """Whether everything registered so far is stored: what is missing before that may only not be here yet."""
    _kept: dict[str, tuple[float, Mapping[str, Source]]] = field(default_factory=dict)

    async def of(self, tenant: str) -> Mapping[str, Source]:
        """By id, with the one that every tenant has."""
        known = self._kept.get(tenant)
        if known is None or self.clock.monotonic() - known[0] > KEPT_SECONDS:
            return await self.read(tenant)
        return known[1]

    async def read(self, tenant: str) -> Mapping[str, Source]:
        """The same as of now."""
        sources = {DEFAULT_SOURCE: DEFAULT, **await self.stored.sources(tenant)}
        self._kept[tenant] = (self.clock.monotonic(), sources)
        return sources

    def completed(self) -> None:
        """What is not stored by now is not registered."""
        self.complete = True

    async def require(self, tenant: str, source_id: str) -> None:
        """Raise `Invalid` for an unregistered source, `Unavailable` while it may only not be known here yet."""
        if source_id in await self.of(tenant) or source_id in await self.read(tenant):
            return
        if not self.complete:
            raise Unavailable("the registered sources are being read", retry_after=1.0)
        raise Invalid.field("document.source_id", f"names {source_id}, which is not registered: register it first")


@dataclass(frozen=True)
class Registries:
    """Those of all generations: what one of them knows is registered, however far the others are."""

    all: Sequence[Registry]

    @property
    def clock(self) -> Clock:
        """That of all of them."""
        return self.all[0].clock

    async def require(self, tenant: str, source_id: str) -> None:
        """Raise as `Registry.require` does, of the first one, unless one of them knows the source."""
        for registry in self.all[1:]:
            with suppress(Invalid, Unavailable):
                await registry.require(tenant, source_id)
                return
        await self.all[0].require(tenant, source_id)


@dataclass(frozen=True)
class PutSource:
    """Registers a source, or changes it."""

    corpus: Corpus
    registry: Registry

    async def __call__(self, identity: Identity, source: Source) -> None:
        """In force when this returns. Raises `Unavailable`, also where another one took its place meanwhile."""
        await self.corpus.append_source(identity.tenant, source)
        ends = self.registry.clock.monotonic() + WAIT_SECONDS
        while _plain((await self.registry.read(identity.tenant)).get(source.source_id)) != source:
            if self.registry.clock.monotonic() > ends:  # unless somebody put it anew meanwhile, nobody reads the log
                raise Unavailable("the source is recorded and not in force yet", retry_after=5.0)
            await self.registry.clock.sleep(LOOK_SECONDS)


@dataclass(frozen=True)
class ConfirmSource:
    """Records that all of a source is current."""

    corpus: Corpus
    registry: Registry

    async def __call__(self, identity: Identity, source_id: str) -> datetime:
        """From when on. Raises `NotFound`, `Unavailable`."""
        if source_id not in await self.registry.read(identity.tenant):
            raise NotFound(f"there is no source {source_id}")
        now = self.registry.clock.now()
        await self.corpus.confirm_source(identity.tenant, source_id, now)
        return now


@dataclass(frozen=True)
class ListSources:
    """Shows them."""

    registry: Registry

    async def __call__(self, identity: Identity) -> list[Source]:
        """By id."""
        return sorted((await self.registry.read(identity.tenant)).values(), key=lambda source: source.source_id)


def _plain(source: Source | None) -> Source | None:
    return None if source is None else replace(source, confirmed_at=None)
