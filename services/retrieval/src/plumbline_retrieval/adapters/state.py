"""The index's folder: a generation for each recipe that is kept, built from the corpus topic.

The consumer groups carry the generation's name. A new one gets a new name, so its groups start at the corpus' first
record although earlier groups had read it all.
"""

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator
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
_SERVING: Final = "serving"


@dataclass(frozen=True, slots=True)
class Generation:
    """What a generation's folder says of itself."""

    id: str
    recipe: str
    """Encoder and cut: what was built by two recipes cannot be mixed."""
    format: int
    boot_id: str
    """Of the machine's run that wrote last; empty where the system does not say."""
    closed: bool
    """Whether all was written to its place."""
    complete: bool
    """Whether it has ever held the whole corpus."""

    @property
    def is_usable(self) -> bool:
        """Whether it can be taken up again."""
        # The write-ahead log survives the process and not the machine, and offsets were committed meanwhile.
        return self.format == FORMAT and (self.closed or self.boot_id == _boot_id())


@dataclass
class OpenGeneration:
    """An open index and the generation it belongs to."""

    index: QdrantIndex
    generation: Generation
    folder: Path

    def completed(self) -> None:
        """Remember that the index holds the whole corpus."""
        self.generation = replace(self.generation, complete=True)
        _write_generation(self.folder, self.generation)

    def close(self) -> None:
        """Write everything to its place."""
        self.index.close()
        _write_generation(self.folder, replace(self.generation, closed=True))


class StateFolder:
    """The generations of one process, and which of them answers."""

    def __init__(self, folder: Path, lock: TextIO) -> None:
        """See `open`."""
        self._folder = folder
        self._lock = lock
        self._open: list[OpenGeneration] = []

    @classmethod
    def open(cls, folder: Path) -> "StateFolder":
        """The *folder*, made if there is none. Raises `SettingsError` while another process has it."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, _locked(folder))

    def first(self, recipe: str, dimensions: int) -> OpenGeneration:
        """The generation of *recipe*, or a new one in an empty folder.

        Raises `SettingsError` where there are only others: an empty one in their place would answer nothing for a
        while.
        """
        others = [each.recipe for each in self._usable() if each.recipe != recipe]
        if others and self._named(recipe) is None:
            raise SettingsError(
                f"the index in {self._folder} was built by {' and by '.join(others)}, and the settings say {recipe}: "
                f"set them back and name the new ones with CANDIDATE_ before them, to have that index built beside, "
                f"or remove the folder to have it built in this one's place"
            )
        return self.beside(recipe, dimensions)

    def beside(self, recipe: str, dimensions: int) -> OpenGeneration:
        """The generation of *recipe*, or a new one."""
        generation = self._named(recipe) or self._begin(recipe)
        place = self._folder / generation.id
        index = QdrantIndex.open(place, dimensions)
        generation = replace(generation, boot_id=_boot_id(), closed=False)
        _write_generation(place, generation)
        self._open.append(OpenGeneration(index, generation, place))
        return self._open[-1]

    def remove_others(self) -> None:
        """Remove every generation that is not open: it would not hear of what is deleted from now on."""
        kept = {each.generation.id for each in self._open}
        for old in self._folder.iterdir():
            if old.is_dir() and old.name not in kept:
                log.info("index_generation_removed", generation=old.name)
                shutil.rmtree(old)

    def serving(self) -> str:
        """The generation that was chosen to answer; empty where none was."""
        path = self._folder / _SERVING
        return path.read_text(encoding="ascii").strip() if path.exists() else ""

    def serve(self, generation_id: str) -> None:
        """Remember the choice; durable when this returns."""
        _replace(self._folder / _SERVING, generation_id)

    def close(self) -> None:
        """Write everything to its place and let go of the folder."""
        for each in self._open:
            each.close()
        self._lock.close()

    def _usable(self) -> Iterator[Generation]:
        found = (_read(folder) for folder in sorted(self._folder.iterdir()) if folder.is_dir())
        return (generation for generation in found if generation is not None and generation.is_usable)

    def _named(self, recipe: str) -> Generation | None:
        return next((each for each in self._usable() if each.recipe == recipe), None)

    def _begin(self, recipe: str) -> Generation:
        generation = Generation(uuid.uuid4().hex[:12], recipe, FORMAT, _boot_id(), closed=False, complete=False)
        (self._folder / generation.id).mkdir()
        log.info("index_starts_empty", generation=generation.id, recipe=recipe)
        return generation


def open_alone(folder: Path, recipe: str, dimensions: int) -> tuple[StateFolder, OpenGeneration]:
    """The folder with the one generation of *recipe*. Raises `SettingsError`."""
    with ExitStack() as on_failure:
        state = StateFolder.open(folder)
        on_failure.callback(state.close)
        generation = state.first(recipe, dimensions)
        state.remove_others()
        on_failure.pop_all()
        return state, generation


def _locked(folder: Path) -> TextIO:
    file = (folder / "lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, however that ends
    except BlockingIOError as error:
        file.close()
        raise SettingsError(f"another process has the index in {folder}: give this one its own STATE_DIR") from error
    return file


def _read(folder: Path) -> Generation | None:
    try:
        generation = Generation(**json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return generation if generation.id == folder.name else None


def _write_generation(folder: Path, generation: Generation) -> None:
    _replace(folder / _DESCRIPTION, json.dumps(asdict(generation)))


def _replace(path: Path, content: str) -> None:
    draft = path.with_name(f"{path.name}.new")
    with draft.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip() if _BOOT_ID.exists() else ""
