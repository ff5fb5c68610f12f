"""A real folder as an origin."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.testing import FakeClock
from plumbline_retrieval.adapters.origins import FolderOrigin
from plumbline_retrieval.domain.content import MAX_FILE_BYTES
from plumbline_retrieval.domain.origin import Item, Kind, PolledSource

NOW = datetime(2026, 1, 1, tzinfo=UTC)

Open = Callable[..., FolderOrigin]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "wiki"
    root.mkdir()
    return root


@pytest.fixture
def opened(root: Path) -> Open:
    def opened(**plan: Any) -> FolderOrigin:
        source = PolledSource("acme", "wiki", Kind.FOLDER, str(root), timedelta(minutes=5), **plan)
        return FolderOrigin(source, FakeClock(NOW))

    return opened


def write(path: Path, text: str = "text", *, seconds_ago: float = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    changed = NOW.timestamp() - seconds_ago
    os.utime(path, (changed, changed))
    return path


async def items(origin: FolderOrigin) -> dict[str, Item]:
    listing = await origin.items()
    assert listing.complete
    return {item.place: item for item in listing.items}


async def test_every_visible_file_is_listed(root: Path, opened: Open) -> None:
    for name in ("a.md", "deep/down/b.md", ".hidden", ".git/config", "deep/.cache/c.md"):
        write(root / name)
    found = await items(opened())
    assert sorted(found) == ["a.md", "deep/down/b.md"]
    item = found["deep/down/b.md"]
    assert (item.document_id, item.url, item.settled) == ("wiki/deep/down/b.md", "", True)
    assert item.changed_at == NOW - timedelta(seconds=60)


async def test_only_what_the_patterns_take_is_listed(root: Path, opened: Open) -> None:
    for name in ("a.md", "a.png", "drafts/b.md"):
        write(root / name)
    assert sorted(await items(opened(include=("*.md",), exclude=("drafts/",)))) == ["a.md"]


async def test_the_fingerprint_changes_with_size_and_with_time(root: Path, opened: Open) -> None:
    prints = set()
    for text, ago in (("one", 60), ("two", 59), ("three", 59)):
        write(root / "a.md", text, seconds_ago=ago)
        prints.add((await items(opened()))["a.md"].fingerprint)
    assert len(prints) == 3


async def test_a_file_is_fetched_with_its_name_and_bytes(root: Path, opened: Open) -> None:
    write(root / "deep/b.md", "Beta")
    origin = opened()
    item = (await items(origin))["deep/b.md"]
    fetched = await origin.fetch(item, "")
    assert fetched is not None
    assert (fetched.file.name, fetched.file.data, fetched.fingerprint) == ("b.md", b"Beta", item.fingerprint)


async def test_links_are_followed_to_files_within_the_folder_only(tmp_path: Path, root: Path, opened: Open) -> None:
    secret = write(tmp_path / "outside/secret.md", "secret")
    write(root / "..data/real.md")
    (root / "inside.md").symlink_to(root / "..data/real.md")
    (root / "out.md").symlink_to(secret)
    (root / "out").symlink_to(secret.parent)
    (root / "nowhere.md").symlink_to(root / "missing")
    (root / "circle.md").symlink_to(root / "circle.md")
    assert sorted(await items(opened())) == ["inside.md"]


async def test_a_file_that_became_a_link_out_of_the_folder_is_not_read(
    tmp_path: Path, root: Path, opened: Open
) -> None:
    secret = write(tmp_path / "outside/secret.md", "secret")
    path, origin = write(root / "a.md"), opened()
    item = (await items(origin))["a.md"]
    path.unlink()
    path.symlink_to(secret)
    with pytest.raises(NotFound):
        await origin.fetch(item, "")


async def test_a_pipe_is_no_file(root: Path, opened: Open) -> None:
    os.mkfifo(root / "pipe.md")
    assert await items(opened()) == {}


@pytest.mark.parametrize(("seconds_ago", "settled"), [(0.2, False), (-0.2, False), (1.5, True), (-1e6, True)])
async def test_a_file_that_changed_just_now_has_not_settled(
    root: Path, opened: Open, seconds_ago: float, settled: bool
) -> None:
    write(root / "a.md", seconds_ago=seconds_ago)
    assert (await items(opened()))["a.md"].settled is settled


async def test_a_file_that_changes_between_listing_and_reading_is_the_new_one(root: Path, opened: Open) -> None:
    write(root / "a.md", "old")
    origin = opened()
    item = (await items(origin))["a.md"]
    write(root / "a.md", "newer", seconds_ago=30)
    fetched = await origin.fetch(item, "")
    assert fetched is not None
    assert fetched.file.data == b"newer"
    assert fetched.fingerprint == (await items(origin))["a.md"].fingerprint


async def test_a_file_that_is_being_written_is_not_read(root: Path, opened: Open) -> None:
    write(root / "a.md")
    origin = opened()
    item = (await items(origin))["a.md"]
    write(root / "a.md", "half", seconds_ago=0.1)
    with pytest.raises(Unavailable, match="being written"):
        await origin.fetch(item, "")


async def test_a_file_that_is_gone_meanwhile_is_not_found(root: Path, opened: Open) -> None:
    path, origin = write(root / "a.md"), opened()
    item = (await items(origin))["a.md"]
    path.unlink()
    with pytest.raises(NotFound):
        await origin.fetch(item, "")


async def test_a_folder_that_is_gone_says_nothing_of_its_files(root: Path, opened: Open) -> None:
    write(root / "a.md")
    origin = opened()
    item = (await items(origin))["a.md"]
    os.rename(root, f"{root}-moved")
    with pytest.raises(Unavailable, match="no folder"):
        await origin.items()
    with pytest.raises(Unavailable, match="no folder"):
        await origin.fetch(item, "")


async def test_a_listing_with_a_corner_that_cannot_be_read_is_none(
    root: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "a.md")
    write(root / "locked/b.md")
    scandir = os.scandir

    def refuses(path: str) -> Any:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuses)  # to the one who runs the tests nothing may be locked
    with pytest.raises(Unavailable, match="Permission denied"):
        await opened().items()


async def test_a_file_that_may_not_be_read_is_refused(
    root: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root / "a.md")
    origin = opened()
    item = (await items(origin))["a.md"]

    def refuses(*_: Any) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuses)  # as above
    with pytest.raises(Invalid, match=r"a\.md.*Permission denied"):
        await origin.fetch(item, "")


@pytest.mark.parametrize("size", [0, MAX_FILE_BYTES + 1])
async def test_an_empty_and_a_huge_file_are_refused(root: Path, opened: Open, size: int) -> None:
    path = write(root / "a.md")
    with path.open("wb") as file:
        file.truncate(size)
    os.utime(path, (NOW.timestamp() - 60,) * 2)
    origin = opened()
    with pytest.raises(Invalid, match="file"):
        await origin.fetch((await items(origin))["a.md"], "")


async def test_a_name_that_is_no_text_is_still_a_file(root: Path, opened: Open) -> None:
    write(Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.md")), "Coffee")
    origin = opened()
    (item,) = (await items(origin)).values()
    fetched = await origin.fetch(item, "")
    assert fetched is not None
    assert (fetched.file.title, fetched.file.suffix) == ("Caf\ufffd", ".md")
    assert item.document_id.isprintable()
