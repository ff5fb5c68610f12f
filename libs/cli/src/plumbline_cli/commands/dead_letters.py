"""`dlq`: what consumers could not use, and its way back."""

import asyncio
from typing import Annotated, Any

import typer
from opentelemetry import context as telemetry_context
from opentelemetry.propagate import extract
from rich.table import Column, Table

from plumbline_cli.log import Seen, existing_topics, is_dead_letters, ranges_of, read_all, short, topic_of, trace_id
from plumbline_cli.problems import Problem
from plumbline_cli.session import Json, Session, as_dict
from plumbline_contracts.topics import TOPICS
from plumbline_kit.bus import KafkaPublisher
from plumbline_kit.bus.dead_letters import GROUP, OFFSET, PARTITION, REASON, TOPIC
from plumbline_kit.bus.headers import as_bytes
from plumbline_kit.clock import SystemClock

OWN_HEADERS = "dlq_"

Name = Annotated[str, typer.Argument(help="The dead-letter topic, or a part of its name.")]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    group = typer.Typer(no_args_is_help=True, help="Records that a consumer could not use.")
    group.command(name="list")(list_topics)
    group.command()(show)
    group.command()(replay)
    app.add_typer(group, name="dlq")


def list_topics(context: typer.Context, as_json: Json = False) -> None:
    """List the dead-letter topics and how many records each holds."""
    session: Session = context.obj
    names = _dead_letter_topics(session)
    ranges = ranges_of(session.settings.kafka_bootstrap_servers, names)
    rows = [
        {"topic": name, "records": sum(span.end - span.first for (own, _), span in ranges.items() if own == name)}
        for name in names
    ]
    if as_json:
        session.emit(rows)
    elif not rows:
        session.out.print("no consumer has put anything aside")
    else:
        _print_table(session, rows)


def show(context: typer.Context, topic: Name, as_json: Json = False) -> None:
    """Show the dead letters of a topic: what, why, where from."""
    session: Session = context.obj
    records = read_all(session.settings.kafka_bootstrap_servers, [_one(session, topic)])
    rows = [_row(record) for record in records]
    if as_json:
        for record, row in zip(records, rows, strict=True):
            body = record.body
            session.emit(row | {"body": None if body is None else as_dict(body), "size": len(record.value or b"")})
    elif rows:
        _print_table(session, rows)
    else:
        session.out.print("it is empty")


def replay(
    context: typer.Context,
    topic: Name,
    place: Annotated[
        list[str] | None, typer.Option("--at", help="Only this one, as partition:offset in the dead-letter topic.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Publish dead letters again on the topic they came from; consumers that had used them know them by their id."""
    session: Session = context.obj
    name = _one(session, topic)
    original = topic_of(name)
    if original is None or original.compacted:
        raise Problem(
            f"{short(name)} holds old versions of documents, which would replace newer ones: ingest the documents again"
        )
    records = [
        record
        for record in read_all(session.settings.kafka_bootstrap_servers, [name])
        if not place or f"{record.partition}:{record.offset}" in place
    ]
    asyncio.run(_publish(session, original.name, records))
    if as_json:
        session.emit({"topic": original.name, "replayed": len(records)})
    else:
        session.out.print(f"{len(records)} records are on {short(original.name)} again", soft_wrap=True)


async def _publish(session: Session, topic: str, records: list[Seen]) -> None:
    servers = session.settings.kafka_bootstrap_servers
    publisher = KafkaPublisher(servers, source="plumbline-cli", clock=SystemClock())
    try:
        for record in records:
            headers = {name: text for name, text in record.headers.items() if not name.startswith(OWN_HEADERS)}
            token = telemetry_context.attach(extract(record.headers))
            try:
                await publisher.append(topic, record.key.encode(), record.value, as_bytes(headers))
            finally:
                telemetry_context.detach(token)
    finally:
        await publisher.close()


def _dead_letter_topics(session: Session) -> list[str]:
    existing = existing_topics(session.settings.kafka_bootstrap_servers)
    return sorted(name for name in existing if any(is_dead_letters(name, topic) for topic in TOPICS))


def _one(session: Session, part: str) -> str:
    names = [name for name in _dead_letter_topics(session) if part in name]
    if part in names or len(names) == 1:
        return part if part in names else names[0]
    if not names:
        raise Problem(f"no dead-letter topic is named {part!r}: `plumbline dlq list` lists them")
    raise Problem(f"{part!r} may be {' or '.join(names)}: name one of them")


def _row(record: Seen) -> dict[str, Any]:
    return {
        "at": f"{record.partition}:{record.offset}",
        "time": record.time.isoformat(timespec="seconds"),
        "key": record.key,
        "reason": record.headers.get(REASON, ""),
        "group": record.headers.get(GROUP, ""),
        "origin": "{}[{}]@{}".format(*(record.headers.get(name, "?") for name in (TOPIC, PARTITION, OFFSET))),
        "trace_id": trace_id(record.headers),
    }


def _print_table(session: Session, rows: list[dict[str, Any]]) -> None:
    table = Table(*(Column(name, overflow="fold") for name in rows[0]))
    for row in rows:
        table.add_row(*map(str, row.values()))
    session.out.print(table)
