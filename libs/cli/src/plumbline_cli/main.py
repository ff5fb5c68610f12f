"""The `plumbline` command: puts the commands together, and turns errors into sentences and exit codes."""

from dataclasses import replace
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from plumbline_cli.commands import (
    answers,
    cache,
    chat,
    dead_letters,
    demo,
    documents,
    events,
    index,
    knowledge,
    models,
    platform,
    prompt,
    tokens,
    traces,
)
from plumbline_cli.console import PlainConsole
from plumbline_cli.problems import sentence
from plumbline_cli.session import Session
from plumbline_cli.settings import SERVICES, Settings

FAILED = 1


class Guarded(TyperGroup):
    """A group whose failures are sentences."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; every error that is not ours to show as a traceback ends here."""
        try:
            return super().invoke(ctx)
        except Exception as error:
            if ctx.params.get("debug") or isinstance(error, typer.Exit | typer.Abort) or _is_usage(error):
                raise
            words = sentence(error) or f"this is a bug ({error!r}): --debug shows where it happened"
            PlainConsole(stderr=True).print(f"plumbline: {words}", soft_wrap=True)
            raise typer.Exit(FAILED) from error


def _is_usage(error: Exception) -> bool:
    """Whether typer itself has a message for it: a wrong option, a missing argument."""
    return hasattr(error, "format_message")


app = typer.Typer(
    cls=Guarded,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Plumbline: questions answered from your documents, each answer measured.",
)


@app.callback()
def _begin(
    context: typer.Context,
    gateway: Annotated[str, typer.Option(help="Address of the gateway, as host:port.")] = "",
    retrieval: Annotated[str, typer.Option(help="Address of retrieval.")] = "",
    cache: Annotated[str, typer.Option(help="Address of the cache.")] = "",
    evaluation: Annotated[str, typer.Option(help="Address of evaluation.")] = "",
    generation: Annotated[str, typer.Option(help="Address of generation.")] = "",
    kafka: Annotated[str, typer.Option(help="Kafka's bootstrap servers.")] = "",
    token: Annotated[str, typer.Option(help="The caller's token.")] = "",
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    settings = Settings.from_env()
    given = dict(zip(SERVICES, (gateway, retrieval, cache, evaluation, generation), strict=True))
    context.obj = Session(
        replace(
            settings,
            addresses={name: given[name] or address for name, address in settings.addresses.items()},
            kafka_bootstrap_servers=kafka or settings.kafka_bootstrap_servers,
            token=token or settings.token,
        )
    )


for commands in (
    platform,
    documents,
    knowledge,
    index,
    answers,
    chat,
    models,
    prompt,
    cache,
    events,
    traces,
    dead_letters,
    tokens,
    demo,
):
    commands.add_to(app)


def main() -> None:
    """The entry point."""
    app()
