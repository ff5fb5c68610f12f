"""Opens ZIP archives and XML of strangers: neither may unfold into more than it should."""

import zipfile
from io import BytesIO
from typing import TYPE_CHECKING, Final

from plumbline_retrieval.adapters.reading.extract import refused

if TYPE_CHECKING:
    from lxml.etree import _Element

MAX_INFLATED_BYTES: Final = 100 * 1024 * 1024
"""Five times the largest file; a parsed tree of it still fits into a worker's memory."""
MAX_RATIO: Final = 200
"""XML of real documents shrinks to a tenth or a fiftieth, a bomb to a thousandth."""
_BOMB: Final = "unfolds into far more than its size: open it, save it again and send that"


class Archive:
    """The parts of a ZIP archive, inflated on demand and within limits. Raises `Invalid` beyond them."""

    def __init__(self, data: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
            raise refused("is a damaged archive: open it, save it again and send that") from error
        self._left = min(MAX_INFLATED_BYTES, MAX_RATIO * len(data))
        if sum(part.file_size for part in self._zip.infolist()) > self._left:
            raise refused(_BOMB)

    def xml(self, name: str) -> "_Element | None":
        """The root of the part *name*, without anything from outside of it; None if there is no such part."""
        from lxml import etree

        data = self._inflated(name)
        if data is None:
            return None
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
        root = etree.fromstring(data, parser)
        if root.getroottree().docinfo.doctype:  # no writer of documents needs one; what uses it wants to unfold
            raise refused("declares XML entities, which are not read: open it, save it again and send that")
        return root

    def _inflated(self, name: str) -> bytes | None:
        """The part's bytes, counted: what an archive declares may be a lie."""
        try:
            with self._zip.open(name) as part:
                data = part.read(self._left + 1)
        except KeyError:
            return None
        self._left -= len(data)
        if self._left < 0:
            raise refused(_BOMB)
        return data
