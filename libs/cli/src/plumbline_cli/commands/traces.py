"""`trace`: everything one answer caused, with the time it took."""

import asyncio
import re
from dataclasses import asdict
from typing import Annotated, Final

import typer

from plumbline_cli.problems import Problem, using_traces
from plumbline_cli.rendering import render_trace
from plumbline_cli.session import Json, Session
from plumbline_local.traces.spans import StoredSpan
from plumbline_local.traces.store import spans_of_trace, trace_of_answer

TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(trace)


def trace(
    context: typer.Context,
    answer_id: Annotated[str, typer.Argument(help="An answer's id, or a trace's.")],
    as_json: Json = False,
) -> None:
    """Show the span tree of an answer, Kafka hops included."""
    session: Session = context.obj
    with using_traces():
        spans = asyncio.run(find_spans(session, answer_id))
    if not spans:
        raise Problem(f"no span of {answer_id} has arrived: spans take about a second, and are kept for some days")
    if as_json:
        session.emit({"trace_id": spans[0].trace_id, "spans": [asdict(span) for span in spans]})
    else:
        session.out.print(render_trace(spans))


async def find_spans(session: Session, answer_id: str) -> list[StoredSpan]:
    """The spans of an answer or of a trace that have arrived by now."""
    dsn = traces_dsn(session)
    trace_id = answer_id if TRACE_ID.fullmatch(answer_id) else await trace_of_answer(dsn, answer_id)
    return await spans_of_trace(dsn, trace_id) if trace_id else []


def traces_dsn(session: Session) -> str:
    """Where the spans lie."""
    return session.settings.traces_dsn or session.settings.layout.postgres_dsn("traces")
