"""`index`: the generations of the index, how they compare, and which of them answers."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.progress import Progress
from rich.table import Table

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline.retrieval.v1.retrieval_service_pb2_grpc import RetrievalServiceStub
from plumbline_cli.comparing import Comparison, Difference, Found, Question, compare, read_questions
from plumbline_cli.problems import Problem
from plumbline_cli.session import Json, Session, as_dict

T = TypeVar("T")

SECONDS: Final = 30.0
PASSAGES: Final = 30
"""A long document is several passages: enough to name ten documents."""
IN_FLIGHT: Final = 4
MARGIN: Final = 0.02

Questions = Annotated[
    Path | None,
    typer.Option(help='Lines of {"question": "...", "relevant": ["document id", ...]}.', show_default=False),
]
Margin = Annotated[float, typer.Option(help="What nDCG@10 may fall by, the interval's lower end included.", min=0)]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    index = typer.Typer(no_args_is_help=True, help="The generations of the index, and which of them answers.")
    index.command("list")(list_generations)
    index.command("compare")(compare_generations)
    index.command()(switch)
    index.command()(back)
    app.add_typer(index, name="index")


def list_generations(context: typer.Context, as_json: Json = False) -> None:
    """The generations that are kept."""
    session: Session = context.obj
    generations = _call(session, _listed)
    if as_json:
        for each in generations:
            session.emit(as_dict(each))
        return
    table = Table("generation", "built with", "answers", "whole", "behind", box=None)
    for each in generations:
        answers, whole = ("yes" if flag else "" for flag in (each.serving, each.complete))
        table.add_row(each.index_generation, each.description, answers, whole, str(each.behind))
    session.out.print(table)


def compare_generations(
    context: typer.Context,
    questions: Annotated[Path, typer.Argument(help='Lines of {"question": "...", "relevant": ["document id", ...]}.')],
    margin: Margin = MARGIN,
    as_json: Json = False,
) -> None:
    """Ask both generations the same questions; exit code 1 unless the other is shown to lose no more than MARGIN."""
    session: Session = context.obj
    comparison = _compared(session, read_questions(questions))
    _show(session, comparison, margin, as_json)
    if not comparison.loses_at_most(margin):
        raise typer.Exit(1)


def switch(
    context: typer.Context,
    questions: Questions = None,
    margin: Margin = MARGIN,
    unmeasured: Annotated[bool, typer.Option("--unmeasured", help="Without a comparison.")] = False,
    as_json: Json = False,
) -> None:
    """Let the other generation answer, if the comparison on QUESTIONS shows that it loses no more than MARGIN."""
    session: Session = context.obj
    if questions is None and not unmeasured:
        raise Problem("name the --questions that the generations are compared on, or say --unmeasured")
    if questions is not None:
        comparison = _compared(session, read_questions(questions))
        _show(session, comparison, margin, as_json=False)
        if not comparison.loses_at_most(margin):
            raise Problem(
                "not switched: it is not shown that little is lost; more questions make the interval narrower"
            )
    _switch(session, as_json)


def back(context: typer.Context, as_json: Json = False) -> None:
    """Let the generation answer again that answered before, at once."""
    _switch(context.obj, as_json)


def _switch(session: Session, as_json: bool) -> None:
    async def to_the_other(stub: Any) -> tuple[str, str]:
        _, other = await _both(stub)
        request = pb.SwitchGenerationRequest(index_generation=other)
        return other, (await stub.SwitchGeneration(request, timeout=SECONDS)).previous_generation

    serving, previous = _call(session, to_the_other)
    if as_json:
        session.emit({"serving": serving, "previous": previous})
    else:
        session.out.print(f"{serving} answers; [dim]`plumbline index back` returns to {previous}[/]")


def _compared(session: Session, questions: Sequence[Question]) -> Comparison:
    async def measured(stub: Any) -> Comparison:
        serving, other = await _both(stub)
        with Progress(console=session.err, transient=True) as progress:
            asked = progress.add_task("questions", total=2 * len(questions))
            gate = asyncio.Semaphore(IN_FLIGHT)

            async def ask(question: Question, generation: str) -> Found:
                async with gate:
                    found = await _found(stub, question.text, generation)
                progress.advance(asked)
                return found

            # By turns, so that both meet the same load.
            pairs = [(ask(question, serving), ask(question, other)) for question in questions]
            found = await asyncio.gather(*(search for pair in pairs for search in pair))
        return compare(questions, found[::2], found[1::2])

    return _call(session, measured)


async def _found(stub: Any, text: str, generation: str) -> Found:
    request = pb.SearchPassagesRequest(query=text, page_size=PASSAGES, index_generation=generation)
    started = time.perf_counter()
    reply = await stub.SearchPassages(request, timeout=SECONDS)
    documents = list(dict.fromkeys(passage.ref.document_id for passage in reply.passages))
    return Found(documents, (time.perf_counter() - started) * 1e3)


async def _both(stub: Any) -> tuple[str, str]:
    """The generation that answers, and the other one."""
    generations = await _listed(stub)
    others = [each for each in generations if not each.serving]
    if not others:
        raise Problem(
            "there is one generation only: set CANDIDATE_ENCODER_DIR or another CANDIDATE_ variable of retrieval"
        )
    return next(each.index_generation for each in generations if each.serving), others[0].index_generation


async def _listed(stub: Any) -> Sequence[pb.IndexGeneration]:
    reply: pb.ListGenerationsResponse = await stub.ListGenerations(pb.ListGenerationsRequest(), timeout=SECONDS)
    return reply.generations


def _show(session: Session, comparison: Comparison, margin: float, as_json: bool) -> None:
    if as_json:
        session.emit({**comparison.as_dict(), "margin": margin, "passed": comparison.loses_at_most(margin)})
        return
    table = Table("measure", "answers now", "the other", "difference", "95 %", box=None)
    for each in comparison.differences:
        table.add_row(*_cells(each))
    before, after = comparison.milliseconds
    table.add_row("median ms", f"{before:.1f}", f"{after:.1f}", "", "")
    session.out.print(table)
    for word, texts in (("won", comparison.won), ("lost", comparison.lost)):
        for text in texts:
            session.out.print(f"{word}  {text}", markup=False, soft_wrap=True)
    passed = comparison.loses_at_most(margin)
    verdict = f"loses no more than {margin:g}" if passed else f"not shown to lose no more than {margin:g}"
    session.err.print(f"{comparison.questions} questions: the other {verdict}", style="green" if passed else "red")


def _cells(each: Difference) -> tuple[str, ...]:
    interval = f"{each.low:+.3f} to {each.high:+.3f}"
    return each.measure, f"{each.before:.3f}", f"{each.after:.3f}", f"{each.gain:+.3f}", interval


def _call(session: Session, use: Callable[[Any], Awaitable[T]]) -> T:
    async def call() -> T:
        async with session.channel("retrieval") as channel:
            return await use(RetrievalServiceStub(channel))

    return asyncio.run(call())
