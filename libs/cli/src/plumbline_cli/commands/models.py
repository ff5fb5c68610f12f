"""`models`: whom generation would ask."""

import asyncio

import typer
from rich.table import Table
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
    """The endpoints of the route: models, limits, prices, and how each stands in the process that was asked."""
    session: Session = context.obj
    listed = asyncio.run(_listed(session))
    if as_json:
        for endpoint in listed.endpoints:
            session.emit(as_dict(endpoint))
        return
    table = Table(
        "endpoint", "model", "weight", "context", "answer", "calls", "breaker", "price of a million", box=None
    )
    for endpoint in listed.endpoints:
        table.add_row(*_cells(endpoint))
    session.out.print(table)


async def _listed(session: Session) -> pb.ListModelsResponse:
    async with session.channel("generation") as channel:
        response: pb.ListModelsResponse = await GenerationServiceStub(channel).ListModels(
            pb.ListModelsRequest(), timeout=SECONDS
        )
        return response


def _cells(endpoint: pb.ModelEndpoint) -> tuple[str | Text, ...]:
    price = endpoint.price
    paid = f"{price.input_amount:g} in, {price.output_amount:g} out {price.currency_code}"
    return (
        endpoint.name,
        endpoint.model,
        f"{endpoint.weight:g}" if endpoint.weight else "fall-over",
        f"{endpoint.context_tokens:,}" if endpoint.context_tokens else "no bound",
        f"{endpoint.max_output_tokens:,}",
        f"{endpoint.at_work} of {endpoint.concurrency}",
        BREAKERS.get(endpoint.breaker_state, Text("unknown")),
        paid if endpoint.HasField("price") else "",
    )
