"""What is main in a page, and pages that are not made to be read."""

from collections.abc import Callable

import pytest

from plumbline_retrieval.domain.content import Content

PAGE = """<!doctype html><html><head><title>Prices &amp; more
 | Harbour Lamps</title><style>p {color: red}</style></head><body>
<nav><ul><li><a href="/">Home</a></li><li><a href="/cart">Basket</a></li></ul></nav>
<main><h1>Prices</h1><p>Every lamp comes <b>with a bulb</b>.</p>
<table><tr><th>Lamp</th><th>Crowns</th></tr><tr><td>Tern</td><td>120</td></tr><tr><td>Gull</td><td>95</td></tr></table>
<h2>Before you come</h2><ul><li>Bring the receipt</li><li>Bring the box</li></ul></main>
<footer>Imprint and cookies</footer><script>let lamp = "on"</script></body></html>"""

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]


def test_a_page_becomes_its_main_content_with_tables_and_lists(content: ReadFile) -> None:
    found = content("prices.html", PAGE)
    assert found.title == "Prices & more | Harbour Lamps"
    assert found.notes == ()
    lines = [line.strip() for line in found.text.split("\n")]
    assert lines[0] == "# Prices"
    assert lines[lines.index("| Lamp | Crowns |") + 2 :][:2] == ["| Tern | 120 |", "| Gull | 95 |"]
    assert found.text.endswith("## Before you come\n\n- Bring the receipt\n- Bring the box")
    assert not any(word in found.text for word in ("Basket", "Imprint", "color", "let lamp"))


def test_a_page_of_another_program_is_read_whole(content: ReadFile) -> None:
    found = content("handbook.html")
    assert found.title == "Harbour Lamps handbook"
    assert "## Opening hours" in found.text
    assert "- waters the two lemon trees at the entrance" in found.text
    assert [line for line in found.text.split("\n") if line.startswith("| Plover | driftwood | 140 |")]
    assert "Östra Varnby" in found.text


def test_a_page_without_main_content_is_read_as_a_whole(content: ReadFile) -> None:
    page = "<html><head><title>Menu</title><style>p {color: red}</style></head><body><script>let lamp</script>"
    found = content("menu.html", f"{page}<footer><b>Har</b>bour<br>Lamps &amp; more</footer></body></html>")
    assert found.text == "Harbour\n\nLamps & more"
    assert found.notes == ("no main content was found, read as a whole",)


def test_headings_of_a_plain_page_are_kept_and_its_menu_is_not(content: ReadFile) -> None:
    menu = "<nav><h2>Menu</h2><a href=/>Home</a></nav>"
    body = "<h1>Prices</h1><p>Every lamp comes with a bulb.</p><h2>Tern</h2><p>120 crowns</p>"
    found = content("prices.html", f"<html><body>{menu}{body}<footer><h3>Imprint</h3>Lamps</footer></body></html>")
    assert found.text == "# Prices\n\nEvery lamp comes with a bulb.\n\n## Tern\n\n120 crowns"


def test_a_page_is_called_by_its_heading_if_it_has_no_title(content: ReadFile) -> None:
    assert content("p.html", "<html><body><h1>Prices</h1><p>Tern 120</p></body></html>").title == "Prices"
    assert content("our-prices.html", "<html><body><p>Tern 120</p></body></html>").title == "Our prices"


@pytest.mark.parametrize(
    "declaration",
    ['<meta charset="{}">', '<meta http-equiv="Content-Type" content="text/html; charset={}">'],
)
@pytest.mark.parametrize(("encoding", "text"), [("iso-8859-1", "Öl für 5 €"), ("windows-1251", "Лампа")])
def test_a_page_that_declares_its_encoding_is_believed(
    content: ReadFile, declaration: str, encoding: str, text: str
) -> None:
    page = f"<html><head>{declaration.format(encoding)}</head><body><p>{text}</p></body></html>"
    found = content("lamp.html", page.encode("cp1251" if "1251" in encoding else "cp1252"))
    assert (found.text, found.notes) == (text, ())


@pytest.mark.parametrize("depth", [300, 10_000, 200_000])
def test_a_page_nested_too_deeply_for_a_tree_keeps_its_words(content: ReadFile, depth: int) -> None:
    page = f"<html><head><title>Deep</title><body><p>before</p>{'<div>' * depth}Tern lamp{'</div>' * depth}after</html>"
    found = content("deep.html", page)
    assert (found.title, found.text) == ("Deep", "before\n\nTern lamp\n\nafter")
    assert found.notes == ("nested too deeply to find the main content, read as a whole",)


@pytest.mark.parametrize("page", ["<html><body></body></html>", "<html><!-- lamp --></html>", "<html><p><img src=a>"])
def test_a_page_without_words_is_refused(refusal: Refusal, page: str) -> None:
    assert refusal("empty.html", page) == "holds no letter and no digit: send one with text in it"


def test_broken_markup_is_read_as_a_browser_would(content: ReadFile) -> None:
    found = content("broken.html", "<html><body><p>Tern <b>lamp<p>120 crowns</i></div><table><tr><td>Gull")
    assert "120 crowns" in found.text
    assert "Gull" in found.text


def test_characters_that_no_text_may_hold_do_not_cost_the_page(content: ReadFile) -> None:
    found = content("lamp.html", "<html><body><main><h1>T&#1;ern</h1><p>120&#xFFFF; crowns</p>\x1b\uffff</main></html>")
    assert "Tern" in found.text
    assert "120 crowns" in found.text
