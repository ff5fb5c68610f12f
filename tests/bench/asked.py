"""Questions with what they have for an answer, or without one, and the passages that a search finds for them."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from plumbline.retrieval.v1 import retrieval_service_pb2 as pb
from plumbline_generation.domain.answer import Passage
from plumbline_generation.domain.condensing import by_rule
from plumbline_generation.domain.conversation import Conversation, Role, Turn
from plumbline_generation.translation import passage_from_proto
from tests.bench import retrieval
from tests.bench.platform import Bench
from tests.bench.pooled import Pool, is_held_out

SECONDS_A_SEARCH = 30
AT_ONCE = 8
CONDENSED_TURNS = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it stands alone, and what is known of its answer."""

    set: str
    id: str
    """Of the conversation, where there is one: all of its questions lie in one half."""
    wordings: tuple[str, ...]
    """What is searched for; the first is the question that is answered."""
    answerable: bool
    references: tuple[str, ...] = ()
    """Answers that people wrote."""
    gold: tuple[str, ...] = ()
    """Texts that hold the answer."""

    @property
    def question(self) -> str:
        """As it stands alone."""
        return self.wordings[0]

    @property
    def is_held_out(self) -> bool:
        """Whether nothing was chosen by it."""
        return is_held_out(self.id)

    def is_gold(self, passage: Passage) -> bool:
        """Whether *passage* is, or is cut from, a text that holds the answer."""
        text = passage.text.strip()
        return any(text in gold or gold.strip() in text for gold in self.gold)


@dataclass(frozen=True, slots=True)
class Found:
    """A question and the passages that a search for it found, best first."""

    asked: Asked
    passages: tuple[Passage, ...]

    def without_gold(self, count: int) -> "Found":
        """The same, as if no passage held the answer: the best *count* of the others."""
        others = [passage for passage in self.passages if not self.asked.is_gold(passage)]
        return Found(self.asked, tuple(others[:count]))

    def first(self, count: int) -> "Found":
        """With the best *count* passages."""
        return Found(self.asked, self.passages[:count])

    @property
    def holds_gold(self) -> bool:
        """Whether one of the passages holds the answer."""
        return any(map(self.asked.is_gold, self.passages))


def questions(data: Path, pool: Pool) -> list[Asked]:
    """Those of clapnq and mtrag that are answerable or are not, and those of xquad, which are."""
    return [*_clapnq(data), *_mtrag(data), *_xquad(pool)]


async def find(bench: Bench, pool: Pool, asked: Sequence[Asked], count: int, console: Console) -> list[Found]:
    """Submit what the three sets are about, 2,328 passages, and search for *count* passages a question."""
    documents = retrieval.submitted(pool, untitled=False)[: pool.mtrag.stop]
    await retrieval.submit_all(bench.driver.retrieval, documents, console)
    gate, stub = asyncio.Semaphore(AT_ONCE), bench.driver.retrieval

    async def search(each: Asked) -> Found:
        text, *more = each.wordings
        request = pb.SearchPassagesRequest(query=text, more_queries=more, page_size=count)
        async with gate:
            reply = await stub.SearchPassages(request, timeout=SECONDS_A_SEARCH)
        progress.advance(task)
        return Found(each, tuple(map(passage_from_proto, reply.passages)))

    with Progress(console=console) as progress:
        task = progress.add_task("search", total=len(asked))
        return await asyncio.gather(*map(search, asked))


def _clapnq(data: Path) -> Iterator[Asked]:
    for kind in ("answerable", "unanswerable"):
        for row in _lines(data / f"clapnq/annotated_data/dev/clapnq_dev_{kind}.jsonl"):
            answers = tuple(each["answer"] for each in row["output"] if each["answer"])
            gold = tuple(passage["text"] for passage in row["passages"]) if answers else ()
            yield Asked("clapnq", row["input"], (row["input"],), kind == "answerable", answers, gold)


def _mtrag(data: Path) -> Iterator[Asked]:
    for row in _lines(data / "mtrag/mtragun-human/generation_tasks/reference.jsonl"):
        if row["answerability"] not in (["ANSWERABLE"], ["UNANSWERABLE"]):
            continue
        targets = tuple(each["text"] for each in row["targets"])
        gold = tuple(each["text"] for each in row["contexts"])
        answerable = row["answerability"] == ["ANSWERABLE"]
        yield Asked("mtrag", row["conversation_id"], _wordings(row), answerable, targets, gold)


def _wordings(row: dict[str, Any]) -> tuple[str, ...]:
    """As the gateway searches: the question made to stand alone by rule, and as it was asked."""
    roles = (Role.USER, Role.ASSISTANT)
    *said, last = [message["text"] for message in row["input"]]
    turns = tuple(Turn(roles[number % 2], text[:8_000]) for number, text in enumerate(said))
    condensed = by_rule(Conversation(turns, last).last(CONDENSED_TURNS))
    return tuple(dict.fromkeys((condensed.standalone, condensed.original)))


def _xquad(pool: Pool) -> Iterator[Asked]:
    for query in pool.queries["xquad"]:
        gold = tuple(pool.passages[number].text for number in query.relevant)
        yield Asked("xquad", query.text, (query.text,), answerable=True, gold=gold)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
