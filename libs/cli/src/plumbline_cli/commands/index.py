"""`index`: the generations of the index, how they compare, and which of them answers."""

import asyncio
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline_cli.comparing import UNSEEN, Comparison, Difference, Found, Question, compare, read_questions
from plumbline_cli.problems import Problem
from plumbline_cli.session import Json, Session, as_dict

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
    """The generations that are kept, the first first."""
    session: Session = context.obj
    generations = session.retrieval(_listed)
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
    """Ask both the same questions; exit code 1 unless the candidate is shown to lose no more than MARGIN."""
    session: Session = context.obj
    comparison = _compared(session, read_questions(questions))
    passed = comparison.loses_at_most(margin)
    if as_json:
        session.emit({**comparison.as_dict(), "margin": margin, "passed": passed})
    else:
        _show(session, session.out, comparison, margin)
    if not passed:
        raise typer.Exit(1)


def switch(
    context: typer.Context,
    questions: Questions = None,
    margin: Margin = MARGIN,
    unmeasured: Annotated[bool, typer.Option("--unmeasured", help="Without a comparison.")] = False,
    as_json: Json = False,
) -> None:
    """Let the candidate answer, if the comparison on QUESTIONS shows that it loses no more than MARGIN."""
    session: Session = context.obj
    if questions is None and not unmeasured:
        raise Problem("name the --questions that the generations are compared on, or say --unmeasured")
    _, candidate = session.retrieval(_both)
    if questions is not None:
        comparison = _compared(session, read_questions(questions))
        _show(session, session.err, comparison, margin)
        if not comparison.loses_at_most(margin):
            least = math.ceil(UNSEEN / margin) if margin else "no number of"
            raise Problem(
                f"not switched: it is not shown that little is lost; {least} questions without a loss show it"
            )
    _switch(session, candidate, as_json)


def back(context: typer.Context, as_json: Json = False) -> None:
    """Let the first generation answer again, at once."""
    session: Session = context.obj
    first, _ = session.retrieval(_both)
    _switch(session, first, as_json)


def _switch(session: Session, generation: pb.IndexGeneration, as_json: bool) -> None:
    request = pb.SwitchGenerationRequest(index_generation=generation.index_generation)
    reply = session.retrieval(lambda stub: stub.SwitchGeneration(request, timeout=SECONDS))
    if as_json:
        session.emit({"serving": generation.index_generation, "previous": reply.previous_generation})
    else:
        session.out.print(f"{generation.index_generation} answers: {generation.description}")
        if generation.behind < 0:
            session.err.print("how far it is behind the corpus is not known to the process asked", style="yellow")


def _compared(session: Session, questions: Sequence[Question]) -> Comparison:
    """The candidate's answers against the first generation's."""

    async def measured(stub: Any) -> Comparison:
        first, candidate = await _both(stub)
        with Progress(console=session.err, transient=True) as progress:
            asked = progress.add_task("questions", total=2 * len(questions))
            gate = asyncio.Semaphore(IN_FLIGHT)

            async def ask(question: Question, generation: pb.IndexGeneration) -> Found:
                async with gate:
                    found = await _found(stub, question.text, generation.index_generation)
                progress.advance(asked)
                return found

            # By turns, so that both meet the same load.
            pairs = [(ask(question, first), ask(question, candidate)) for question in questions]
            found = await asyncio.gather(*(search for pair in pairs for search in pair))
        return compare(questions, found[::2], found[1::2])

    return session.retrieval(measured)


async def _found(stub: Any, text: str, generation: str) -> Found:
    request = pb.SearchPassagesRequest(query=text, page_size=PASSAGES, index_generation=generation)
    started = time.perf_counter()
    reply = await stub.SearchPassages(request, timeout=SECONDS)
    documents = list(dict.fromkeys(passage.ref.document_id for passage in reply.passages))
    return Found(documents, (time.perf_counter() - started) * 1e3)


async def _both(stub: Any) -> tuple[pb.IndexGeneration, pb.IndexGeneration]:
    """The first generation and the candidate."""
    generations = await _listed(stub)
    if len(generations) < 2:
        raise Problem(
            "there is one generation only: set CANDIDATE_ENCODER_DIR or another CANDIDATE_ variable of retrieval"
        )
    return generations[0], generations[1]


async def _listed(stub: Any) -> Sequence[pb.IndexGeneration]:
    reply: pb.ListGenerationsResponse = await stub.ListGenerations(pb.ListGenerationsRequest(), timeout=SECONDS)
    return reply.generations


def _show(session: Session, console: Console, comparison: Comparison, margin: float) -> None:
    table = Table("measure", "first", "candidate", "difference", "95 %", box=None)
    for each in comparison.differences:
        table.add_row(*_cells(each))
    before, after = comparison.milliseconds
    table.add_row("median ms", f"{before:.1f}", f"{after:.1f}", "", "")
    console.print(table)
    for word, texts in (("won", comparison.won), ("lost", comparison.lost)):
        for text in texts:
            console.print(f"{word}  {text}", soft_wrap=True)
    passed = comparison.loses_at_most(margin)
    verdict = f"loses no more than {margin:g}" if passed else f"is not shown to lose no more than {margin:g}"
    session.err.print(f"{comparison.questions} questions: the candidate {verdict}", style="green" if passed else "red")


def _cells(each: Difference) -> tuple[str, ...]:
    interval = f"{each.low:+.3f} to {each.high:+.3f}"
    return each.measure, f"{each.before:.3f}", f"{each.after:.3f}", f"{each.gain:+.3f}", interval
