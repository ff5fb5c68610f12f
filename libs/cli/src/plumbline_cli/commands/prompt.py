"""`prompt`: a prompt's file looked over, rendered, tested and compared, without the platform."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from difflib import unified_diff
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from plumbline_cli.asking import Endpoint
from plumbline_cli.problems import Problem
from plumbline_cli.session import Json, Session
from plumbline_cli.trying import Outcome, Trial
from plumbline_kit.release import Constant
from plumbline_models.encoder import token_counter
from plumbline_prompts.comparing import Change, compare
from plumbline_prompts.errors import PromptProblem
from plumbline_prompts.file import Example, PromptFile, find_prompts
from plumbline_prompts.lint import Finding, Severity, lint
from plumbline_prompts.prefix import prefix
from plumbline_prompts.template import PromptTemplate

COLOURS: Final = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.INFO: "dim"}

File = Annotated[Path, typer.Argument(help="The prompt's file.")]
Values = Annotated[
    list[str], typer.Option("--set", help="NAME=VALUE for a variable; repeat it for several.", show_default=False)
]


def add_to(app: typer.Typer) -> None:
    """Add this module's commands."""
    prompt = typer.Typer(no_args_is_help=True, help="Prompt files: looked over, rendered, tested, compared.")
    prompt.command("list")(list_prompts)
    prompt.command("lint")(lint_prompt)
    prompt.command()(render)
    prompt.command("test")(run_tests)
    prompt.command()(diff)
    app.add_typer(prompt, name="prompt")


def list_prompts(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to look.")] = Path(),
    as_json: Json = False,
) -> None:
    """The prompt files below a folder, and what each has beside it."""
    session: Session = context.obj
    rows = [_overview(path) for path in find_prompts(folder)]
    if as_json:
        for row in rows:
            session.emit(row)
        return
    names = ("file", "version", "variables", "examples", "tests", "errors", "warnings")
    table = Table(*(Column(name, overflow="fold") for name in names), box=None)
    for row in rows:
        table.add_row(*map(str, row.values()))
    session.out.print(table)


def lint_prompt(
    context: typer.Context,
    file: File,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    as_json: Json = False,
) -> None:
    """What is wrong with a prompt; exit code 1 if anything is."""
    session: Session = context.obj
    findings = lint(PromptFile.load(file), _counter(session))
    if as_json:
        for finding in findings:
            session.emit({**asdict(finding), "severity": finding.severity.value, "file": str(file)})
    else:
        _show_findings(session, file, findings)
    failing = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
    if any(finding.severity in failing for finding in findings):
        raise typer.Exit(1)


def render(
    context: typer.Context,
    file: File,
    example: Annotated[str, typer.Option(help="Name of the example; the first if left out.")] = "",
    variables: Annotated[
        Path | None, typer.Option("--vars", help="A JSON file: question, passages and variables as in an example.")
    ] = None,
    values: Values = [],  # noqa: B006  # typer copies it
    as_json: Json = False,
) -> None:
    """The exact messages, their tokens, and how far they stay the same between requests."""
    session: Session = context.obj
    prompt = PromptFile.load(file)
    chosen = _given(variables) if variables else _example(prompt, example)
    settings = prompt.settings({**_constants(prompt, values), **chosen.variables})
    shown = _rendered(PromptTemplate(settings), chosen, _counter(session))
    if as_json:
        session.emit({"example": chosen.name, "version": settings.version, **shown})
    else:
        _show_messages(session, settings.version, shown)


def run_tests(
    context: typer.Context,
    file: File,
    endpoint: Annotated[str, typer.Option(help="An OpenAI-compatible API, such as http://127.0.0.1:7113/v1.")] = "",
    model: Annotated[str, typer.Option(help="The model to ask there.")] = "",
    repeats: Annotated[int, typer.Option(help="Answers for each test, each with a seed of its own.", min=1)] = 1,
    temperature: Annotated[float, typer.Option(help="At 0 repeats are all the same.", min=0)] = 0.0,
    max_tokens: Annotated[int, typer.Option(help="Of an answer.", min=1)] = 256,
    timeout: Annotated[float, typer.Option(help="Seconds for an answer.")] = 120.0,
    values: Values = [],  # noqa: B006  # typer copies it
    as_json: Json = False,
) -> None:
    """Run the file's tests, those of answers only with --endpoint; exit code 1 if any fails."""
    session: Session = context.obj
    prompt = PromptFile.load(file)
    if bool(endpoint) != bool(model):
        raise Problem("--endpoint and --model go together")
    key = session.settings.model_key
    asked = Endpoint(endpoint, model, key, temperature, max_tokens, timeout) if endpoint else None
    trial = Trial(prompt, _constants(prompt, values), _counter(session), asked, repeats)
    outcomes = _run(session, trial)
    if as_json:
        for outcome in outcomes:
            session.emit(outcome.as_dict())
    else:
        _show_outcomes(session, trial, outcomes)
    if not outcomes or not all(outcome.passed for outcome in outcomes):
        raise typer.Exit(1)


def diff(
    context: typer.Context,
    before: Annotated[Path, typer.Argument(help="The one prompt's file.")],
    after: Annotated[Path, typer.Argument(help="The other's.")],
    as_json: Json = False,
) -> None:
    """What changes: templates, every example as it is rendered, version, tokens, and what a model server has kept."""
    session: Session = context.obj
    change = compare(PromptFile.load(before), PromptFile.load(after), _counter(session))
    if as_json:
        session.emit(asdict(change))
    else:
        _show_change(session, change)


def _overview(path: Path) -> dict[str, Any]:
    try:
        prompt = PromptFile.load(path)
    except PromptProblem:
        return {
            "file": str(path),
            "version": "",
            "variables": "",
            "examples": "",
            "tests": "",
            "errors": 1,
            "warnings": 0,
        }
    severities = [finding.severity for finding in lint(prompt, None)]
    return {
        "file": str(path),
        "version": prompt.sample().version,
        "variables": ", ".join(prompt.variables),
        "examples": len(prompt.examples),
        "tests": len(prompt.tests),
        "errors": severities.count(Severity.ERROR),
        "warnings": severities.count(Severity.WARNING),
    }


def _counter(session: Session) -> Callable[[str], int] | None:
    """By the encoder's tokenizer; None where it has not been built."""
    try:
        return token_counter(session.settings.layout.encoder)
    except FileNotFoundError:
        return None


def _show_findings(session: Session, file: Path, findings: list[Finding]) -> None:
    for finding in findings:
        line = Text.assemble(f"{file}:{finding.line}: ", (finding.severity.value, COLOURS[finding.severity]))
        session.out.print(line.append(f" {finding.code}: {finding.message}"), soft_wrap=True)
    counts = {severity: sum(one.severity is severity for one in findings) for severity in Severity}
    words = ", ".join(f"{count} {severity.value}{'s' * (count != 1)}" for severity, count in counts.items() if count)
    session.err.print(words or "nothing is wrong", style="" if words else "green")


def _example(prompt: PromptFile, name: str) -> Example:
    if not prompt.examples:
        raise Problem("the file has no example: add one, or name a file with --vars")
    if not name:
        return prompt.examples[0]
    try:
        return prompt.example(name)
    except KeyError:
        there = ", ".join(example.name for example in prompt.examples)
        raise Problem(f"there is no example {name}; there are {there}") from None


def _given(path: Path) -> Example:
    try:
        return Example.model_validate({"name": path.name, **json.loads(path.read_text(encoding="utf-8"))})
    except (OSError, ValueError, TypeError) as error:
        raise Problem(f"{path}: {error}") from error


def _constants(prompt: PromptFile, pairs: list[str]) -> dict[str, Constant]:
    """The values of variables, each read as its kind says."""
    values: dict[str, Constant] = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        variable = prompt.variables.get(name)
        try:
            values[name] = text if variable is None or variable.type == "text" else json.loads(text)
        except ValueError:
            raise Problem(f"{name} is {text!r}, not a {variable.type if variable else 'text'}") from None
    return values


def _rendered(template: PromptTemplate, example: Example, count: Callable[[str], int] | None) -> dict[str, Any]:
    passages = example.numbered()
    told, kept = template.render(example.question, passages), prefix(template, example.question, passages)
    tokens = {"system": count(told.system), "user": count(told.user)} if count else None
    return {"system": told.system, "user": told.user, "tokens": tokens, "prefix": asdict(kept)}


def _show_messages(session: Session, version: str, shown: Mapping[str, Any]) -> None:
    tokens, kept, user = shown["tokens"], shown["prefix"], shown["user"]
    counted = {name: f", {tokens[name]} tokens" if tokens else "" for name in ("system", "user")}
    session.out.print(Text(f"system{counted['system']}: the same in every request", style="cyan"))
    session.out.print(Text(shown["system"], style="dim"), soft_wrap=True)
    session.out.print(Text(f"\nuser{counted['user']}", style="cyan"))
    one, other = kept["any_passages"], max(kept["any_passages"], kept["same_passages"])
    told = Text.assemble((user[:one], "dim"), (user[one:other], "green"), (user[other:], "bold"))
    session.out.print(told, soft_wrap=True)
    same = f"{one} characters are the same with any passages, {other} of {len(user)} with another question"
    session.err.print(f"\nversion {version}; of the user message {same}", soft_wrap=True)
    if not tokens:
        session.err.print("tokens were not counted: `plumbline up` builds the encoder, whose tokenizer does it")


def _run(session: Session, trial: Trial) -> list[Outcome]:
    with Progress(console=session.err, transient=True) as progress:
        asked = progress.add_task("answers", total=trial.answers, visible=trial.answers > 0)
        return list(trial.run(lambda: progress.advance(asked)))


def _show_outcomes(session: Session, trial: Trial, outcomes: list[Outcome]) -> None:
    table = Table("test", "of", "passed", "right", "95 %", "median s", "why not", box=None)
    for each in outcomes:
        table.add_row(*_cells(each))
    session.out.print(table)
    failed = sum(not outcome.passed for outcome in outcomes)
    unasked = 0 if trial.endpoint else sum(test.answer is not None for test in trial.prompt.tests)
    if unasked:
        tests = f"{unasked} tests of answers were" if unasked > 1 else "one test of answers was"
        session.err.print(f"{tests} not run: name an --endpoint and a --model", style="yellow")
    words = f"{failed} of {len(outcomes)} failed" if failed else f"all {len(outcomes)} passed"
    session.err.print(words if outcomes else "nothing is tested", style="red" if failed or not outcomes else "green")


def _cells(each: Outcome) -> tuple[str | Text, ...]:
    passed = Text("yes", style="green") if each.passed else Text("no", style="red")
    measured = ("", "", "")
    if each.low is not None and each.high is not None:
        measured = (f"{each.right} of {each.repeats}", f"{each.low:.2f} to {each.high:.2f}", f"{each.seconds:.1f}")
    texts = "; ".join(f"“{text}”" for text in dict.fromkeys(each.texts)) if not each.passed else ""
    return (
        Text(each.name),
        each.kind,
        passed,
        *measured,
        Text("; ".join(each.failures) + (f" {texts}" if texts else "")),
    )


def _show_change(session: Session, change: Change) -> None:
    before, after = change.versions
    session.out.print(f"version {before}" + (f" → {after}" if before != after else ", in both"))
    for name, (one, other) in change.templates.items():
        _show_diff(session, name, one, other)
    for example in change.examples:
        _show_diff(session, f"example {example.name}", *example.rendered)
    table = Table("example", "tokens before", "after", "same beginning", box=None)
    for example in change.examples:
        counts = map(str, example.tokens) if example.tokens else ("", "")
        table.add_row(Text(example.name), *counts, example.kept)
    session.out.print(table)


def _show_diff(session: Session, name: str, before: str, after: str) -> None:
    lines = unified_diff(before.splitlines(), after.splitlines(), f"before: {name}", f"after: {name}", lineterm="")
    for line in lines:
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        session.out.print(Text(line, style=style), soft_wrap=True)
