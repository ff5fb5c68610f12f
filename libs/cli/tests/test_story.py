"""The demo's judgement: what passes a step and what does not."""

import pytest

from plumbline_cli.commands.demo import DOCUMENTS
from plumbline_cli.problems import Problem
from plumbline_cli.reading import sources
from plumbline_cli.story import DOCUMENT_ID, HOPS, OLD_PRICE, SERVICES, Differs, missing_from, see_trace, timed
from plumbline_local.traces.spans import StoredSpan


def span(service: str, name: str) -> StoredSpan:
    return StoredSpan("a", "b", "", service, name, "internal", 0, 1, "unset", "", {})


def whole_trace() -> list[StoredSpan]:
    return [span(service, "work") for service in SERVICES] + [span("any", f"send {hop}") for hop in HOPS]


async def test_a_step_that_differs_says_what_was_seen() -> None:
    async def differs() -> str:
        raise Differs("cached")

    step = await timed("ask", differs)
    assert (step.passed, step.seen) == (False, "cached")


async def test_a_step_that_a_service_fails_is_a_failed_step() -> None:
    async def fails() -> str:
        raise Problem("gateway does not answer")

    assert not (await timed("ask", fails)).passed


async def test_a_whole_trace_passes() -> None:
    async def spans() -> list[StoredSpan]:
        return whole_trace()

    assert await see_trace(spans) == "9 spans of 6 processes in one trace"


@pytest.mark.parametrize("missing", [0, -1])
def test_a_trace_without_a_service_or_a_hop_is_not_whole(missing: int) -> None:
    spans = whole_trace()
    lost = spans.pop(missing)
    assert [name for name in missing_from(spans) if name in (lost.service, lost.name.removeprefix("send "))]


def test_the_corpus_names_each_price_once() -> None:
    texts = {source.document_id: source.path.read_text("utf-8") for source in sources([DOCUMENTS])}
    assert len(texts) >= 40
    assert f"The Aurora desk lamp costs {OLD_PRICE} euros." in texts[DOCUMENT_ID]
    assert all(80 <= len(text.split()) <= 250 for text in texts.values())
