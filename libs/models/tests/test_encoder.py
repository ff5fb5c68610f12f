"""The encoder: what its vectors promise."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from plumbline_models.encoder import Encoder

TEXTS = ["How much is the lamp?", "word " * 400, "", "Grüße aus 東京 🗼", "The lamp costs 49 euros."]


@pytest.fixture(scope="module")
def encoder(encoder_dir: Path) -> Encoder:
    return Encoder.load(encoder_dir)


def test_vectors_are_unit_rows_in_the_order_of_the_texts(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert (vectors.shape, vectors.dtype) == ((5, 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, 384)


def test_a_paraphrase_is_closer_than_something_unrelated(encoder: Encoder) -> None:
    asked, paraphrase, unrelated = encoder.encode(
        ["How do I return a lamp?", "Sending a lamp back to the shop", "The moon orbits the earth."]
    )
    assert asked @ paraphrase > asked @ unrelated + 0.3


def test_a_text_has_the_same_vector_whatever_stands_beside_it(encoder: Encoder) -> None:
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    assert np.array_equal(encoder.encode(TEXTS), alone)


def test_what_lies_beyond_the_limit_is_not_seen(encoder: Encoder) -> None:
    long = "word " * 300
    first, second = encoder.encode([long + "lamp", long + "moon"])
    assert np.array_equal(first, second)


def test_several_threads_get_what_one_gets(encoder: Encoder) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(encoder.encode, [TEXTS] * 8))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_offsets_are_code_points_of_the_whole_text(encoder: Encoder) -> None:
    text = "Grüße, 🗼 tower " * 100
    offsets = encoder.offsets(text)
    assert "".join(text[start:end] for start, end in offsets) == text.replace(" ", "")
    assert encoder.count_tokens(text) == len(offsets) > 256


@pytest.fixture(scope="module")
def token_encoder(encoder_dir: Path) -> Encoder:
    return Encoder.load(encoder_dir, with_tokens=True)


def test_every_token_has_a_unit_row_and_the_two_that_frame_a_text_have_none(token_encoder: Encoder) -> None:
    vectors = token_encoder.token_vectors("How much is the lamp?")
    assert (vectors.shape, vectors.dtype) == ((6, 384), np.float32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_an_empty_text_has_no_tokens_and_a_long_one_those_before_the_limit(token_encoder: Encoder) -> None:
    assert token_encoder.token_vectors("").shape == (0, 384)
    assert token_encoder.token_vectors("word " * 400).shape == (254, 384)


def test_a_word_is_closer_to_its_like_than_to_the_words_beside_it(token_encoder: Encoder) -> None:
    [asked] = token_encoder.token_vectors("price")
    close = token_encoder.token_vectors("The lamp has a high cost.") @ asked
    assert np.argmax(close) == 5  # "cost"


def test_a_token_has_another_vector_in_another_text(token_encoder: Encoder) -> None:
    river, money = token_encoder.token_vectors("river bank"), token_encoder.token_vectors("money bank")
    assert river[1] @ money[1] < 0.9


def test_vectors_of_texts_and_the_id_are_the_same_with_tokens_and_without(
    encoder: Encoder, token_encoder: Encoder
) -> None:
    assert np.array_equal(token_encoder.encode(TEXTS), encoder.encode(TEXTS))
    assert token_encoder.id == encoder.id


def test_without_tokens_it_says_so(encoder: Encoder) -> None:
    with pytest.raises(RuntimeError, match="without its vectors of tokens"):
        encoder.token_vectors("lamp")
