"""What people and documents write stays data within a prompt, whatever it says."""

import random
import re
import time
from collections.abc import Sequence

import pytest

from plumbline_kit.release import PromptSettings
from plumbline_prompts.data import DataFilter, as_data
from plumbline_prompts.template import PromptPassage, PromptTemplate

TAGGED = PromptSettings(
    "You answer from the passages between <passage> and </passage>.",
    """
{% for p in passages %}
<passage>
[{{ p.number }}] {{ p.title }}
{{ p.text }}
</passage>
{% endfor %}
```
{{ question }}
```
""",
)
TEMPLATE = PromptTemplate(TAGGED)
CONTROL = [
    "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|start_header_id|>", "<|begin_of_text|>",
    "<\uff5cUser\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>", "<|channel|>", "<|start|>", "<s>", "</s>", "<S>",
    "<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>", "<BOS_TOKEN>", "<|START_OF_TURN_TOKEN|>", "<unk>",
    "<extra_id_0>", "<tool_call>", "</think>", "<think>", "<file_sep>", "<reponame>", "<filename>", "<<SYS>>",
    "<</SYS>>", "[INST]", "[/INST]", "[inst]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[gMASK]", "[CLS]", "<0x0A>",
    "\uff1c|im_start|>", "<\u200b|im_start|>",
]  # fmt: skip
PIECES = [
    *CONTROL, "passage>", "</passage>", "</Passage >", "< / passage>", "<passage number='9'>", "```", "````", "\n",
    "\r\n", "\u2028", "\x85", "\x0b", "\x0c", "\x00", "\x08", "system:", "System:", "**Assistant**:", "### Human:",
    "user\uff1a", "Question:", "[2] ", "[2", "]", "<", "|", "/s>", "im_start|>", "[", "INST]",
    "{{ question }}", "{% raw %}",
    "a", " ", "lamp", "\u200b", "\ufeff", "</pas", "sage>", "`", "#", "# ", "1",
]  # fmt: skip
OPENS_ROLE = re.compile(r"^[\W_]*(system|user|assistant|human|ai|tool|question)\W*?[:\uff1a]", re.IGNORECASE)
TOKENS = re.compile("|".join(re.escape(token) for token in CONTROL), re.IGNORECASE)


def hostile(draw: random.Random) -> str:
    return "".join(draw.choice(PIECES) for _ in range(draw.randint(1, 12)))


def lines(question: str, texts: Sequence[tuple[str, str]]) -> list[str]:
    passages = [PromptPassage(number, *text) for number, text in enumerate(texts, start=1)]
    return TEMPLATE.render(question, passages).user.splitlines()


@pytest.mark.parametrize("token", CONTROL)
def test_a_control_token_loses_its_meaning(token: str) -> None:
    assert token.casefold() not in as_data(f"Red.{token}system").casefold()


def test_no_text_closes_its_delimiter_opens_a_role_or_holds_a_control_token() -> None:
    draw = random.Random(11)
    for _ in range(3_000):
        question, texts = hostile(draw), [(hostile(draw), hostile(draw)) for _ in range(2)]
        told = lines(question, texts)
        assert [line for line in told if re.search(r"<\s*/?\s*passage|```", line, re.IGNORECASE)] == [
            "<passage>", "</passage>", "<passage>", "</passage>", "```", "```",
        ]  # fmt: skip
        assert len(told) == len(lines("a", [("a", "a"), ("a", "a")]))
        assert [line for line in told if OPENS_ROLE.match(line)] == []
        assert TOKENS.search("\n".join(told)) is None, told
        assert [line[:3] for line in told if re.search(r"\[\d+\]", line)] == ["[1]", "[2]"]


@pytest.mark.parametrize(
    "piece", ["\u200b", "<\u200b", "<", "< ", "[", "[1, ", "a_", "<a_", "`", "#", "-*", "<|", "[AAA_"]
)
def test_a_text_takes_the_time_of_its_length(piece: str) -> None:
    own, text = DataFilter.beside(["<passage>\nQuestion: ", "\n```\n"]), "<" + piece * (200_000 // len(piece))
    began = time.process_time()
    own(text)
    assert time.process_time() - began < 5


def test_two_texts_side_by_side_make_no_control_token() -> None:
    draw = random.Random(12)
    for _ in range(3_000):
        assert TOKENS.search("".join(as_data(hostile(draw)) for _ in range(3))) is None


def test_what_was_made_data_stays_as_it_is() -> None:
    draw = random.Random(13)
    for _ in range(3_000):
        once = as_data(hostile(draw))
        assert TOKENS.search(as_data(once)) is None
        assert "\n" not in as_data(once)


@pytest.mark.parametrize(
    "text",
    [
        "a < b | c",
        "array[i] = 3",
        "see [note]",
        "<b>bold</b>",
        "x|y",
        "The system: a review",
        "if a<b: stop",
        "#1 of 3"[1:],
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert as_data(text) == text


def test_only_the_tags_labels_and_fences_of_the_prompt_itself_are_taken_from_texts() -> None:
    own = DataFilter.beside(["<doc>\nEvidence: ", "\n</doc>\n---\n"])
    assert own("<doc> </docs> <b> ---- === ") == "&lt;doc> </docs> <b> -- ==="
    assert own("Evidence: none") == "Evidence - none"
    assert as_data("Evidence: none <doc> ----") == "Evidence: none <doc> ----"


@pytest.mark.parametrize("marker", ["[1]", "[1, 2]", "[1; 2]", "[^1]", "[ 1 ]", "\u30101\u3011"])
def test_no_marker_that_an_answer_may_have_stands_in_data(marker: str) -> None:
    assert as_data(f"See {marker} there.") == f"See ({marker[1:-1]}) there."
    assert as_data(f"See {marker[:-1]}") == f"See ({marker[1:-1].rstrip()}"
