"""DOCX: what its XML says, and archives that are made to hurt."""

import io
import zipfile
from collections.abc import Callable

import pytest

from plumbline_retrieval.domain.content import Content, Layout

NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
DAMAGED = "is a damaged DOCX or ZIP archive: open it, save it again and send that"
BOMB = "unfolds into far more than its size: open it, save it again and send that"

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]


def docx(body: str, namespace: str = NAMESPACE, prologue: str = "", **parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, words in {"document": f"<w:body>{body}</w:body>", **parts}.items():
            xml = f'{prologue}<w:{name} xmlns:w="{namespace}" xmlns:mc="mc">{words}</w:{name}>'
            archive.writestr(f"word/{name}.xml", xml)
    return file.getvalue()


def paragraph(text: str, properties: str = "") -> str:
    return f"<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"


def test_a_docx_of_another_program_is_read_in_its_order(content: ReadFile) -> None:
    found = content("handbook.docx")
    assert (found.title, found.layout, found.notes) == ("Harbour Lamps handbook", Layout.PROSE, ())
    places = [
        found.text.index(words)
        for words in (
            "# Harbour Lamps handbook\n\nMira Holt\n\n",
            "## Opening hours\n\nThe shop is open from Tuesday",
            "- reads the order book from the day before\n- waters the two lemon trees at the entrance\n\n## Lamps",
            "| Lamp | Material | Price in crowns |\n| --- | --- | --- |\n| Tern | brass | 120 |",
            "| Eider | brass and glass | 210 |\n\nThe Tern lamp comes in",
            "# Repairs\n\nA repair begins with a slip: the customer",
            "- Unplug the lamp and remove the bulb.\n- Measure the cord",
            "Letters go into the blue folder, and a copy to the workshop in Östra Varnby.",
        )
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("namespace", [NAMESPACE, STRICT])
def test_headings_are_known_by_style_by_what_it_is_based_on_and_by_their_own_level(
    content: ReadFile, namespace: str
) -> None:
    styles = (
        '<w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style>'
        '<w:style w:styleId="Own"><w:name w:val="Own"/><w:basedOn w:val="berschrift2"/></w:style>'
        '<w:style w:styleId="Round"><w:name w:val="Round"/><w:basedOn w:val="Round"/></w:style>'
    )
    body = "".join(
        paragraph(text, properties)
        for text, properties in (
            ("by style", '<w:pStyle w:val="berschrift2"/>'),
            ("based on it", '<w:pStyle w:val="Own"/>'),
            ("by level", '<w:outlineLvl w:val="0"/>'),
            ("none", '<w:pStyle w:val="Round"/>'),
        )
    )
    found = content("lamp.docx", docx(body, namespace, styles=styles))
    assert found.text == "## by style\n\n## based on it\n\n# by level\n\nnone"
    assert found.title == "by style"


def test_lists_are_nested_and_a_style_may_make_one(content: ReadFile) -> None:
    styles = '<w:style w:styleId="Punkt"><w:name w:val="List Bullet"/></w:style>'
    inner = '<w:numPr><w:ilvl w:val="1"/><w:numId w:val="3"/></w:numPr>'
    out = '<w:pStyle w:val="Punkt"/><w:numPr><w:numId w:val="0"/></w:numPr>'
    body = paragraph("Tern", '<w:pStyle w:val="Punkt"/>') + paragraph("brass", inner) + paragraph("Gull", out)
    assert content("lamp.docx", docx(body, styles=styles)).text == "- Tern\n  - brass\n\nGull"


def test_insertions_and_content_controls_are_read_and_deletions_are_not(content: ReadFile) -> None:
    body = (
        "<w:p><w:r><w:t>The lamp costs </w:t></w:r><w:ins><w:r><w:t>120</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>95</w:delText></w:r></w:del><w:r><w:tab/><w:t>crowns</w:t><w:br/><w:t>today</w:t></w:r></w:p>"
        f"<w:sdt><w:sdtPr/><w:sdtContent>{paragraph('of a form')}</w:sdtContent></w:sdt>"
        "<w:p><mc:AlternateContent><mc:Choice><w:t>once</w:t></mc:Choice>"
        "<mc:Fallback><w:t>twice</w:t></mc:Fallback></mc:AlternateContent></w:p>"
    )
    assert content("lamp.docx", docx(body)).text == "The lamp costs 120\tcrowns\ntoday\n\nof a form\n\nonce"


def test_cells_of_a_table_stay_in_their_columns(content: ReadFile) -> None:
    rows = (
        f"<w:tr><w:tc>{paragraph('a|b')}{paragraph('c')}</w:tc><w:tc>{paragraph('d')}</w:tc></w:tr>"
        f'<w:tr><w:tc><w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{paragraph("both")}</w:tc></w:tr>'
    )
    assert content("lamp.docx", docx(f"<w:tbl>{rows}</w:tbl>")).text == "| a\\|b c | d |\n| --- | --- |\n| both |  |"


def test_a_docx_without_text_is_refused(refusal: Refusal) -> None:
    assert refusal("lamp.docx", docx(paragraph(""))) == "holds no letter and no digit: send one with text in it"


def test_a_damaged_docx_is_refused(refusal: Refusal) -> None:
    whole = docx(paragraph("lamp " * 500))
    assert refusal("lamp.docx", whole[:150]) == DAMAGED
    assert refusal("lamp.docx", b"PK\x03\x04" + bytes(300)) == DAMAGED
    place = whole.index(b"word/document.xml") + 40
    sentence = refusal("lamp.docx", whole[:place] + bytes(9) + whole[place + 9 :])
    assert sentence == "cannot be read as DOCX, it may be damaged: open it, save it again and send that"


def test_a_zip_bomb_is_refused_by_what_it_declares(refusal: Refusal) -> None:
    assert refusal("lamp.docx", docx(paragraph(" " * 30_000_000))) == BOMB


def test_a_zip_bomb_that_declares_too_little_is_refused(refusal: Refusal) -> None:
    bomb = docx(paragraph(" " * 30_000_000))
    size = zipfile.ZipFile(io.BytesIO(bomb)).getinfo("word/document.xml").file_size
    sentence = refusal("lamp.docx", bomb.replace(size.to_bytes(4, "little"), (900).to_bytes(4, "little")))
    assert sentence == "cannot be read as DOCX, it may be damaged: open it, save it again and send that"


def test_a_bomb_of_parts_that_are_small_one_by_one_is_refused(refusal: Refusal) -> None:
    file = io.BytesIO(docx(paragraph("lamp")))
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(110):
            archive.writestr(f"word/media/{number}.png", bytes(1_000_000))
    assert refusal("lamp.docx", file.getvalue()) == BOMB


def test_entities_are_not_unfolded(refusal: Refusal) -> None:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    for entity, sentence in (("&l1;", "declares XML entities"), ("&l9;", "cannot be read as DOCX, it may be damaged")):
        prologue = f'<!DOCTYPE lolz [<!ENTITY l0 "lol">{laughs}]>'
        body = f"<w:p><w:r><w:t>{entity}</w:t></w:r></w:p>"
        assert refusal("lamp.docx", docx(body, prologue=prologue)).startswith(sentence)


def test_files_of_this_machine_are_not_read(refusal: Refusal) -> None:
    prologue = '<!DOCTYPE x [<!ENTITY secret SYSTEM "file:///etc/passwd">]>'
    sentence = refusal("lamp.docx", docx("<w:p><w:r><w:t>&secret;</w:t></w:r></w:p>", prologue=prologue))
    assert sentence.startswith("declares XML entities, which are not read")


def test_a_body_nested_without_end_is_refused(refusal: Refusal) -> None:
    body = "<w:sdt><w:sdtContent>" * 5_000 + paragraph("lamp") + "</w:sdtContent></w:sdt>" * 5_000
    assert refusal("lamp.docx", docx(body)).endswith("open it, save it again and send that")
