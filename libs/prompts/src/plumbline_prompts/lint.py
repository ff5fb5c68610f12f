"""What is wrong with a prompt's file, found without a model."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from jinja2 import TemplateSyntaxError, nodes
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from plumbline_prompts.errors import PromptProblem, TemplateProblem
from plumbline_prompts.file import PromptFile
from plumbline_prompts.hostile import breaches
from plumbline_prompts.template import GIVEN, PromptPassage, PromptTemplate

MOST_INSTRUCTION_TOKENS: Final = 400
"""Beyond that a small model follows the beginning and the end only."""

ONE: Final = PromptPassage(7101, "zqtitle1", "zqtext1", "2026-05-31", "medium", "zqsection1")
TWO: Final = PromptPassage(7102, "zqtitle2", "zqtext2", "2026-05-30", "medium", "zqsection2")
QUESTION: Final = "zqquestion"

_ABSTAINS: Final = re.compile(
    r"(?:do(?:es)? not|don't|doesn't|cannot|can't|not) (?:know|answer|say|contain|state|mention|find|enough)"
    r"|no answer|insufficient|unanswer|say so|not (?:in|given|found)|only if",
    re.IGNORECASE,
)
_VARYING: Final = re.compile(
    r"\b(?:19|20)\d\d-\d\d-\d\d\b|\b\d{1,2}:\d\d\b"
    r"|\b(?:\d{1,2}\.? )?(?:January|February|March|April|May|June|July|August|September|October|November|December)"
    r"(?: \d{1,2},)? (?:19|20)\d\d\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}\b",
    re.IGNORECASE,
)
_UNRENDERABLE: Final = frozenset({"unknown-variable", "varying-instructions"})
"""What comes out need not be looked at then: the names that are wrong are why nothing does."""
_RANDOM: Final = frozenset({"random", "shuffle"})


class Severity(Enum):
    """How bad it is."""

    ERROR = "error"
    """It does not work, or is not safe."""
    WARNING = "warning"
    """It works, and most would have it otherwise."""
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong. *line* is the file's."""

    code: str
    severity: Severity
    line: int
    message: str


Count = Callable[[str], int]


def lint(prompt: PromptFile, count: Count | None) -> list[Finding]:
    """All findings but those that the file allows, in the order of its lines.

    *count* counts the tokens of the instructions, whose length is not looked at without.
    """
    found = [*_variables(prompt), *_company(prompt)]
    if not any(finding.code in _UNRENDERABLE for finding in found):
        found += _rendered(prompt, count)
    allowed = prompt.lint.allow
    kept = [finding for finding in found if finding.code not in allowed]
    for code in sorted(allowed.keys() - {finding.code for finding in found}):
        kept.append(Finding("needless-allowance", Severity.WARNING, 1, f"{code} is allowed and was not found"))
    return sorted(kept, key=lambda finding: finding.line)


def _variables(prompt: PromptFile) -> Iterator[Finding]:
    """By the templates alone: which names they use, and what must not be in them."""
    used: set[str] = set()
    for part in ("system", "template"):
        parsed = _parsed(getattr(prompt, part))
        if parsed is None:
            continue
        known = prompt.variables.keys() | (GIVEN if part == "template" else set())
        for name, line in _names(parsed).items():
            used.add(name)
            if part == "system" and name in GIVEN:
                text = f"{name} differs from request to request: the instructions must not, or no prefix is kept"
                yield Finding("varying-instructions", Severity.ERROR, prompt.line(part, line), text)
            elif name not in known:
                text = f"{name} is neither given nor declared under [variables]"
                yield Finding("unknown-variable", Severity.ERROR, prompt.line(part, line), text)
        yield from _expressions(prompt, part, parsed)
    for name in sorted((prompt.variables.keys() | GIVEN) - used):
        severity = Severity.ERROR if name in GIVEN else Severity.WARNING
        yield Finding("unused-variable", severity, prompt.line("template", 1), f"{name} is used nowhere")


def _parsed(source: str) -> nodes.Template | None:
    try:
        return ImmutableSandboxedEnvironment().parse(source)
    except TemplateSyntaxError:
        return None


def _names(parsed: nodes.Template) -> dict[str, int]:
    """The names that the template must be given, each with the line of its first use."""
    wanted = find_undeclared_variables(parsed)
    lines: dict[str, int] = {}
    for node in parsed.find_all(nodes.Name):
        if node.name in wanted:
            lines.setdefault(node.name, node.lineno)
    return lines


def _expressions(prompt: PromptFile, part: str, parsed: nodes.Template) -> Iterator[Finding]:
    for node in parsed.find_all(nodes.Getattr):
        if (
            isinstance(node.node, nodes.Name)
            and node.node.name == "loop"
            and node.attr.startswith(("index", "revindex"))
        ):
            text = f"loop.{node.attr} is a place, not the number of a source: write passage.number"
            yield Finding("numbered-by-place", Severity.ERROR, prompt.line(part, node.lineno), text)
    for filtered in parsed.find_all(nodes.Filter):
        if filtered.name in _RANDOM:
            text = f"{filtered.name} makes every prompt another: no prefix is kept, and no answer can be repeated"
            yield Finding("varying-instructions", Severity.ERROR, prompt.line(part, filtered.lineno), text)


def _rendered(prompt: PromptFile, count: Count | None) -> Iterator[Finding]:
    """By what comes out."""
    try:
        template = PromptTemplate(prompt.sample())
        rendered = template.render(QUESTION, [ONE, TWO])
    except TemplateProblem as error:
        yield Finding("template-error", Severity.ERROR, prompt.line(error.part, error.line), error.reason)
        return
    yield from _order(prompt, rendered.user)
    yield from _positions(prompt, rendered.user)
    for attack in breaches(template, prompt.template, [ONE, TWO]):
        text = f"a text changes more than its place: {attack!r}"
        yield Finding("text-breaks-out", Severity.ERROR, prompt.line("template", 1), text)
    yield from _instructions(prompt, rendered.system, rendered.user, count)
    yield from _examples(prompt)


def _examples(prompt: PromptFile) -> Iterator[Finding]:
    for example in prompt.examples:
        try:
            PromptTemplate(prompt.sample(example.variables)).render(example.question, example.numbered())
        except TemplateProblem as error:
            text = f"the example {example.name!r} does not render: {error.reason}"
            yield Finding("example-error", Severity.ERROR, prompt.line(error.part, error.line), text)
        except PromptProblem as error:
            yield Finding("example-error", Severity.ERROR, 1, f"the example {example.name!r}: {error}")


def _order(prompt: PromptFile, user: str) -> Iterator[Finding]:
    line = _line_of(prompt, "passages")
    one, two, asked = user.find(ONE.text), user.find(TWO.text), user.find(QUESTION)
    if min(one, two) < 0:
        yield Finding("passages-missing", Severity.ERROR, line, "the texts of the passages are not told")
        return
    if asked < 0:
        yield Finding("question-missing", Severity.ERROR, _line_of(prompt, "question"), "the question is not told")
    elif asked < two:
        text = "the question stands before passages: put it last, or the model server's work on them is lost"
        yield Finding("question-before-passages", Severity.ERROR, _line_of(prompt, "question"), text)
    beginnings = [user.find(mark) for mark in (str(TWO.number), TWO.title, TWO.text)]
    ends = min([place for place in beginnings if place > one], default=two)
    if "\n" not in user[one:ends] or (asked > two and "\n" not in user[two:asked]):
        yield Finding("passages-not-delimited", Severity.ERROR, line, "a passage does not end where its line does")
    if str(ONE.number) not in user or str(TWO.number) not in user:
        text = "passages come without their numbers: nothing can be cited"
        yield Finding("passages-without-number", Severity.WARNING, line, text)


def _positions(prompt: PromptFile, user: str) -> Iterator[Finding]:
    """Texts at places where a harmless text becomes part of something else."""
    for name, mark in {"title": ONE.title, "text": ONE.text, "section": ONE.section, "question": QUESTION}.items():
        for match in re.finditer(re.escape(mark), user):
            before, after = user[: match.start()].rpartition("\n")[2], user[match.end() : match.end() + 1]
            line = _line_of(prompt, name)
            if re.search(r"<[^<>]*$", before):
                text = f"{name} stands inside a tag: a > or a quote in it ends the tag; give it a place of its own"
                yield Finding("open-position", Severity.ERROR, line, text)
            elif before.endswith(("[", "{", "|")):
                text = f"{name} stands right behind {before[-1]}: together they can be a control token"
                yield Finding("open-position", Severity.ERROR, line, text)
            elif before[-1:] in ('"', "'", "`") and before[-1:] == after:
                text = f"{name} stands in quotes, which a quote in it ends: give it a line or a tag of its own"
                yield Finding("quoted-text", Severity.WARNING, line, text)


def _instructions(prompt: PromptFile, system: str, user: str, count: Count | None) -> Iterator[Finding]:
    places = [user.find(mark) for mark in (ONE.title, ONE.text, QUESTION) if mark in user]
    constant = f"{system}\n{user[: min(places, default=0)]}"
    if varying := _VARYING.search(constant):
        text = f"{varying[0]!r} in the instructions will not stay true: what varies breaks the prefix, or grows old"
        yield Finding("dated-instructions", Severity.WARNING, prompt.line("system", 1), text)
    whole = f"{system}\n{user}"
    if not _ABSTAINS.search(whole):
        text = "nothing tells the model what to do where the passages do not hold the answer"
        yield Finding("no-abstention", Severity.WARNING, prompt.line("system", 1), text)
    tokens = count(constant) if count else 0
    if tokens > MOST_INSTRUCTION_TOKENS:
        text = f"the instructions take {tokens} tokens; more than {MOST_INSTRUCTION_TOKENS} are seldom followed"
        yield Finding("long-instructions", Severity.WARNING, prompt.line("system", 1), text)


def _company(prompt: PromptFile) -> Iterator[Finding]:
    """What a prompt should have beside it."""
    if not prompt.examples:
        yield Finding("no-examples", Severity.INFO, 1, "there is no example to look at")
    if not prompt.tests:
        yield Finding("no-tests", Severity.INFO, 1, "nothing is tested")


def _line_of(prompt: PromptFile, name: str) -> int:
    """The file's line of the first expression of the template that names *name*."""
    parsed = _parsed(prompt.template)
    found = [node.lineno for node in parsed.find_all(nodes.Name) if node.name == name] if parsed else []
    found += [node.lineno for node in parsed.find_all(nodes.Getattr) if node.attr == name] if parsed else []
    return prompt.line("template", min(found, default=1))
