"""Documents that come by themselves: look where they lie, take what is new, remove what is gone."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from random import Random
from typing import Any, Final, Protocol

import structlog

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid, NotFound, Retryable, Unavailable
from plumbline_kit.identity import Identity
from plumbline_retrieval.domain.content import Content
from plumbline_retrieval.domain.document import FINGERPRINT, Document, DocumentKey
from plumbline_retrieval.domain.origin import Fetched, Item, Listing, PolledSource
from plumbline_retrieval.handlers.documents import DeleteDocument, SubmitDocument
from plumbline_retrieval.handlers.registry import PutSource
from plumbline_retrieval.ports import Corpus, Reader

log = structlog.get_logger()

POLLER: Final = "poller"
"""Who submits what was polled."""
AT_ONCE: Final = 4
"""Documents of a source that are fetched and read at the same time."""
FAILURES_IN_A_ROW: Final = 5
"""After so many the origin itself is away; before, a few broken pages must not hide those after them."""
SAFE_TO_EMPTY: Final = 10
"""More known documents than this never lose more than half of them at once."""
JITTER: Final = 0.1


class Origin(Protocol):
    """Where the documents of a source lie."""

    async def items(self) -> Listing:
        """All that is there. Raises `Unavailable`, or `Invalid` for what is no listing."""
        ...

    async def fetch(self, item: Item, held: str) -> Fetched | None:
        """The document, or None if it is still the one with the fingerprint *held*.

        Raises `NotFound` if it is gone meanwhile, `Invalid` if it cannot be had, `Unavailable`.
        """
        ...


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """What the index knows of a document, whoever may read it."""

    fingerprint: str
    """Its metadata under FINGERPRINT, or nothing."""
    text_hash: str
    """Of the live version; empty when none is live."""
    title: str
    groups: tuple[str, ...]
    submitted_at: datetime


class Known(Protocol):
    """What the index knows of a source, for those who keep it and not for those who read."""

    async def documents(self, tenant: str, source_id: str) -> Mapping[str, KnownDocument]:
        """By id, all that are not deleted, of all groups. Raises `Unavailable` until the index has caught up."""
        ...


class Outcome(Enum):
    """What became of an item in a poll."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    """It cannot be read."""
    FAILED = "failed"
    """It could not be fetched this time."""
    UNSETTLED = "unsettled"
    """It is being written."""
    VANISHED = "vanished"
    """It was listed and is not there."""


@dataclass(frozen=True)
class Polled:
    """What a poll found."""

    counts: Mapping[Outcome, int]
    gone: int
    """Documents that were deleted."""
    confirmed: bool
    """Whether all that the index holds of the source is what its origin says."""


@dataclass(frozen=True)
class _Seen:
    """What this process knows beyond the index: it spares fetching an unchanged text and reading a bad file again."""

    fingerprint: str = ""
    outcome: Outcome = Outcome.UNCHANGED
    text_hash: str = ""


@dataclass
class _Round:
    """One poll under way."""

    known: Mapping[str, KnownDocument]
    listing: Listing
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    failures: int = 0
    """In a row."""

    @property
    def gone(self) -> set[str]:
        """Known documents that their origin no longer has."""
        vanished = {name for name in self.known if self.outcomes.get(name) is Outcome.VANISHED}
        return vanished | (self.unlisted if self.listing.complete else set())

    @property
    def unlisted(self) -> set[str]:
        """Known documents that the origin did not speak of."""
        return self.known.keys() - self.outcomes.keys()

    @property
    def is_suspicious(self) -> bool:
        """Whether so much is gone that the origin is more likely broken, or moved, than emptied."""
        there = sum(outcome is not Outcome.VANISHED for outcome in self.outcomes.values())
        kept = len(self.known) - len(self.gone)
        return bool(self.gone) and (not there or (len(self.known) > SAFE_TO_EMPTY and 2 * kept < len(self.known)))

    @property
    def proves_all(self) -> bool:
        """Whether every known document was found to be what its origin says, or is gone."""
        unproven = (Outcome.REFUSED, Outcome.UNSETTLED)
        return (
            Outcome.FAILED not in self.outcomes.values()
            and not any(self.outcomes.get(name) in unproven for name in self.known)
            and (self.listing.complete or not self.unlisted)
        )


@dataclass
class PollSource:
    """Brings the index to what a source's origin says. Not for two calls at once.

    What is known comes from the index, so a restart submits nothing again. The origin decides: a document of it
    that somebody deleted by hand comes back.
    """

    source: PolledSource
    origin: Origin
    known: Known
    reader: Reader
    put_source: PutSource
    submit: SubmitDocument
    delete: DeleteDocument
    corpus: Corpus
    clock: Clock
    _is_registered: bool = field(default=False, init=False)
    _seen: dict[str, _Seen] = field(default_factory=dict, init=False)

    async def __call__(self) -> Polled:
        """Raises `Unavailable`, and `Invalid` if the origin's listing is none; what was submitted by then stays."""
        started = self.clock.now()
        await self._register()
        this = _Round(await self._known(), await self.origin.items())
        await self._take_all(this)
        gone = await self._remove_gone(this)
        confirmed = gone is not None and this.proves_all
        if confirmed:
            await self.corpus.confirm_source(self.source.tenant, self.source.source_id, started)
        return Polled(Counter(this.outcomes.values()), gone or 0, confirmed)

    async def _register(self) -> None:
        """Once a process: whoever changes the source later is not overruled before the next start."""
        if self._is_registered:
            return
        wanted = self.source.registered()
        found = (await self.put_source.registry.read(self.source.tenant)).get(wanted.source_id)
        if found is None or replace(found, confirmed_at=None) != wanted:
            await self.put_source(self._identity, wanted)
        self._is_registered = True

    async def _known(self) -> dict[str, KnownDocument]:
        known = await self.known.documents(self.source.tenant, self.source.source_id)
        return {name: each for name, each in known.items() if self.source.owns(name)}

    async def _take_all(self, this: _Round) -> None:
        waiting = iter(this.listing.items)

        async def work() -> None:
            for item in waiting:
                await asyncio.sleep(0)  # most items need no waiting at all: searches get their turn between them
                this.outcomes[item.document_id] = await self._outcome(this, item)

        try:
            async with asyncio.TaskGroup() as workers:
                for _ in range(AT_ONCE):
                    workers.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None  # the others were stopped for it
        self._seen = {name: seen for name, seen in self._seen.items() if name in this.outcomes}

    async def _outcome(self, this: _Round, item: Item) -> Outcome:
        if not item.settled:
            return Outcome.UNSETTLED
        known = this.known.get(item.document_id)
        held = self._held(item.document_id, known)
        if item.fingerprint and item.fingerprint == held.fingerprint:
            return held.outcome
        try:
            fetched = await self.origin.fetch(item, held.fingerprint)
        except NotFound:
            return Outcome.VANISHED
        except Unavailable as error:
            return self._failed(this, item, error)
        except Invalid as error:
            return self._refused(item, item.fingerprint, error)
        this.failures = 0
        if fetched is None or fetched.fingerprint == held.fingerprint:
            self._seen[item.document_id] = replace(held, fingerprint=item.fingerprint or held.fingerprint)
            return held.outcome
        return await self._take(item, fetched, known)

    def _held(self, document_id: str, known: KnownDocument | None) -> _Seen:
        """What is here of a document, as far as it need not be submitted again whatever the origin says."""
        key = DocumentKey(self.source.tenant, document_id)
        seen = self._seen.get(document_id)
        if seen and (seen.outcome is Outcome.REFUSED or self.delete.progress.is_on_its_way(key)):
            return seen
        if known is None or not self._has_audience(known):
            return _Seen()
        if seen and seen.text_hash == known.text_hash:
            return seen
        return _Seen(known.fingerprint, text_hash=known.text_hash)

    async def _take(self, item: Item, fetched: Fetched, known: KnownDocument | None) -> Outcome:
        try:
            document = self._document(item, await self.reader.read(fetched.file), fetched.fingerprint)
            if known is None or not self._is_same(known, document):
                await self.submit(self._identity, document)
                outcome = Outcome.NEW if known is None else Outcome.CHANGED
            else:
                outcome = Outcome.UNCHANGED
        except Invalid as error:
            return self._refused(item, fetched.fingerprint, error)
        self._seen[item.document_id] = _Seen(fetched.fingerprint, text_hash=document.hash)
        return outcome

    def _document(self, item: Item, content: Content, fingerprint: str) -> Document:
        return Document(
            item.document_id,
            content.title,
            content.text,
            item.url,
            self.source.groups,
            self.source.source_id,
            metadata=((FINGERPRINT, fingerprint),),
            language=self.source.language,
            content_time=item.changed_at,
            layout=content.layout,
        )

    def _is_same(self, known: KnownDocument, document: Document) -> bool:
        same = (known.text_hash, known.title) == (document.hash, document.title)
        return same and self._has_audience(known)

    def _has_audience(self, known: KnownDocument) -> bool:
        """Whether those may see it who may according to the plan, which can have changed since."""
        return set(known.groups) == set(self.source.groups)

    def _refused(self, item: Item, fingerprint: str, error: Invalid) -> Outcome:
        log.warning("polled_document_refused", **self._fields, document_id=item.document_id, reason=str(error))
        self._seen[item.document_id] = _Seen(fingerprint, Outcome.REFUSED)
        return Outcome.REFUSED

    def _failed(self, this: _Round, item: Item, error: Unavailable) -> Outcome:
        log.warning("polled_document_not_fetched", **self._fields, document_id=item.document_id, reason=str(error))
        this.failures += 1
        if this.failures >= FAILURES_IN_A_ROW:
            raise error
        return Outcome.FAILED

    async def _remove_gone(self, this: _Round) -> int | None:
        """How many were deleted; None if that was not dared."""
        gone = sorted(this.gone)
        if this.is_suspicious:
            log.warning("polled_source_shrank", **self._fields, known=len(this.known), missing=len(gone))
            return None
        for document_id in gone:
            try:
                await self.delete(self._identity, document_id)
            except NotFound:  # somebody else was faster
                continue
        return len(gone)

    @property
    def _identity(self) -> Identity:
        return Identity(self.source.tenant, POLLER)

    @property
    def _fields(self) -> dict[str, str]:
        return {"tenant_id": self.source.tenant, "source_id": self.source.source_id}


class Poller:
    """Polls each source at its interval, for as long as the service runs; what goes wrong is logged."""

    def __init__(self, polls: Sequence[PollSource], clock: Clock, random: Random) -> None:
        """*random* spreads the polls, so that sources of one interval do not stay in step."""
        self._polls = polls
        self._clock = clock
        self._random = random
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Return once stopped."""
        await until(self._stopping, [self._repeat(poll) for poll in self._polls])

    async def stop(self) -> None:
        """Make `run` return. A poll under way is broken off: the next start goes on from what the index knows."""
        self._stopping.set()

    async def _repeat(self, poll: PollSource) -> None:
        while True:
            await self._poll(poll)
            spread = self._random.uniform(1 - JITTER, 1 + JITTER)
            await self._clock.sleep(poll.source.interval.total_seconds() * spread)

    async def _poll(self, poll: PollSource) -> None:
        fields = {"tenant_id": poll.source.tenant, "source_id": poll.source.source_id}
        started = self._clock.monotonic()
        try:
            polled = await poll()
        except (Invalid, Retryable) as error:
            log.warning("source_poll_failed", **fields, reason=str(error))
        except Exception as error:  # a mistake in here must not end the polls of every other source
            log.error("source_poll_failed", **fields, exc_info=error)
        else:
            counts = {outcome.value: polled.counts.get(outcome, 0) for outcome in Outcome}
            seconds = round(self._clock.monotonic() - started, 3)
            log.info("source_polled", **fields, **counts, gone=polled.gone, confirmed=polled.confirmed, seconds=seconds)


async def until(stopping: asyncio.Event, loops: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run *loops*, which never end, until *stopping* is set."""
    tasks = [asyncio.create_task(each) for each in loops]
    try:
        await stopping.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
