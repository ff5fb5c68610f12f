"""`ingest` and `delete`: documents in and out."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import grpc
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_cli.ingestion import About, Report, Tell, submit_all, wait_all
from plumbline_cli.problems import Problem
from plumbline_cli.reading import SUFFIXES, Source, sources
from plumbline_cli.session import Json, Session

CONNECT_SECONDS: Final = 3.0
STYLES: Final = {"indexed": "green", "accepted": "green", "refused": "red", "pending": "yellow"}


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(ingest)
    app.command()(delete)


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help=f"Files or folders: {' '.join(SUFFIXES)}")],
    source: Annotated[str, typer.Option(help="The registered source that they come from.")] = "",
    group: Annotated[list[str], typer.Option(help="Who may see them; may be given again. Default: everybody.")] = [],  # noqa: B006  # typer copies it
    language: Annotated[str, typer.Option(help="Their language, such as en.")] = "",
    metadata: Annotated[list[str], typer.Option(help="NAME=VALUE, for filters; may be given again.")] = [],  # noqa: B006  # typer copies it
    wait: Annotated[bool, typer.Option(help="Wait until every document is searchable.")] = True,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for one document.")] = 120.0,
    as_json: Json = False,
) -> None:
    """Put documents into the platform; says of each file what became of it."""
    session: Session = context.obj
    found = list(sources(_existing(paths)))
    if not found:
        raise Problem(f"there is nothing to read in {', '.join(map(str, paths))}")
    tell = _emitter(session) if as_json else _nothing
    about = About(source, tuple(group), language, tuple(_pair(each) for each in metadata))
    reports = asyncio.run(ingest_files(session, found, about, wait=wait, seconds=timeout, tell=tell))
    if not as_json:
        show(session, reports)
    if any(report.failed for report in reports):
        raise typer.Exit(1)


def delete(
    context: typer.Context,
    document_id: Annotated[str, typer.Argument(help="The id that `ingest` reported.")],
    wait: Annotated[bool, typer.Option(help="Wait until it is gone from the index.")] = True,
    as_json: Json = False,
) -> None:
    """Remove a document."""
    session: Session = context.obj
    version = asyncio.run(_delete(session, document_id, wait))
    if as_json:
        session.emit({"document_id": document_id, "version": version, "state": "deleted"})
    else:
        session.out.print(f"deleted  {document_id}  version {version}")


async def ingest_files(
    session: Session, files: list[Source], about: About, *, wait: bool = True, seconds: float = 120.0, tell: Tell
) -> list[Report]:
    """Submit *files*; *tell* hears of each document as soon as its fate is known, and all of it is returned."""
    reports: list[Report] = []
    accepted: list[Report] = []

    def settle(report: Report) -> None:
        reports.append(report)
        tell(report)

    def sort(report: Report) -> None:
        if wait and not report.failed:
            accepted.append(report)
        else:
            settle(report)

    async with session.channel("retrieval") as channel:
        await _connect(channel, session.settings.addresses["retrieval"])
        stub = RetrievalServiceStub(channel)
        with _progress(session, "submitting", None) as step:
            await submit_all(stub, files, about, _both(sort, step))
        with _progress(session, "indexing", len(accepted)) as step:
            await wait_all(stub, accepted, seconds, _both(settle, step))
    return reports


def show(session: Session, reports: list[Report]) -> None:
    """One line for each file, by place, then the sum."""
    for report in sorted(reports, key=lambda report: report.place):
        session.out.print(_line(report), soft_wrap=True)
    failed = sum(report.failed for report in reports)
    session.err.print(f"{len(reports) - failed} in, {failed} not")


async def _delete(session: Session, document_id: str, wait: bool) -> int:
    async with session.channel("retrieval") as channel:
        stub = RetrievalServiceStub(channel)
        response = await stub.DeleteDocument(pb.DeleteDocumentRequest(document_id=document_id), timeout=30)
        if wait:
            request = pb.WaitForDocumentRequest(document_id=document_id, version=response.version)
            await stub.WaitForDocument(request, timeout=60)
    return response.version


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise Problem(f"--metadata {text}: write NAME=VALUE")
    return name, value


def _existing(paths: list[Path]) -> list[Path]:
    """The paths, if any exists: a wrong folder name is one mistake, not a report of nothing."""
    if not any(path.exists() for path in paths):
        raise Problem(f"{', '.join(map(str, paths))}: there is no such file or folder")
    return paths


async def _connect(channel: grpc.aio.Channel, address: str) -> None:
    """Say once that nobody is there, rather than once for each file."""
    try:
        await asyncio.wait_for(channel.channel_ready(), CONNECT_SECONDS)
    except TimeoutError as error:
        raise Problem(f"retrieval does not answer at {address}: start the platform with `plumbline up`") from error


@contextmanager
def _progress(session: Session, doing: str, total: int | None) -> Iterator[Tell]:
    columns = (TextColumn(doing), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    hidden = not session.err.is_terminal
    with Progress(*columns, console=session.err, transient=True, disable=hidden) as progress:
        task = progress.add_task(doing, total=total)
        yield lambda report: progress.advance(task)


def _emitter(session: Session) -> Tell:
    return lambda report: session.emit(report.as_dict())


def _nothing(report: Report) -> None:
    """Tell nobody."""


def _both(first: Tell, second: Tell) -> Tell:
    def tell(report: Report) -> None:
        first(report)
        second(report)

    return tell


def _line(report: Report) -> Text:
    line = Text.assemble((f"{report.state:<9}", STYLES[report.state]), report.document_id or report.place)
    details = [f"version {report.version}"] if report.version >= 0 else []
    details += [report.reason] * bool(report.reason) + [report.note] * bool(report.note)
    return line.append(f"  {'; '.join(details)}", style="dim")
