"""The README's example asks a running platform."""

import ast
import re
from pathlib import Path

import pytest

from plumbline_local.issuer import mint_token
from tests.conftest import System

pytestmark = pytest.mark.system
README = Path(__file__).parents[2] / "README.md"
LAMP = "The Aurora desk lamp costs 49 euros."


async def test_the_example_of_the_readme_prints_an_answer(
    system: System, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert "127.0.0.1:7100" in code
    await system.driver.submit_and_wait("readme-lamp", "Aurora desk lamp", LAMP)
    monkeypatch.chdir(tmp_path)
    token = tmp_path / ".plumbline/auth/token"
    token.parent.mkdir(parents=True)
    token.write_text(f"{mint_token(system.layout, tenant='acme')}\n", encoding="ascii")
    here = code.replace("127.0.0.1:7100", system.layout.address("gateway"))
    await eval(compile(here, str(README), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), {})
    assert "49 euros" in capsys.readouterr().out
