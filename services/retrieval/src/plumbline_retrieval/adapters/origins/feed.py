"""A sitemap or feed, and the pages that it names, as an origin of documents."""

import asyncio
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx
from lxml import etree

from plumbline_kit.clock import Clock
from plumbline_kit.errors import Invalid, NotFound, Unavailable
from plumbline_retrieval.domain.content import MAX_FILE_BYTES, File
from plumbline_retrieval.domain.origin import Fetched, Item, Listing, PolledSource

MAX_ENTRIES: Final = 10_000
MAX_REDIRECTS: Final = 5
AT_ONCE: Final = 4
STEP_SECONDS: Final = 20.0
"""For each step of an exchange: connecting, sending, the next bytes."""
WHOLE_SECONDS: Final = 120.0
"""For all of it: a server that sends a byte now and then would hold on for ever."""

_AWAY: Final = (408, 425, 429)
_GZIP: Final = b"\x1f\x8b"
_SAME_DAY: Final = timedelta(days=2)
"""A date without a time says nothing of a second change of that day, wherever on the globe the day ends."""
_MAX_VALIDATOR: Final = 300
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9000
"""Beyond, a time is a mistake, and near the ends of the calendar it cannot even be moved to UTC."""


def open_feed_client() -> httpx.AsyncClient:
    """What feeds are read with. Proxies and passwords that the environment names are not used."""
    return httpx.AsyncClient(
        headers={"User-Agent": "plumbline-retrieval"}, timeout=httpx.Timeout(STEP_SECONDS), trust_env=False
    )


@dataclass(frozen=True, slots=True)
class _Entry:
    url: str
    changed: str = ""
    """When, in the feed's words; changes with every change of the page."""
    dated: str = ""
    """The same where it need not change."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A sitemap or feed as it was read."""

    entries: tuple[_Entry, ...]
    maps: tuple[str, ...] = ()
    """The sitemaps that it consists of."""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class _Answer:
    url: str
    data: bytes
    headers: Mapping[str, str]


class FeedOrigin:
    """The pages that a sitemap, an index of sitemaps, an RSS or an Atom feed names on its own host."""

    def __init__(self, source: PolledSource, client: httpx.AsyncClient, clock: Clock) -> None:
        self._source = source
        self._client = client
        self._clock = clock
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def items(self) -> Listing:
        """See `Origin`. Pages of other hosts are left out."""
        items: dict[str, Item] = {}
        top = await self._listed(items, self._source.location)
        for url in top.maps:
            if self._is_ours(url) and (await self._listed(items, url)).maps:
                raise Invalid(f"the sitemap {url} is an index within an index, which is not read")
        return Listing(list(items.values()), complete=top.complete or self._source.complete)

    async def fetch(self, item: Item, held: str) -> Fetched | None:
        """See `Origin`."""
        answer = await self._get(item.place, _conditions(held))
        if answer is None:
            return None
        path = urlsplit(answer.url).path.strip("/")
        name = unquote(path.rpartition("/")[2]) or str(urlsplit(answer.url).hostname)
        file = File(name, answer.data, answer.headers.get("content-type", ""))
        return Fetched(file, item.fingerprint or _validator(answer))

    async def _listed(self, items: dict[str, Item], url: str) -> _Page:
        """What lies at *url*, after its pages were added to *items*."""
        try:
            answer = await self._get(url, {})
        except NotFound as error:
            raise Unavailable(str(error)) from error
        if answer is None:
            raise Unavailable(f"{url} answered 304 to a question without a condition")
        page = await asyncio.to_thread(_parsed, answer.data, answer.url)
        await asyncio.to_thread(self._add, items, page)  # a hundred thousand addresses take their time, too
        return page

    def _add(self, items: dict[str, Item], page: _Page) -> None:
        for entry in page.entries:
            if self._is_ours(entry.url):
                item = self._item(entry)
                if self._source.takes(urlsplit(entry.url).path.strip("/")):
                    items.setdefault(item.document_id, item)
            if len(items) > MAX_ENTRIES:
                raise Invalid(f"{self._source.location} lists more than {MAX_ENTRIES:,} pages: include fewer")

    def _item(self, entry: _Entry) -> Item:
        parts = urlsplit(entry.url)
        path = f"{parts.path.strip('/')}?{parts.query}" if parts.query else parts.path.strip("/")
        changed_at = _time(entry.changed or entry.dated)
        fingerprint = f"changed:{entry.changed}" if self._says_enough(entry.changed) else ""
        return Item(self._source.document_id(path), entry.url, fingerprint, entry.url, changed_at)

    def _says_enough(self, changed: str) -> bool:
        """Whether another change would be told by another text."""
        if not changed or len(changed) > _MAX_VALIDATOR:
            return False
        time = _time(changed)
        return ":" in changed or (time is not None and self._clock.now() - time > _SAME_DAY)

    async def _get(self, url: str, conditions: Mapping[str, str]) -> _Answer | None:
        """What *url* answers; None if it has not changed since what *conditions* name."""
        try:
            async with self._gate, asyncio.timeout(WHOLE_SECONDS):
                return await self._followed(url, conditions)
        except (httpx.InvalidURL, ValueError) as error:
            raise Invalid(f"{url[:200]!r} is no address: {error}") from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(f"{url} does not answer: {error or type(error).__name__}") from error

    async def _followed(self, url: str, conditions: Mapping[str, str]) -> _Answer | None:
        """Redirects are followed by hand: each step has to stay on the host."""
        for _ in range(MAX_REDIRECTS + 1):
            async with self._client.stream("GET", url, headers=conditions, follow_redirects=False) as response:
                if response.has_redirect_location:
                    url = self._next(url, response.headers["location"])
                    continue
                if response.status_code == httpx.codes.NOT_MODIFIED and conditions:
                    return None
                _check(url, response.status_code)
                return _Answer(url, await _body(url, response), response.headers)
        raise Invalid(f"{url} is redirected more than {MAX_REDIRECTS} times")

    def _next(self, url: str, location: str) -> str:
        following = urldefrag(urljoin(url, location)).url
        if not self._is_ours(following):
            raise Invalid(f"{url} leads to {following[:200]}, which is on another host")
        return following

    def _is_ours(self, url: str) -> bool:
        """Whether the host, port and all, is that of the feed, and a safe connection stays one."""
        try:
            here, there = httpx.URL(self._source.location), httpx.URL(url)  # read as they will be connected to
        except (httpx.InvalidURL, ValueError):
            return False
        schemes = ("https",) if here.scheme == "https" else ("http", "https")
        return there.scheme in schemes and not there.userinfo and (there.host, there.port) == (here.host, here.port)


def _check(url: str, status: int) -> None:
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise NotFound(f"{url} answered {status}")
    if status in _AWAY or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"{url} answered {status}")
    if status != httpx.codes.OK:
        raise Invalid(f"{url} answered {status}")


async def _body(url: str, response: httpx.Response) -> bytes:
    data = bytearray()
    async for piece in response.aiter_bytes():
        data += piece
        if len(data) > MAX_FILE_BYTES:
            raise Invalid(f"{url} has more than {MAX_FILE_BYTES:,} bytes")
    return bytes(data)


def _conditions(held: str) -> dict[str, str]:
    """The headers that ask for a page only if it is another than the one held."""
    kind, _, value = held.partition(":")
    header = {"etag": "If-None-Match", "modified": "If-Modified-Since"}.get(kind)
    return {header: value} if header and value.isascii() and value.isprintable() else {}


def _validator(answer: _Answer) -> str:
    """What the page is known by: what the server can be asked about, else its content."""
    for kind, header in (("etag", "etag"), ("modified", "last-modified")):
        if 0 < len(value := answer.headers.get(header, "")) <= _MAX_VALIDATOR:
            return f"{kind}:{value}"
    return f"content:{hashlib.sha256(answer.data).hexdigest()}"


def _parsed(data: bytes, url: str) -> _Page:
    """Raises `Invalid` for what is no sitemap and no feed. No entity is replaced, nothing else is loaded for it."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=False
    )
    try:
        root = etree.fromstring(_unpacked(data, url), parser, base_url=url)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise Invalid(f"{url} is no XML: {error}") from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise Invalid(f"{url} declares entities, which no sitemap and no feed needs")
    return _read(root, url)


def _unpacked(data: bytes, url: str) -> bytes:
    """Sitemaps are often kept compressed."""
    if not data.startswith(_GZIP):
        return data
    try:
        unpacking = zlib.decompressobj(wbits=31)
        plain = unpacking.decompress(data, MAX_FILE_BYTES + 1)
    except zlib.error as error:
        raise Invalid(f"{url} is a damaged gzip archive") from error
    if len(plain) > MAX_FILE_BYTES:
        raise Invalid(f"{url} has more than {MAX_FILE_BYTES:,} bytes")
    return plain


def _read(root: etree._Element, url: str) -> _Page:
    kind = etree.QName(root).localname
    if kind == "urlset":
        pages = root.iterfind("{*}url")
        return _Page(tuple(_Entry(_address(each, "loc"), _text(each, "lastmod")) for each in pages))
    if kind == "sitemapindex":
        return _Page((), tuple(_address(each, "loc") for each in root.iterfind("{*}sitemap")))
    if kind == "feed":
        entries = root.iterfind("{*}entry")
        return _Page(tuple(_Entry(_alternate(each), _text(each, "updated")) for each in entries), complete=False)
    if kind in ("rss", "RDF"):
        return _Page(tuple(_rss_entry(each) for each in root.iter("{*}item")), complete=False)
    raise Invalid(f"{url} is {kind[:100]!r} and neither a sitemap nor RSS nor Atom")


def _rss_entry(item: etree._Element) -> _Entry:
    """RSS tells when a page was published; that it was changed only some feeds tell, with a word of another format."""
    return _Entry(_address(item, "link"), _text(item, "updated", "modified"), _text(item, "pubDate", "date"))


def _alternate(entry: etree._Element) -> str:
    links = (each for each in entry.iterfind("{*}link") if each.get("rel", "alternate") == "alternate")
    return next((_resolved(each, each.get("href", "")) for each in links), "")


def _address(element: etree._Element, name: str) -> str:
    return _resolved(element, _text(element, name))


def _resolved(element: etree._Element, address: str) -> str:
    """The whole address without a part of the page; nothing for what is none."""
    try:
        return urldefrag(urljoin(element.base or "", address.strip())).url if address else ""
    except ValueError:
        return ""


def _text(element: etree._Element, *names: str) -> str:
    """What the first child of these names says that says anything: an item may hold a link of Atom beside its own."""
    found = (child.text for name in names for child in element.iterfind(f"{{*}}{name}"))
    return next((text.strip() for text in found if text and text.strip()), "")


def _time(text: str) -> datetime | None:
    """A moment as ISO 8601 or as mail and RSS write it; None for anything else."""
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            time = parse(text)
        except ValueError:
            continue
        if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
            return None
        return time if time.tzinfo else time.replace(tzinfo=UTC)
    return None
