"""`docs`, `sources` and `fact`: what retrieval knows, where it comes from, how current it is."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.table import Table
from rich.text import Text

from plumbline.common.v1 import answer_pb2 as common
from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline_cli.problems import Problem
from plumbline_cli.session import Json, Session, as_dict

SECONDS: Final = 30.0
PAGE: Final = 500
WIDTH: Final = 160
COLOURS: Final = {
    common.FRESHNESS_CURRENT: "green",
    common.FRESHNESS_STALE: "yellow",
    common.FRESHNESS_SUPERSEDED: "yellow",
}
_LENGTH: Final = re.compile(r"(\d+)([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Trust(StrEnum):
    """How far a source is trusted."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


TRUST: Final = {
    Trust.LOW: pb.TRUST_LEVEL_LOW,
    Trust.MEDIUM: pb.TRUST_LEVEL_MEDIUM,
    Trust.HIGH: pb.TRUST_LEVEL_HIGH,
}


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    docs = typer.Typer(no_args_is_help=True, help="What the index holds.")
    docs.command("list")(list_documents)
    docs.command()(show)
    docs.command()(search)
    app.add_typer(docs, name="docs")
    sources = typer.Typer(no_args_is_help=True, help="Where documents come from.")
    sources.command("list")(list_sources)
    sources.command()(put)
    sources.command()(confirm)
    app.add_typer(sources, name="sources")
    app.command()(fact)


def list_documents(
    context: typer.Context,
    source: Annotated[str, typer.Option(help="Of this source only.")] = "",
    as_json: Json = False,
) -> None:
    """The documents that you may see."""
    session: Session = context.obj

    async def listed(stub: Any) -> list[pb.DocumentStatus]:
        return [status async for status in _pages(stub, source)]

    statuses = sorted(session.retrieval(listed), key=lambda status: status.document_id)
    if as_json:
        for status in statuses:
            session.emit(as_dict(status))
        return
    table = Table("document", "state", "version", "passages", "source", "as of", "freshness", box=None)
    for status in statuses:
        table.add_row(*_cells(status))
    session.out.print(table)


def show(
    context: typer.Context,
    document_id: Annotated[str, typer.Argument(help="The id that `ingest` reported.")],
    as_json: Json = False,
) -> None:
    """What is known of a document, and its history."""
    session: Session = context.obj
    request = pb.GetDocumentRequest(document_id=document_id)
    status = session.retrieval(lambda stub: stub.GetDocument(request, timeout=SECONDS)).status
    if as_json:
        session.emit(as_dict(status))
        return
    about = Table.grid(padding=(0, 2))
    names = ("title", "state", "version", "passages", "source", "as of", "freshness")
    for name, value in zip(names, (status.title, *_cells(status)[1:]), strict=True):
        about.add_row(name, value)
    near = ", ".join(f"{each.document_id} ({each.similarity:.0%})" for each in status.near_duplicates)
    same = ", ".join(status.duplicate_ids)
    for name, value in (("reason", status.reason), ("same text as", same), ("nearly the same text as", near)):
        if value:
            about.add_row(name, value)
    session.out.print(about)
    history = Table("version", "state", "indexed", "added", "removed", "reason", box=None)
    for step in status.history:
        numbers = (str(step.added_passages), str(step.removed_passages))
        history.add_row(str(step.version), _state(step.state), _time(step.index_time), *numbers, step.reason)
    session.out.print(history)


def search(
    context: typer.Context,
    query: Annotated[str, typer.Argument(help="What you look for.")],
    count: Annotated[int, typer.Option(help="Passages, at most 100.")] = 5,
    source: Annotated[list[str], typer.Option(help="Of this source; may be given again.")] = [],  # noqa: B006  # typer copies it
    language: Annotated[list[str], typer.Option(help="In this language; may be given again.")] = [],  # noqa: B006  # typer copies it
    trust: Annotated[Trust | None, typer.Option(help="The least trust of the source.")] = None,
    diversity: Annotated[float, typer.Option(help="0 to 1: what a passage loses for being like a better one.")] = 0.0,
    as_json: Json = False,
) -> None:
    """The passages that fit best, without an answer."""
    session: Session = context.obj
    wanted = pb.SearchFilter(
        source_ids=source, languages=language, minimum_trust=TRUST[trust] if trust else pb.TRUST_LEVEL_UNSPECIFIED
    )
    request = pb.SearchPassagesRequest(query=query, page_size=count, filter=wanted, diversity=diversity)
    response = session.retrieval(lambda stub: stub.SearchPassages(request, timeout=SECONDS))
    if as_json:
        session.emit(as_dict(response))
        return
    for number, passage in enumerate(response.passages, start=1):
        session.out.print(_passage(number, passage))
    summary = f"support {response.support:.2f}, index {response.index_generation}"
    session.err.print(summary if response.passages else "nothing fits", style="dim")


def list_sources(context: typer.Context, as_json: Json = False) -> None:
    """The registered sources."""
    session: Session = context.obj
    sources = session.retrieval(lambda stub: stub.ListSources(pb.ListSourcesRequest(), timeout=SECONDS)).sources
    if as_json:
        for source in sources:
            session.emit(as_dict(source))
        return
    table = Table("source", "name", "owner", "kind", "trust", "refreshed every", "kept for", "confirmed", box=None)
    for source in sources:
        trust = pb.TrustLevel.Name(source.trust).removeprefix("TRUST_LEVEL_").lower()
        lengths = [_length_text(length) for length in (source.refresh_interval, source.retention)]
        confirmed = _time(source.as_of_time) if source.HasField("as_of_time") else ""
        table.add_row(source.source_id, source.name, source.owner, source.kind, trust, *lengths, confirmed)
    session.out.print(table)


def put(
    context: typer.Context,
    source_id: Annotated[str, typer.Argument(help="a-z, 0-9, dot, dash, underscore.")],
    name: Annotated[str, typer.Option(help="For people.")] = "",
    owner: Annotated[str, typer.Option(help="Who answers for it.")] = "",
    kind: Annotated[str, typer.Option(help='What it is, such as "wiki".')] = "",
    trust: Annotated[Trust, typer.Option(help="How far it is trusted.")] = Trust.MEDIUM,
    refresh: Annotated[str, typer.Option(help="Documents not confirmed for so long are stale: 30m, 12h, 7d.")] = "",
    retention: Annotated[str, typer.Option(help="Documents not confirmed for so long are deleted.")] = "",
    license_: Annotated[str, typer.Option("--license", help="Under which its content is used.")] = "",
    as_json: Json = False,
) -> None:
    """Register a source, or change it."""
    session: Session = context.obj
    source = pb.Source(source_id=source_id, name=name, owner=owner, kind=kind, trust=TRUST[trust], license=license_)
    for field, text in (("refresh_interval", refresh), ("retention", retention)):
        if text:
            getattr(source, field).FromTimedelta(_length(text))
    session.retrieval(lambda stub: stub.PutSource(pb.PutSourceRequest(source=source), timeout=SECONDS))
    _say(session, as_json, {"source_id": source_id}, f"registered  {source_id}")


def confirm(
    context: typer.Context,
    source_id: Annotated[str, typer.Argument(help="A registered source.")],
    as_json: Json = False,
) -> None:
    """Say that everything the index holds of a source is what the source still says."""
    session: Session = context.obj
    request = pb.ConfirmSourceRequest(source_id=source_id)
    response = session.retrieval(lambda stub: stub.ConfirmSource(request, timeout=SECONDS))
    as_of = _time(response.as_of_time)
    _say(session, as_json, {"source_id": source_id, "as_of_time": as_of}, f"confirmed  {source_id}  as of {as_of}")


def fact(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help='What it is about: "Aurora desk lamp".')],
    attribute: Annotated[str, typer.Argument(help='Such as "price".')],
    value: Annotated[str, typer.Argument(help="Such as 49; leave it out with --retract.")] = "",
    unit: Annotated[str, typer.Option(help="Such as EUR.")] = "",
    source: Annotated[str, typer.Option(help="The registered source that says so.")] = "",
    retract: Annotated[bool, typer.Option("--retract", help="Take the fact back.")] = False,
    as_json: Json = False,
) -> None:
    """Record what is true now and may not be in an hour; answers cite it like a passage."""
    session: Session = context.obj
    said = pb.Fact(subject=subject, attribute=attribute, value=value, unit=unit, source_id=source, retracted=retract)

    async def record(stub: Any) -> pb.RecordedFact:
        response = await stub.RecordFacts(pb.RecordFactsRequest(facts=[said]), timeout=SECONDS)
        [recorded] = response.recorded
        wait = pb.WaitForDocumentRequest(document_id=recorded.document_id, version=recorded.version)
        status = (await stub.WaitForDocument(wait, timeout=SECONDS)).status
        if status.state == pb.DOCUMENT_STATE_REJECTED:
            raise Problem(f"retrieval: the fact was rejected: {status.reason}")
        return pb.RecordedFact(document_id=recorded.document_id, version=recorded.version)

    recorded = session.retrieval(record)
    words = "taken back" if retract else "recorded"
    _say(session, as_json, as_dict(recorded), f"{words}  {recorded.document_id}  version {recorded.version}")


async def _pages(stub: Any, source: str) -> AsyncIterator[pb.DocumentStatus]:
    token = ""
    while True:
        request = pb.ListDocumentsRequest(source_id=source, page_size=PAGE, page_token=token)
        response = await stub.ListDocuments(request, timeout=SECONDS)
        for status in response.documents:
            yield status
        token = response.next_page_token
        if not token:
            return


def _say(session: Session, as_json: bool, content: dict[str, Any], words: str) -> None:
    if as_json:
        session.emit(content)
    else:
        session.out.print(words)


def _cells(status: pb.DocumentStatus) -> tuple[str | Text, ...]:
    freshness = common.Freshness.Name(status.freshness).removeprefix("FRESHNESS_").lower()
    return (
        status.document_id,
        _state(status.state),
        str(status.version),
        str(status.passage_count),
        status.source_id,
        _time(status.as_of_time) if status.passage_count else "",
        Text(freshness, style=COLOURS.get(status.freshness, "")),
    )


def _passage(number: int, passage: common.Passage) -> Text:
    where = [passage.title, *passage.title_path, *([f"page {passage.page}"] if passage.page else [])]
    line = Text.assemble((f"{number}. ", "green"), (" > ".join(dict.fromkeys(where)), "bold"), f"  {passage.score:.2f}")
    line.append(f"  {passage.ref.document_id}, version {passage.ref.version}\n", style="dim")
    text = " ".join(passage.text.split())
    return line.append(f"   {text if len(text) <= WIDTH else text[: WIDTH - 1] + '…'}")


def _state(state: "pb.DocumentState.ValueType") -> str:
    return pb.DocumentState.Name(state).removeprefix("DOCUMENT_STATE_").lower()


def _time(stamp: Any) -> str:
    return f"{stamp.ToDatetime():%Y-%m-%d %H:%M:%S}"


def _length(text: str) -> timedelta:
    match = _LENGTH.fullmatch(text)
    if match is None:
        raise Problem(f"{text!r} is no length of time: write 30m, 12h or 7d")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _length_text(length: Any) -> str:
    return str(length.ToTimedelta()) if length.ByteSize() else ""
