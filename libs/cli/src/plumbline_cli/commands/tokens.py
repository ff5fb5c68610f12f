"""`token`: a token of the local issuer."""

from typing import Annotated

import typer

from plumbline_cli.session import Json, Session
from plumbline_local.issuer import DEVELOPER_SECONDS, DEVELOPER_TENANT, SCOPES, mint_token


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command()(token)


def token(
    context: typer.Context,
    tenant: Annotated[str, typer.Option(help="Whose documents it opens.")] = DEVELOPER_TENANT,
    groups: Annotated[str, typer.Option(help="Groups of the caller, separated by commas.")] = "",
    scopes: Annotated[str, typer.Option(help="What it allows, separated by spaces.")] = SCOPES,
    seconds: Annotated[float, typer.Option(help="How long it is valid.")] = DEVELOPER_SECONDS,
    as_json: Json = False,
) -> None:
    """Print a developer token that the local services accept."""
    session: Session = context.obj
    names = [group for group in groups.split(",") if group]
    minted = mint_token(session.settings.layout, tenant=tenant, groups=names, scopes=scopes, seconds=seconds)
    if as_json:
        session.emit({"token": minted, "tenant": tenant, "groups": names, "scopes": scopes.split()})
    else:
        typer.echo(minted)
