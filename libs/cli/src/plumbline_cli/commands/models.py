"""`models`: whom generation would ask, and what is left of the tokens."""

import asyncio

import grpc
import typer
from rich.table import Column, Table
from rich.text import Text

from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from plumbline_cli.session import Json, Session, as_dict

SECONDS = 10.0
BREAKERS = {
    pb.BREAKER_STATE_CLOSED: Text("closed", style="green"),
    pb.BREAKER_STATE_HALF_OPEN: Text("half open", style="yellow"),
    pb.BREAKER_STATE_OPEN: Text("open", style="red"),
}


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(models)


def models(context: typer.Context, as_json: Json = False) -> None:
    """The endpoints of the route: models, limits, prices, and how each stands in the process that was asked.

    Then what is left of today's token budget, where there is one.
    """
    session: Session = context.obj
    listed, budget = asyncio.run(_listed(session))
    if as_json:
        for endpoint in listed.endpoints:
            session.emit(as_dict(endpoint))
        if budget:
            session.emit({"budget": as_dict(budget)})
        return
    names = ("endpoint", "model", "asked", "context", "answer", "calls", "breaker", "price of a million")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)
    for number, endpoint in enumerate(listed.endpoints):
        table.add_row(*_cells(endpoint, first=not number))
    session.out.print(table)
    if budget:
        session.out.print(Text(_left(budget)))


async def _listed(session: Session) -> tuple[pb.ListModelsResponse, pb.GetBudgetResponse | None]:
    """The endpoints, and the caller's budget, should it have one and should that be known."""
    async with session.channel("generation") as channel:
        generation = GenerationServiceStub(channel)
        listed = await generation.ListModels(pb.ListModelsRequest(), timeout=SECONDS)
        try:
            budget = await generation.GetBudget(pb.GetBudgetRequest(), timeout=SECONDS)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            session.err.print("the token budget cannot be looked up: its ledger is away")
            return listed, None
        return listed, budget if budget.HasField("tokens_per_day") else None


def _left(budget: pb.GetBudgetResponse) -> str:
    left = max(0, budget.tokens_per_day - budget.used_tokens - budget.reserved_tokens)
    resets = budget.reset_time.ToDatetime().strftime("%Y-%m-%d %H:%M UTC")
    held = f", {budget.reserved_tokens:,} held for answers under way" if budget.reserved_tokens else ""
    return f"{left:,} of {budget.tokens_per_day:,} tokens left until {resets}{held}"


def _cells(endpoint: pb.ModelEndpoint, *, first: bool) -> tuple[str | Text, ...]:
    price = endpoint.price
    paid = f"{price.input_amount:g} in, {price.output_amount:g} out {price.currency_code}"
    return (
        endpoint.name,
        endpoint.model,
        f"weight {endpoint.weight:g}" if endpoint.weight else "first" if first else "next",
        f"{endpoint.context_tokens:,}" if endpoint.context_tokens else "no bound",
        f"{endpoint.max_output_tokens:,}",
        f"{endpoint.at_work} of {endpoint.concurrency}",
        BREAKERS.get(endpoint.breaker_state, Text("unknown")),
        paid if endpoint.HasField("price") else "",
    )
