"""Questions with their passages for `bench-generation`, no two of them with a passage in common."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from plumbline.common.v1 import answer_pb2 as common_pb
from plumbline.generation.v1 import generation_service_pb2 as pb
from plumbline_generation.domain.packing import Offsets, pack
from plumbline_generation.domain.prompt import PromptTemplate
from plumbline_generation.translation import assignment_from_proto
from plumbline_kit.release import Release

DOCUMENTS: Final = Path("demo/documents/products")
PASSAGE_CHARACTERS: Final = 900
"""About what retrieval cuts documents into."""
FIRST_SENTENCE_TOKENS: Final = 8

_ASKED: Final = re.compile(r"Question: How much does the Aurora (\d+)-0 ")


def fact(number: int, rank: int = 0) -> str:
    """The beginning of a passage, with which the fake model answers the question *number*; 33 tokens."""
    return (
        f"The Aurora {number}-{rank} desk lamp costs {40 + number} euros. It gives a warm and even light for reading"
        " and writing. It dims in five steps with one light touch on its round foot."
    )


def asked(prompt: str) -> str:
    """The fact that answers a prompt."""
    found = _ASKED.search(prompt)
    return fact(int(found[1])) if found else "I do not know."


class Questions:
    """The same questions as the service is asked them and as a model is."""

    def __init__(self, release: Release, offsets: Offsets) -> None:
        """*offsets* counts tokens."""
        self._release = release
        self._offsets = offsets
        self._template = PromptTemplate(release.prompt)
        self._bodies = [path.read_text(encoding="utf-8") for path in sorted(DOCUMENTS.iterdir())]

    def request(self, number: int) -> pb.GenerateAnswerRequest:
        """As the gateway asks it."""
        return pb.GenerateAnswerRequest(
            answer_id=str(uuid.uuid4()),
            question=f"How much does the Aurora {number}-0 desk lamp cost?",
            passages=self._passages(number),
            release=common_pb.ReleaseRef(application_id=self._release.application_id, release_id=self._release.id),
        )

    def completion(self, request: pb.GenerateAnswerRequest, *, stream: bool) -> dict[str, Any]:
        """As the service asks its model."""
        assignment, model = assignment_from_proto(request), self._release.model
        packed = pack(assignment.passages, model.context_tokens, self._offsets)
        prompt = self._template.render(assignment.question, packed)
        body: dict[str, Any] = {
            "model": model.name,
            "messages": [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}],
            "temperature": model.temperature,
            "seed": model.seed,
            "max_tokens": model.max_tokens,
            "stop": list(model.stop),
        }
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if stream else {})

    def _passages(self, number: int) -> Iterator[common_pb.Passage]:
        for rank in range(self._release.retrieval.passages):
            body = self._bodies[(number + rank) % len(self._bodies)]
            text = f"{fact(number, rank)}\n\n{body}"[:PASSAGE_CHARACTERS]
            name = f"lamp-{number}-{rank}"
            ref = common_pb.PassageRef(document_id=name, version=number, passage_hash=f"{number:032x}{rank:032x}")
            yield common_pb.Passage(
                ref=ref,
                title=f"Aurora {number}-{rank} desk lamp",
                url=f"https://brindlewick.example/{name}",
                text=text,
                end_offset=len(text),
                score=1 / (rank + 1),
            )
