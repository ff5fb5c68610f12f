"""Which languages a text may be in."""

import pytest

from plumbline_models.language import is_unspaced, languages


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("The lamp is made of steel.", {"en"}),
        ("Die Lampe ist nicht aus Stahl.", {"de"}),
        ("La lámpara está hecha de acero y no es roja.", {"es"}),
        ("La lampe est en acier et elle est rouge.", {"fr"}),
        ("Лампа сделана из стали (steel).", {"cyrillic"}),
        ("这盏灯是用钢做的。", {"cjk"}),
        ("Aurora 49", set()),
        ("", set()),
    ],
)
def test_common_words_and_scripts_tell_the_language(text: str, codes: set[str]) -> None:
    assert languages(text) == codes


def test_a_text_that_could_be_two_languages_is_both() -> None:
    assert {"en", "de"} <= languages("Zoo in Berlin")


@pytest.mark.parametrize(("text", "unspaced"), [("它是灯", True), ("ราคา", True), ("лампа", False), ("램프", False)])
def test_some_scripts_put_no_spaces_between_words(text: str, unspaced: bool) -> None:
    assert is_unspaced(text) is unspaced
