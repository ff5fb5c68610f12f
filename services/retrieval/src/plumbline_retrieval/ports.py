"""What retrieval needs from outside, in its own words."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline_retrieval.domain.document import Document, DocumentKey, Found, Head, Passage
from plumbline_retrieval.domain.ranking import Query

Vector = NDArray[np.float32]


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


class Heads(Protocol):
    """What the index knows of each document."""

    async def heads(self, keys: Sequence[DocumentKey]) -> dict[DocumentKey, Head]:
        """Those of *keys* that are known."""
        ...

    async def put_head(self, head: Head) -> None:
        """Durable when this returns. Makes `head.live_version` the one that readers see, and no other."""
        ...


class Passages(Protocol):
    """The searchable passages."""

    async def stage(
        self, key: DocumentKey, version: int, document: Document, passages: Sequence[Passage], vectors: Vector
    ) -> None:
        """Keep them, unseen until the document's head says that *version* is live. Durable; may be repeated."""
        ...

    async def vectors(self, key: DocumentKey, version: int) -> dict[str, Vector]:
        """The vector of each passage of *version*, by the passage's hash."""
        ...

    async def remove_others(self, key: DocumentKey, version: int) -> None:
        """Remove the document's passages of every version but *version*."""
        ...

    async def search(self, tenant: str, groups: Sequence[str], query: Query, vector: Vector) -> list[Found]:
        """The best passages of live versions that the caller may see, best first."""
        ...


class Index(Heads, Passages, Protocol):
    """Both, in one place."""


class Corpus(Protocol):
    """The log of submitted documents: a document's version is where its record lies."""

    async def append(self, key: DocumentKey, document: Document | None) -> int:
        """The new version; None deletes. Raises `Unavailable`, and then nothing was accepted."""
        ...


class Announcer(Protocol):
    """Tells everybody else."""

    async def document_changed(self, head: Head) -> None:
        """`head.change` happened. The same head is the same fact, however often it is told. Raises `Unavailable`."""
        ...

    async def document_rejected(self, head: Head, log_part: str) -> None:
        """The head's version was refused; it lies in *log_part*. Otherwise as above."""
        ...
