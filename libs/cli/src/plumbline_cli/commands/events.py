"""`events tail` and `topics`: facts as they happen, and what the log holds."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from math import inf
from typing import Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from plumbline_cli.log import LogReader, Seen, find_topics, ranges_of, reading, short
from plumbline_cli.session import Json, Session, as_dict
from plumbline_contracts.topics import TOPICS, Topic

POLL_SECONDS = 0.5


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(no_args_is_help=True, help="Facts on Kafka.")
    group.command()(tail)
    app.add_typer(group, name="events")
    app.command()(topics)


def tail(
    context: typer.Context,
    topic: Annotated[list[str] | None, typer.Option(help="A topic, or a part of its name; all without it.")] = None,
    from_beginning: Annotated[bool, typer.Option("--from-beginning", help="Begin with what is there.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many records; 0 means never.")] = 0,
    seconds: Annotated[float, typer.Option(min=0, help="Stop after so long; 0 means never.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Show events as they are published, until Ctrl-C."""
    session: Session = context.obj
    names = find_topics(topic or [""])
    with reading(session.settings.kafka_bootstrap_servers, names, from_beginning=from_beginning) as reader:
        session.err.print(f"listening to {', '.join(map(short, names))}", soft_wrap=True)
        with suppress(KeyboardInterrupt):
            for record in islice(_records(reader, seconds or inf), limit or None):
                _show(session, record, as_json)


def topics(context: typer.Context, as_json: Json = False) -> None:
    """Show every topic of the table and how many records it holds."""
    session: Session = context.obj
    ranges = ranges_of(session.settings.kafka_bootstrap_servers, [topic.name for topic in TOPICS])
    rows = []
    for topic in TOPICS:
        spans = [span for (name, _), span in ranges.items() if name == topic.name]
        rows.append(_row(topic, len(spans), sum(span.end - span.first for span in spans)))
    if as_json:
        session.emit(rows)
        return
    table = Table(*(Column(name, overflow="fold") for name in rows[0]))
    for row in rows:
        plain = row | {"topic": short(str(row["topic"])), "message": str(row["message"]).rpartition(".")[2]}
        table.add_row(*map(str, plain.values()))
    session.out.print(table)


def _records(reader: LogReader, seconds: float) -> Iterator[Seen]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield from reader.read(POLL_SECONDS)


def _row(topic: Topic[Any], partitions: int, records: int) -> dict[str, str | int]:
    retention = "for ever" if topic.retention is None else f"{topic.retention.days} days"
    return {
        "topic": topic.name,
        "message": topic.event_type,
        "key": topic.key,
        "partitions": partitions,
        "retention": f"{retention}, compacted" if topic.compacted else retention,
        "records": records,
    }


def _show(session: Session, record: Seen, as_json: bool) -> None:
    if as_json:
        session.emit(record.as_dict())
        return
    body = record.body
    content = "deleted" if body is None else json.dumps(as_dict(body), ensure_ascii=False)
    moment = f"{record.time.astimezone():%H:%M:%S.%f}"[:-3]
    line = Text.assemble(
        (moment, "dim"), "  ", (short(record.topic), "cyan"), "  ", (record.key, "bold"), "  ", content
    )
    session.out.print(line, overflow="ellipsis", no_wrap=True)
