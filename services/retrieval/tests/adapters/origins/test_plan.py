"""The polling plan, as operators write it and as they mistype it."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from plumbline_kit.settings import SettingsError
from plumbline_kit.testing import FakeClock
from plumbline_retrieval.adapters.origins import FeedOrigin, FolderOrigin, origin_of, read_plan
from plumbline_retrieval.domain.origin import Kind, PolledSource
from plumbline_retrieval.domain.source import Trust

PLAN = """
[[source]]
tenant = "acme"
source_id = "handbook"
kind = "folder"
location = "/srv/handbook"
interval = "30s"
name = "Handbook"
owner = "People team"
trust = "high"
license = "CC-BY-4.0"
groups = ["staff"]
language = "en"
include = ["*.md"]
exclude = ["drafts/"]
refresh_interval = "5m"
retention = "90d"

[[source]]
tenant = "acme"
source_id = "news"
kind = "feed"
location = "https://news.example/feed.xml"
interval = "2h"
complete = true
"""


def plan(tmp_path: Path, text: str) -> list[PolledSource]:
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def wrong(tmp_path: Path, **fields: str) -> str:
    """What is said of a plan whose table has these fields; an empty one is left out."""
    given = {
        "tenant": '"acme"', "source_id": '"wiki"', "kind": '"folder"', "location": '"/srv"', "interval": '"5m"',
    } | fields  # fmt: skip
    lines = "\n".join(f"{name} = {value}" for name, value in given.items() if value)
    with pytest.raises(SettingsError) as caught:
        plan(tmp_path, f"[[source]]\n{lines}")
    return str(caught.value)


def test_a_plan_is_read_in_order(tmp_path: Path) -> None:
    handbook, news = plan(tmp_path, PLAN)
    assert handbook == PolledSource(
        "acme",
        "handbook",
        Kind.FOLDER,
        "/srv/handbook",
        timedelta(seconds=30),
        "Handbook",
        "People team",
        Trust.HIGH,
        "CC-BY-4.0",
        refresh_interval=timedelta(minutes=5),
        retention=timedelta(days=90),
        groups=("staff",),
        language="en",
        include=("*.md",),
        exclude=("drafts/",),
    )
    location = "https://news.example/feed.xml"
    assert news == PolledSource("acme", "news", Kind.FEED, location, timedelta(hours=2), complete=True)


def test_an_empty_plan_polls_nothing(tmp_path: Path) -> None:
    assert plan(tmp_path, "") == []


async def test_each_kind_has_its_origin(tmp_path: Path) -> None:
    folder, feed = plan(tmp_path, PLAN)
    async with httpx.AsyncClient() as client:
        assert isinstance(origin_of(folder, client, FakeClock()), FolderOrigin)
        assert isinstance(origin_of(feed, client, FakeClock()), FeedOrigin)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tenant", "", "tenant is missing, wanted is a text"),
        ("tenant", '"a/b"', "tenant is 'a/b', wanted is a name without a slash"),
        ("source_id", '"Wiki!"', "source_id must have 1 to 100 characters of a-z"),
        ("source_id", '"default"', "source_id is 'default', which is where documents without a source belong"),
        ("source_id", '"facts"', "source_id is 'facts', which is where recorded facts belong"),
        ("kind", '"ftp"', "kind is 'ftp', wanted is one of folder, feed"),
        ("kind", "", "kind is missing, wanted is one of folder, feed"),
        ("location", '""', "location is '', wanted is a text"),
        ("interval", "", "interval is missing, wanted is a length of time"),
        ("interval", '"0s"', "interval is '0s', wanted is a length of time"),
        ("interval", "5", "interval is 5, wanted is a length of time"),
        ("retention", '"1 week"', "retention is '1 week', wanted is a length of time"),
        ("groups", '"staff"', "groups is 'staff', wanted is a list of texts"),
        ("groups", '["*"]', "groups must not name *"),
        ("trust", '"full"', "trust is 'full', wanted is one of low, medium, high"),
        ("complete", '"yes"', "complete is 'yes', wanted is true or false"),
        ("language", "7", "language is 7, wanted is a text"),
        ("intervall", '"5m"', "intervall is not known; known are"),
    ],
)
def test_a_mistake_is_told_with_its_table_and_field(tmp_path: Path, field: str, value: str, said: str) -> None:
    told = wrong(tmp_path, **{field: value})
    assert "plan.toml: [[source]] 1 (" in told
    assert said in told


@pytest.mark.parametrize(
    "location", ["ftp://x.example/", "/srv", "https://anna:pw@x.example/", "https://", "http://x:y/"]
)
def test_a_feed_needs_an_address_that_anybody_may_ask(tmp_path: Path, location: str) -> None:
    assert "wanted is an http or https URL" in wrong(tmp_path, kind='"feed"', location=f'"{location}"')


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(tmp_path, PLAN.replace('"30s"', '"soon"').replace('"feed"', '"fax"'))
    assert "[[source]] 1 (handbook): interval" in str(caught.value)
    assert "[[source]] 2 (news): kind" in str(caught.value)


def test_a_source_can_be_there_only_once_for_a_tenant(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"2 \(handbook\): source_id is there more than once for the tenant acme"):
        plan(tmp_path, PLAN.replace('"news"', '"handbook"'))
    assert len(plan(tmp_path, PLAN.replace('"news"', '"handbook"').replace('"acme"', '"globex"', 1))) == 2


@pytest.mark.parametrize("text", ["[[source", "[source]\ntenant = 'acme'", "source = 1", "[[sources]]\n"])
def test_a_file_that_is_no_plan_is_told_by_its_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"plan\.toml"):
        plan(tmp_path, text)


def test_a_missing_plan_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        read_plan(tmp_path / "nowhere.toml")
