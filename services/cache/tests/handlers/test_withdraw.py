"""What a person takes out of the cache, on whichever replica and in whatever order it is heard."""

from collections.abc import Callable
from itertools import permutations
from typing import Any

import pytest

from plumbline_cache.adapters.memory import MemoryAnnouncer, MemoryWithdrawals
from plumbline_cache.domain.admission import Refusal
from plumbline_cache.domain.entry import Saving, Scope
from plumbline_cache.domain.freshness import Cause, Notice
from plumbline_cache.domain.withdrawal import Kind, Selection, Withdrawal
from plumbline_cache.handlers.admit import Admitted
from plumbline_cache.handlers.withdraw import InvalidateEntries
from plumbline_kit.clock import SystemClock
from plumbline_kit.errors import Unavailable

Make = Callable[..., Any]

PRICES = Selection(Kind.DOCUMENT, "prices")
ERASED = Selection(Kind.ERASED_DOCUMENT, "prices")
EVERYTHING = Selection(Kind.TENANT)


class DeafAnnouncer(MemoryAnnouncer):
    """The log is away until `hears`."""

    hears = False

    async def entry_invalidated(self, notice: Notice) -> None:
        if not self.hears:
            raise Unavailable("the log is away")
        await super().entry_invalidated(notice)


class AbsentLog(MemoryWithdrawals):
    """The log is away."""

    async def append(self, withdrawal: Withdrawal) -> None:
        raise Unavailable("the log is away")


async def admit_four(cache: Any, candidate: Make) -> None:
    """Two answers rest on h1 of the prices, one on h2, one on the manual."""
    await cache.admit(candidate("Price of the lamp?", ("prices", 1, "h1"), answer_id="lamp"))
    await cache.admit(candidate("All prices?", ("prices", 1, "h2"), ("prices", 1, "h1"), answer_id="all"))
    await cache.admit(candidate("Price of the desk?", ("prices", 1, "h2"), answer_id="desk"))
    await cache.admit(candidate("How to clean it?", ("manual", 1, "m1"), answer_id="clean"))


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        pytest.param(PRICES, {"clean"}, id="document"),
        pytest.param(ERASED, {"clean"}, id="erased_document"),
        pytest.param(Selection(Kind.DOCUMENT, "unknown"), {"lamp", "all", "desk", "clean"}, id="unknown_document"),
        pytest.param(Selection(Kind.ENTRY, "no such entry"), {"lamp", "all", "desk", "clean"}, id="unknown_entry"),
        pytest.param(Selection.question("price of the LAMP"), {"all", "desk", "clean"}, id="question"),
        pytest.param(Selection.release("default", "r1"), set(), id="release"),
        pytest.param(Selection.release("default", "r2"), {"lamp", "all", "desk", "clean"}, id="another_release"),
        pytest.param(Selection(Kind.APPLICATION, "default"), set(), id="application"),
        pytest.param(EVERYTHING, set(), id="everything"),
    ],
)
async def test_a_person_drops_what_was_chosen(
    writing: Make, candidate: Make, withdrawal: Make, selection: Selection, left: set[str]
) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow_withdrawals(withdrawal(selection, minute=1))
    assert set(cache.held()) == left
    cause, document = (Cause.ERASED, "prices") if selection == ERASED else (Cause.BY_HAND, "")
    assert len(cache.announcer.told) == cache.tallies.total("acme").counts[cause] == 4 - len(left)
    assert {(n.cause, n.document, n.version) for n in cache.announcer.told} <= {(cause, document, -1)}


async def test_a_withdrawal_reaches_its_own_tenant_only(writing: Make, candidate: Make, withdrawal: Make) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    lamp = Selection(Kind.ENTRY, cache.held()["lamp"].id)
    foreign = [withdrawal(selection, minute=1, tenant="globex") for selection in (lamp, PRICES, EVERYTHING)]
    await cache.follow_withdrawals(*foreign)
    assert len(cache.held()) == 4


@pytest.mark.parametrize("selection", [PRICES, EVERYTHING, Selection.question("Price of the lamp?")])
async def test_in_any_order_what_was_begun_before_is_gone_and_what_was_begun_after_stays(
    writing: Make, candidate: Make, withdrawal: Make, selection: Selection
) -> None:
    before = candidate("Price of the lamp?", ("prices", 1, "h1"), answer_id="before", minute=1)
    after = candidate("Price of the lamp?", ("prices", 1, "h1"), answer_id="after", minute=3)
    wish = withdrawal(selection, minute=2)
    for order in permutations([before, after, wish, wish, before]):
        cache = writing()
        for event in order:
            await (cache.follow_withdrawals(event) if event is wish else cache.admit(event))
        assert set(cache.held()) == {"after"}
        assert {notice.answer_id for notice in cache.announcer.told} <= {"before"}


async def test_the_newest_withdrawal_of_a_selection_counts(writing: Make, candidate: Make, withdrawal: Make) -> None:
    cache = writing()
    await cache.follow_withdrawals(withdrawal(PRICES, minute=4), withdrawal(PRICES, minute=2))
    assert await cache.admit(candidate("q", ("prices", 1, "h1"), minute=3)) is Refusal.WITHDRAWN


async def test_an_answer_that_was_being_written_meanwhile_is_refused(
    writing: Make, candidate: Make, withdrawal: Make
) -> None:
    cache = writing()
    await cache.follow_withdrawals(withdrawal(EVERYTHING, minute=2))
    slow = candidate("q", ("prices", 1, "h1"), minute=3, saving=Saving(seconds=61))
    assert await cache.admit(slow) is Refusal.WITHDRAWN
    quick = candidate("q", ("prices", 1, "h1"), minute=3, saving=Saving(seconds=59))
    assert isinstance(await cache.admit(quick), Admitted)


async def test_clocks_that_differ_a_little_bring_nothing_back(writing: Make, candidate: Make, withdrawal: Make) -> None:
    cache = writing()
    ahead = candidate("q", ("prices", 1, "h1"), minute=2, saving=Saving(seconds=-0.05))
    await cache.follow_withdrawals(withdrawal(EVERYTHING, minute=2))
    assert await cache.admit(ahead) is Refusal.WITHDRAWN


async def test_an_erasure_leaves_no_question_in_what_is_still_to_be_told(
    writing: Make, candidate: Make, change: Make, withdrawal: Make
) -> None:
    cache = writing(announcer=DeafAnnouncer())
    await admit_four(cache, candidate)
    with pytest.raises(Unavailable):
        await cache.follow(change("prices", 1, 2, removed=["h1"]))
    for selection in (Selection.question("How to clean it?"), ERASED):
        with pytest.raises(Unavailable):
            await cache.follow_withdrawals(withdrawal(selection, minute=1))
    waiting = [notice for document in ("prices", "") for notice in cache.store.notices("acme", document)]
    assert {(notice.answer_id, notice.question) for notice in waiting} == {
        (answer_id, "") for answer_id in ("lamp", "all", "desk", "clean")
    }


async def test_an_erased_document_that_comes_again_is_answered_from_again(
    writing: Make, candidate: Make, change: Make, withdrawal: Make
) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    await cache.follow(change("prices", 1, 2, deleted=True))
    await cache.follow_withdrawals(withdrawal(ERASED, minute=1))
    await cache.follow(change("prices", -1, 5))
    assert isinstance(await cache.admit(candidate("q", ("prices", 5, "h1"), minute=2)), Admitted)


async def test_what_could_not_be_told_is_told_when_the_request_comes_again(
    writing: Make, candidate: Make, withdrawal: Make
) -> None:
    cache = writing(announcer=DeafAnnouncer())
    await admit_four(cache, candidate)
    wish = withdrawal(EVERYTHING, minute=1)
    with pytest.raises(Unavailable):
        await cache.follow_withdrawals(wish)
    assert cache.held() == {}
    cache.announcer.hears = True
    await cache.follow_withdrawals(wish)
    assert len(cache.announcer.told) == 4
    assert {notice.withdrawal for notice in cache.announcer.told} == {wish.id}


async def test_whoever_asks_learns_the_count_also_when_the_request_was_heard_first(
    writing: Make, candidate: Make
) -> None:
    cache = writing()
    await admit_four(cache, candidate)

    class Heard(MemoryWithdrawals):
        async def append(self, withdrawal: Withdrawal) -> None:
            await cache.follow_withdrawals(withdrawal)

    asked = await InvalidateEntries(Heard(), cache.withdraw, SystemClock())("acme", PRICES)
    assert asked.dropped == 3


async def test_while_the_log_is_away_nothing_is_asked_for_and_nothing_dropped(writing: Make, candidate: Make) -> None:
    cache = writing()
    await admit_four(cache, candidate)
    with pytest.raises(Unavailable):
        await InvalidateEntries(AbsentLog(), cache.withdraw, SystemClock())("acme", EVERYTHING)
    assert len(cache.held()) == 4


async def test_a_question_is_the_same_in_every_scope(writing: Make, candidate: Make, withdrawal: Make) -> None:
    cache = writing()
    for number, groups in enumerate([(), ("sales",), ("hr", "sales")]):
        scope = Scope("acme", groups, "default", "r1")
        await cache.admit(candidate("Why?", ("prices", 1, "h1"), scope=scope, answer_id=str(number)))
    await cache.follow_withdrawals(withdrawal(Selection.question("WHY"), minute=1))
    assert cache.held() == {}
