"""The index's folder: one generation, built by one encoder from the corpus topic.

The consumer group carries the generation's name. A new folder gets a new name, so its group starts at the
corpus' first record although an earlier group had read it all.
"""

import fcntl
import json
import os
import shutil
import uuid
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TextIO

import structlog

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.qdrant import QdrantIndex

log = structlog.get_logger()

FORMAT: Final = 5
"""Raise it when payloads change their shape: the index is then built again."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DESCRIPTION: Final = "generation.json"


@dataclass(frozen=True, slots=True)
class Generation:
    """What the folder says of itself."""

    id: str
    encoder_id: str
    format: int
    boot_id: str
    """Of the machine's run that wrote last; empty where the system does not say."""
    closed: bool
    """Whether all was written to its place."""
    complete: bool
    """Whether it has ever held the whole corpus."""


@dataclass
class OpenState:
    """The open index and the generation it belongs to."""

    index: QdrantIndex
    generation: Generation
    folder: Path
    lock: TextIO

    def completed(self) -> None:
        """Remember that the index holds the whole corpus."""
        self.generation = replace(self.generation, complete=True)
        _write(self.folder, self.generation)

    def close(self) -> None:
        """Write everything to its place and let go of the folder."""
        self.index.close()
        _write(self.folder, replace(self.generation, closed=True))
        self.lock.close()


def open_state(folder: Path, *, encoder_id: str, dimensions: int) -> OpenState:
    """The generation in *folder*, or a new one where none can be used.

    Raises `SettingsError` for a generation of another encoder, whose vectors cannot be compared with new ones, and
    while another process has the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as on_failure:
        lock = on_failure.enter_context(_lock(folder))
        generation = _usable(_read(folder)) or _begin(folder, encoder_id)
        if generation.encoder_id != encoder_id:
            raise SettingsError(
                f"the index in {folder} was built by {generation.encoder_id} and ENCODER_DIR holds {encoder_id}: "
                f"set it back, or remove the folder to have the index built again from the corpus"
            )
        index = QdrantIndex.open(folder / generation.id, dimensions)
        generation = replace(generation, boot_id=_boot_id(), closed=False)
        _write(folder, generation)
        on_failure.pop_all()
        return OpenState(index, generation, folder, lock)


def _usable(generation: Generation | None) -> Generation | None:
    if generation is None or generation.format != FORMAT:
        return None
    # The write-ahead log survives the process and not the machine, and offsets were committed meanwhile.
    return generation if generation.closed or generation.boot_id == _boot_id() else None


def _lock(folder: Path) -> TextIO:
    file = (folder / "lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
    except BlockingIOError as error:
        file.close()
        raise SettingsError(f"another process has the index in {folder}: give this one its own STATE_DIR") from error
    return file


def _begin(folder: Path, encoder_id: str) -> Generation:
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    generation = Generation(uuid.uuid4().hex[:12], encoder_id, FORMAT, _boot_id(), closed=False, complete=False)
    (folder / generation.id).mkdir()
    log.info("index_starts_empty", generation=generation.id, encoder_id=encoder_id)
    return generation


def _read(folder: Path) -> Generation | None:
    try:
        generation = Generation(**json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return generation if (folder / generation.id).is_dir() else None


def _write(folder: Path, generation: Generation) -> None:
    draft = folder / f"{_DESCRIPTION}.new"
    with draft.open("w", encoding="utf-8") as file:
        json.dump(asdict(generation), file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / _DESCRIPTION)


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
