"""An encoder that remembers the vectors of the texts it was asked for last."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from plumbline_models.encoder import Vectors
from plumbline_models.threaded import Motion, ThreadedEncoder

ENTRY_BYTES: Final = 250
"""What is kept of a text beside the numbers of its vector: its hash, an array's head, a place in the order."""


class RememberingEncoder:
    """A `ThreadedEncoder` that encodes one text once as long as it is remembered, however often it is asked for.

    A text that several ask for while it is encoded is encoded for all of them. Texts are known by their hash: what is
    kept tells nobody what was asked. What goes first is what nobody asked for longest. For one event loop.
    """

    def __init__(
        self, encoder: ThreadedEncoder, *, most_bytes: int, told: Callable[[bool], None] = lambda known: None
    ) -> None:
        """*told* hears of each text that is asked for alone whether its vector was known, or under way."""
        self.id = encoder.id
        self.dimensions = encoder.dimensions
        self._encoder = encoder
        self._most_bytes = most_bytes
        self._told = told
        self._bytes = 0
        self._known: OrderedDict[bytes, Vectors] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Vectors]] = {}

    async def encode(self, texts: Sequence[str]) -> Vectors:
        """See `ThreadedEncoder`: of many texts none is remembered."""
        return await self._encoder.encode(texts)

    async def encode_one(self, text: str) -> Vectors:
        """The vector of one text, shape (dimensions,), not to be written to. Raises what the encoder raised."""
        key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        vector, under_way = self._known.get(key), self._under_way.get(key)
        self._told(vector is not None or under_way is not None)
        if vector is not None:
            self._known.move_to_end(key)
            return vector
        if under_way is None:
            under_way = self._under_way[key] = asyncio.create_task(self._encode(key, text))
            under_way.add_done_callback(partial(self._done, key))
        return await asyncio.shield(under_way)  # who leaves leaves it to the others

    def motion(self) -> Motion:
        """See `ThreadedEncoder`."""
        return self._encoder.motion()

    async def aclose(self) -> None:
        """See `ThreadedEncoder`."""
        await self._encoder.aclose()

    def _done(self, key: bytes, task: asyncio.Task[Vectors]) -> None:
        del self._under_way[key]
        if not task.cancelled():
            task.exception()  # now it counts as seen, for whoever asked may have left

    async def _encode(self, key: bytes, text: str) -> Vectors:
        vector = await self._encoder.encode_one(text)
        vector.setflags(write=False)
        self._known[key] = vector
        self._bytes += vector.nbytes + ENTRY_BYTES
        while self._bytes > self._most_bytes:
            _, oldest = self._known.popitem(last=False)
            self._bytes -= oldest.nbytes + ENTRY_BYTES
        return vector
