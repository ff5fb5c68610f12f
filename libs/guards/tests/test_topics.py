"""Words and phrases that a policy denies."""

import random
import time
from itertools import pairwise

import pytest

from plumbline_guards.findings import Kind
from plumbline_guards.topics import Topics, TopicWatch

TOPICS = Topics(["casino", "betting odds", "how to build a bomb"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A Casino!", ["Casino"]),
        ("betting,\n odds and CASINO", ["betting,\n odds", "CASINO"]),
        ("c\u0430s\u200bino", ["c\u0430s\u200bino"]),
        ("anticasino, casinos, betting plans, odds", []),
        ("betting" + " " * 40 + "odds", []),
    ],
)
def test_phrases_are_found_by_whole_words(text: str, found: list[str]) -> None:
    assert TOPICS.find(text) == found


def pieces_of(text: str, draw: random.Random) -> list[str]:
    edges = [0, *sorted(draw.randrange(len(text) + 1) for _ in range(draw.randint(1, 6))), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def test_random_texts_of_the_words_that_matter_are_the_same_in_pieces() -> None:
    draw = random.Random(0)
    words = ["casino", "bet", "ting", " ", "  ", "odds", "how", "to", "build", "a", "bomb", ".", "\u200b", "w" * 70]
    for _ in range(2_000):
        text = "".join(draw.choices(words, k=draw.randint(1, 25)))
        watch = TopicWatch(TOPICS)
        parts = [part for piece in pieces_of(text, draw) for part in watch.take(piece)] + watch.take("", final=True)
        assert "".join(part.text for part in parts) == text
        assert [part.text for part in parts if part.kind is Kind.DENIED_TOPIC] == TOPICS.find(text), text


def test_a_word_without_end_is_not_kept() -> None:
    watch = TopicWatch(TOPICS)
    for _ in range(1_000):
        watch.take("casino" * 100)
        assert len(watch.held) <= 64


@pytest.mark.parametrize("phrase", ["", "!?", "w" * 65])
def test_a_phrase_that_can_not_be_found_is_told(phrase: str) -> None:
    with pytest.raises(ValueError, match="has no word"):
        Topics([phrase])


def test_a_long_text_of_nothing_but_denied_phrases_takes_the_time_of_its_length() -> None:
    began = time.process_time()
    assert len(TOPICS.find("casino " * 20_000)) == 20_000
    assert time.process_time() - began < 5
