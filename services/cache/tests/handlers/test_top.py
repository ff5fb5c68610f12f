"""Which entries an operator is shown."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from plumbline_cache.adapters.memory import InlineTurns, MemoryStore, WordEncoder
from plumbline_cache.domain.entry import Saving, Scope
from plumbline_cache.handlers.top import ListTopEntries, Order, Top
from plumbline_cache.handlers.uses import Uses

Make = Callable[..., Any]


@pytest.fixture
async def store(entry: Make) -> MemoryStore:
    """Of a tenant: an old entry, a dear one and a new one, of everybody; and one of the group hr."""
    store = MemoryStore()
    made = [
        entry("Old?", answer_id="old"),
        replace(entry("Dear?", answer_id="dear", saving=Saving(seconds=60.0)), hits=2),
        entry("New?", answer_id="new"),
        entry("Secret?", answer_id="secret", scope=Scope("acme", ("hr",), "default", "r1")),
        entry("Theirs?", answer_id="theirs", scope=Scope("globex", (), "default", "r1")),
        entry("Told?", answer_id="told", scope=Scope("acme", (), "default", "r1", conversation="c")),
    ]
    for minute, one in enumerate(made):
        later = replace(one, admit_time=one.admit_time + timedelta(minutes=minute))
        store.put(later, await WordEncoder().encode(one.question))
    return store


async def top(store: MemoryStore, order: Order, *groups: str, limit: int = 10, uses: Uses | None = None) -> Top:
    return await ListTopEntries(store, uses or Uses(), InlineTurns())("acme", groups, order, limit)


def answers(top: Top) -> list[str]:
    return [one.entry.answer_id for one in top.entries]


async def test_the_most_served_comes_first_with_what_is_not_written_down_yet(store: MemoryStore, entry: Make) -> None:
    uses = Uses()
    for _ in range(3):
        uses.note(entry("Old?").id)
    listed = await top(store, Order.HITS, uses=uses)
    assert [(one.entry.answer_id, one.hits) for one in listed.entries] == [("old", 3), ("dear", 2), ("new", 0)]


async def test_entries_are_listed_by_what_they_saved_or_by_age(store: MemoryStore) -> None:
    assert answers(await top(store, Order.SAVED_TIME))[0] == "dear"
    assert answers(await top(store, Order.NEWEST)) == ["new", "dear", "old"]
    assert answers(await top(store, Order.NEWEST, limit=1)) == ["new"]


async def test_entries_of_other_groups_tenants_and_conversations_are_not_shown(store: MemoryStore) -> None:
    listed = await top(store, Order.NEWEST, "sales")
    assert (answers(listed), listed.hidden) == (["new", "dear", "old"], 2)
    listed = await top(store, Order.NEWEST, "sales", "hr")
    assert (answers(listed), listed.hidden) == (["secret", "new", "dear", "old"], 1)
