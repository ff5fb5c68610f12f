"""Where documents are cut, and that nothing of them is lost."""

import random
import time

import pytest

from plumbline_retrieval.adapters.memory import word_offsets
from plumbline_retrieval.domain.chunking import BUDGET_TOKENS, Cutting, cut
from plumbline_retrieval.domain.content import Layout
from plumbline_retrieval.domain.document import Passage

CUTTING = Cutting(word_offsets)


def words(count: int, name: str = "word") -> str:
    return " ".join(f"{name}{number}" for number in range(count))


def cuts(text: str) -> list[Passage]:
    return cut(text, CUTTING)


def texts(text: str) -> list[str]:
    return [passage.text for passage in cuts(text)]


def random_document(seed: int) -> str:
    pick = random.Random(seed)
    pieces = [
        lambda: f"# Heading {pick.randrange(99)}",
        lambda: words(pick.randrange(1, 60)).capitalize() + ".",
        lambda: " ".join(words(pick.randrange(1, 50)).capitalize() + "." for _ in range(pick.randrange(1, 30))),
        lambda: "\n".join(f"- item {words(pick.randrange(1, 30))}" for _ in range(pick.randrange(1, 20))),
        lambda: words(pick.randrange(200, 700)),
        lambda: "  \t é ü 日本語。𝄞 \u200b",
    ]
    gaps = ["\n\n", "\n", "\r\n\r\n", " \n \n", "\n\n\n\n", "  "]
    return "".join(pick.choice(pieces)() + pick.choice(gaps) for _ in range(pick.randrange(1, 25)))


@pytest.mark.parametrize("seed", range(40))
def test_passages_are_pieces_of_the_document_and_nothing_is_lost(seed: int) -> None:
    text = random_document(seed)
    passages = cuts(text)
    covered = {place for passage in passages for place in range(passage.start, passage.end)}
    assert [passage.text for passage in passages] == [text[passage.start : passage.end] for passage in passages]
    assert all(place in covered for place, character in enumerate(text) if not character.isspace())


@pytest.mark.parametrize("seed", range(40))
def test_passages_are_in_order_within_the_budget_and_trimmed(seed: int) -> None:
    passages = cuts(random_document(seed))
    assert [passage.ordinal for passage in passages] == list(range(len(passages)))
    assert passages == sorted(passages, key=lambda passage: (passage.start, passage.end))
    assert all(len(word_offsets(passage.text)) <= BUDGET_TOKENS for passage in passages)
    assert all(passage.text == passage.text.strip() != "" for passage in passages)


def test_a_document_that_is_a_passage_already_stays_one() -> None:
    text = f"{words(100)}\n\n{words(BUDGET_TOKENS - 100)}"
    assert texts(text) == [text]


def test_paragraphs_are_packed_and_never_torn_when_they_fit() -> None:
    paragraphs = [words(90, name) for name in "abcd"]
    assert texts("\n\n".join(paragraphs)) == ["\n\n".join(paragraphs[:2]), "\n\n".join(paragraphs[2:])]


def test_a_heading_goes_with_what_follows_it() -> None:
    first, second = words(200, "a"), words(150, "b")
    assert texts(f"{first}\n\n## Prices\n\n{second}") == [first, f"## Prices\n\n{second}"]


def test_a_number_sign_in_a_sentence_is_no_heading() -> None:
    first, second = f"{words(190, 'a')} see item # 5", words(150, "b")
    assert texts(f"{first}\n\n{second}") == [first, second]


def test_a_long_paragraph_is_cut_between_sentences_that_overlap_by_one() -> None:
    sentences = [f"S{number} {words(29)}." for number in range(10)]
    first, second = texts(" ".join(sentences))
    assert first == " ".join(sentences[:7])
    assert second == " ".join(sentences[6:])


def test_a_long_sentence_is_not_repeated() -> None:
    sentences = [f"S{number} {words(CUTTING.overlap)}." for number in range(6)]
    first, second = texts(" ".join(sentences))
    assert f"{first} {second}" == " ".join(sentences)


def test_items_of_a_long_list_stay_whole() -> None:
    items = [f"- item {words(50, name)}" for name in "abcdefgh"]
    assert "\n".join(texts("\n".join(items))) == "\n".join(items)


def test_a_sentence_without_end_is_cut_between_words() -> None:
    text = words(2 * BUDGET_TOKENS + 1)
    assert [len(piece.split()) for piece in texts(text)] == [BUDGET_TOKENS, BUDGET_TOKENS, 1]


@pytest.mark.parametrize("text", ["", " \n\t\n "])
def test_a_blank_text_has_no_passages(text: str) -> None:
    assert cuts(text) == []


def test_a_paragraph_keeps_its_hash_wherever_it_lies() -> None:
    paragraph = words(200)
    assert cuts(paragraph)[0].hash == cuts(f"{words(150, 'x')}\n\n{paragraph}")[1].hash


@pytest.mark.parametrize(
    "text", ["a" * 1_000_000, "a " * 500_000, "a\n \n" * 250_000, f"a{' ' * 999_998}a", "\n" * 10**6]
)
def test_the_largest_documents_are_cut_in_seconds_whatever_their_shape(text: str) -> None:
    started = time.process_time()
    cuts(text)
    assert time.process_time() - started < 20


@pytest.mark.parametrize("line", ["# a" + " " * 200_000 + "b", "# " * 100_000 + "x", "|" + " |" * 100_000 + "x"])
def test_a_line_made_to_be_slow_is_not(line: str) -> None:
    started = time.process_time()
    cuts(line)
    assert time.process_time() - started < 5


def test_passages_know_the_headings_above_them() -> None:
    text = f"# Lamps\n\n{words(120, 'a')}\n\n## Prices ##\n\n{words(120, 'b')}\n\n# Desks\n\n{words(120, 'c')}"
    assert [passage.title_path for passage in cuts(text)] == [("Lamps",), ("Lamps", "Prices"), ("Desks",)]


def test_a_long_heading_is_cut_for_the_passages_below_it() -> None:
    [passage, *_] = cuts(f"# {'x' * 5_000}\n\n{words(20)}")
    assert passage.title_path == ("x" * 200,)


def test_a_number_sign_in_code_is_no_heading() -> None:
    [passage] = cuts("# Setup\n\n```sh\n# not a heading\nmake test\n```\n\nThen wait.")
    assert passage.title_path == ("Setup",)


def test_pages_are_counted_from_form_feeds() -> None:
    text = "\f".join(words(150, name) for name in "abc")
    assert [(passage.page, passage.text.split()[0]) for passage in cuts(text)] == [(1, "a0"), (2, "b0"), (3, "c0")]
    assert [passage.page for passage in cuts(words(50))] == [0]


def test_rows_of_a_long_table_keep_their_header() -> None:
    rows = [f"| product{number} | {words(8)} |" for number in range(60)]
    header = "| name | words |\n| --- | --- |"
    first, *others = texts("\n".join([header, *rows]))
    assert first.startswith(header)
    assert others
    assert all(other.startswith(f"{header}\n| product") for other in others)
    assert all(len(word_offsets(each)) <= BUDGET_TOKENS for each in (first, *others))


def test_each_record_is_a_passage() -> None:
    text = "name: a\nprice: 1\n\nname: b\nprice: 2\n\n# c"
    assert [passage.text for passage in cut(text, CUTTING, Layout.RECORDS)] == text.split("\n\n")


def test_a_smaller_budget_cuts_more_often() -> None:
    small = Cutting(word_offsets, 22)
    passages = cut(words(200), small)
    assert max(len(word_offsets(passage.text)) for passage in passages) == small.budget
    assert " ".join(passage.text for passage in passages) == words(200)
