"""The index's folder: a generation for each recipe that is kept, built from the corpus topic.

The consumer groups carry the generation's name. A new one gets a new name, so its groups start at the corpus' first
record although earlier groups had read it all.
"""

import fcntl
import json
import os
import re
import shutil
import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, TextIO

import structlog

from plumbline_kit.settings import SettingsError
from plumbline_retrieval.adapters.qdrant import QdrantIndex
from plumbline_retrieval.settings import CANDIDATE

log = structlog.get_logger()

FORMAT: Final = 5
"""Raise it when payloads change their shape: the index is then built again."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DESCRIPTION: Final = "generation.json"
_SERVING: Final = "serving"
_NAME: Final = re.compile(r"[0-9a-f]{12}")


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
    """The generations of one process, and which of them answers: it is their `ServingMark`."""

    def __init__(self, folder: Path, lock: TextIO) -> None:
        """See `open`."""
        self._folder = folder
        self._closing = ExitStack()
        self._closing.callback(lock.close)

    @classmethod
    def open(cls, folder: Path) -> "StateFolder":
        """The *folder*, made if there is none. Raises `SettingsError` while another process has it."""
        folder.mkdir(parents=True, exist_ok=True)
        return cls(folder, _locked(folder))

    def keep(self, recipes: Sequence[str]) -> None:
        """Remove the generations of all other recipes: they would not hear of what is deleted from now on.

        The first of *recipes* is that of the index that is to answer. Raises `SettingsError`, and removes nothing,
        where that would take away a whole index: the one that answers, or any while the first is not whole itself.
        """
        usable = list(self._usable())
        others = [each for each in usable if each.recipe not in recipes]
        whole = [each for each in others if each.complete]
        if whole and not any(each.complete for each in usable if each.recipe == recipes[0]):
            raise SettingsError(
                f"the index in {self._folder} was built by {whole[0].recipe}, and the settings say {recipes[0]}: set "
                f"them back and name the new ones with {CANDIDATE} before them, to have that index built beside until "
                "it is whole, or remove the folder to have it built in this one's place"
            )
        if serving := [each for each in whole if each.id == self._marked()]:
            raise SettingsError(
                f"the index that answers was built by {serving[0].recipe}, and the settings do not name it any more: "
                f"set them to it, or set {CANDIDATE}* back and run `plumbline index back` first"
            )
        self._remove({each.id for each in others})

    def _remove(self, names: Collection[str]) -> None:
        usable = {each.id for each in self._usable()}
        for folder in self._folders():
            if folder.name in names or folder.name not in usable:
                log.info("index_generation_removed", generation=folder.name)
                (folder / _DESCRIPTION).unlink(missing_ok=True)  # without it, what is left of a removal is no index
                shutil.rmtree(folder)

    def generation(self, recipe: str, dimensions: int) -> OpenGeneration:
        """The generation of *recipe*, or a new one."""
        generation = next((each for each in self._usable() if each.recipe == recipe), None) or self._begin(recipe)
        place = self._folder / generation.id
        index = QdrantIndex.open(place, dimensions)
        opened = OpenGeneration(index, replace(generation, boot_id=_boot_id(), closed=False), place)
        self._closing.callback(opened.close)
        _write_generation(place, opened.generation)
        return opened

    async def serving(self) -> str:
        """See `ServingMark`."""
        return self._marked()

    async def serve(self, generation_id: str) -> None:
        """See `ServingMark`."""
        _replace(self._folder / _SERVING, generation_id)

    def close(self) -> None:
        """Write everything to its place and let go of the folder."""
        self._closing.close()

    def _marked(self) -> str:
        path = self._folder / _SERVING
        return path.read_text(encoding="ascii").strip() if path.exists() else ""

    def _folders(self) -> list[Path]:
        return sorted(each for each in self._folder.iterdir() if each.is_dir() and _NAME.fullmatch(each.name))

    def _usable(self) -> Iterator[Generation]:
        found = map(_read, self._folders())
        return (generation for generation in found if generation is not None and generation.is_usable)

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
        state.keep([recipe])
        generation = state.generation(recipe, dimensions)
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
