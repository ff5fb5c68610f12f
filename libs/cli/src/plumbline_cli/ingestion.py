"""Documents into the platform, many at a time: every one gets a report, and none stops the others."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline_cli.reading import Document, Item, Source, Unreadable, read
from plumbline_kit.errors import Exhausted
from plumbline_kit.rpc import translate

if TYPE_CHECKING:  # the asynchronous stub is a type only
    from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceAsyncStub as Stub

T = TypeVar("T")

CONCURRENCY: Final = 16
SUBMIT_SECONDS: Final = 30.0
FILE_SECONDS: Final = 120.0
"""A file that takes its reader to its limit takes twice 20 s."""
PART_BYTES: Final = 256 * 1024
TRIES: Final = 5
NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one file or line. *state* is indexed, accepted, refused or pending."""

    place: str
    state: str
    document_id: str = ""
    title: str = ""
    version: int = -1
    passages: int = 0
    reason: str = ""
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the document is not where it was to go."""
        return self.state in ("refused", "pending")

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON holds it."""
        return asdict(self)


Tell = Callable[[Report], None]


@dataclass(frozen=True, slots=True)
class About:
    """What is said of every document beside what its file says."""

    source_id: str = ""
    groups: tuple[str, ...] = ()
    language: str = ""
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def fields(self) -> dict[str, Any]:
        """As the contract names them."""
        return {
            "source_id": self.source_id,
            "groups": self.groups,
            "language": self.language,
            "metadata": dict(self.metadata),
        }


async def submit_all(stub: "Stub", files: Iterable[Source], about: About, tell: Tell) -> None:
    """Submit what the files hold; *tell* hears of each document as it is accepted or refused."""
    items = (item for file in files for item in read(file))
    await _concurrently(items, lambda item: _submit(stub, item, about), tell)


async def wait_all(stub: "Stub", accepted: Iterable[Report], seconds: float, tell: Tell) -> None:
    """Wait until each accepted document is indexed, at most *seconds* each."""
    await _concurrently(accepted, lambda report: _wait(stub, report, seconds), tell)


async def _submit(stub: "Stub", item: Item, about: About) -> Report:
    if isinstance(item.found, Unreadable):
        return Report(item.place, "refused", reason=str(item.found))
    report = Report(item.place, "accepted", _id(item.found))
    try:
        if isinstance(item.found, Source):
            return await _submit_file(stub, item.found, about, report)
        return await _submit_document(stub, item.found, about, report)
    except grpc.aio.AioRpcError as error:
        return replace(report, state="refused", reason=str(translate(error)))
    except OSError as error:
        return replace(report, state="refused", reason=(error.strerror or str(error)).lower())


def _id(found: Source | Document) -> str:
    return found.document_id if isinstance(found, Source) else found.id


async def _submit_document(stub: "Stub", document: Document, about: About, report: Report) -> Report:
    message = pb.Document(
        document_id=document.id, title=document.title, text=document.text, url=document.url, **about.fields
    )
    request = pb.SubmitDocumentRequest(document=message)
    response = await _patiently(lambda: stub.SubmitDocument(request, timeout=SUBMIT_SECONDS))
    return replace(report, title=document.title, version=response.version)


async def _submit_file(stub: "Stub", source: Source, about: About, report: Report) -> Report:
    header = pb.FileHeader(document_id=source.document_id, file_name=source.path.name, **about.fields)
    response = await _patiently(lambda: stub.SubmitFile(_parts(header, source.path), timeout=FILE_SECONDS))
    return replace(report, title=response.title, version=response.version, note="; ".join(response.notes))


async def _parts(header: pb.FileHeader, path: Path) -> AsyncIterator[pb.SubmitFileRequest]:
    yield pb.SubmitFileRequest(header=header)
    with path.open("rb") as file:
        while part := file.read(PART_BYTES):
            yield pb.SubmitFileRequest(data=part)


async def _wait(stub: "Stub", report: Report, seconds: float) -> Report:
    request = pb.WaitForDocumentRequest(document_id=report.document_id, version=report.version)
    try:
        response = await _patiently(lambda: stub.WaitForDocument(request, timeout=seconds))
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
            return replace(report, state="pending", reason=f"accepted, and not indexed within {seconds:g} s")
        return replace(report, state="pending", reason=str(translate(error)))
    status = response.status
    if status.state == pb.DOCUMENT_STATE_REJECTED:
        return replace(report, state="refused", reason=status.reason)
    return replace(report, state="indexed", passages=status.passage_count)


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Make *call*, and make it again while the server asks to come back later."""
    for _ in range(TRIES - 1):
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            translated = translate(error)
            if not isinstance(translated, Exhausted):
                raise
            await asyncio.sleep(translated.retry_after)
    return await call()


async def _concurrently(inputs: Iterable[T], work: Callable[[T], Awaitable[Report]], tell: Tell) -> None:
    """Do *work* on a few *inputs* at a time; they are taken one by one, in a thread."""
    left, turn = iter(inputs), asyncio.Lock()

    async def worker() -> None:
        while (each := await _next(left, turn)) is not NOTHING:
            tell(await work(each))

    async with asyncio.TaskGroup() as workers:
        for _ in range(CONCURRENCY):
            workers.create_task(worker())


async def _next(inputs: Iterator[T], turn: asyncio.Lock) -> Any:
    async with turn:
        return await asyncio.to_thread(next, inputs, NOTHING)
