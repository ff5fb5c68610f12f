"""Answers and traces as a person reads them."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.gateway.v1 import gateway_service_pb2 as pb
from plumbline_cli.remembered import saved_words
from plumbline_local.traces.spans import StoredSpan

UNSUPPORTED: Final = "[not supported]"
NOT_CHECKED: Final = "[not checked]"
LONGEST_QUOTE: Final = 240
_SENTENCE: Final = re.compile(r"[^\n]*?(?:[.!?](?=\s)|$)", re.MULTILINE)
_WORD: Final = re.compile(r"\w+")


def render_answer(completed: pb.AskCompleted) -> RenderableType:
    """The answer with a number after each supported sentence, its sources, and how it came about."""
    answer = completed.answer
    lines: list[RenderableType] = [*_understood(completed), _cited_text(answer), Text()]
    lines += [_source(number, answer) for number in cited_numbers(answer)]
    return Group(*lines, _origin(completed), _whereabouts(completed))


def cited_numbers(answer: common_pb.Answer) -> list[int]:
    """Numbers of the sources that some claim rests on, in order; numbers without a source are left out."""
    numbers = {number for claim in answer.claims for number in claim.source_numbers}
    return sorted(number for number in numbers if 1 <= number <= len(answer.sources))


def best_quote(claim: str, passage: str) -> str:
    """The sentence of *passage* that shares most words with *claim*."""
    wanted = _words(claim)
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(passage) if sentence.strip()]
    best = max(sentences, key=lambda sentence: len(wanted & _words(sentence)), default="")
    return best if len(best) <= LONGEST_QUOTE else f"{best[: LONGEST_QUOTE - 1]}…"


def render_trace(spans: Sequence[StoredSpan]) -> RenderableType:
    """The span tree: service, name, duration, when it began after the first one."""
    ids = {span.span_id for span in spans}
    children: dict[str, list[StoredSpan]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in ids else "", []).append(span)
    began = min(span.start_ns for span in spans)
    total = (max(span.end_ns for span in spans) - began) / 1e6
    tree = Tree(Text(f"trace {spans[0].trace_id}  {len(spans)} spans  {total:.1f} ms", style="bold"))
    _grow(tree, children, "", began)
    return tree


def _grow(tree: Tree, children: dict[str, list[StoredSpan]], parent: str, began: int) -> None:
    for span in children.get(parent, []):
        _grow(tree.add(_span_line(span, began)), children, span.span_id, began)


def _span_line(span: StoredSpan, began: int) -> Text:
    style = "red" if span.status == "error" else ""
    line = Text.assemble((span.service, "cyan"), " ", (span.name, style), f"  {span.milliseconds:.1f} ms")
    line.append(f"  +{(span.start_ns - began) / 1e6:.1f}", style="dim")
    if span.status == "error":
        line.append(f"  {span.status_message}", style="red")
    return line


def _understood(completed: pb.AskCompleted) -> list[Text]:
    """What was answered, where it is not what was asked."""
    condensation = completed.condensation
    if condensation.standalone_question == condensation.original_question:
        return []
    return [Text(f"understood as: {condensation.standalone_question}\n", style="dim")]


def _cited_text(answer: common_pb.Answer) -> Text:
    """The text with marks at the end of each claim; what no claim covers stays as it is."""
    text, position = Text(), 0
    for claim in answer.claims:
        text.append(answer.text[position : claim.end_offset])
        text.append_text(_mark(claim))
        position = claim.end_offset
    return text.append(answer.text[position:])


def _mark(claim: common_pb.Claim) -> Text:
    if claim.source_numbers:
        return Text("".join(f" [{number}]" for number in claim.source_numbers), style="green")
    if claim.status == common_pb.CLAIM_STATUS_NO_CLAIM:
        return Text()
    not_checked = claim.status == common_pb.CLAIM_STATUS_NOT_CHECKED
    return Text(f" {NOT_CHECKED if not_checked else UNSUPPORTED}", style="yellow")


def _source(number: int, answer: common_pb.Answer) -> Text:
    source = answer.sources[number - 1]
    claims = " ".join(_claims_of(number, answer))
    line = Text.assemble((f"[{number}] ", "green"), (source.title, "bold"), "  ")
    line.append(f"{source.url or source.ref.document_id}, version {source.ref.version}\n", style="dim")
    return line.append(f"    “{best_quote(claims, source.text)}”", style="italic")


def _claims_of(number: int, answer: common_pb.Answer) -> Iterator[str]:
    for claim in answer.claims:
        if number in claim.source_numbers:
            yield answer.text[claim.start_offset : claim.end_offset]


def _origin(completed: pb.AskCompleted) -> Text:
    parts = [origin_name(completed.origin)]
    parts += [f"model {completed.model}"] if completed.model else []
    parts += [f"first answered as {completed.cached_answer_id}"] if completed.cached_answer_id else []
    parts += [completed.reason] if completed.reason else []
    parts += [f"one of {completed.sample_count} texts"] if completed.sample_count else []
    parts += [f"agreement {completed.agreement:.2f}"] if completed.HasField("agreement") else []
    parts += [f"{completed.total_time.ToMicroseconds() / 1000:.0f} ms"]
    parts += [f"{cost.amount:.6f} {cost.currency_code}" for cost in completed.costs]
    parts += [f"saved {saved_words(completed.saved)}"] if completed.HasField("saved") else []
    parts += [] if completed.recorded else ["not recorded: it will not be evaluated"]
    return Text(f"\n{', '.join(parts)}", style="dim")


def _whereabouts(completed: pb.AskCompleted) -> Text:
    written = completed.coalesced_with or completed.answer_id
    evaluated = completed.cached_answer_id or (written if completed.recorded else "")
    commands = [f"plumbline trace {completed.answer_id}"]
    commands += [f"plumbline evaluation {evaluated}"] if evaluated else []
    return Text("\n".join(commands), style="dim", no_wrap=True)


def origin_name(origin: "pb.AnswerOrigin.ValueType") -> str:
    """The origin in lower case: "cached"."""
    return pb.AnswerOrigin.Name(origin).removeprefix("ANSWER_ORIGIN_").lower()


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))
