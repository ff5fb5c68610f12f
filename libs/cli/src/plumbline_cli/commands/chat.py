"""`chat`: questions one after the other, each understood by what was said before."""

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

import typer

from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline_cli.commands.answers import FRESHNESS, ConversationFile, Freshness, ask_and_watch, ask_once
from plumbline_cli.conversation import Conversation
from plumbline_cli.problems import Problem
from plumbline_cli.rendering import render_answer
from plumbline_cli.session import Json, Session, as_dict


def add_to(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command()(chat)


def chat(
    context: typer.Context,
    conversation: ConversationFile = None,
    freshness: Annotated[Freshness, typer.Option(help="May a cached answer be served?")] = Freshness.DEFAULT,
    application: Annotated[str, typer.Option(help="The application that answers.")] = "",
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each answer.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Ask one question after the other, until the end of the input (Ctrl-D) or Ctrl-C."""
    session: Session = context.obj
    history = Conversation.of(conversation)
    with suppress(KeyboardInterrupt):
        for question in _questions(session):
            request = pb.AskRequest(
                question=question, application_id=application, freshness=FRESHNESS[freshness], turns=history.turns
            )
            try:
                answer = _answer(session, request, timeout, as_json=as_json)
            except Problem as problem:  # what was said so far is worth another try
                session.err.print(f"plumbline: {problem}", soft_wrap=True)
            else:
                history.add(question, answer.answer.text)


def _answer(session: Session, request: pb.AskRequest, seconds: float, *, as_json: bool) -> pb.AskCompleted:
    if as_json:
        answer = asyncio.run(ask_once(session, request, seconds=seconds))
        session.emit(as_dict(answer))
    else:
        answer = ask_and_watch(session, request, seconds)
        session.out.print(render_answer(answer))
    return answer


def _questions(session: Session) -> Iterator[str]:
    """What is typed, or what standard input holds, a line each; blank lines are none."""
    while True:
        if sys.stdin.isatty():
            session.err.print("\n?", style="bold", end=" ")
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.strip()
