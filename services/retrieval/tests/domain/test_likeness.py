"""Which texts are nearly the same."""

from collections.abc import Callable
from random import Random

import pytest

from plumbline_retrieval.domain.likeness import HASHES, MIN_WORDS, NEAR, Near, bands, nearest, sketch

FOOTER = " Share this page with a friend. Contact us, terms and privacy. All rights reserved."
Edit = Callable[[str, Random], str]


def article(seed: int, words: int = 300) -> str:
    """Its common words are in every article, its rare ones are its own."""
    random = Random(seed)
    own = [f"{random.getrandbits(40):x}" for _ in range(60)]
    return " ".join(random.choice(own) if random.random() < 0.4 else f"w{random.randrange(200)}" for _ in range(words))


def similarity(one: str, other: str) -> float:
    """As it is told; 0 where the two are not told of each other."""
    if set(bands(sketch(one))).isdisjoint(bands(sketch(other))):
        return 0.0
    return sum(near.similarity for near in nearest(sketch(one), {"other": sketch(other)}))


def jaccard(one: str, other: str) -> float:
    first, second = ({tuple(words[i : i + 3]) for i in range(len(words) - 2)} for words in (one.split(), other.split()))
    return len(first & second) / len(first | second)


def scattered(share: float) -> Edit:
    def edit(text: str, random: Random) -> str:
        return " ".join("new" if random.random() < share else word for word in text.split())

    return edit


def rewritten(share: float) -> Edit:
    def edit(text: str, random: Random) -> str:
        words = text.split()
        count = int(share * len(words))
        start = random.randrange(len(words) - count)
        return " ".join([*words[:start], *article(random.randrange(10**9), count).split(), *words[start + count :]])

    return edit


def test_a_text_in_another_form_is_the_same() -> None:
    text = "The Aurora lamp, our oldest, isn't sold any more; it costs 129 euros in the outlet. " * 2
    forms = [
        text.upper(),
        text.replace(" ", "\n\n"),
        f"# {text.replace(' ', ' *')}",
        text.replace("outlet", "out\xadlet"),
    ]
    assert [similarity(text, form) for form in forms] == [1.0] * len(forms)


@pytest.mark.parametrize(
    ("edit", "least"),
    [
        pytest.param(lambda text, random: text + FOOTER, 1.0, id="footer"),
        pytest.param(lambda text, random: FOOTER + text, 1.0, id="header"),
        pytest.param(scattered(0.02), 0.95, id="one_word_in_fifty"),
        pytest.param(rewritten(0.05), 0.95, id="a_twentieth_in_one_place"),
        pytest.param(rewritten(0.1), 0.75, id="a_tenth_in_one_place"),
    ],
)
def test_an_edited_copy_is_nearly_the_same(edit: Edit, least: float) -> None:
    texts = [article(seed) for seed in range(60)]
    found = [similarity(text, edit(text, Random(seed))) >= NEAR for seed, text in enumerate(texts)]
    assert sum(found) / len(found) >= least


@pytest.mark.parametrize("edit", [scattered(0.2), scattered(0.4), rewritten(0.4)])
def test_a_text_that_was_mostly_rewritten_is_another(edit: Edit) -> None:
    texts = [article(seed) for seed in range(60)]
    assert [similarity(text, edit(text, Random(seed))) for seed, text in enumerate(texts)] == [0.0] * len(texts)


def test_texts_that_share_their_common_words_are_others() -> None:
    sketches = {str(seed): sketch(article(seed)) for seed in range(200)}
    assert all([near.document_id for near in nearest(each, sketches)] == [name] for name, each in sketches.items())


def test_the_similarity_is_that_of_the_texts() -> None:
    errors = []
    for seed in range(60):
        text = article(seed)
        copy = scattered(0.03)(text, Random(seed))
        [near] = nearest(sketch(text), {"copy": sketch(copy)}) or [Near("copy", NEAR)]
        errors.append(abs(near.similarity - jaccard(text, copy)))
    assert max(errors) < 0.12
    assert sum(errors) / len(errors) < 0.03


def test_the_most_similar_is_told_first() -> None:
    text = article(1)
    others = {"b": sketch(text), "a": sketch(text), "c": sketch(text + FOOTER), "other": sketch(article(2))}
    assert [near.document_id for near in nearest(sketch(text), others)] == ["a", "b", "c"]
    assert nearest(sketch(text), {}) == []


def test_a_short_text_is_like_no_other() -> None:
    short = " ".join(["word"] * (MIN_WORDS - 1))
    assert (sketch(short), bands(sketch(short))) == ("", [])
    assert sketch(f"{short} word") != ""


def test_scripts_without_spaces_have_words_too() -> None:
    text = "这盏灯是我们最老的一款产品现在只在折扣店出售价格是一百二十九欧元数量有限请尽快购买"
    assert NEAR <= similarity(text, text.replace("购买", "订购")) < 1


def test_a_sketch_is_the_same_in_every_process_and_release() -> None:
    assert sketch(article(1))[:24] == "jSMJMGXexSU6yNIiZ336NgfK"
    assert len(sketch(article(1))) == HASHES * 4 // 3


def test_the_largest_text_has_a_sketch() -> None:
    assert similarity("a " * 500_000, "a " * 400_000) == 1.0
