"""The index's folder: one generation, built by one encoder from the corpus topic.

The consumer group carries the generation's name. A new folder gets a new name, so its group starts at the
corpus' first record although an earlier group had read it all.
"""

import json
import os
import shutil
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import structlog

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.qdrant import QdrantIndex

log = structlog.get_logger()

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DESCRIPTION: Final = "generation.json"


@dataclass(frozen=True, slots=True)
class Generation:
    """What the folder says of itself."""

    id: str
    encoder_id: str
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

    def completed(self) -> None:
        """Remember that the index holds the whole corpus."""
        self.generation = replace(self.generation, complete=True)
        _write(self.folder, self.generation)

    def close(self) -> None:
        """Write everything to its place."""
        self.index.close()
        _write(self.folder, replace(self.generation, closed=True))


def open_state(folder: Path, *, encoder_id: str, dimensions: int) -> OpenState:
    """The generation in *folder*, or a new one where there is none or the machine died over it.

    Raises `SettingsError` for a generation of another encoder: its vectors cannot be compared with new ones.
    """
    folder.mkdir(parents=True, exist_ok=True)
    generation = _read(folder)
    if generation is not None and generation.encoder_id != encoder_id:
        raise SettingsError(
            f"the index in {folder} was built by {generation.encoder_id} and ENCODER_DIR holds {encoder_id}: "
            f"set it back, or remove the folder to have the index built again from the corpus"
        )
    if generation is None or not (generation.closed or generation.boot_id == _boot_id()):
        # The write-ahead log survives the process and not the machine, and offsets were committed meanwhile.
        generation = _begin(folder, encoder_id)
        log.info("index_starts_empty", generation=generation.id, encoder_id=encoder_id)
    generation = replace(generation, boot_id=_boot_id(), closed=False)
    index = QdrantIndex.open(folder / generation.id, dimensions)
    _write(folder, generation)
    return OpenState(index, generation, folder)


def _begin(folder: Path, encoder_id: str) -> Generation:
    for old in folder.iterdir():
        if old.is_dir():
            shutil.rmtree(old)
    generation = Generation(uuid.uuid4().hex[:12], encoder_id, _boot_id(), closed=False, complete=False)
    (folder / generation.id).mkdir()
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
