"""What this service needs from outside, in its own words."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from plumbline_cache.domain.addition import Addition
from plumbline_cache.domain.admission import Candidate
from plumbline_cache.domain.audit import Ruling
from plumbline_cache.domain.entry import Entry, Neighbour, Scope, Vector
from plumbline_cache.domain.freshness import Floor, Floors, Notice
from plumbline_cache.domain.withdrawal import Selection, Withdrawal

T = TypeVar("T")


class EntryReader(Protocol):
    """Finds entries. Calls return in microseconds to a few milliseconds and may come from several threads."""

    def find(self, entry_id: str) -> Entry | None:
        """The entry of that id, whoever's it is."""
        ...

    def nearest(self, scope: Scope, vector: Vector, *, least: float, limit: int) -> Sequence[Neighbour]:
        """At most *limit* entries of the scope with a cosine of at least *least*, nearest first."""
        ...

    def count(self, tenant: str) -> int:
        """How many entries the tenant has."""
        ...

    def count_by_tenant(self) -> Mapping[str, int]:
        """How many entries each tenant has that has any. May take a tenth of a second."""
        ...


class EntryKeeper(EntryReader, Protocol):
    """Changes entries, one writer at a time in a process. What has returned survives the death of the process.

    Other processes may change the same entries: what is changed is what was read, or it is left as it is.
    """

    def put(self, entry: Entry, vector: Vector) -> None:
        """Keep *entry* in the place of its id."""
        ...

    def carry(self, held: Entry, carried: Entry) -> bool:
        """Replace the sources of *held* by those of *carried*. False if they or the answer are others by now."""
        ...

    def drop(self, entry: Entry) -> None:
        """Forget *entry*; nothing happens if it is gone or another answer has its place."""
        ...

    def of_tenant(self, tenant: str, document: str | None = None) -> Iterator[Entry]:
        """Every entry of the tenant, or those that rest on *document*. Entries may be changed meanwhile."""
        ...

    def of_other_releases(self, application: str, release: str) -> Iterator[Entry]:
        """Every entry that is not of that release, whoever's it is; where there is none it is known without looking."""
        ...

    def expired(self, now: datetime, limit: int) -> Sequence[Entry]:
        """At most *limit* entries whose time to live is over, whoever's they are; none only if there are none."""
        ...

    def sample(self, tenant: str, limit: int) -> Sequence[Entry]:
        """At most *limit* entries of the tenant, each as likely as any other; fewer only if it has no more."""
        ...

    def add_hits(self, hits: Mapping[str, int]) -> None:
        """Count so many more for these entry ids. Those that are gone are left out."""
        ...


class FloorReader(Protocol):
    """Knows the newest version heard of each document."""

    def floors(self, tenant: str, documents: Sequence[str]) -> Floors:
        """The floors of those documents that have one."""
        ...


class FloorKeeper(FloorReader, Protocol):
    """Changes floors, with the same promise as `EntryKeeper`."""

    def keep_floor(self, floor: Floor, *, instead_of: Floor | None = None) -> bool:
        """Keep *floor* as that of its document. False if what is kept is not *instead_of*: somebody was faster."""
        ...


class NoticeBox(Protocol):
    """Keeps what is still to be announced, with the same promise as `EntryKeeper`."""

    def add_notice(self, notice: Notice) -> None:
        """Keep *notice* until it is removed."""
        ...

    def notices(self, tenant: str, document: str) -> Iterator[Notice]:
        """Every notice that has this document as cause. They may be replaced and removed meanwhile."""
        ...

    def waiting(self, limit: int) -> Sequence[Notice]:
        """At most *limit* notices, whoever's they are; none only if there are none."""
        ...

    def remove_notice(self, notice_id: str) -> None:
        """Forget a notice; nothing happens if there is none."""
        ...


class WithdrawalReader(Protocol):
    """Knows what somebody wanted gone."""

    def withdrawals(self, tenant: str, selections: Sequence[Selection]) -> Sequence[Withdrawal]:
        """The withdrawals that are kept for those selections."""
        ...


class WithdrawalKeeper(WithdrawalReader, Protocol):
    """Changes them, with the same promise as `EntryKeeper`."""

    def keep_withdrawal(self, withdrawal: Withdrawal) -> None:
        """Keep it as that of its selection, unless a later one is kept."""
        ...

    def forget_withdrawals(self, before: datetime) -> None:
        """Drop those asked for before, whoever's they are."""
        ...


class AdditionKeeper(Protocol):
    """Knows passages that came lately, and which questions they are near to; same promise as `EntryKeeper`."""

    def keep_addition(self, addition: Addition, vector: Vector | None) -> None:
        """Keep it for answers that come later; without a vector only the newest of a tenant."""
        ...

    def added_near(self, tenant: str, vector: Vector, since: datetime, *, least: float) -> Sequence[Addition]:
        """Those told from *since* on with a cosine of at least *least*, and the one without a vector."""
        ...

    def count_additions(self, tenant: str) -> int:
        """How many of the tenant are kept with a vector."""
        ...

    def forget_additions(self, before: datetime, tenant: str | None = None) -> None:
        """Drop those told before, of one tenant or of all."""
        ...

    def unmarked_near(self, tenant: str, vector: Vector) -> Iterator[Entry]:
        """Every entry of the tenant without a mark for which a passage there is near enough (`least_similarity`)."""
        ...

    def mark(self, entry: Entry) -> None:
        """Replace the mark of the entry that is kept; nothing happens if it is gone or another answer has its place."""
        ...


class StoreReader(EntryReader, FloorReader, WithdrawalReader, Protocol):
    """What a lookup needs."""


class Store(EntryKeeper, FloorKeeper, NoticeBox, WithdrawalKeeper, AdditionKeeper, Protocol):
    """All together: one engine holds them, so that they live and die together."""


class Turns(Protocol):
    """Runs blocking work beside the event loop."""

    async def run(self, work: Callable[[], T], *, seconds: float | None = None) -> T:
        """What *work* returns. Raises `TimeoutError` after *seconds*; the work itself may go on."""
        ...


class WriterTurns(Turns, Protocol):
    """Runs one work after the other, so that none sees half of another."""

    async def run_first(self, work: Callable[[], T]) -> T:
        """The same as `run`, before all that waits its turn: for what keeps a wrong answer from being served."""
        ...


class QuestionEncoder(Protocol):
    """Turns a question into a vector."""

    async def encode(self, question: str, *, patience: float) -> Vector:
        """L2-normalised. Raises `Unavailable`, and what the encoder raises.

        It waits behind other questions as long as it takes, but for an encoder that finishes nothing no longer than
        *patience* seconds.
        """
        ...


class Announcer(Protocol):
    """Tells the world."""

    async def entry_invalidated(self, notice: Notice) -> None:
        """Return when the fact is durable. Raises `Unavailable`."""
        ...


class WithdrawalLog(Protocol):
    """Tells every replica, now and whenever it begins anew."""

    async def append(self, withdrawal: Withdrawal) -> None:
        """Return when it is durable. Raises `Unavailable`."""
        ...


class HitRules(Protocol):
    """Knows what audits found wrong."""

    def ruling(self, scope_key: str, tenant: str) -> Ruling:
        """Whether near questions are answered in the scope."""
        ...

    def false_up_to(self, entry_id: str) -> float:
        """The greatest similarity at which a hit of the entry was wrong; below -1 where none was."""
        ...


class EvaluatedAnswers(Protocol):
    """Knows every evaluated answer that the event log still has."""

    def of_tenant(self, tenant: str) -> AsyncGenerator[Candidate, None]:
        """Each once, in no order that holds beyond one answer. Raises `Unavailable`."""
        ...


class Readiness(Protocol):
    """Knows whether the cache has heard of every change that happened before it started."""

    @property
    def caught_up(self) -> bool:
        """False until then; true from then on."""
        ...
