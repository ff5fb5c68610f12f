"""A folder of files as an origin of documents."""

import asyncio
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_retrieval.domain.content import MAX_FILE_BYTES, File
from plumbline_retrieval.domain.origin import Fetched, Item, Listing, PolledSource

SETTLED_SECONDS: Final = 1.0
"""A file that changed less than this ago may be half written."""


class FolderOrigin:
    """The files under a folder, without hidden ones; a link counts where it leads to a file in the folder."""

    def __init__(self, source: PolledSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock

    async def items(self) -> Listing:
        """See `Origin`. A folder that cannot be read to its last corner lists nothing at all."""
        try:
            return Listing(await asyncio.to_thread(lambda: list(self._items())))
        except OSError as error:
            raise Unavailable(f"the folder {self._source.location} cannot be listed: {error.strerror}") from error

    async def fetch(self, item: Item, held: str) -> Fetched | None:
        """See `Origin`."""
        try:
            return await asyncio.to_thread(self._fetch, item)
        except FileNotFoundError as error:
            raise NotFound(f"{item.place} is gone") from error
        except PermissionError as error:
            raise Invalid(f"the file {item.place!r} may not be read by this service: {error.strerror}") from error
        except OSError as error:
            raise Unavailable(f"the file {item.place!r} cannot be read: {error.strerror}") from error

    def _items(self) -> Iterator[Item]:
        root = self._root()
        for folder, subfolders, names in os.walk(root, onerror=_raise):
            subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder, name)
                place = path.relative_to(root).as_posix()
                if not name.startswith(".") and self._source.takes(place) and (found := _inside(root, path)):
                    yield self._item(place, found[1])

    def _root(self) -> Path:
        try:
            return Path(self._source.location).resolve(strict=True)
        except FileNotFoundError as error:  # that its files are gone with it is not said
            raise Unavailable(f"there is no folder {self._source.location}") from error

    def _item(self, place: str, status: os.stat_result) -> Item:
        return Item(
            self._source.document_id(place),
            place,
            _fingerprint(status),
            changed_at=_time(status.st_mtime),
            settled=self._is_settled(status),
        )

    def _fetch(self, item: Item) -> Fetched:
        """What lies there now, which may be newer than what was listed: so the fingerprint is taken anew."""
        root = self._root()
        found = _inside(root, root / item.place)
        if found is None:
            raise NotFound(f"{item.place} is gone")
        data, before, after = _read(found[0])
        if not self._is_settled(after) or _fingerprint(before) != _fingerprint(after):
            raise Unavailable(f"the file {item.place!r} is being written")
        name = os.fsencode(Path(item.place).name).decode("utf-8", "replace")
        return Fetched(File(name, data), _fingerprint(after))

    def _is_settled(self, status: os.stat_result) -> bool:
        """Whether it was left alone for a while; a file from far in the future has only a wrong date."""
        return abs(self._clock.now().timestamp() - status.st_mtime) >= SETTLED_SECONDS


def _inside(root: Path, path: Path) -> tuple[Path, os.stat_result] | None:
    """Where *path* really leads, if that is a file under *root*."""
    try:
        real = path.resolve(strict=True)
        status = real.stat()
    except (FileNotFoundError, RuntimeError):  # gone meanwhile, a link to nowhere or a circle of links
        return None
    return (real, status) if stat.S_ISREG(status.st_mode) and real.is_relative_to(root) else None


def _read(path: Path) -> tuple[bytes, os.stat_result, os.stat_result]:
    """Its bytes, one more than allowed at most, and its status before and after.

    Opened so that what took its place meanwhile can neither lead elsewhere nor keep the reader waiting.
    """
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        before = os.fstat(file.fileno())
        data = file.read(MAX_FILE_BYTES + 1)
        return data, before, os.fstat(file.fileno())


def _fingerprint(status: os.stat_result) -> str:
    return f"file:{status.st_size}-{status.st_mtime_ns}"


def _time(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):  # some programs write dates that are none
        return None


def _raise(error: OSError) -> None:
    raise error
