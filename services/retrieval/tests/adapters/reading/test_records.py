"""Tables and JSON: every row and every object becomes a record."""

from collections.abc import Callable

import pytest

from plumbline_retrieval.domain.content import Content, Layout

ReadFile = Callable[..., Content]
Refusal = Callable[..., str]

TERN_AND_GULL = "Lamp: Tern\nCrowns: 120\n\nLamp: Gull\nCrowns: 95"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_row_becomes_a_record_with_the_headers_names(content: ReadFile, delimiter: str) -> None:
    found = content("our-prices.csv", "Lamp,Crowns\nTern,120\nGull,95\n".replace(",", delimiter))
    assert found == Content("Our prices", TERN_AND_GULL, Layout.RECORDS, "text/csv")


def test_tsv_is_read_although_its_cells_hold_commas(content: ReadFile) -> None:
    found = content("prices.tsv", "Lamp\tWords\nTern\tbrass, polished, dark\n")
    assert (found.text, found.media_type) == ("Lamp: Tern\nWords: brass, polished, dark", "text/tab-separated-values")


def test_quoted_cells_keep_their_delimiters_quotes_and_lines(content: ReadFile) -> None:
    found = content("prices.csv", 'Lamp,Words\r\n"Tern, big","polished\r\n\r\n""dark"" brass"\r\nGull,\r\n')
    assert found.text == 'Lamp: Tern, big\nWords: polished\n"dark" brass\n\nLamp: Gull'


def test_commas_in_prose_are_not_the_delimiter(content: ReadFile) -> None:
    found = content("prices.csv", "Lamp;Words\nTern;brass, polished, dark\nGull;glass, clear\n")
    assert found.text == "Lamp: Tern\nWords: brass, polished, dark\n\nLamp: Gull\nWords: glass, clear"


def test_a_delimiter_that_is_told_to_a_spreadsheet_is_used(content: ReadFile) -> None:
    assert content("prices.csv", "sep=^\nLamp^Crowns\nTern^120\nGull^95").text == TERN_AND_GULL


def test_one_column_is_a_table_too(content: ReadFile) -> None:
    assert content("lamps.csv", "Lamp\nTern\nGull\n").text == "Lamp: Tern\n\nLamp: Gull"


def test_a_first_row_with_a_number_is_no_header(content: ReadFile) -> None:
    found = content("prices.csv", "Tern,120\nGull,95\n")
    assert found.text == "column 1: Tern\ncolumn 2: 120\n\ncolumn 1: Gull\ncolumn 2: 95"
    assert found.notes == ("no header was found, the columns are numbered",)


def test_years_are_a_header_and_a_column_without_a_name_is_read(content: ReadFile) -> None:
    assert content("sales.csv", ",2024,2025\nLamps,120,95\n").text == "Lamps\n2024: 120\n2025: 95"


def test_ragged_rows_are_kept_with_a_note(content: ReadFile) -> None:
    found = content("prices.csv", "Lamp,Crowns\nTern,120\nGull,95,new\n\n")
    assert found.text.endswith("Lamp: Gull\nCrowns: 95\nnew")
    assert found.notes == ("row 3 has 3 cells, the header 2",)
    many = content("prices.csv", "Lamp,Crowns\n" + "Tern,120\n" * 9 + "Gull\n" * 7)
    assert many.notes == ("rows 11, 12, 13, 14, 15 and 2 more have more or fewer cells than the header's 2",)


def test_empty_rows_and_cells_are_left_out(content: ReadFile) -> None:
    assert content("prices.csv", "Lamp,Crowns,Note\n\nTern,120,\n,,\nGull,95, \n").text == TERN_AND_GULL


@pytest.mark.parametrize("data", [",,\n,,\n", "\n\n"])
def test_a_table_without_cells_is_refused(refusal: Refusal, data: str) -> None:
    assert refusal("prices.csv", data) == "holds a table without a filled cell: fill it and send it again"


def test_more_rows_than_a_document_may_have_are_refused(refusal: Refusal) -> None:
    sentence = refusal("prices.csv", "Lamp,Crowns\n" + "Tern,120\n" * 50_000)
    assert sentence == "has more than 1,000,000 bytes of text in its first 45,455 records: split it"


def test_a_quotation_that_never_ends_is_refused(refusal: Refusal) -> None:
    assert "look for a quotation mark that is not closed" in refusal("prices.csv", 'Lamp,"Cro' + "wns\n" * 50_000)


def test_an_object_becomes_a_record_with_dots_in_its_names(content: ReadFile) -> None:
    line = '{"lamp": "Tern", "size": {"height": 1.10, "in": "m"}, "parts": [{"of": "brass"}], "tags": ["big", "old"]}'
    found = content("lamps.jsonl", f'{line}\n\n{{"lamp": "Gull", "sold": false, "until": null}}\n')
    assert found.text == (
        "lamp: Tern\nsize.height: 1.10\nsize.in: m\nparts.0.of: brass\ntags: big, old\n\nlamp: Gull\nsold: false"
    )
    assert (found.title, found.layout, found.media_type) == ("Lamps", Layout.RECORDS, "application/jsonl")


@pytest.mark.parametrize("name", ["prices.json", "prices.jsonl"])
@pytest.mark.parametrize(
    "data",
    [
        '[{"Lamp": "Tern", "Crowns": 120}, {"Lamp": "Gull", "Crowns": 95}]',
        '[\n  {"Lamp": "Tern", "Crowns": 120},\n  {"Lamp": "Gull", "Crowns": 95}\n]\n',
        '{"Lamp": "Tern", "Crowns": 120}\n{"Lamp": "Gull", "Crowns": 95}\n',
    ],
)
def test_arrays_and_lines_are_told_apart_by_their_content(content: ReadFile, name: str, data: str) -> None:
    assert content(name, data).text == TERN_AND_GULL


def test_an_object_around_an_array_gives_the_arrays_records(content: ReadFile) -> None:
    found = content("prices.json", '{"shop": "Harbour", "lamps": [{"Lamp": "Tern"}, {"Lamp": "Gull"}]}')
    assert found.text == "shop: Harbour\n\nLamp: Tern\n\nLamp: Gull"


def test_a_line_that_is_no_json_is_left_out_with_a_note(content: ReadFile) -> None:
    found = content("prices.jsonl", '{"Lamp": "Tern"}\n{"Lamp": \n{"Lamp": "Gull"}\nno\n')
    assert found.text == "Lamp: Tern\n\nLamp: Gull"
    assert found.notes == ("lines 2 and 4 left out: no JSON",)


def test_a_broken_first_line_does_not_cost_the_others(content: ReadFile) -> None:
    found = content("prices.jsonl", '{"Lamp": \n{"Lamp": "Gull"}\n')
    assert (found.text, found.notes) == ("Lamp: Gull", ("line 1 left out: no JSON",))


def test_json_that_is_none_is_refused(refusal: Refusal) -> None:
    assert refusal("prices.jsonl", "Tern\nGull\n") == "holds no line that is JSON: write one object in each line"
    assert "at line 2, column 10" in refusal("prices.json", '[{"Lamp": "Tern"},\n{"Lamp": "\n')


@pytest.mark.parametrize("data", ["[]", "{}", '[{"Lamp": null}, {}]'])
def test_json_without_a_value_is_refused(refusal: Refusal, data: str) -> None:
    assert refusal("prices.json", data) == "holds JSON without a value: fill it and send it again"


def test_json_nested_without_end_is_refused(refusal: Refusal) -> None:
    for data in ("[" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000):
        assert refusal("deep.json", data) == "is nested too deeply: make it flatter and send that"


def test_half_a_character_is_replaced_and_a_pair_is_joined(content: ReadFile) -> None:
    assert content("a.json", r'{"a": "x\ud800y \ud83d\ude00"}').text == "a: x\ufffdy \U0001f600"
