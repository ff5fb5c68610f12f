"""The cache's folder: one generation of entries and floors, made by one encoder.

A cache may be dropped, but then it has to hear every event again: it has lost the floors too. So a new
generation gets a new name, and the consumer group carries that name. A group nobody has seen starts from the
first event and rebuilds both. Replicas have their own folders, hence their own groups, and each hears all.
"""

import fcntl
import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TextIO

import structlog

from plumbline_cache.adapters.qdrant import QdrantStore
from plumbline_kit.errors import Unavailable

log = structlog.get_logger()

FORMAT: Final = 7
"""Raise it when payloads change their shape."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Generation:
    """What the folder says of itself."""

    id: str
    encoder_id: str
    format: int
    boot_id: str
    """Of the machine's run that wrote last; empty where the system does not say or all was written."""
    closed: bool
    """Whether it was closed in order."""


@dataclass(frozen=True, slots=True)
class OpenState:
    """The open store and the generation it belongs to."""

    store: QdrantStore
    generation: Generation
    folder: Path
    lock: TextIO

    def close(self) -> None:
        """Write everything to its place and let go of the folder."""
        self.store.close()
        _write(self.folder, replace(self.generation, closed=True))
        self.lock.close()


def open_state(folder: Path, *, encoder_id: str, dimensions: int) -> OpenState:
    """The generation in *folder*, or a new and empty one if that cannot be used.

    Raises `Unavailable` while another process has the folder: the two would share the shard, and the group's events.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = _lock(folder)
    generation = _read(folder)
    unusable = _why_unusable(generation, encoder_id)
    if generation is not None and unusable is None:
        try:
            return _open(folder, generation, dimensions, lock)
        except Exception as error:  # whatever the engine finds wrong: a cache that cannot be read is dropped
            unusable = f"the shard cannot be read: {error}"
    log.info("cache_starts_empty", reason=unusable, encoder_id=encoder_id)
    return _open(folder, _begin(folder, encoder_id), dimensions, lock)


def _why_unusable(generation: Generation | None, encoder_id: str) -> str | None:
    if generation is None:
        return "there is no earlier state that can be read"
    if generation.format != FORMAT:
        return f"the state has format {generation.format}, not {FORMAT}"
    if generation.encoder_id != encoder_id:
        return f"the state was made by encoder {generation.encoder_id}"
    if not generation.closed and generation.boot_id != _boot_id():
        # The log survives the process, not the machine; a floor lost with its offset committed would serve stale.
        return "the machine stopped before the state was closed"
    return None


def _open(folder: Path, generation: Generation, dimensions: int, lock: TextIO) -> OpenState:
    store = QdrantStore.open(folder / generation.id, dimensions)
    current = replace(generation, boot_id=_boot_id(), closed=False)
    _write(folder, current)
    return OpenState(store, current, folder, lock)


def _begin(folder: Path, encoder_id: str) -> Generation:
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
        elif old.suffix == ".npy":
            old.unlink()
    return Generation(uuid.uuid4().hex[:12], encoder_id, FORMAT, _boot_id(), closed=False)


def _lock(folder: Path) -> TextIO:
    file = (folder / "lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
    except BlockingIOError as error:
        file.close()
        raise Unavailable(f"another process has the cache's folder {folder}") from error
    return file


def _read(folder: Path) -> Generation | None:
    try:
        generation = Generation(**json.loads((folder / "generation.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return generation if (folder / generation.id).is_dir() else None


def _write(folder: Path, generation: Generation) -> None:
    draft = folder / "generation.json.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(generation), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / "generation.json")


def _boot_id() -> str:
    # Elsewhere than on Linux every stop counts as the same run: those are developers' machines.
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
