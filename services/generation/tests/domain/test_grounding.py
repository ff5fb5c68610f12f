"""A model's text on its way out, sentence by sentence."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from plumbline_generation.domain.answer import Claim, ClaimStatus, Outcome, Passage
from plumbline_generation.domain.draft import NOTHING_SUPPORTED, Draft
from plumbline_generation.domain.guarding import OutputGuard, output_policy
from plumbline_generation.domain.settling import Grounding, Settled
from plumbline_generation.testing import a_passage
from plumbline_guards.window import Outcome as GuardOutcome
from plumbline_kit.release import GuardSettings, Unchecked, Unsupported
from plumbline_models.checking import MAX_SENTENCE
from plumbline_models.support import assess

CARD = "4111 1111 1111 1111"
LAMP = a_passage("The Aurora desk lamp costs 49 euros. It is made of steel. It weighs 1.2 kilograms.")
CLOCK = a_passage("The Meridian clock costs 52 euros. It runs on a battery.", "Meridian clock", "clock")
PASSAGES = (LAMP, CLOCK)
QUESTION = "How much does the Aurora desk lamp cost?"
MARK, WITHHOLD, REPLACE = Unsupported
TRUE, FALSE = "The Aurora desk lamp costs 49 euros.", "It was invented by Nordlys in 1911."


class Told:
    """Somebody who is told a text in pieces, and what becomes of it."""

    def __init__(
        self,
        pieces: Sequence[str],
        policy: Unsupported,
        *,
        ended_itself: bool = True,
        failure: str = "",
        question: str = QUESTION,
        passages: Sequence[Passage] = PASSAGES,
        unchecked: Unchecked = Unchecked.SHOW,
    ) -> None:
        settings = GuardSettings(0.3, 0.6, policy, unchecked)
        grounding = Grounding(question, passages, settings, OutputGuard(output_policy("redact"), lambda: 0.0))
        self.text = grounding.begin()
        self.events: list[str | Claim] = []
        for piece in pieces:
            self._hear(self.text.take(piece))
        self._hear(self.text.finish(ended_itself=ended_itself, failed=bool(failure)))
        self.settled: Settled = grounding.settle(self.text, failure)
        self._hear(self.settled.draft.after("" if self.text.closed else self.text.shown))

    def _hear(self, events: Sequence[str | Claim]) -> None:
        for event in events:
            self.events.append(event)
            if isinstance(event, Claim):
                assert 0 <= event.start < event.end <= len(self.streamed), "a claim is told after its text"

    @property
    def streamed(self) -> str:
        return "".join(event for event in self.events if isinstance(event, str))

    @property
    def claims(self) -> tuple[Claim, ...]:
        return tuple(event for event in self.events if isinstance(event, Claim))

    @property
    def draft(self) -> Draft:
        return self.settled.draft

    @property
    def statuses(self) -> list[ClaimStatus]:
        return [claim.status for claim in self.draft.claims]


def told(text: str, policy: Unsupported = WITHHOLD, **how: Any) -> Told:
    return Told([text], policy, **how)


def test_marked_text_leaves_at_once_and_its_claim_when_the_next_sentence_begins() -> None:
    it = Told([f"{TRUE} It ", "was invented by ", "Nordlys in 1911. "], MARK)
    first, second = it.claims
    assert "".join(map(str, it.events[: it.events.index(first)])) == f"{TRUE} It was invented "
    assert it.events[-1] is second
    assert (first.status, second.status) == (ClaimStatus.ATTRIBUTED, ClaimStatus.UNSUPPORTED)
    assert (it.streamed, it.claims) == (it.draft.text, it.draft.claims)


def test_a_withheld_sentence_leaves_no_gap() -> None:
    it = told(f"{TRUE}  {FALSE}\n\nIt is made of steel.")
    assert it.streamed == it.draft.text == f"{TRUE}\n\nIt is made of steel."
    assert it.draft.outcome is Outcome.ANSWERED
    assert it.claims == it.draft.claims


def test_a_sentence_is_held_until_it_is_complete() -> None:
    it = Told(["The Aurora desk lamp costs", " 49 euros", ".", " It", " is made of steel."], WITHHOLD)
    assert [event for event in it.events if isinstance(event, str)] == [TRUE, " It is made of steel."]


@pytest.mark.parametrize("lead", ["Yes.", "## Price", "Here is what it costs:", "Sure! Here it comes:"])
def test_what_claims_nothing_stands_or_falls_with_the_next_sentence(lead: str) -> None:
    assert told(f"{lead}\n{TRUE}").streamed == f"{lead}\n{TRUE}"
    assert told(f"{TRUE}\n{lead}\n{FALSE}").streamed == TRUE


def test_what_claims_nothing_and_leads_nowhere_is_withheld() -> None:
    it = told(f"{TRUE} I hope this helps! Would you like to know more?")
    assert it.streamed == TRUE


def test_a_list_keeps_the_items_that_are_supported() -> None:
    text = "The lamp:\n\n1. It costs 49 euros.\n2. It glows in 1911 colours.\n3. It weighs 1.2 kilograms."
    assert told(text).streamed == "The lamp:\n\n1. It costs 49 euros.\n3. It weighs 1.2 kilograms."


def test_a_block_of_code_is_one_claim_that_words_cannot_judge() -> None:
    code = "```python\nlamp = Lamp(94)\n\nlamp.on()\n```"
    it = told(f"{TRUE}\n{code}\nIt is made of steel.")
    assert it.streamed == f"{TRUE}\n{code}\nIt is made of steel."
    assert it.statuses[1] is ClaimStatus.NOT_CHECKED
    assert told(f"{TRUE}\n{code}", unchecked=Unchecked.WITHHOLD).streamed == TRUE


def test_a_text_without_an_end_is_cut_however_it_comes() -> None:
    text = f"{'lamp and ' * 700}{'a. b. ' * 900}\n\nIt is made of steel."
    whole, other = Told([text], MARK), Told([text[at : at + 7] for at in range(0, len(text), 7)], MARK)
    assert whole.draft == other.draft
    assert max(claim.end - claim.start for claim in whole.draft.claims) <= MAX_SENTENCE
    assert whole.statuses[-1] is ClaimStatus.ATTRIBUTED


def test_what_cannot_be_judged_leaves_unless_the_release_says_otherwise() -> None:
    assert told(f"{TRUE} Die Lampe ist nicht aus Gold.").statuses[1] is ClaimStatus.NOT_CHECKED
    assert told(f"{TRUE} Die Lampe ist nicht aus Gold.", unchecked=Unchecked.WITHHOLD).streamed == TRUE


def test_with_everything_withheld_the_answer_is_a_refusal_that_says_what_was_found() -> None:
    it = told(FALSE)
    assert it.streamed == it.draft.text
    assert it.draft.text.endswith("Found instead: Aurora desk lamp; Meridian clock.")
    assert (it.draft.outcome, it.draft.by_model) == (Outcome.REFUSED, False)
    assert it.draft.reason == NOTHING_SUPPORTED


def test_with_everything_withheld_a_quotation_may_stand_in_its_place() -> None:
    it = told(FALSE, REPLACE)
    assert it.streamed == it.draft.text
    assert it.draft.text.startswith(TRUE)
    assert (it.draft.outcome, it.draft.by_model) == (Outcome.DEGRADED, False)
    assert it.claims == it.draft.claims
    assert all(claim.evidence for claim in it.claims)


def test_where_too_little_is_left_a_quotation_follows_it() -> None:
    it = told(f"It is made of steel. {FALSE}", REPLACE)
    assert it.streamed == it.draft.text
    assert it.draft.text.startswith(f"It is made of steel. {TRUE}")
    assert (it.draft.outcome, it.draft.by_model) == (Outcome.ANSWERED, True)
    assert it.settled.grounding is not None
    assert (it.settled.grounding.withheld, it.settled.grounding.replaced) == (1, len(it.claims) - 1)


def test_where_enough_is_left_nothing_follows() -> None:
    assert told(f"{TRUE} It is made of steel. {FALSE}", REPLACE).streamed == f"{TRUE} It is made of steel."


def test_without_a_useful_quotation_nothing_stands_in() -> None:
    it = told(FALSE, REPLACE, question="Who won in Oslo?")
    assert (it.draft.outcome, it.draft.reason) == (Outcome.REFUSED, NOTHING_SUPPORTED)
    assert told(f"{TRUE} {FALSE}", REPLACE, question="Who won in Oslo?").streamed == TRUE


@pytest.mark.parametrize("policy", Unsupported)
def test_a_model_that_does_not_know_claims_nothing(policy: Unsupported) -> None:
    it = told("I don't know. It was invented in 1911.", policy)
    assert it.draft.outcome is Outcome.REFUSED
    assert it.claims == ()
    assert it.streamed == it.draft.text


@pytest.mark.parametrize("policy", Unsupported)
def test_a_model_that_does_not_know_refuses_even_if_it_breaks_off_after_that(policy: Unsupported) -> None:
    it = Told(["I don't know. It was inv"], policy, failure="broke off")
    assert (it.draft.outcome, it.claims, it.draft.answer(PASSAGES).claims) == (Outcome.REFUSED, (), ())


def test_a_model_that_does_not_know_is_not_heard_out_where_sentences_are_withheld() -> None:
    assert told("Sorry. I don't know, but try Nordlys.").streamed.startswith("The documents do not answer")


@pytest.mark.parametrize("policy", Unsupported)
def test_a_sentence_that_a_failure_cut_off_is_not_kept(policy: Unsupported) -> None:
    it = Told([f"{TRUE} It is made of"], policy, failure="broke off")
    assert (it.draft.text, it.draft.outcome, it.draft.reason) == (TRUE, Outcome.DEGRADED, "broke off")
    assert it.draft.claims[0].status is ClaimStatus.ATTRIBUTED


@pytest.mark.parametrize("policy", Unsupported)
def test_without_a_complete_sentence_a_failure_leaves_the_passages(policy: Unsupported) -> None:
    it = Told(["The Aurora desk"], policy, failure="broke off")
    assert it.draft.text.startswith(TRUE)
    assert (it.draft.outcome, it.draft.by_model) == (Outcome.DEGRADED, False)
    assert it.draft.claims[0].source_numbers == (1,)


@pytest.mark.parametrize("policy", Unsupported)
def test_a_sentence_that_a_limit_cut_off_stands_only_if_it_is_all(policy: Unsupported) -> None:
    assert told(f"{TRUE} It is made of", policy, ended_itself=False).draft.text == TRUE
    alone = "The Aurora desk lamp costs"
    assert told(alone, policy, ended_itself=False).draft.text == alone


@pytest.mark.parametrize("policy", Unsupported)
def test_what_the_guards_replace_does_not_move_claims(policy: Unsupported) -> None:
    text = f"The Aurora desk lamp costs 49 euros, paid with {CARD}. It is made of steel [1]."
    it = told(text, policy, passages=(a_passage(f"{LAMP.text} It is paid with the card {CARD}."),))
    assert it.streamed == it.draft.text
    assert CARD not in it.streamed
    assert it.draft.text[it.draft.claims[-1].start : it.draft.claims[-1].end] == "It is made of steel."
    assert it.draft.claims[-1].status is ClaimStatus.SUPPORTED


def test_a_quotation_is_guarded_and_the_worst_outcome_holds() -> None:
    it = told(FALSE, REPLACE, passages=(a_passage(f"The Aurora desk lamp costs 49 euros with {CARD}."),))
    assert "[card]" in it.draft.text
    assert [window.outcome for window in it.settled.windows] == [GuardOutcome.PASSED, GuardOutcome.CHANGED]


PARTS = (
    TRUE,
    FALSE,
    "It is made of steel [1].",
    "It is made of steel.[2]",
    "[2] The Meridian clock costs 52 euros.",
    "Yes.",
    "## Price list",
    "\n\n",
    "\n- It weighs 1.2 kilograms",
    "\n1. It runs on a battery [1, 2]",
    "e.g. Nordlys et al. say so [9].",
    "Die Lampe ist aus Gold.",
    "它是用金做的。",
    "```\nlamp --on\n\nlamp --off\n```\n",
    f"Paid with {CARD}.",
    "Wait... what?! [12",
    "\u201cIt costs 49 euros.\u201d",
    "I don't know.",
    "Mr. Smith paid 1.",
    "[1234] It is",
    "😀",
)


def texts(seed: int) -> tuple[str, random.Random]:
    draw = random.Random(seed)
    return " ".join(draw.choice(PARTS) for _ in range(draw.randint(1, 7))), draw


def cut(text: str, draw: random.Random) -> list[str]:
    ends = sorted(draw.randint(0, len(text)) for _ in range(draw.randint(0, 12)))
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@pytest.mark.parametrize("policy", Unsupported)
@pytest.mark.parametrize("seed", range(60))
def test_however_a_text_is_cut_the_answer_is_the_same(seed: int, policy: Unsupported) -> None:
    text, draw = texts(seed)
    how: dict[str, Any] = {"ended_itself": draw.random() < 0.6, "failure": draw.choice(("", "", "broke off"))}
    whole = Told([text], policy, **how)
    for pieces in (list(text), cut(text, draw), cut(text, draw)):
        other = Told(pieces, policy, **how)
        assert (other.draft, other.claims, other.streamed) == (whole.draft, whole.claims, whole.streamed)
        assert other.settled.grounding == whole.settled.grounding


@pytest.mark.parametrize("policy", Unsupported)
@pytest.mark.parametrize("seed", range(60))
def test_every_claim_names_its_text_and_evidence_and_none_is_supported_that_is_not(
    seed: int, policy: Unsupported
) -> None:
    text, draw = texts(seed)
    it = Told(cut(text, draw), policy)
    for claim in it.draft.claims:
        sentence = it.draft.text[claim.start : claim.end]
        assert sentence == sentence.strip() != ""
        assert all(_supports(sentence, PASSAGES[number - 1].evidence) for number in claim.source_numbers)
        assert {one.source_number for one in claim.evidence} == set(claim.source_numbers)
        for number in claim.source_numbers:
            source = PASSAGES[number - 1]
            quoted = [source.text[one.start : one.end] for one in claim.evidence if one.source_number == number]
            assert _supports(sentence, f"{source.title}\n{' '.join(quoted)}")
    if policy is not MARK:
        assert it.streamed == it.draft.text
        assert it.claims == it.draft.answer(PASSAGES).claims
        assert ClaimStatus.UNSUPPORTED not in it.statuses


def _supports(sentence: str, source: str) -> bool:
    found = assess(sentence, source)
    return found.score >= 0.6 and not found.missing_names
