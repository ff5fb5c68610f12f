"""Sitemaps and feeds of a real server on this machine."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_kit.testing import FakeClock, eventually
from plumbline_retrieval.adapters.origins import FeedOrigin, feed, open_feed_client
from plumbline_retrieval.domain.content import MAX_FILE_BYTES
from plumbline_retrieval.domain.origin import Item, Kind, PolledSource

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
BOMB = """<!DOCTYPE b [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">]>
<urlset><url><loc>/&c;</loc></url></urlset>"""
STRANGER = """<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]><urlset><url><loc>/&a;</loc></url></urlset>"""


@dataclass
class Reply:
    """What the site answers; a body of numbers is sent as that many zeros."""

    body: str | bytes | int = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """A server that notes what it was asked."""

    pages: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    gate: asyncio.Event | None = None
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self._answer(reader, writer)
        except ConnectionError:  # the client has heard enough
            pass
        finally:
            self.at_once -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        path = lines[0].split()[1]
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:]) if name}
        self.asked.append((path, headers))
        if self.gate is not None:
            await self.gate.wait()
        reply = self._reply(path, headers)
        body = reply.body.replace("{site}", self.url).encode() if isinstance(reply.body, str) else reply.body
        size = body if isinstance(body, int) else len(body)
        head = {"Content-Length": str(size), "Connection": "close", **reply.headers}
        fields = "".join(f"{name}: {value}\r\n" for name, value in head.items()).replace("{site}", self.url)
        writer.write(f"HTTP/1.1 {reply.status} Any\r\n{fields}\r\n".encode())
        writer.write(bytes(body))
        await writer.drain()

    def _reply(self, path: str, headers: Mapping[str, str]) -> Reply:
        reply = self.pages.get(path, Reply("no such page", 404))
        etag, modified = reply.headers.get("ETag"), reply.headers.get("Last-Modified")
        asked = headers.get("if-none-match"), headers.get("if-modified-since")
        return Reply(status=304) if (etag and etag == asked[0]) or (modified and modified == asked[1]) else reply

    def paths(self) -> list[str]:
        """What was asked for since the last call."""
        paths = [path for path, _ in self.asked]
        self.asked.clear()
        return paths


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield site


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_feed_client() as client:
        yield client


Open = Callable[..., FeedOrigin]


@pytest.fixture
def opened(site: Site, client: httpx.AsyncClient) -> Open:
    def opened(path: str = "/sitemap.xml", **plan: Any) -> FeedOrigin:
        source = PolledSource("acme", "docs", Kind.FEED, site.url + path, timedelta(minutes=5), **plan)
        return FeedOrigin(source, client, FakeClock(NOW))

    return opened


def urlset(*pages: str | tuple[str, str]) -> str:
    """A sitemap of pages, or pages with their lastmod."""
    pairs = [(page, "") if isinstance(page, str) else page for page in pages]
    urls = "".join(
        f"<url><loc>{{site}}{path}</loc>{f'<lastmod>{changed}</lastmod>' if changed else ''}</url>"
        for path, changed in pairs
    )
    return f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'


def index(*paths: str) -> str:
    maps = "".join(f"<sitemap><loc>{{site}}{path}</loc></sitemap>" for path in paths)
    return f'<sitemapindex xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{maps}</sitemapindex>'


async def listed(origin: FeedOrigin) -> dict[str, Item]:
    return {item.document_id: item for item in (await origin.items()).items}


def page(site: Site, path: str = "/a", fingerprint: str = "") -> Item:
    return Item(f"docs{path}", f"{site.url}{path}", fingerprint, f"{site.url}{path}")


async def test_the_pages_of_a_sitemap_are_listed_with_their_changes(site: Site, opened: Open) -> None:
    changed = "2026-01-09T08:00:00+01:00"
    site.pages["/sitemap.xml"] = Reply(urlset(("/guide/", changed), "/a?b=1#part", "/"))
    listing = await opened().items()
    assert listing.complete
    guide, query, top = listing.items
    assert (guide.document_id, guide.url) == ("docs/guide", f"{site.url}/guide/")
    assert (guide.fingerprint, guide.changed_at) == (f"changed:{changed}", datetime(2026, 1, 9, 7, tzinfo=UTC))
    assert (query.document_id, query.url, query.fingerprint) == ("docs/a?b=1", f"{site.url}/a?b=1", "")
    assert top.document_id == "docs"


@pytest.mark.parametrize(
    ("changed", "trusted"), [("2026-01-10", False), ("2026-01-09", False), ("2026-01-02", True), ("soon", False)]
)
async def test_a_date_without_a_time_is_trusted_once_its_day_is_over(
    site: Site, opened: Open, changed: str, trusted: bool
) -> None:
    site.pages["/sitemap.xml"] = Reply(urlset(("/a", changed)))
    assert bool((await listed(opened()))["docs/a"].fingerprint) is trusted


@pytest.mark.parametrize("changed", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "x" * 400])
async def test_a_time_that_cannot_be_is_none(site: Site, opened: Open, changed: str) -> None:
    site.pages["/sitemap.xml"] = Reply(urlset(("/a", changed)))
    assert (await listed(opened()))["docs/a"].changed_at is None


async def test_an_index_of_sitemaps_is_followed_one_level_down(site: Site, opened: Open) -> None:
    site.pages |= {
        "/sitemap.xml": Reply(index("/one.xml", "/two.xml.gz")),
        "/one.xml": Reply(urlset("/a", "/b")),
        "/two.xml.gz": Reply(gzip.compress(b"<urlset><url><loc>/c</loc></url></urlset>")),
    }
    assert sorted(await listed(opened())) == ["docs/a", "docs/b", "docs/c"]
    site.pages["/one.xml"] = Reply(index("/sitemap.xml"))
    with pytest.raises(Invalid, match="index within an index"):
        await opened().items()


async def test_a_part_of_an_index_that_is_away_makes_no_listing(site: Site, opened: Open) -> None:
    site.pages |= {"/sitemap.xml": Reply(index("/one.xml", "/two.xml")), "/one.xml": Reply(urlset("/a"))}
    with pytest.raises(Unavailable, match=r"two\.xml answered 404"):
        await opened().items()


async def test_an_atom_feed_lists_its_entries_and_does_not_claim_to_list_all(site: Site, opened: Open) -> None:
    site.pages["/feed"] = Reply(
        """<feed xmlns="http://www.w3.org/2005/Atom"><!-- new -->
        <entry><link rel="edit" href="/edit/a"/><link href="/posts/a"/><updated>2026-01-09T08:00:00Z</updated></entry>
        <entry xml:base="/old/"><link rel="alternate" href="b"/></entry><entry><title>No link</title></entry></feed>"""
    )
    listing = await opened("/feed").items()
    assert not listing.complete
    assert [(item.document_id, item.fingerprint) for item in listing.items] == [
        ("docs/posts/a", "changed:2026-01-09T08:00:00Z"),
        ("docs/old/b", ""),
    ]
    assert (await opened("/feed", complete=True).items()).complete


async def test_an_rss_feed_lists_its_items_and_its_publication_dates_are_no_fingerprints(
    site: Site, opened: Open
) -> None:
    site.pages["/rss"] = Reply(
        """<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><link>/</link>
        <item><atom:link href="/self"/><link> {site}/a </link><pubDate>Fri, 09 Jan 2026 08:00:00 GMT</pubDate></item>
        <item><link>{site}/b</link><pubDate>never</pubDate><atom:updated>2026-01-09T09:00:00Z</atom:updated></item>
        </channel></rss>"""
    )
    found = await listed(opened("/rss"))
    assert found["docs/a"].fingerprint == ""
    assert found["docs/a"].changed_at == datetime(2026, 1, 9, 8, tzinfo=UTC)
    assert found["docs/b"].fingerprint == "changed:2026-01-09T09:00:00Z"


async def test_pages_of_other_hosts_ports_and_schemes_are_left_out(site: Site, opened: Open) -> None:
    foreign = ("http://other.example/a", "http://127.0.0.1:1/a", "file:///etc/hostname", "http://[", "ftp://127.0.0.1/")
    urls = "".join(f"<url><loc>{url}</loc></url>" for url in foreign)
    user = site.url.replace("http://", "http://anna:secret@")
    site.pages["/sitemap.xml"] = Reply(
        f"<urlset>{urls}<url><loc>{user}/a</loc></url><url><loc>/ours</loc></url></urlset>"
    )
    assert sorted(await listed(opened())) == ["docs/ours"]


async def test_sitemaps_on_other_hosts_are_not_asked_for(site: Site, opened: Open) -> None:
    site.pages["/sitemap.xml"] = Reply(
        "<sitemapindex><sitemap><loc>http://127.0.0.1:1/x.xml</loc></sitemap></sitemapindex>"
    )
    assert await listed(opened()) == {}


async def test_only_pages_that_the_patterns_take_are_listed_and_counted(
    site: Site, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MAX_ENTRIES", 2)
    site.pages["/sitemap.xml"] = Reply(urlset("/docs/a", "/docs/b", "/blog/c"))
    assert sorted(await listed(opened(include=("docs/**",)))) == ["docs/docs/a", "docs/docs/b"]
    with pytest.raises(Invalid, match="lists more than 2 pages"):
        await opened().items()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (BOMB, "declares entities"),
        (STRANGER, "declares entities"),
        ("<html><p>Down for maintenance</html>", "is no XML"),
        ("<html/>", "neither a sitemap nor RSS nor Atom"),
        ("", "is no XML"),
        ("<urlset><url>", "is no XML"),
        (b"\x1f\x8b not packed", "damaged gzip"),
        (gzip.compress(bytes(MAX_FILE_BYTES + 1)), "more than 20,971,520 bytes"),
    ],
)
async def test_what_is_no_feed_lists_nothing_and_says_why(
    site: Site, opened: Open, body: str | bytes, reason: str
) -> None:
    site.pages["/sitemap.xml"] = Reply(body)
    with pytest.raises(Invalid, match=reason):
        await opened().items()


@pytest.mark.parametrize(
    ("status", "error"), [(404, Unavailable), (500, Unavailable), (429, Unavailable), (403, Invalid)]
)
async def test_a_feed_that_answers_an_error_lists_nothing(
    site: Site, opened: Open, status: int, error: type[Exception]
) -> None:
    site.pages["/sitemap.xml"] = Reply("", status)
    with pytest.raises(error, match=str(status)):
        await opened().items()


async def test_a_page_is_fetched_with_its_type_and_name(site: Site, opened: Open) -> None:
    site.pages["/guide/start%20here"] = Reply("<h1>Start</h1>", headers={"Content-Type": "text/html; charset=utf-8"})
    fetched = await opened().fetch(page(site, "/guide/start%20here"), "")
    assert fetched is not None
    assert (fetched.file.name, fetched.file.media_type) == ("start here", "text/html; charset=utf-8")
    assert fetched.file.data == b"<h1>Start</h1>"


@pytest.mark.parametrize("header", ["ETag", "Last-Modified"])
async def test_an_unchanged_page_is_not_sent_again_even_to_a_new_process(site: Site, opened: Open, header: str) -> None:
    site.pages["/a"] = Reply("text", headers={header: '"v1"'})
    first = await opened().fetch(page(site), "")
    assert first is not None
    assert await opened().fetch(page(site), first.fingerprint) is None
    site.pages["/a"] = Reply("new text", headers={header: '"v2"'})
    second = await opened().fetch(page(site), first.fingerprint)
    assert second is not None
    assert second.file.data == b"new text"


async def test_a_validator_that_no_header_can_hold_is_not_sent(site: Site, opened: Open) -> None:
    site.pages["/a"] = Reply("text")
    for held in ('etag:"\u00e9"', "etag:a\r\nX-Evil: 1", "file:1-2", ""):
        assert await opened().fetch(page(site), held) is not None
    assert all("if-none-match" not in headers and "x-evil" not in headers for _, headers in site.asked)


async def test_a_page_without_validators_is_known_by_its_content(site: Site, opened: Open) -> None:
    site.pages["/a"] = Reply("text")
    prints = []
    for text in ("text", "text", "new text"):
        site.pages["/a"] = Reply(text)
        fetched = await opened().fetch(page(site), prints[-1] if prints else "")
        assert fetched is not None
        prints.append(fetched.fingerprint)
    assert prints[0] == prints[1] != prints[2]


async def test_a_page_is_known_by_what_its_feed_says_of_it(site: Site, opened: Open) -> None:
    site.pages["/a"] = Reply("text", headers={"ETag": '"v1"'})
    fetched = await opened().fetch(page(site, fingerprint="changed:2026"), "changed:2025")
    assert fetched is not None
    assert fetched.fingerprint == "changed:2026"
    assert "if-none-match" not in site.asked[0][1]


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, NotFound), (410, NotFound), (500, Unavailable), (503, Unavailable), (429, Unavailable), (403, Invalid)],
)
async def test_a_page_that_answers_an_error_says_who_must_act(
    site: Site, opened: Open, status: int, error: type[Exception]
) -> None:
    site.pages["/a"] = Reply("", status)
    with pytest.raises(error, match=str(status)):
        await opened().fetch(page(site), "")


async def test_a_redirect_is_followed_on_the_host(site: Site, opened: Open) -> None:
    site.pages |= {"/a": Reply("", 301, {"Location": "/new#top"}), "/new": Reply("moved text")}
    fetched = await opened().fetch(page(site), "")
    assert fetched is not None
    assert fetched.file.data == b"moved text"


@pytest.mark.parametrize("path", ["http://127.0.0.1:1/a", "//other.example/a", "file:///etc/hostname", "http://["])
async def test_a_redirect_to_another_host_is_refused(site: Site, opened: Open, path: str) -> None:
    site.pages["/a"] = Reply("", 302, {"Location": path})
    with pytest.raises(Invalid):
        await opened().fetch(page(site), "")
    assert site.paths() == ["/a"]


async def test_a_circle_of_redirects_ends(site: Site, opened: Open) -> None:
    site.pages["/a"] = Reply("", 302, {"Location": "/a"})
    with pytest.raises(Invalid, match="more than 5 times"):
        await opened().fetch(page(site), "")


@pytest.mark.parametrize("packed", [False, True])
async def test_a_huge_page_is_refused_as_soon_as_it_is_too_large(site: Site, opened: Open, packed: bool) -> None:
    body = gzip.compress(bytes(MAX_FILE_BYTES + 1)) if packed else MAX_FILE_BYTES + 1
    site.pages["/a"] = Reply(body, headers={"Content-Encoding": "gzip"} if packed else {})
    with pytest.raises(Invalid, match="more than 20,971,520 bytes"):
        await opened().fetch(page(site), "")


async def test_an_empty_page_is_refused(site: Site, opened: Open) -> None:
    site.pages["/a"] = Reply("")
    with pytest.raises(Invalid, match="empty"):
        await opened().fetch(page(site), "")


async def test_at_most_four_pages_are_asked_for_at_once(site: Site, opened: Open) -> None:
    site.pages |= {f"/{number}": Reply("text") for number in range(12)}
    site.gate, origin = asyncio.Event(), opened()
    fetches = [asyncio.create_task(origin.fetch(page(site, f"/{number}"), "")) for number in range(12)]
    await eventually(lambda: site.at_once == feed.AT_ONCE)
    site.gate.set()
    assert all(await asyncio.gather(*fetches))
    assert site.most_at_once == feed.AT_ONCE


async def test_a_server_that_is_not_there_is_unavailable(client: httpx.AsyncClient) -> None:
    source = PolledSource("acme", "docs", Kind.FEED, "http://127.0.0.1:1/sitemap.xml", timedelta(minutes=5))
    with pytest.raises(Unavailable, match="does not answer"):
        await FeedOrigin(source, client, FakeClock(NOW)).items()


async def test_a_server_that_keeps_silent_is_given_up(
    site: Site, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "WHOLE_SECONDS", 0.05)
    site.gate = asyncio.Event()
    with pytest.raises(Unavailable, match="does not answer"):
        await opened().items()
    site.gate.set()


def test_a_safe_feed_leads_to_no_unsafe_page(client: httpx.AsyncClient) -> None:
    def is_ours(location: str, url: str) -> bool:
        source = PolledSource("acme", "docs", Kind.FEED, location, timedelta(minutes=5))
        return FeedOrigin(source, client, FakeClock(NOW))._is_ours(url)

    assert is_ours("http://docs.example/feed", "https://DOCS.example:443/a")
    assert not is_ours("https://docs.example/feed", "http://docs.example/a")
    assert not is_ours("http://docs.example/feed", "http://docs.example.evil.example/a")
    assert not is_ours("http://docs.example/feed", "http://docs.example\\@evil.example/a")
