"""What a service notices of parsers that misbehave: a sentence."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from plumbline_kit.errors import Invalid, Unavailable
from plumbline_retrieval.adapters.reading import SandboxedReader, read, sandbox
from plumbline_retrieval.domain.content import Content, File
from services.retrieval.tests.adapters.reading import hostile

HANDBOOKS = sorted(Path(__file__).with_name("files").glob("handbook.*"))
CRASHED = "file cannot be read, its reader crashed: open it, save it again or in another format and send that"
LOOPED = "file takes more than 0.3 seconds to read: split it or save it in a simpler format"
HUNGRY = "file needs too much memory to be read: split it or save it in a simpler format"
CLOSED = "the reader of files is closed"


def named(name: str, data: bytes = b"lamp") -> File:
    return File(name, data)


def process(content: Content) -> int:
    return int(content.text.rpartition(" ")[2])


class Began:
    """Hears which process has begun to read a file that it will never finish."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pids: asyncio.Queue[int] = asyncio.Queue()

    def file(self) -> File:
        return named("loop", str(self.path).encode())

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pids.put_nowait(int(await reader.readline()))
        writer.close()


@pytest.fixture
async def began(tmp_path: Path) -> AsyncIterator[Began]:
    listener = Began(tmp_path / "began")
    async with await asyncio.start_unix_server(listener.hear, listener.path):
        yield listener


@pytest.fixture
async def reader() -> AsyncIterator[SandboxedReader]:
    reader = SandboxedReader(reader=hostile.read)
    yield reader
    await reader.aclose()


@pytest.fixture
async def hasty() -> AsyncIterator[SandboxedReader]:
    reader = SandboxedReader(seconds=0.3, reader=hostile.read)
    yield reader
    await reader.aclose()


async def test_every_format_is_read_as_in_this_process() -> None:
    reader = SandboxedReader()
    try:
        for path in HANDBOOKS:
            file = File(path.name, path.read_bytes())
            assert await reader.read(file) == read(file)
    finally:
        await reader.aclose()


async def test_a_refusal_is_the_same_sentence_and_costs_no_process(reader: SandboxedReader) -> None:
    first = process(await reader.read(named("a")))
    with pytest.raises(Invalid, match=r"^file is not to my taste$") as refused:
        await reader.read(named("refuse"))
    assert refused.value.violations[0].field == "file"
    assert process(await reader.read(named("b"))) == first


@pytest.mark.parametrize(("name", "sentence"), [("exit", CRASHED), ("segfault", CRASHED), ("hunger", HUNGRY)])
async def test_a_reader_that_ends_its_process_is_a_refusal_and_the_next_file_is_read(
    reader: SandboxedReader, name: str, sentence: str
) -> None:
    first = process(await reader.read(named("a")))
    with pytest.raises(Invalid) as refused:
        await reader.read(named(name))
    assert str(refused.value) == sentence
    second = process(await reader.read(named("b")))
    assert second != first
    await reader.aclose()
    assert not psutil.pid_exists(first)


async def test_an_endless_loop_is_a_refusal_and_the_next_file_is_read(hasty: SandboxedReader, began: Began) -> None:
    with pytest.raises(Invalid) as refused:
        await hasty.read(began.file())
    assert str(refused.value) == LOOPED
    assert (await hasty.read(named("b"))).text.startswith("b in ")
    await hasty.aclose()
    assert not psutil.pid_exists(await began.pids.get())


async def test_a_file_is_not_refused_for_what_an_earlier_one_did_to_the_process(reader: SandboxedReader) -> None:
    first = process(await reader.read(named("a")))
    assert process(await reader.read(named("ruined"))) != first


async def test_what_a_parser_prints_does_not_break_the_answer(reader: SandboxedReader) -> None:
    assert (await reader.read(named("print"))).text.startswith("print in ")


async def test_a_process_knows_nothing_of_the_services_environment(
    reader: SandboxedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH_SECRET", "lamp")
    assert "AUTH_SECRET" not in (await reader.read(named("environment"))).text


async def test_an_idle_process_that_was_killed_is_replaced(reader: SandboxedReader) -> None:
    first = process(await reader.read(named("a")))
    psutil.Process(first).kill()
    assert process(await reader.read(named("b"))) != first


async def test_a_process_is_replaced_after_many_files(reader: SandboxedReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "FILES_PER_WORKER", 2)
    pids = [process(await reader.read(named(str(number)))) for number in range(5)]
    assert [len(set(pids[:2])), len(set(pids[2:4])), len(set(pids))] == [1, 1, 3]


async def test_files_are_read_in_the_order_they_came(reader: SandboxedReader) -> None:
    done: list[str] = []

    async def one(name: str) -> None:
        await reader.read(named(name))
        done.append(name)

    await asyncio.gather(*map(one, "abcdefgh"))
    assert done == list("abcdefgh")


async def test_as_many_files_are_read_at_once_as_there_are_workers(began: Began) -> None:
    reader = SandboxedReader(2, reader=hostile.read)
    reads = [asyncio.create_task(reader.read(began.file())) for _ in range(2)]
    assert await began.pids.get() != await began.pids.get()
    await reader.aclose()
    assert [str(error) for error in await asyncio.gather(*reads, return_exceptions=True)] == [CLOSED] * 2


async def test_a_cancelled_read_frees_its_turn_and_ends_its_process(reader: SandboxedReader, began: Began) -> None:
    going = asyncio.create_task(reader.read(began.file()))
    waiting = asyncio.create_task(reader.read(named("b")))
    given_up = asyncio.create_task(reader.read(named("c")))
    pid = await began.pids.get()
    given_up.cancel()
    going.cancel()
    assert process(await waiting) != pid
    await reader.aclose()
    assert not psutil.pid_exists(pid)
    for task in (going, given_up):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_closing_leaves_no_process_behind_and_ends_what_waits(began: Began) -> None:
    reader = SandboxedReader(reader=hostile.read)
    before = set(psutil.Process().children(recursive=True))
    going = asyncio.create_task(reader.read(began.file()))
    waiting = asyncio.create_task(reader.read(named("b")))
    await began.pids.get()
    await asyncio.gather(reader.aclose(), reader.aclose())
    assert set(psutil.Process().children(recursive=True)) <= before
    for task in (going, waiting):
        with pytest.raises(Unavailable, match=CLOSED):
            await task
    with pytest.raises(Unavailable, match=CLOSED):
        await reader.read(named("c"))


async def test_closing_before_the_first_file_is_fine() -> None:
    await SandboxedReader().aclose()


async def test_a_reader_that_cannot_start_is_not_the_files_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostile.cannot_start, "__module__", "no_such_module")
    reader = SandboxedReader(reader=hostile.cannot_start)
    with pytest.raises(Unavailable, match="no process to read the file could be started"):
        await reader.read(named("a"))
    await reader.aclose()


async def test_twenty_mebibytes_are_carried_over(reader: SandboxedReader) -> None:
    assert (await reader.read(named("big", bytes(20 * 1024 * 1024)))).text.startswith("big in ")


@pytest.mark.parametrize("said", ["[]", '"x"', "{", '{"text": 1}', '{"text": "a", "title": "b"}'])
async def test_an_answer_that_is_none_is_a_crash(
    said: str, reader: SandboxedReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    await reader.read(named("a"))
    monkeypatch.setattr(json, "loads", lambda _: json.JSONDecoder().decode(said))
    with pytest.raises(Invalid) as refused:
        await reader.read(named("b"))
    assert str(refused.value) == CRASHED
