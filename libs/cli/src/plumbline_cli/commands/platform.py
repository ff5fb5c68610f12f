"""`up`, `down` and `status`: the platform on this machine."""

import asyncio
from dataclasses import asdict

import typer
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from plumbline_cli.session import Json, Session
from plumbline_local import control
from plumbline_local.control import PartStatus
from plumbline_local.display import showing

GOOD = "healthy"


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(up)
    app.command()(down)
    app.command()(status)


def up(context: typer.Context, as_json: Json = False) -> None:
    """Start the platform and leave it running; its data is that of the last time."""
    session: Session = context.obj
    started = asyncio.run(start(session))
    if as_json:
        session.emit({"started": started, "parts": _parts(session)})
    else:
        address = session.settings.layout.address("gateway")
        state = "up" if started else "up already"
        session.out.print(f"the platform is {state}; questions go to {address}, `plumbline ask` asks one")


def down(context: typer.Context, as_json: Json = False) -> None:
    """Stop the platform; its data stays."""
    session: Session = context.obj
    with showing(session.err) as say:
        stopped = asyncio.run(control.down(session.settings.layout, say))
    if as_json:
        session.emit({"stopped": stopped})
    else:
        session.out.print("the platform is down" if stopped else "nothing was running")


def status(context: typer.Context, as_json: Json = False) -> None:
    """Show what runs; exits with 1 unless every part is healthy."""
    session: Session = context.obj
    parts = control.status(session.settings.layout)
    if as_json:
        session.emit(_parts(session))
    else:
        session.out.print(_table(parts))
        session.err.print(f"logs: {session.settings.layout.log('*')}", soft_wrap=True)
    if any(part.state != GOOD for part in parts):
        raise typer.Exit(1)


async def start(session: Session) -> bool:
    """Start the platform, showing its progress; False if it was running."""
    with showing(session.err) as say:
        return await control.up(session.settings.layout, say)


def _parts(session: Session) -> list[dict[str, object]]:
    return [asdict(part) | {"log": str(part.log)} for part in control.status(session.settings.layout)]


def _table(parts: list[PartStatus]) -> Table:
    table = Table("part", "state", "pid", "port", "restarts", "memory")
    for part in parts:
        table.add_row(
            part.name,
            Text(part.state, style="green" if part.state == GOOD else "red"),
            str(part.pid or ""),
            str(part.port),
            str(part.restarts),
            decimal(part.memory_bytes) if part.memory_bytes else "",
        )
    return table
