"""What the cache lets go of because no answer is old enough any more."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from plumbline_cache.adapters.memory import InlineTurns, WordEncoder
from plumbline_cache.domain.addition import Addition
from plumbline_cache.domain.withdrawal import Kind, Selection, Withdrawal
from plumbline_cache.handlers.forget import LONGEST_ANSWER, ForgetOld

Make = Callable[..., Any]

TOLD = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
"""Half an hour before the tests' clock."""
PRICES = Selection(Kind.DOCUMENT, "prices")


async def test_passages_and_withdrawals_go_once_every_answer_from_before_is_over(writing: Make) -> None:
    cache = writing()
    await cache.mark([(Addition("acme", "news", 2, "h1", frozenset(), TOLD), await WordEncoder().encode("lamp"))])
    cache.store.keep_withdrawal(Withdrawal("w1", "acme", PRICES, TOLD))
    age = cache.clock.now() - TOLD

    for time_to_live, kept in ((age - LONGEST_ANSWER, 1), (age - LONGEST_ANSWER - timedelta(seconds=1), 0)):
        await ForgetOld(cache.store, InlineTurns(), cache.clock, time_to_live)()
        assert cache.store.count_additions("acme") == kept
        assert len(cache.store.withdrawals("acme", [PRICES])) == kept
