"""`demo`: the whole story on the running platform, each step checked and timed."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from plumbline_cli.commands import platform
from plumbline_cli.commands.traces import find_spans
from plumbline_cli.log import reading
from plumbline_cli.session import Json, Session
from plumbline_cli.story import TOPICS, Step, Story, play, see_trace, timed
from plumbline_kit import telemetry
from plumbline_kit.settings import Env, ServiceSettings
from plumbline_local.settings import ROOT

DOCUMENTS: Final = ROOT / "demo" / "documents"
SHORT_ID: Final = 8


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(demo)


def demo(
    context: typer.Context,
    documents: Annotated[Path, typer.Option(help="The corpus.")] = DOCUMENTS,
    as_json: Json = False,
) -> None:
    """Tell the story from a document to an evaluated answer; leaves the platform running."""
    session: Session = context.obj
    steps = [_up(session)]
    trace_id = ""
    if steps[0].passed:
        trace_id = _tell(session, documents, steps)
    if as_json:
        session.emit({"trace_id": trace_id, "passed": _passed(steps), "steps": [asdict(step) for step in steps]})
    else:
        session.out.print(_table(steps, trace_id))
    if not _passed(steps):
        raise typer.Exit(1)
    session.err.print(_how_to_go_on(trace_id), soft_wrap=True)


def _up(session: Session) -> Step:
    async def start() -> str:
        return "started, all parts healthy" if await platform.start(session) else "was up already"

    return asyncio.run(timed("the platform is up", start))


def _tell(session: Session, documents: Path, steps: list[Step]) -> str:
    """Play the story, add its steps, and look for its trace; the trace's id."""

    def tell(step: Step) -> None:
        steps.append(step)
        session.err.print(f"{len(steps):>2}. {step.name}: {step.seen}", soft_wrap=True)

    exporting = telemetry.configure(_telemetry_settings(session))
    with reading(session.settings.kafka_bootstrap_servers, TOPICS) as reader:
        trace_id = asyncio.run(play(Story(session, reader, documents), tell))
    exporting.shutdown()
    if _passed(steps):
        tell(asyncio.run(timed("one trace", lambda: see_trace(lambda: find_spans(session, trace_id)))))
    return trace_id


def _telemetry_settings(session: Session) -> ServiceSettings:
    endpoint = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": session.settings.traces_endpoint}
    return ServiceSettings.from_env(Env(endpoint), "cli")


def _passed(steps: list[Step]) -> bool:
    return all(step.passed for step in steps)


def _table(steps: list[Step], trace_id: str) -> Table:
    table = Table("step", "what was seen", "ms", "trace id", caption=f"trace {trace_id}" if trace_id else None)
    table.columns[2].justify = "right"
    for number, step in enumerate(steps, start=1):
        mark = ("✓ ", "green") if step.passed else ("✗ ", "red")
        name = Text.assemble(mark, f"{number}. {step.name}")
        table.add_row(name, Text(step.seen), f"{step.milliseconds:,.0f}", trace_id[:SHORT_ID] if number > 1 else "")
    return table


def _how_to_go_on(trace_id: str) -> str:
    return (
        "The platform is still up. Go on with:\n"
        '  plumbline ask "How much does the Fennel salad bowl cost?"\n'
        f"  plumbline trace {trace_id}\n"
        "  plumbline events tail\n"
        "  plumbline down"
    )
