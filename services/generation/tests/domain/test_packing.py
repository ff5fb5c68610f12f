"""Which passages the model reads, how much of each, and in which order."""

import random

import pytest

from plumbline_generation.domain.answer import Passage, PassageRef
from plumbline_generation.domain.packing import FRAME_TOKENS, Order, Packed, distinct, pack
from plumbline_generation.testing import a_passage, words

LONG = "One two three four five. Six seven eight nine ten. Eleven twelve thirteen."
DOCUMENT = "The lamp is red. It costs 49 euros. It weighs a kilogram. It was made in Turin."
ENOUGH = 10_000


def texts(*passages: str, budget: int) -> list[str]:
    found = [a_passage(text, title="T", document_id=str(n)) for n, text in enumerate(passages)]
    return [block.text for block in pack(found, budget + FRAME_TOKENS + 1, words).blocks]


def cut_from(document: str, start: int, end: int, *, document_id: str = "lamp", version: int = 3) -> Passage:
    text = document[start:end]
    return Passage(PassageRef(document_id, version, f"{start}-{end}"), "Lamp", "", text, start, end, 1.0)


def sentence(number: int, **of: object) -> Passage:
    """The sentence of `DOCUMENT` with that index."""
    start = [0, 17, 36, 58][number]
    end = [16, 35, 57, 79][number]
    return cut_from(DOCUMENT, start, end, **of)  # type: ignore[arg-type]  # passed on as they are


def joined(*passages: Passage, budget: int = ENOUGH) -> Packed:
    return pack(passages, budget, words)


def test_passages_enter_in_their_order_while_they_fit() -> None:
    assert texts("A b c.", "D e.", budget=3 + FRAME_TOKENS + 1 + 2) == ["A b c.", "D e."]


@pytest.mark.parametrize(("budget", "kept"), [(13, LONG), (12, LONG[:50]), (10, LONG[:50]), (9, LONG[:24])])
def test_a_later_passage_is_cut_at_the_end_of_a_sentence(budget: int, kept: str) -> None:
    assert texts("First.", LONG, budget=1 + FRAME_TOKENS + 1 + budget) == ["First.", kept]


def test_nothing_comes_after_the_passage_that_did_not_fit() -> None:
    assert texts("First.", LONG, "B.", budget=1 + FRAME_TOKENS + 1 + 4) == ["First."]


def test_the_first_passage_always_enters_if_need_be_cut_inside_its_sentence() -> None:
    assert texts(" ".join(["word"] * 40) + ".", budget=0) == [" ".join(["word"] * 16)]


def test_a_passage_keeps_its_reference_and_its_whole_text_as_a_source() -> None:
    passage = a_passage(f"{LONG} {LONG}")
    packed = pack([passage], 0, words)
    [block] = packed.blocks
    assert (block.numbers, block.cut) == ((1,), True)
    assert block.text != passage.text
    assert packed.sources == (passage,)


def test_passages_without_text_are_left_out() -> None:
    assert texts(" \n", "A.", budget=20) == ["A."]


def test_no_passages_pack_to_nothing() -> None:
    assert pack([], 100, words) == Packed()


def test_neighbours_become_one_text_in_the_order_of_their_document() -> None:
    packed = joined(sentence(2), sentence(1))
    [block] = packed.blocks
    assert block.text.split() == DOCUMENT[17:57].split()
    assert block.numbers == (1, 2)
    assert [source.text for source in packed.sources] == [DOCUMENT[36:57], DOCUMENT[17:35]]


def test_what_two_passages_share_is_told_once() -> None:
    [block] = joined(cut_from(DOCUMENT, 0, 35), cut_from(DOCUMENT, 17, 57)).blocks
    assert block.text == DOCUMENT[:57]


def test_a_passage_that_comes_later_closes_the_gap_between_two() -> None:
    packed = joined(sentence(0), sentence(2), sentence(1))
    assert [block.numbers for block in packed.blocks] == [(1, 2, 3)]
    assert packed.blocks[0].text.split() == DOCUMENT[:57].split()


@pytest.mark.parametrize(
    "other",
    [
        sentence(3),
        sentence(1, document_id="chair"),
        sentence(1, version=4),
        Passage(PassageRef("lamp", 3, "x"), "Chair", "", DOCUMENT[17:35], 17, 35, 1.0),
        Passage(PassageRef("lamp", 3, "x"), "Lamp", "", "Something longer than it says it is.", 17, 20, 1.0),
        Passage(PassageRef("lamp", 3, "x"), "Lamp", "", "Shares nothing.", 10, 25, 1.0),
        Passage(PassageRef("lamp", 3, "x"), "Lamp", "", "Nobody knows where it lies.", 0, 0, 1.0),
    ],
    ids=["far away", "another document", "another version", "another title", "bad length", "bad overlap", "no place"],
)
def test_passages_that_do_not_read_on_stay_apart(other: Passage) -> None:
    packed = joined(sentence(0), other)
    assert [block.numbers for block in packed.blocks] == [(1,), (2,)]
    assert [block.text for block in packed.blocks] == [DOCUMENT[:16], other.text]


def test_the_header_that_each_part_of_a_table_carries_is_told_once() -> None:
    header, rows = "| item | price |\n|---|---|\n", "| lamp | 49 |\n| chair | 99 |\n| table | 199 |"
    table = header + rows
    first_end, second = len(header) + 13, len(header) + 14
    parts = [cut_from(table, 0, first_end), cut_from(table, second, len(table))]
    later = Passage(parts[1].ref, "Lamp", "", header + parts[1].text, second, len(table), 1.0)
    [block] = joined(parts[0], later).blocks
    assert block.text == table


def test_neighbours_take_the_room_of_one_frame_and_one_title() -> None:
    room = len(DOCUMENT[:35].split()) + FRAME_TOKENS + 1
    assert [block.numbers for block in joined(sentence(0), sentence(1), budget=room).blocks] == [(1, 2)]
    assert [block.numbers for block in joined(sentence(0), sentence(3), budget=room).blocks] == [(1,)]


@pytest.mark.parametrize(
    "copy",
    ["The lamp costs 49 euros in May and 59 in June.", "the lamp costs 49 Euros, in May, and 59 in June!"],
)
def test_a_passage_that_only_repeats_a_better_one_is_left_out(copy: str) -> None:
    found = [a_passage("The lamp costs 49 euros in May and 59 in June.", "Lamp", "a"), a_passage(copy, "Lamp", "b")]
    assert [passage.ref.document_id for passage in distinct(found)] == ["a"]


@pytest.mark.parametrize(
    "other",
    [
        "The lamp costs 59 euros in May and 49 in June.",
        "The lamp costs 49 euros in May and 59 in July.",
        "The lamp never costs 49 euros in May and 59 in June.",
        "The lamp costs 49 euros.",
    ],
    ids=["numbers change places", "a new word", "denied", "a part of it"],
)
def test_a_passage_that_says_anything_else_stays(other: str) -> None:
    found = [a_passage("The lamp costs 49 euros in May and 59 in June.", "Lamp", "a"), a_passage(other, "Lamp", "b")]
    assert list(distinct(found)) == found


def test_a_passage_without_a_better_one_s_denial_is_no_copy_of_it() -> None:
    says = "In Oslo {} of Nordlys sells red desk lamps for 49 euros in May or 59 in June."
    found = [a_passage(says.format(who), "Lamp", who) for who in ("nobody", "those")]
    assert list(distinct(found)) == found


def test_passages_beyond_the_budget_are_not_looked_at() -> None:
    looked_at = iter([sentence(0), a_passage("x " * 100), a_passage("never seen")])
    assert [source.text for source in pack(looked_at, 20, words).sources] == [sentence(0).text]
    assert next(looked_at).text == "never seen"


def test_the_same_text_under_another_title_is_another_passage() -> None:
    found = [a_passage("It costs 49 euros.", "Aurora", "a"), a_passage("It costs 49 euros.", "Borealis", "b")]
    assert list(distinct(found)) == found


def test_the_best_stand_at_the_ends_where_the_release_wants_it() -> None:
    found = [a_passage(f"Fact number {n}.", f"T{n}", f"d{n}") for n in range(1, 6)]
    packed = pack(found, ENOUGH, words, order=Order.BEST_AT_ENDS)
    assert [block.numbers for block in packed.blocks] == [(1,), (3,), (5,), (4,), (2,)]
    assert list(packed.sources) == found


def test_any_passages_of_a_document_are_told_in_full_and_within_the_budget() -> None:
    draw = random.Random(5)
    document = " ".join(f"word{n}" + (". " if n % 7 == 6 else "") for n in range(200)).replace("  ", " ")
    for _ in range(300):
        spans = [sorted(draw.sample(range(len(document)), 2)) for _ in range(draw.randint(1, 6))]
        found = [cut_from(document, *span) for span in spans]
        budget = draw.randint(30, 400)
        packed = joined(*found, budget=budget)
        assert sum(block.tokens for block in packed.blocks) <= max(budget, 16 + FRAME_TOKENS + 1)
        for block in packed.blocks:
            for number in block.numbers if not block.cut else ():
                assert packed.sources[number - 1].text.strip() in block.text.replace("\n", "")
