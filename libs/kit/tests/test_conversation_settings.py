"""What a release may say about conversations."""

from pathlib import Path

import pytest

from plumbline_kit.release import ConversationSettings, load_release

LOCAL = Path(__file__).parents[3] / "deploy/local/release.toml"
PROMPT = "prompts/answer.toml"
TEXT = LOCAL.read_text(encoding="utf-8").replace(PROMPT, str(LOCAL.parent / PROMPT))


def test_a_release_without_the_section_condenses_by_rule(tmp_path: Path) -> None:
    before, _, rest = TEXT.partition("[conversation]")
    older = tmp_path / "release.toml"
    older.write_text(before + rest[rest.index("[guard]") :], encoding="utf-8")
    assert load_release(older).conversation == ConversationSettings(method="rule", turns=6)
    assert load_release(older).id != load_release(LOCAL).id


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ('method = "guess"', "conversation.method is 'guess'"),
        ('method = "model"', "conversation.template is empty"),
        ("turns = -1", "conversation.turns is -1"),
        ("turn = 6", "turn"),
    ],
)
def test_a_section_that_makes_no_sense_is_named(tmp_path: Path, said: str, problem: str) -> None:
    before, _, rest = TEXT.partition("[conversation]")
    wrong = tmp_path / "release.toml"
    wrong.write_text(f"{before}[conversation]\n{said}\n{rest[rest.index('[guard]') :]}", encoding="utf-8")
    with pytest.raises(ValueError, match=problem):
        load_release(wrong)
