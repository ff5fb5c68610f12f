"""The pooled corpus (xquad, clapnq, mtrag, medquad: 18,735 passages) and its question sets."""

import csv
import gzip
import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

MEDQUAD_QUESTIONS = 1500
MEDQUAD_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage, and the title of the page that it is from."""

    title: str
    text: str
    joined: bool = False
    """Whether published figures were measured with the title before the text."""

    @property
    def untitled(self) -> str:
        """The text that published figures were measured with."""
        return f"{self.title} {self.text}" if self.joined else self.text


@dataclass(frozen=True, slots=True)
class Query:
    """A question and the relevance of passages (by their number in the pool) to it."""

    text: str
    relevant: dict[int, int]

    @property
    def is_held_out(self) -> bool:
        """Whether nothing was chosen by it: half of the questions, by a hash."""
        return is_held_out(self.text)


@dataclass(frozen=True, slots=True)
class Dialogue:
    """What user and agent said in turn, the user first and last, and the relevance of passages to the last turn."""

    id: str
    turns: list[str]
    relevant: dict[int, int]

    @property
    def question(self) -> str:
        """The last turn."""
        return self.turns[-1]

    @property
    def last_three(self) -> str:
        """The last turn after what was said before it."""
        return " ".join(self.turns[-3:])

    @property
    def is_held_out(self) -> bool:
        """Whether nothing was chosen by it: half of the dialogues, by a hash of their ids."""
        return is_held_out(self.id)


@dataclass(frozen=True)
class Pool:
    """Passages, named question sets over them, and questions that they answer or not."""

    passages: list[Passage]
    queries: dict[str, list[Query]]
    answerable: dict[str, list[tuple[str, bool]]]
    dialogues: list[Dialogue]
    mtrag: range
    """Numbers of the passages that the dialogues are about."""

    def distinct(self, ranking: Iterable[int]) -> list[int]:
        """*ranking* with each text once, by the number of its first passage."""
        return list(dict.fromkeys(self.firsts[number] for number in ranking))

    @cached_property
    def firsts(self) -> list[int]:
        """For each passage the number of the first one that has the same text: 632 of them are copies."""
        return _firsts(self.passages)


def is_held_out(question: str) -> bool:
    """By the lowest bit of the first byte of the question's SHA-256."""
    return bool(hashlib.sha256(question.encode()).digest()[0] & 1)


def load(data: Path) -> Pool:
    """Read the four sets below *data* in the order that the published floors were computed with."""
    passages: list[Passage] = []
    answerable: dict[str, list[tuple[str, bool]]] = {}
    queries = {"xquad": _xquad(data, passages)}
    foreign = {f"xquad {language}": _foreign(data, language, queries["xquad"]) for language in ("de", "es")}
    queries |= {"clapnq": _clapnq(data, passages, answerable)}
    begin = len(passages)
    dialogues = list(_mtrag(data, passages, answerable))
    mtrag = range(begin, len(passages))
    queries["mtrag last turn"] = [Query(one.question, one.relevant) for one in dialogues]
    queries["mtrag last three"] = [Query(one.last_three, one.relevant) for one in dialogues]
    queries["medquad"] = _medquad(data, passages)
    queries |= foreign
    firsts = _firsts(passages)
    queries = {name: [_by_text(query, firsts) for query in asked] for name, asked in queries.items()}
    judged = zip(dialogues, queries["mtrag last turn"], strict=True)
    dialogues = [replace(dialogue, relevant=query.relevant) for dialogue, query in judged]
    return Pool(passages, queries, answerable, dialogues, mtrag)


def _firsts(passages: list[Passage]) -> list[int]:
    numbers: dict[str, int] = {}
    return [numbers.setdefault(passage.text, number) for number, passage in enumerate(passages)]


def _by_text(query: Query, firsts: list[int]) -> Query:
    """A passage is as relevant as the best of its copies: who reads one needs no other."""
    relevant: dict[int, int] = {}
    for number, grade in query.relevant.items():
        relevant[firsts[number]] = max(grade, relevant.get(firsts[number], grade))
    return Query(query.text, relevant)


def _xquad(data: Path, passages: list[Passage]) -> list[Query]:
    queries = []
    for article in json.loads((data / "xquad/xquad.en.json").read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            passages.append(Passage(article["title"].replace("_", " "), paragraph["context"]))
            queries += [Query(qa["question"], {len(passages) - 1: 1}) for qa in paragraph["qas"]]
    return queries


def _foreign(data: Path, language: str, english: list[Query]) -> list[Query]:
    """The same questions in another language, over the English passages: the files list them in the same order."""
    articles = json.loads((data / f"xquad/xquad.{language}.json").read_text(encoding="utf-8"))["data"]
    texts = [qa["question"] for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    return [Query(text, query.relevant) for text, query in zip(texts, english, strict=True)]


def _clapnq(data: Path, passages: list[Passage], answerable: dict[str, list[tuple[str, bool]]]) -> list[Query]:
    queries, asked = [], []
    for kind in ("answerable", "unanswerable"):
        for row in _lines(data / f"clapnq/annotated_data/dev/clapnq_dev_{kind}.jsonl"):
            passages.append(Passage(row["passages"][0]["title"], row["passages"][0]["text"], joined=True))
            asked.append((row["input"], kind == "answerable"))
            if kind == "answerable":
                queries.append(Query(row["input"], {len(passages) - 1: 1}))
    answerable["clapnq"] = asked
    return queries


def _mtrag(data: Path, passages: list[Passage], answerable: dict[str, list[tuple[str, bool]]]) -> Iterator[Dialogue]:
    texts: dict[str, Passage] = {}
    turns: dict[str, list[str]] = {}
    asked = []
    for row in _lines(data / "mtrag/mtragun-human/generation_tasks/reference.jsonl"):
        texts |= {c["document_id"]: Passage(c.get("title") or "", c["text"], joined=True) for c in row["contexts"]}
        turns[row["task_id"]] = [message["text"] for message in row["input"]]
        if row["answerability"] in (["ANSWERABLE"], ["UNANSWERABLE"]):
            asked.append((turns[row["task_id"]][-1], row["answerability"] == ["ANSWERABLE"]))
    answerable["mtrag last turn"] = asked
    judged = data / "mtrag/mtrag-human/evaluations/reference_subset_with_human_evaluations.json"
    for document in json.loads(judged.read_text(encoding="utf-8"))["documents"]:
        texts.setdefault(document["document_id"], Passage(document.get("title") or "", document["text"]))
    numbers = {document_id: len(passages) + i for i, document_id in enumerate(texts)}
    passages += texts.values()
    for task, relevant in _judgements(data, numbers).items():
        if task in turns:
            yield Dialogue(task.partition("<")[0], turns[task], relevant)


def _judgements(data: Path, numbers: dict[str, int]) -> dict[str, dict[int, int]]:
    judgements: dict[str, dict[int, int]] = defaultdict(dict)
    for path in sorted((data / "mtrag/mtragun-human/retrieval_tasks/qrels").glob("*.tsv")):
        with path.open(encoding="utf-8", newline="") as file:
            for task, document_id, grade in list(csv.reader(file, delimiter="\t"))[1:]:
                if document_id in numbers:
                    judgements[task][numbers[document_id]] = int(grade)
    return judgements


def _medquad(data: Path, passages: list[Passage]) -> list[Query]:
    queries = []
    for row in _lines(data / "medquad/medquad.jsonl.gz"):
        passages.append(Passage(row["focus"] or "", row["answer"][:MEDQUAD_CHARACTERS]))
        queries.append(Query(row["question"], {len(passages) - 1: 1}))
    return random.Random(0).sample(queries, MEDQUAD_QUESTIONS)


def _lines(path: Path) -> list[dict[str, Any]]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [json.loads(line) for line in content.split(b"\n") if line]
