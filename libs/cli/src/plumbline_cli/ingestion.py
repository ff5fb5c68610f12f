"""Documents into the platform, many at a time: every one gets a report, and none stops the others."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import grpc

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline_cli.reading import Document, Item, Source, read
from plumbline_kit.errors import Exhausted
from plumbline_kit.rpc import translate

if TYPE_CHECKING:  # the asynchronous stub is a type only
    from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceAsyncStub as Stub

T = TypeVar("T")

CONCURRENCY: Final = 16
SUBMIT_SECONDS: Final = 30.0
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


async def submit_all(stub: "Stub", files: Iterable[Source], tell: Tell) -> None:
    """Submit what the files hold; *tell* hears of each document as it is accepted or refused."""
    items = (item for file in files for item in read(file))
    await _concurrently(items, lambda item: _submit(stub, item), tell)


async def wait_all(stub: "Stub", accepted: Iterable[Report], seconds: float, tell: Tell) -> None:
    """Wait until each accepted document is indexed, at most *seconds* each."""
    await _concurrently(accepted, lambda report: _wait(stub, report, seconds), tell)


async def _submit(stub: "Stub", item: Item) -> Report:
    if not isinstance(item.found, Document):
        return Report(item.place, "refused", reason=str(item.found))
    document = item.found
    about = Report(item.place, "accepted", document.id, document.title, note=document.note)
    request = pb.SubmitDocumentRequest(
        document=pb.Document(document_id=document.id, title=document.title, text=document.text, url=document.url)
    )
    try:
        response = await _patiently(lambda: stub.SubmitDocument(request, timeout=SUBMIT_SECONDS))
    except grpc.aio.AioRpcError as error:
        return replace(about, state="refused", reason=str(translate(error)))
    return replace(about, version=response.version)


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
