"""Prompt files to look at."""

from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline_prompts.file import PromptFile

GOOD = """
description = "a good one"

system = '''
You answer from the passages.
If they do not hold the answer, say that you do not know.
'''

template = '''
{% for passage in passages %}
[{{ passage.number }}] {{ passage.title }}: {{ passage.text }}
{% endfor %}

Question: {{ question }}
'''

[[examples]]
name = "price"
question = "How much?"
passages = [{ title = "Lamp", text = "It costs 49 euros.", date = 2026-05-31, trust = "high" }]

[[tests]]
name = "the passage is there"
example = "price"
prompt.contains = ["[1] Lamp: It costs 49 euros."]
"""

Write = Callable[..., PromptFile]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write((old, new), ..., more="...")`: a good prompt file with these changes, loaded."""

    def changed(*changes: tuple[str, str], more: str = "") -> PromptFile:
        content = GOOD
        for old, new in changes:
            assert old in content
            content = content.replace(old, new)
        path = tmp_path / "answer.toml"
        path.write_text(content + more, encoding="utf-8")
        return PromptFile.load(path)

    return changed
