"""What retrieval needs from outside, in its own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline_retrieval.domain.content import Content, File
from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Passage
from plumbline_retrieval.domain.fact import Fact
from plumbline_retrieval.domain.head import Head, Live
from plumbline_retrieval.domain.query import Scope
from plumbline_retrieval.domain.ranking import PassageId, Ranked
from plumbline_retrieval.domain.source import Source

Vector = NDArray[np.float32]
SAME: Final = 101
"""Documents of the same text that are told of, the one asked about among them."""

COMPARED: Final = 1_000
"""Documents that are looked at to find those of nearly the same text."""


class PassageEncoder(Protocol):
    """Texts to vectors, many at a time."""

    async def encode(self, texts: Sequence[str]) -> Vector:
        """One row a text."""
        ...


class QueryEncoder(Protocol):
    """A question to its vector, soon."""

    @property
    def id(self) -> str:
        """Vectors of two ids never mix."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        ...

    async def encode_one(self, text: str) -> Vector:
        """The vector, shape (dimensions,)."""
        ...


class Reranker(Protocol):
    """A second look at the best passages."""

    async def scores(self, question: str, texts: Sequence[str]) -> Sequence[float]:
        """How well each text answers, in [0, 1]. Raises `Unavailable`."""
        ...


class Reader(Protocol):
    """Files to text."""

    async def read(self, file: File) -> Content:
        """Raises `Invalid` for a file that cannot be read, whatever it does to its reader."""
        ...


class Heads(Protocol):
    """What the index knows of each document."""

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """Those of *keys* that are known."""
        ...

    async def put_head(self, head: Head) -> None:
        """Durable when this returns. Makes `head.live.version` the one that readers see, and no other."""
        ...

    async def list_heads(
        self, tenant: str, groups: Sequence[str], source_id: str, limit: int, token: str
    ) -> tuple[list[Head], str]:
        """A page of the documents that are not deleted and that *groups* may see, and the token of the next page.

        An empty *source_id* means all. The token is empty for the first page and after the last. Raises `Invalid`
        for a token that is none.
        """
        ...

    async def heads_of(self, tenant: str, source_id: str) -> list[Head]:
        """Of a source, whoever may see them, without those that are deleted, and without the lists of each."""
        ...

    async def same_text(self, tenant: str, groups: Sequence[str], text_hash: str) -> list[str]:
        """Ids of documents that *groups* may see whose live text has this hash, at most SAME of them."""
        ...

    async def near_text(self, tenant: str, groups: Sequence[str], live: Live) -> dict[str, str]:
        """Sketches, by document id, of what *groups* may see whose text may be nearly that of *live*, and is not it.

        At most COMPARED of those whose sketch has a band in common with that of *live*.
        """
        ...


@dataclass(frozen=True, slots=True)
class Read:
    """Passages by their ids."""

    live: dict[PassageId, Found]
    """Those that are of the live version of their document."""
    lost: bool
    """Whether a document has a live version and none of its passages here are of it: it changed meanwhile."""


class Passages(Protocol):
    """The searchable passages."""

    async def stage(
        self,
        key: DocumentKey,
        version: int,
        document: Document,
        passages: Sequence[Passage],
        vectors: Vector,
        submitted_at: datetime,
    ) -> None:
        """Keep them, unseen until the document's head says that *version* is live. Durable; may be repeated."""
        ...

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """The vector of each passage of *version*, by what the encoder saw of it."""
        ...

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """Remove the document's passages of every version but *version*."""
        ...

    async def ranked(self, scope: Scope, text: str, vector: Vector) -> Ranked:
        """Ids of the passages in *scope* that fit best by meaning and by words; some may not be live."""
        ...

    async def read(self, tenant: str, ids: Sequence[PassageId]) -> Read:
        """What those ids stand for."""
        ...

    async def vectors_of(self, ids: Sequence[PassageId]) -> dict[PassageId, Vector]:
        """The vectors of those passages that are still there."""
        ...

    async def around(self, tenant: str, found: Sequence[Found], reach: int) -> dict[tuple[str, int], Passage]:
        """Up to *reach* passages before and after each, of the same version, by document id and ordinal."""
        ...


class Sources(Protocol):
    """The registered sources."""

    async def sources(self, tenant: str) -> dict[str, Source]:
        """By id; without the one that every tenant has, unless it was registered."""
        ...

    async def tenants(self) -> list[str]:
        """Those that registered a source, in order."""
        ...

    async def put_source(self, tenant: str, source: Source) -> None:
        """Durable when this returns; what was confirmed stays."""
        ...

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        """Everything of it was current then."""
        ...


class Index(Heads, Passages, Sources, Protocol):
    """All of it, in one place."""


class ServingMark(Protocol):
    """Which generation of the index answers, for every process that shares it, and after a restart."""

    async def serving(self) -> str:
        """Its id; empty where none was chosen."""
        ...

    async def serve(self, generation_id: str) -> None:
        """Durable when this returns."""
        ...


class Corpus(Protocol):
    """The log of submitted documents: a document's version is where its record lies."""

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        """The new version; None deletes. Raises `Unavailable`, and then nothing was accepted."""
        ...

    async def append_fact(self, tenant: str, fact: Fact) -> int:
        """The same for the document that the fact becomes."""
        ...

    async def append_source(self, tenant: str, source: Source) -> None:
        """Raises `Unavailable`."""
        ...

    async def confirm_source(self, tenant: str, source_id: str, at: datetime) -> None:
        """Raises `Unavailable`."""
        ...


class ChangeReader(Protocol):
    """Change records of somebody else's database, as documents."""

    def documents(self, value: bytes | None, key: bytes | None) -> Sequence[tuple[str, Document | None]]:
        """The ids that a record changes and what each is now; None means that it is deleted. Raises `Invalid`."""
        ...


class Announcer(Protocol):
    """Tells everybody else."""

    async def document_changed(self, head: Head, vectors: Mapping[str, Vector]) -> None:
        """`head.change` happened. The same head is the same fact, however often it is told. Raises `Unavailable`.

        *vectors* are those of its passages by hash; empty where nobody has them any more.
        """
        ...

    async def document_rejected(self, head: Head, log_part: str) -> None:
        """The head's version was refused; it lies in *log_part*. Otherwise as above."""
        ...
