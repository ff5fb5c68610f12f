"""One suite for the fake and the real engine, which looks through a scope and, in a large store, through its cells."""

import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient

from plumbline_cache.adapters.memory import MemoryStore
from plumbline_cache.adapters.qdrant import LAID_FROM, PAGE, QdrantStore
from plumbline_cache.adapters.server import ServerStore, connect
from plumbline_cache.domain.addition import Addition, least_similarity
from plumbline_cache.domain.entry import Cost, Mark, Saving, Scope, Vector
from plumbline_cache.domain.freshness import Cause, Floor, dropped, dropped_by, withdrawn
from plumbline_cache.domain.withdrawal import Kind, Selection
from plumbline_cache.ports import Store

Make = Callable[..., Any]
SCOPE = Scope("acme", (), "default", "r1")


@pytest.fixture(params=["memory", "qdrant", "qdrant in cells", "imitation of a server", "server"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """The client's imitation of a server shows what is asked and how answers are read, not what the engine does."""
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "imitation of a server":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Payload indexes have no effect in the local Qdrant")
            warnings.filterwarnings("ignore", "Local mode performs exact")
            yield from on_server(QdrantClient(":memory:"))
    elif request.param == "server":
        if not (url := os.environ.get("QDRANT_URL")):  # noqa: TID251  # a test's own setting
            pytest.skip("not run: QDRANT_URL is not set, no Qdrant server to run against")
        yield from on_server(connect(url))
    else:
        laid_from = 1 if request.param == "qdrant in cells" else LAID_FROM
        engine = QdrantStore.open(tmp_path / "shard", 4, laid_from=laid_from)
        yield engine
        engine.close()


def on_server(client: QdrantClient) -> Iterator[ServerStore]:
    store = ServerStore(client, name := f"plumbline-test-{uuid.uuid4().hex[:12]}")
    store.prepare(4)
    yield store
    client.delete_collection(name)
    store.close()


def direction(*values: float) -> Vector:
    vector = np.array([*values, *[0.0] * (4 - len(values))], dtype=np.float32)
    return vector / np.linalg.norm(vector)


EAST = direction(1)


def at(similarity: float) -> Vector:
    """So near to `EAST`."""
    return direction(similarity, (1 - similarity**2) ** 0.5)


def test_an_entry_is_found_as_it_was_put(store: Store, entry: Make) -> None:
    kept = entry(
        "Why?",
        ("prices", 1, "h1"),
        ("prices", 1, "h2"),
        scope=Scope("acme", ("a", "b"), "default", "r1", "en", "state of the conversation"),
        saving=Saving(170, 40, 1.25, (Cost("EUR", 0.02), Cost("USD", 0.01))),
        least_similarity=0.31,
    )
    store.put(kept, EAST)
    assert store.find(kept.id) == kept


@pytest.mark.parametrize("entry_id", ["8b0a3a0e-51a6-4b0b-8f0e-52c6f9f8a001", "not an id", ""])
def test_an_unknown_entry_is_none(store: Store, entry_id: str) -> None:
    assert store.find(entry_id) is None


def test_floors_and_notices_are_not_found_as_entries(store: Store, entry: Make) -> None:
    notice = dropped(entry("Why?"), Cause.RELEASE, entry("Why?").admit_time)
    store.add_notice(notice)
    assert store.find(notice.id) is None


def test_putting_again_replaces(store: Store, entry: Make) -> None:
    store.put(entry("Why?", ("prices", 1, "h1"), answer_id="old"), EAST)
    store.put(entry("Why?", ("manual", 1, "h1"), answer_id="new"), direction(0, 1))
    [found] = store.of_tenant("acme")
    assert found.answer_id == "new"
    assert list(store.of_tenant("acme", "prices")) == []
    assert list(store.nearest(SCOPE, EAST, least=0.9, limit=5)) == []


def test_the_nearest_come_first_and_none_below_the_least(store: Store, entry: Make) -> None:
    for question, vector in [("far", direction(0, 1)), ("near", direction(1, 0.2)), ("same", EAST)]:
        store.put(entry(question), vector)
    found = store.nearest(SCOPE, EAST, least=0.9, limit=5)
    assert [neighbour.entry.question for neighbour in found] == ["same", "near"]
    assert found[0].similarity == pytest.approx(1.0)
    assert found[1].similarity == pytest.approx(float(EAST @ direction(1, 0.2)), abs=1e-5)


def test_no_more_than_the_limit_come(store: Store, entry: Make) -> None:
    for number in range(4):
        store.put(entry(f"question {number}"), EAST)
    assert len(store.nearest(SCOPE, EAST, least=0.9, limit=3)) == 3


@pytest.mark.parametrize(
    "other",
    [
        Scope("globex", (), "default", "r1"),
        Scope("acme", ("hr",), "default", "r1"),
        Scope("acme", (), "shop", "r1"),
        Scope("acme", (), "default", "r2"),
        Scope("acme", (), "default", "r1", "de"),
        Scope("acme", (), "default", "r1", "", "state of a conversation"),
    ],
)
def test_another_scope_is_never_near(store: Store, entry: Make, other: Scope) -> None:
    store.put(entry("Why?", scope=other), EAST)
    assert list(store.nearest(SCOPE, EAST, least=-1.0, limit=5)) == []


def test_entries_are_selected_by_tenant_and_document(store: Store, entry: Make) -> None:
    both = entry("both", ("prices", 1, "h1"), ("manual", 1, "h2"))
    one = entry("one", ("manual", 1, "h2"))
    foreign = entry("both", ("prices", 1, "h1"), scope=Scope("globex", (), "default", "r1"))
    for kept in (both, one, foreign):
        store.put(kept, EAST)
    assert {found.id for found in store.of_tenant("acme")} == {both.id, one.id}
    assert [found.id for found in store.of_tenant("acme", "prices")] == [both.id]
    assert (store.count("acme"), store.count("globex"), store.count("nobody")) == (2, 1, 0)


def test_a_document_name_is_no_pattern(store: Store, entry: Make) -> None:
    store.put(entry("q", ("a/b", 1, "h1")), EAST)
    assert list(store.of_tenant("acme", "a")) == []
    assert len(list(store.of_tenant("acme", "a/b"))) == 1


def test_many_entries_can_be_dropped_and_carried_while_they_are_listed(store: Store, entry: Make) -> None:
    number = 2 * PAGE + 3
    for i in range(number):
        store.put(entry(f"question {i}", ("prices", 1, "h1")), EAST)
    for i, found in enumerate(store.of_tenant("acme", "prices")):
        if i % 2:
            store.drop(found)
        else:
            store.carry(found, replace(found, sources=(replace(found.sources[0], version=2),)))
    left = list(store.of_tenant("acme", "prices"))
    assert len(left) == store.count("acme") == number - number // 2
    assert {source.version for found in left for source in found.sources} == {2}


def test_carrying_changes_the_sources_and_nothing_else(store: Store, entry: Make) -> None:
    kept = entry("Why?", ("prices", 1, "h1"), ("manual", 4, "h2"))
    store.put(kept, EAST)
    carried = replace(kept, sources=(replace(kept.sources[0], version=7), kept.sources[1]))
    assert store.carry(kept, carried)
    assert store.find(kept.id) == carried
    assert store.nearest(SCOPE, EAST, least=0.9, limit=1)[0].entry == carried


def test_dropping_twice_is_dropping_once(store: Store, entry: Make) -> None:
    kept = entry("Why?")
    store.put(kept, EAST)
    store.drop(kept)
    store.drop(kept)
    assert store.find(kept.id) is None


def test_a_floor_is_read_as_it_was_kept(store: Store, change: Make) -> None:
    floor = Floor("acme", "prices").after(change("prices", 1, 2, removed=["h1", "h2"]))
    first = Floor("acme", "prices", 1)
    assert store.keep_floor(first)
    assert store.keep_floor(floor, instead_of=first)
    assert store.floors("acme", ["prices", "manual", "prices"]) == {"prices": floor}
    assert store.floors("acme", []) == {}


def test_a_floor_that_somebody_else_has_raised_stays(store: Store) -> None:
    first, mine, theirs = (Floor("acme", "prices", version) for version in (1, 2, 3))
    store.keep_floor(first)
    assert store.keep_floor(theirs, instead_of=first)
    assert not store.keep_floor(mine, instead_of=first)
    assert not store.keep_floor(mine)
    assert not store.keep_floor(Floor("acme", "manual", 2), instead_of=Floor("acme", "manual", 1))
    assert store.floors("acme", ["prices", "manual"]) == {"prices": theirs}


def test_an_entry_that_somebody_else_has_carried_stays(store: Store, entry: Make) -> None:
    kept = entry("Why?", ("prices", 1, "h1"), ("manual", 4, "h2"))
    theirs = replace(kept, sources=(kept.sources[0], replace(kept.sources[1], version=5)))
    mine = replace(kept, sources=(replace(kept.sources[0], version=2), kept.sources[1]))
    store.put(kept, EAST)
    assert store.carry(kept, theirs)
    assert not store.carry(kept, mine)
    assert not store.carry(entry("Who?", ("prices", 1, "h1")), mine)
    assert store.find(kept.id) == theirs
    assert store.find(entry("Who?").id) is None


def test_an_answer_that_took_the_place_of_another_is_neither_carried_nor_dropped(store: Store, entry: Make) -> None:
    old, new = (entry("Why?", ("prices", 1, "h1"), answer_id=name) for name in ("old", "new"))
    store.put(old, EAST)
    store.put(new, EAST)
    assert not store.carry(old, replace(old, sources=(replace(old.sources[0], version=2),)))
    store.drop(old)
    assert store.find(new.id) == new


def test_a_floor_belongs_to_one_tenant(store: Store) -> None:
    store.keep_floor(Floor("acme", "b/prices", 5))
    store.keep_floor(Floor("acme/b", "prices", 6))
    assert store.floors("acme", ["b/prices"])["b/prices"].version == 5
    assert store.floors("globex", ["b/prices"]) == {}


def test_notices_stay_until_removed(store: Store, entry: Make, change: Make, withdrawal: Make) -> None:
    gone = entry("Why?", ("prices", 1, "h1"))
    by_change = dropped_by(gone, change("prices", 1, 2, removed=["h1"]), gone.admit_time)
    by_hand = withdrawn(gone, withdrawal(Selection(Kind.TENANT)), gone.admit_time)
    for notice in (by_change, by_hand, by_change):
        store.add_notice(notice)
    assert list(store.notices("acme", "prices")) == [by_change]
    assert list(store.notices("acme", "")) == [by_hand]
    assert list(store.notices("globex", "prices")) == []
    assert {notice.id for notice in store.waiting(9)} == {by_change.id, by_hand.id}
    assert len(store.waiting(1)) == 1
    store.remove_notice(by_change.id)
    store.remove_notice(by_change.id)
    assert list(store.notices("acme", "prices")) == []


def test_more_notices_than_a_page_holds_can_be_replaced_and_removed_while_they_are_listed(
    store: Store, entry: Make
) -> None:
    number = 2 * PAGE + 3
    for i in range(number):
        store.add_notice(dropped(entry(f"question {i}"), Cause.RELEASE, entry("q").admit_time))
    for notice in store.notices("acme", ""):
        store.add_notice(replace(notice, question=""))
    assert [notice.question for notice in store.notices("acme", "")] == [""] * number
    for notice in store.notices("acme", ""):
        store.remove_notice(notice.id)
    assert list(store.notices("acme", "")) == []


def test_a_withdrawal_replaces_that_of_its_selection(store: Store, withdrawal: Make) -> None:
    prices, tenant = Selection(Kind.DOCUMENT, "prices"), Selection(Kind.TENANT)
    by_audit = replace(withdrawal(tenant), audited=True)
    for kept in (withdrawal(prices), withdrawal(prices, minute=2), by_audit):
        store.keep_withdrawal(kept)
    found = store.withdrawals("acme", [tenant, prices, prices, Selection(Kind.ERASED_DOCUMENT, "prices")])
    assert set(found) == {withdrawal(prices, minute=2), by_audit}
    assert len(found) == 2
    assert list(store.withdrawals("globex", [tenant, prices])) == []
    assert list(store.withdrawals("acme", [])) == []
    store.forget_withdrawals(withdrawal(prices, minute=2).time)
    assert list(store.withdrawals("acme", [tenant, prices])) == [withdrawal(prices, minute=2)]


def test_entries_are_counted_by_tenant(store: Store, entry: Make) -> None:
    for number in range(3):
        store.put(entry(f"question {number}"), EAST)
    store.put(entry("Why?", scope=Scope("globex", (), "default", "r1")), EAST)
    store.keep_floor(Floor("initech", "prices", 1))
    store.add_notice(dropped(entry("Why?"), Cause.RELEASE, entry("Why?").admit_time))
    assert dict(store.count_by_tenant()) == {"acme": 3, "globex": 1}
    store.put(entry("question 0", answer_id="another"), EAST)
    store.drop(entry("question 1"))
    store.drop(entry("Why?", scope=Scope("globex", (), "default", "r1")))
    assert dict(store.count_by_tenant()) == {"acme": 2}


def test_entries_of_other_releases_are_found_whoever_they_belong_to(store: Store, entry: Make) -> None:
    releases = [("acme", "default", "r1"), ("acme", "default", "r2"), ("globex", "shop", "r1"), ("acme", "shop", "r2")]
    kept = [entry("Why?", scope=Scope(tenant, (), application, release)) for tenant, application, release in releases]
    for one in kept:
        store.put(one, EAST)
    store.keep_floor(Floor("acme", "prices", 1))
    assert {found.id for found in store.of_other_releases("default", "r1")} == {one.id for one in kept[1:]}
    for one in kept[1:]:
        store.drop(one)
    assert list(store.of_other_releases("default", "r1")) == []


def test_those_whose_time_is_over_are_found_whoever_they_belong_to(store: Store, entry: Make) -> None:
    old, foreign = entry("old"), entry("old", scope=Scope("globex", (), "default", "r1"))
    young = entry("young", minute=1)
    for kept in (old, foreign, young):
        store.put(kept, EAST)
    assert list(store.expired(old.expire_time - timedelta(microseconds=1), 5)) == []
    assert {found.id for found in store.expired(old.expire_time, 5)} == {old.id, foreign.id}
    assert len(store.expired(young.expire_time, 2)) == 2


def test_a_sample_is_of_one_tenant_and_holds_none_twice(store: Store, entry: Make) -> None:
    mine = {entry(f"question {number}").id for number in range(20)}
    for number in range(20):
        store.put(entry(f"question {number}"), EAST)
        store.put(entry(f"question {number}", scope=Scope("globex", (), "default", "r1")), EAST)
    some = [found.id for found in store.sample("acme", 8)]
    assert len(set(some)) == len(some) == 8
    assert {found.id for found in store.sample("acme", 100)} == mine
    assert list(store.sample("nobody", 5)) == []


def test_hits_add_up_and_those_of_entries_that_are_gone_are_left_out(store: Store, entry: Make) -> None:
    kept, gone = entry("kept"), entry("gone")
    store.put(kept, EAST)
    store.add_hits({kept.id: 2, gone.id: 5})
    store.add_hits({kept.id: 1})
    store.add_hits({})
    assert store.find(kept.id) == replace(kept, hits=3)
    assert store.find(gone.id) is None
    assert store.count("acme") == 1


def test_a_mark_is_kept_with_the_entry_and_stays_when_it_is_carried(store: Store, entry: Make) -> None:
    kept = entry("Why?", ("prices", 1, "h1"))
    store.put(kept, EAST)
    marked = replace(kept, mark=Mark(kept.admit_time, "news", 3, "h9"))
    store.mark(marked)
    store.mark(replace(entry("gone"), mark=marked.mark))
    assert store.find(kept.id) == marked
    assert store.count("acme") == 1
    carried = replace(marked, sources=(replace(kept.sources[0], version=2),))
    assert store.carry(marked, carried)
    assert store.find(kept.id) == carried


def test_entries_without_a_mark_are_found_by_nearness_in_every_scope(store: Store, entry: Make) -> None:
    number = PAGE + 3
    for i in range(number):
        store.put(entry("Why?", scope=Scope("acme", (str(i),), "default", "r1")), EAST)
    store.put(entry("far"), direction(0, 1))
    store.put(entry("near", scope=Scope("globex", (), "default", "r1")), EAST)
    assert len({found.id for found in store.unmarked_near("acme", EAST)}) == number


@pytest.mark.parametrize("least", [None, -1.0, 0.3, 0.65, 0.7, 0.95, 1.0])
def test_an_entry_without_a_mark_is_found_from_where_its_farthest_source_lies(
    store: Store, entry: Make, least: float | None
) -> None:
    kept = replace(entry("Why?"), least_similarity=least)
    store.put(kept, EAST)
    wanted = least_similarity(kept)
    assert list(store.unmarked_near("acme", at(min(1.0, wanted + 0.01)))) == [kept]
    assert list(store.unmarked_near("acme", at(wanted - 0.01))) == []
    assert list(store.unmarked_near("globex", EAST)) == []
    store.mark(replace(kept, mark=Mark(kept.admit_time, "news", 3, "h9")))
    assert list(store.unmarked_near("acme", EAST)) == []
    store.put(kept, EAST)
    assert list(store.unmarked_near("acme", EAST)) == [kept]


def test_additions_are_found_by_tenant_time_and_nearness(store: Store, entry: Make) -> None:
    noon = entry("q").admit_time

    def addition(passage: str, minute: int, tenant: str = "acme") -> Addition:
        return Addition(tenant, "news", 2, passage, frozenset(["a", "b"]), noon + timedelta(minutes=minute))

    for kept, vector in [
        (addition("early", 1), EAST),
        (addition("near", 3), EAST),
        (addition("far", 3), direction(0, 1)),
        (addition("near", 3, "globex"), EAST),
        (addition("", 5), None),
        (addition("", 4), None),
    ]:
        store.keep_addition(kept, vector)
    found = store.added_near("acme", EAST, noon + timedelta(minutes=2), least=0.9)
    assert set(found) == {addition("near", 3), addition("", 5)}
    assert (store.count_additions("acme"), store.count_additions("globex")) == (3, 1)
    store.forget_additions(noon + timedelta(minutes=2))
    assert store.count_additions("acme") == 2
    store.forget_additions(noon + timedelta(minutes=9), "acme")
    assert (store.count_additions("acme"), store.count_additions("globex")) == (0, 1)
    assert list(store.added_near("acme", EAST, noon, least=0.9)) == [addition("", 5)]
    assert list(store.unmarked_near("acme", EAST)) == []
    assert store.count("acme") == 0
