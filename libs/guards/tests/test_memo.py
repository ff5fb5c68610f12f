"""Results that are kept."""

from collections.abc import Sequence

import pytest

from plumbline_guards.memo import Memo


def test_only_new_texts_are_computed_each_once_and_in_one_go() -> None:
    asked: list[list[str]] = []

    def lengths(texts: Sequence[str]) -> list[int]:
        asked.append(list(texts))
        return [len(text) for text in texts]

    memo = Memo(lengths, 3)
    assert memo.of(["a", "bb", "a"]) == [1, 2, 1]
    assert memo.of(["bb", "ccc"]) == [2, 3]
    assert asked == [["a", "bb"], ["ccc"]]
    assert memo.missing(["a", "dddd"]) == ["dddd"]


def test_the_oldest_goes_when_there_are_too_many() -> None:
    memo = Memo(lambda texts: [len(text) for text in texts], 2)
    assert memo.of(["a", "bb", "ccc"]) == [1, 2, 3]
    assert memo.missing(["a", "bb", "ccc"]) == ["a"]


def test_nothing_is_kept_of_a_failure() -> None:
    def fail(texts: Sequence[str]) -> list[int]:
        raise RuntimeError("broken")

    memo = Memo(fail, 2)
    with pytest.raises(RuntimeError):
        memo.of(["a"])
    assert memo.missing(["a"]) == ["a"]
