"""`cache`: what it saves, what it holds, why a question hits or misses, and what goes by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any, Final, TypeVar

import typer

from plumbline.cache.v1 import cache_service_pb2 as pb
from plumbline.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from plumbline.common.v1.answer_pb2 import ReleaseRef
from plumbline_cli.problems import Problem
from plumbline_cli.remembered import render_explanation, render_stats, render_top, render_warmed
from plumbline_cli.session import Json, Session, as_dict

T = TypeVar("T")

SECONDS: Final = 30.0


class By(StrEnum):
    """What comes first."""

    HITS = "hits"
    SAVED = "saved"
    NEWEST = "newest"


ORDERS: Final = {By.HITS: pb.TOP_ORDER_HITS, By.SAVED: pb.TOP_ORDER_SAVED_TIME, By.NEWEST: pb.TOP_ORDER_NEWEST}

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    cache = typer.Typer(no_args_is_help=True, help="What the cache saves and holds, and what goes from it.")
    for command in (stats, top, explain, invalidate, warm):
        cache.command()(command)
    app.add_typer(cache, name="cache")


def stats(context: typer.Context, as_json: Json = False) -> None:
    """What the tenant's hits saved since the cache started, how right they were, and why others missed."""
    session: Session = context.obj
    counted = _call(session, lambda stub: stub.GetStats(pb.GetStatsRequest(), timeout=SECONDS))
    _show(session, counted, as_json, render_stats)


def top(
    context: typer.Context,
    by: Annotated[By, typer.Option(help="What comes first.")] = By.HITS,
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=100)] = 20,
    as_json: Json = False,
) -> None:
    """The entries that are served most, saved most time, or are newest."""
    session: Session = context.obj
    request = pb.ListTopEntriesRequest(order=ORDERS[by], page_size=limit)
    listed = _call(session, lambda stub: stub.ListTopEntries(request, timeout=SECONDS))
    _show(session, listed, as_json, render_top)


def explain(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="As it would be asked.")],
    application: Annotated[str, typer.Option(help="With --release: of another than the loaded one.")] = "",
    release: Annotated[str, typer.Option(help="With --application.")] = "",
    as_json: Json = False,
) -> None:
    """Why a question would be answered from memory now, or why not: each check on the nearest entries."""
    session: Session = context.obj
    if bool(application) != bool(release):
        raise Problem("name both --application and --release, or none for the release that the cache has loaded")
    request = pb.ExplainLookupRequest(question=question)
    if release:
        request.release.CopyFrom(ReleaseRef(application_id=application, release_id=release))
    told = _call(session, lambda stub: stub.ExplainLookup(request, timeout=SECONDS))
    _show(session, told, as_json, render_explanation)


def invalidate(
    context: typer.Context,
    document: Annotated[str, typer.Option(help="Entries that rest on this document.")] = "",
    erase: Annotated[str, typer.Option(help="The same, and what is told of it holds no question.")] = "",
    question: Annotated[str, typer.Option(help="Entries of this question, whoever asked it.")] = "",
    entry: Annotated[str, typer.Option(help="The entry of this id.")] = "",
    application: Annotated[str, typer.Option(help="Entries of this application.")] = "",
    release: Annotated[str, typer.Option(help="With --application: of this release of it only.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every entry of the tenant.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Drop entries by hand, on every replica and for good: what was answered before does not come back."""
    session: Session = context.obj
    chosen = [
        (document, pb.InvalidateEntriesRequest(document_id=document), f"every entry that rests on {document}"),
        (erase, pb.InvalidateEntriesRequest(erased_document_id=erase), f"and erase every entry that rests on {erase}"),
        (question, pb.InvalidateEntriesRequest(question=question), f"every entry of “{question}”"),
        (entry, pb.InvalidateEntriesRequest(entry_id=entry), f"entry {entry}"),
        (application or release, *_of_release(application, release)),
        (everything, pb.InvalidateEntriesRequest(all=True), "every entry of the tenant"),
    ]
    named = [(request, words) for given, request, words in chosen if given]
    if len(named) != 1:
        raise Problem(
            "say what is dropped: one of --document, --erase, --question, --entry, --application with or without"
            " --release, and --all"
        )
    [(request, words)] = named
    if not yes:
        typer.confirm(f"Drop {words}?", abort=True, err=True)
    dropped = _call(session, lambda stub: stub.InvalidateEntries(request, timeout=SECONDS))
    if as_json:
        session.emit(as_dict(dropped))
        return
    count = dropped.invalidated_count
    session.out.print(f"{count} {'entry' if count == 1 else 'entries'} dropped")


def warm(
    context: typer.Context,
    seconds: Annotated[float, typer.Option(help="How long at most.", min=1, max=300)] = 30.0,
    as_json: Json = False,
) -> None:
    """Take in answers of the loaded release that were evaluated before and are not held."""
    session: Session = context.obj
    request = pb.WarmEntriesRequest()
    request.maximum_time.FromMilliseconds(round(seconds * 1000))
    warmed = _call(session, lambda stub: stub.WarmEntries(request, timeout=seconds + SECONDS))
    _show(session, warmed, as_json, render_warmed)


def _of_release(application: str, release: str) -> tuple[pb.InvalidateEntriesRequest, str]:
    """The request, and in words what it drops."""
    if not release:
        return pb.InvalidateEntriesRequest(application_id=application), f"every entry of application {application}"
    if not application:
        raise Problem("name the --application of that --release")
    ref = ReleaseRef(application_id=application, release_id=release)
    return pb.InvalidateEntriesRequest(release=ref), f"every entry of release {release} of {application}"


def _call(session: Session, use: Callable[[Any], Awaitable[T]]) -> T:
    async def call() -> T:
        async with session.channel("cache") as channel:
            return await use(CacheServiceStub(channel))

    return asyncio.run(call())


def _show(session: Session, message: Any, as_json: bool, render: Callable[[Any], Any]) -> None:
    if as_json:
        session.emit(as_dict(message))
    else:
        session.out.print(render(message))
