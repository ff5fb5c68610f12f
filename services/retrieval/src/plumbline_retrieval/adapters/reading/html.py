"""Reads HTML: the main content as Markdown, or all text where there is no telling what is main."""

import codecs
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

from plumbline_retrieval.adapters.reading.extract import Extract
from plumbline_retrieval.adapters.reading.text import decode, first_heading, tidy
from plumbline_retrieval.domain.content import MAX_FILE_BYTES

if TYPE_CHECKING:
    from lxml.html import HtmlElement

_DECLARED: Final = re.compile(rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_DECLARED_WITHIN: Final = 4096
_XML_DECLARATION: Final = re.compile(r"\A\s*<\?xml[^>]*>")
_LATIN_1: Final = ("iso8859-1", "ascii")
"""Pages that declare these are Windows-1252 to every browser."""
_UNSEEN: Final = frozenset({"head", "noscript", "script", "style", "svg", "template", "title"})
_BLOCKS: Final = re.compile(
    r"address|article|aside|blockquote|body|br|caption|center|d[dlt]|details|div|fieldset|fig\w*|footer|form|h[1-6r]"
    r"|header|legend|li|main|nav|ol|option|p|pre|section|select|summary|table|tbody|tfoot|thead|tr|ul"
)


def read_html(data: bytes) -> Extract:
    """Main content with headings, lists and tables; the title is the page's `<title>`, else its first heading."""
    html, notes = decode(data, _declared(data))
    html = _XML_DECLARATION.sub("", tidy(html))  # control characters would break the tree
    tree, complete = _parsed(html)
    title = "" if tree is None else " ".join((tree.findtext(".//title") or "").split())
    text = "" if tree is None or not complete else _with_headings(tree)
    if not text and (text := _everything(html)):
        why = "no main content was found" if complete else "nested too deeply to find the main content"
        notes = (*notes, f"{why}, read as a whole")
    return Extract(text, title or first_heading(text), notes=notes)


def _parsed(html: str) -> "tuple[HtmlElement | None, bool]":
    """The page's tree if it has one, and whether all of the page is in it."""
    from lxml import etree
    from lxml.html import HTMLParser as TreeParser
    from lxml.html import document_fromstring

    parser = TreeParser(encoding="utf-8", no_network=True, huge_tree=False)
    try:
        tree = document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # a page of comments, say
        return None, True
    return tree, not any(error.type_name == "ERR_RESOURCE_LIMIT" for error in parser.error_log)


def _with_headings(tree: "HtmlElement") -> str:
    """The main content; where its headings got lost, that of a page which says that everything is main.

    Extraction drops all headings of a page without a container that it knows for content.
    """
    text = _main(tree)
    body = tree.find("body")
    if body is None or first_heading(text) or not any(_is_heading(element) for element in body.iter("h1", "h2", "h3")):
        return text
    main = body.makeelement("main")
    main.text, body.text = body.text, None
    main.extend(list(body))
    body.append(main)
    return _main(tree) or text


def _is_heading(element: "HtmlElement") -> bool:
    """Whether it heads something of the page, and not its menu."""
    return not any(parent.tag in ("aside", "footer", "nav") for parent in element.iterancestors())


def _main(tree: "HtmlElement") -> str:
    from trafilatura import extract  # takes half a second to load, which only files of this kind need
    from trafilatura.settings import use_config

    config = use_config()
    config["DEFAULT"]["min_extracted_size"] = "1"  # else a short page comes without headings, lists and tables
    config["DEFAULT"]["max_file_size"] = str(MAX_FILE_BYTES)
    try:
        text = extract(
            tree,
            output_format="markdown",
            include_comments=False,
            include_tables=True,
            favor_recall=True,
            config=config,
        )
    except MemoryError:
        raise
    except Exception:  # it stumbles over characters that no tree may hold; the page's words are still there
        return ""
    return (text or "").strip()


def _declared(data: bytes) -> str:
    found = _DECLARED.search(data[:_DECLARED_WITHIN])
    if not found:
        return ""
    try:
        name = codecs.lookup(found[1].decode("ascii")).name
    except (LookupError, UnicodeError):
        return ""
    return "cp1252" if name in _LATIN_1 else name


def _everything(html: str) -> str:
    """The page's text, a paragraph for each block."""
    page = _Page()
    page.feed(html)
    page.close()
    lines = (" ".join(line.split()) for line in "".join(page.pieces).split("\n"))
    return "\n\n".join(line for line in lines if line)


class _Page(HTMLParser):
    """Collects text tag by tag, so that no depth of nesting is too much."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unseen = ""
        """The element whose content nobody sees, while inside of one."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self._unseen and tag in _UNSEEN:
            self._unseen = tag
        elif tag == "body":  # opens whether or not the head was closed
            self._unseen = ""
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._unseen = ""
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data.replace("\n", " "))

    def _break(self, tag: str) -> None:
        if not self._unseen:
            self.pieces.append("\n" if _BLOCKS.fullmatch(tag) else " " if tag in ("td", "th") else "")
