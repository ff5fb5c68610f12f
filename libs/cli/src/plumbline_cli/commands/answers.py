"""`ask` and `evaluation`: an answer, and what it was worth."""

import asyncio
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from plumbline.evaluation.v1 import evaluation_service_pb2 as evaluation_pb
from plumbline.evaluation.v1.evaluation_service_pb2_grpc import EvaluationServiceStub
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline.gateway.v1.gateway_service_pb2_grpc import GatewayServiceStub
from plumbline_cli.conversation import Conversation
from plumbline_cli.problems import Problem
from plumbline_cli.rendering import render_answer
from plumbline_cli.session import Json, Session, as_dict

COLOURS = {"PASS": "green", "FAIL": "red", "NOT_MEASURED": "yellow"}

ConversationFile = Annotated[
    Path | None, typer.Option(help="A file of earlier turns, one JSON object a line; it is kept up to date.")
]


class Freshness(StrEnum):
    """How sure a cached answer must be that its sources are unchanged."""

    DEFAULT = "default"
    EVENTUAL = "eventual"
    STRICT = "strict"
    BYPASS = "bypass"


FRESHNESS = {
    Freshness.DEFAULT: pb.FRESHNESS_UNSPECIFIED,
    Freshness.EVENTUAL: pb.FRESHNESS_EVENTUAL,
    Freshness.STRICT: pb.FRESHNESS_STRICT,
    Freshness.BYPASS: pb.FRESHNESS_BYPASS,
}


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(ask)
    app.command()(evaluation)


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    freshness: Annotated[Freshness, typer.Option(help="May a cached answer be served?")] = Freshness.DEFAULT,
    application: Annotated[str, typer.Option(help="The application that answers.")] = "",
    conversation: ConversationFile = None,
    json_schema: Annotated[
        Path | None, typer.Option(help="A file with a JSON schema: the answer is JSON that fits it.")
    ] = None,
    samples: Annotated[int, typer.Option(help="Of how many texts the answer is the likeliest.", min=0, max=8)] = 0,
    timeout: Annotated[float, typer.Option(help="Seconds to wait.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Ask a question; shows the answer and the sources it rests on."""
    session: Session = context.obj
    history = Conversation.of(conversation)
    request = pb.AskRequest(
        question=question,
        application_id=application,
        freshness=FRESHNESS[freshness],
        turns=history.turns,
        json_schema=_read(json_schema) if json_schema else "",
        samples=samples,
    )
    if as_json:
        answer = asyncio.run(ask_once(session, request, seconds=timeout))
        session.emit(as_dict(answer))
    else:
        answer = ask_and_watch(session, request, timeout)
        session.out.print(render_answer(answer))
    history.add(question, answer.answer.text)


def _read(schema: Path) -> str:
    try:
        return schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"{schema} could not be read ({error}): is --json-schema right?") from error


def evaluation(
    context: typer.Context,
    answer_id: Annotated[str, typer.Argument(help="The id that `ask` showed.")],
    as_json: Json = False,
) -> None:
    """Show how an answer was measured."""
    session: Session = context.obj
    measured = asyncio.run(_evaluation(session, answer_id))
    if as_json:
        session.emit(as_dict(measured))
    else:
        session.out.print(_scores(measured))


def _nothing(delta: str) -> None:
    """Show nothing while the answer is being written."""


async def ask_once(
    session: Session, request: pb.AskRequest, *, seconds: float = 60.0, tell: Callable[[str], None] = _nothing
) -> pb.AskCompleted:
    """The completed answer; *tell* hears its text as it is written."""
    completed = None
    async with session.channel("gateway") as channel:
        async for message in GatewayServiceStub(channel).Ask(request, timeout=seconds):  # leaving early would cancel it
            if message.HasField("completed"):
                completed = message.completed
            tell(message.text_delta)
    if completed is None:
        raise Problem("the gateway ended the answer before it was complete: ask again")
    return completed


def ask_and_watch(session: Session, request: pb.AskRequest, seconds: float) -> pb.AskCompleted:
    """The completed answer; until it is there, its text appears as it is written."""
    growing = Text()
    with Live(growing, console=session.err, transient=True) as live:

        def tell(delta: str) -> None:
            growing.append(delta)
            live.update(growing)

        return asyncio.run(ask_once(session, request, seconds=seconds, tell=tell))


async def _evaluation(session: Session, answer_id: str) -> evaluation_pb.Evaluation:
    async with session.channel("evaluation") as channel:
        request = evaluation_pb.GetEvaluationRequest(answer_id=answer_id)
        return (await EvaluationServiceStub(channel).GetEvaluation(request, timeout=10)).evaluation


def _scores(measured: evaluation_pb.Evaluation) -> Table:
    verdict = evaluation_pb.Verdict.Name(measured.verdict).removeprefix("VERDICT_").lower().replace("_", " ")
    table = Table("measure", "value", "label", "why", title=f"verdict: {verdict}", title_justify="left")
    for score in measured.scores:
        label = evaluation_pb.ScoreLabel.Name(score.label).removeprefix("SCORE_LABEL_")
        measured_here = score.label != evaluation_pb.SCORE_LABEL_NOT_MEASURED
        value = f"{score.value:.2f}" if measured_here else ""
        table.add_row(score.name, value, Text(label.lower(), style=COLOURS.get(label, "")), score.explanation)
    return table
