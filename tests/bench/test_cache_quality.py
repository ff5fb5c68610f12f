"""What `make eval-cache` is made of."""

from plumbline_cache.domain.sameness import compare
from tests.bench.altered import altered, negated, other_number
from tests.bench.cache_quality import judgements
from tests.bench.question_pairs import place
from tests.bench.swapped_roles import LOOKED_AT, swapped


def test_every_judgement_says_whether_both_ask_the_same() -> None:
    assert {verdict for each in judgements().values() for verdict in each} == {"SAME", "DIFFERENT"}


def test_there_are_as_many_reversed_roles_nobody_looked_at() -> None:
    seen, unseen = swapped(unseen=False), swapped(unseen=True)
    assert len(seen) == len(unseen) == LOOKED_AT
    assert not set(seen) & set(unseen)


def test_of_known_relations_none_is_answered_the_other_way_round() -> None:
    assert not [pair for pair in swapped(unseen=False) if compare(*pair, 1.0).is_same(0.7)]


def test_a_question_is_the_same_whatever_its_case_spaces_and_quotes() -> None:
    assert place("What\u2019s  New?") == place("what's new")


def test_a_question_is_altered_in_one_thing_or_not_at_all() -> None:
    assert other_number("Is iOS 9 better than iOS 8?") == "Is iOS 9 better than iOS 9?"
    assert other_number("What is version 1.5 or 3d?") == "What is version 1.5 or 3d?"
    assert negated("What should I eat when I am ill?") == "What should I not eat when I am ill?"
    assert negated("Why can't I sleep, and can I not?") == "Why can't I sleep, and can I not?"
    assert altered(["Why?", "Can I swim?", "Can I swim?"], negated) == [("Can I swim?", "Can I not swim?")]
