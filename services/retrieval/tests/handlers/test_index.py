"""Indexing: what readers see and others are told, whenever the process dies."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plumbline_kit.errors import Invalid, Unavailable
from plumbline_retrieval.domain.content import Layout
from plumbline_retrieval.domain.document import Document
from plumbline_retrieval.domain.head import State
from plumbline_retrieval.domain.source import Source
from plumbline_retrieval.handlers.progress import Progress

Make = Callable[..., Any]

pytestmark = pytest.mark.parametrize("index", ["engine"], indirect=True)

STEPS_OF_AN_UPDATE = [
    "heads",
    "vectors",
    "encode",
    "stage",
    "put_head",
    "remove_others",
    "document_changed",
    "put_head",
]
MOST_STEPS = 12


async def test_a_document_is_found_once_it_is_indexed(bench: Any, document: Make) -> None:
    await bench.hear(3, document("costs 12", "is grey"))
    assert await bench.first_words() == ["costs 12", "is grey"]
    head = await bench.head()
    assert (head.version, head.state, head.told) == (3, State.LIVE, True)
    [told] = bench.announcer.changed
    assert (told.change.old_version, told.change.new_version, told.change.added) == (-1, 3, head.live.passage_hashes)


async def test_the_steps_of_an_update_come_in_the_order_that_a_crash_needs(
    bench: Any, document: Make, fuse: Make
) -> None:
    await bench.hear(1, document("costs 12", "is grey"))
    steps = fuse()
    await bench.hear(2, document("costs 13", "is grey"), steps)
    assert steps.taken == STEPS_OF_AN_UPDATE


async def test_only_changed_passages_are_encoded_again(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12", "is grey"))
    bench.encoder.encoded.clear()
    await bench.hear(2, document("costs 13", "is grey"))
    assert [text.split()[1:3] for text in bench.encoder.encoded] == [["costs", "13"]]
    assert len(await bench.find("is grey")) == 2


async def test_under_another_title_every_passage_is_encoded_again(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12", "is grey"))
    bench.encoder.encoded.clear()
    await bench.hear(2, document("costs 12", "is grey", title="Desk lamp"))
    assert [text.split("\n")[0] for text in bench.encoder.encoded] == ["Desk lamp"] * 2


async def test_the_encoder_sees_a_passage_under_the_beginning_of_its_title(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12", title="Lamp " * 100))
    assert bench.encoder.encoded[0].startswith(("Lamp " * 24).strip() + " \ncosts 12")


async def test_a_deleted_document_is_gone_and_its_head_says_so(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12"))
    await bench.hear(2, None)
    assert await bench.find() == []
    head = await bench.head()
    assert (head.version, head.state) == (2, State.DELETED)
    assert [told.change.deleted for told in bench.announcer.changed] == [False, True]
    assert bench.announcer.changed[1].change.removed == bench.announcer.changed[0].change.added


async def test_a_refused_version_is_told_and_the_one_before_stays(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12"))
    await bench.hear(2, Invalid("document.text is empty"))
    assert await bench.first_words() == ["costs 12"]
    head = await bench.head()
    assert (head.version, head.state, head.live.version, head.reason) == (
        2,
        State.REJECTED,
        1,
        "document.text is empty",
    )
    [(told, log_part)] = bench.announcer.rejected
    assert (told.version, told.reason, log_part) == (2, "document.text is empty", "corpus[0]")


async def test_an_old_version_that_comes_late_changes_nothing(bench: Any, document: Make) -> None:
    await bench.hear(5, document("costs 13"))
    await bench.hear(4, document("costs 12"))
    assert await bench.first_words() == ["costs 13"]
    assert [head.version for head in bench.announcer.changed] == [5]


async def test_hearing_a_version_again_tells_nothing_again(bench: Any, document: Make) -> None:
    for _ in range(3):
        await bench.hear(1, document("costs 12"))
    assert len(bench.announcer.changed) == 1
    assert await bench.first_words() == ["costs 12"]


def lives(document: Make) -> dict[str, list[Document | Invalid | None]]:
    """The last version of each is the one during which the process dies."""
    before, after = document("costs 12", "is grey"), document("costs 13", "is grey", "is new")
    return {
        "first": [after],
        "update": [before, after],
        "same_again": [before, before],
        "other_groups": [before, document("costs 12", groups=("sales",))],
        "deletion": [before, None],
        "deletion_of_nothing": [None],
        "return": [before, None, after],
        "refusal": [before, Invalid("document.text is empty")],
        "after_refusal": [before, Invalid("document.text is empty"), after],
    }


@pytest.mark.parametrize("life", lives(lambda *_, **__: None))
@pytest.mark.parametrize("after", [False, True], ids=["before_the_step", "after_the_step"])
async def test_whenever_the_process_dies_the_record_heard_again_ends_the_same(
    benches: Iterator[Any], document: Make, fuse: Make, crash: type[Exception], life: str, after: bool
) -> None:
    versions = lives(document)[life]
    undisturbed = await lived(next(benches), versions)
    expected = await outcome(undisturbed)
    for step in range(MOST_STEPS):
        bench = await lived(next(benches), versions[:-1])
        try:
            await bench.hear(len(versions), versions[-1], fuse(step, after=after))
        except crash:
            await bench.hear(len(versions), versions[-1])
        assert await outcome(bench) == expected
        assert [len(told) for told in bench.facts().values()] == [1] * len(versions)


@pytest.mark.parametrize("after", [False, True], ids=["before_the_step", "after_the_step"])
async def test_a_change_is_told_even_if_its_record_never_comes_again(
    benches: Iterator[Any], document: Make, fuse: Make, crash: type[Exception], after: bool
) -> None:
    """The log forgets version 2 because there is a version 3: whoever rests on version 1 must hear all the same."""
    one, two, three = document("costs 12", "is grey"), document("costs 13", "is grey"), document("costs 14")
    for step in range(len(STEPS_OF_AN_UPDATE)):
        bench = await lived(next(benches), [one])
        with pytest.raises(crash):
            await bench.hear(2, two, fuse(step, after=after))
        await bench.hear(3, three)
        assert await bench.first_words() == ["costs 14"]
        changes = [change for told in bench.facts().values() for change in told]
        assert [change.old_version for change in changes[1:]] == [change.new_version for change in changes[:-1]]
        gone = {each for change in changes for each in change.removed}
        assert gone == {each for change in changes for each in change.added} - set(
            (await bench.head()).live.passage_hashes
        )


@pytest.mark.parametrize("after", [False, True], ids=["before_the_step", "after_the_step"])
async def test_while_the_process_is_dead_readers_see_one_whole_version(
    benches: Iterator[Any], document: Make, fuse: Make, crash: type[Exception], after: bool
) -> None:
    one, two = document("costs 12", "is grey", "is old"), document("costs 13", "is grey", "is new")
    for step in range(len(STEPS_OF_AN_UPDATE)):
        bench = await lived(next(benches), [one])
        with pytest.raises(crash):
            await bench.hear(2, two, fuse(step, after=after))
        found = await bench.find()
        head = await bench.head()
        assert {each.ref.version for each in found} == {head.live.version}
        assert sorted(each.ref.passage_hash for each in found) == sorted(head.live.passage_hashes)


async def test_a_query_loop_during_200_updates_sees_no_empty_and_no_mixed_document(bench: Any, document: Make) -> None:
    await bench.hear(0, document("costs 0", "is number 0", "was 0"))
    seen: list[int] = []
    updating = asyncio.create_task(update(bench, document, 200))
    while not updating.done():
        found = await bench.find()
        assert {each.passage.text.split()[-151] for each in found} == {str(found[0].ref.version)}
        assert len({each.ref.version for each in found}) == 1
        assert len(found) == 3
        seen.append(found[0].ref.version)
        await asyncio.sleep(0)
    await updating
    assert seen == sorted(seen)
    assert len(set(seen)) > 20
    assert {each.ref.version for each in await bench.find()} == {200}


async def test_who_waits_is_woken_when_a_search_sees_the_version(bench: Any, document: Make, fuse: Make) -> None:
    progress = Progress()
    with progress.watching(bench.key) as next_step:
        await bench.hear(1, document("costs 12"), progress=progress)
        assert next_step.is_set()
    assert await bench.first_words() == ["costs 12"]


async def test_who_waits_is_woken_although_the_change_cannot_be_told(
    bench: Any, document: Make, fuse: Make, crash: type[Exception]
) -> None:
    progress, dies = Progress(), fuse(STEPS_OF_AN_UPDATE.index("remove_others") - 1)
    with progress.watching(bench.key) as next_step, pytest.raises(crash, match="remove_others"):
        await bench.hear(1, document("costs 12"), dies, progress)
    assert next_step.is_set()


async def lived(bench: Any, versions: list[Document | Invalid | None]) -> Any:
    for version, document in enumerate(versions, start=1):
        await bench.hear(version, document)
    return bench


async def outcome(bench: Any) -> tuple[object, ...]:
    """What one can know of a life at its end; its times apart."""
    head = await bench.head()
    change = head.change and (head.change.old_version, head.change.removed, head.change.added, head.change.deleted)
    found = [(each.ref, each.passage) for each in await bench.find(groups=["sales"])]
    kept = [len(await bench.index.vectors(bench.key, version)) for version in range(6)]
    return (
        head.version,
        head.state,
        head.live.version,
        head.live.passage_hashes,
        head.told,
        change,
        sorted(map(str, found)),
        kept,
    )


async def update(bench: Any, document: Make, count: int) -> None:
    for version in range(1, count + 1):
        await bench.hear(version, document(f"costs {version}", f"is number {version}", f"was {version}"))


async def test_a_document_of_an_unregistered_source_is_refused(bench: Any, document: Make) -> None:
    await bench.hear(1, document("costs 12", source_id="wiki"))
    head = await bench.head()
    assert (head.state, head.live.version) == (State.REJECTED, -1)
    assert "wiki, which is not registered" in head.reason
    await bench.index.put_source("acme", Source("wiki"))
    bench.clock.advance(2)
    await bench.hear(2, document("costs 12", source_id="wiki"))
    assert (await bench.head()).state is State.LIVE


async def test_while_sources_are_being_read_a_document_waits_for_its_own(bench: Any, document: Make) -> None:
    bench.registry.complete = False
    with pytest.raises(Unavailable):
        await bench.hear(1, document("costs 12", source_id="wiki"))
    await bench.hear(1, document("costs 12"))
    assert (await bench.head()).state is State.LIVE


async def test_a_refused_first_version_is_known_to_those_it_was_meant_for_only(bench: Any) -> None:
    await bench.hear(1, Invalid("document.text is empty"), groups=("board", "*", ""))
    assert not (await bench.head()).admits(["sales"])
    assert (await bench.head()).admits(["board"])
    await bench.hear(2, Invalid("document.groups must not name *"), groups=("*",))
    assert not (await bench.head()).admits(["*", "board"])


async def test_a_document_of_too_many_passages_is_refused(bench: Any) -> None:
    await bench.hear(1, Document("lamp", "", "a\n\n" * 20_001, layout=Layout.RECORDS))
    assert "20,001 passages" in (await bench.head()).reason
